"""The action's script, run as a runner would, installs exactly what its locks pin."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from s3index import __version__
from tests.distributions import digest
from tests.template.baking import TEMPLATE, bake
from tests.template.baking import run as execute


def run(
    folder: Path, source: Path = TEMPLATE, install: str = "s3index", **variables: str
) -> tuple[int, str]:
    """Run the action's script; return its exit code and output."""
    [step] = yaml.safe_load((TEMPLATE / "action.yml").read_text())["runs"]["steps"]
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            "PATH": f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin",
            "HOME": str(folder),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_PATH": str(folder / "path"),
            "INSTALL": install,
            "GITHUB_ACTION_PATH": str(source),
            "PIP_CONFIG_FILE": os.devnull,
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def locked(name: str) -> dict[str, str]:
    """Return {name: version} that a lock of the action pins for this Python and system."""
    lines = (TEMPLATE / "action" / f"{name}.txt").read_text().splitlines()
    wanted = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalpha()]
    return {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one in wanted
        if not one.marker or one.marker.evaluate()
    }


@pytest.mark.full
@pytest.mark.parametrize("name", ["s3index", "poetry", "build"])
def test_what_is_installed_is_the_lock(tmp_path: Path, index: str, name: str) -> None:
    code, said = run(tmp_path, install=name, PIP_INDEX_URL=index)
    assert code == 0, said
    commands = Path((tmp_path / "path").read_text().strip())
    # No `python` and no `pip`: the library's own stay first on PATH.
    command = "pyproject-build" if name == "build" else name
    assert [path.name for path in commands.iterdir()] == [command]
    python = tmp_path / "temp" / f"s3index-{name}" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    freeze = [*pip, "list", "--format=freeze"]
    listed = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout
    # Nothing was resolved, but the versions that Dependabot raised must still fit together.
    agreed = subprocess.run([*pip, "check"], capture_output=True, text=True, check=False)
    assert agreed.returncode == 0, agreed.stdout
    found = dict(line.split("==") for line in listed.split())
    versions = {str(canonicalize_name(each)): version for each, version in found.items()}
    assert versions.pop("s3index", None) == (__version__ if name == "s3index" else None)
    assert versions == locked(name)


def of_today(index: str, folder: Path) -> tuple[str, Path]:
    """Return the address of an index that also offers a newer poetry-core, and that wheel.

    The newer one builds other bytes, because it writes its version into them.
    """
    version, newer = locked("poetry")["poetry-core"], "2.9999"
    old, new = f"poetry_core-{version}", f"poetry_core-{newer}"
    [source] = Path(index.removeprefix("file://")).parent.glob(f"wheels/{old}-*.whl")
    path = folder / source.name.replace(old, new)
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as made:
        for name in archive.namelist():
            body = archive.read(name).replace(version.encode(), newer.encode())
            made.writestr(name.replace(old, new), body)
    simple = folder / "simple"
    shutil.copytree(index.removeprefix("file://"), simple)
    with (simple / "poetry-core" / "index.html").open("a") as page:
        page.write(f'\n<a href="{path.as_uri()}">{path.name}</a>')
    return simple.as_uri(), path


def of_a_year_ago(index: str, folder: Path) -> str:
    """Return the address of an index that offers what the locks pin, and nothing newer."""
    for page in Path(index.removeprefix("file://")).glob("*/index.html"):
        old = folder / page.parent.name / "index.html"
        old.parent.mkdir(parents=True)
        [link] = [line for line in page.read_text().splitlines() if "-9999-" not in line]
        old.write_text(link)
    return folder.as_uri()


@pytest.mark.full
def test_a_tag_gives_the_same_bytes_in_a_year(tmp_path: Path, index: str) -> None:
    origin = bake(tmp_path / "origin")
    person = ["-c", "user.name=Developer Tools", "-c", "user.email=devtools@example.com"]
    for command in (["add", "--all"], [*person, "commit", "-qm", "Start"], ["tag", "v0.1.0"]):
        subprocess.run(["git", "-C", str(origin), *command], check=True)

    def built(name: str, offered: str) -> dict[str, str]:
        """Build the tag as ci.yml does, on a machine that reaches only an index."""
        machine = tmp_path / name
        machine.mkdir(exist_ok=True)
        env = {"PIP_INDEX_URL": offered, "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(machine)}
        if not (machine / "path").exists():
            code, said = run(machine, TEMPLATE, "poetry", **env)
            assert code == 0, said
        shutil.rmtree(machine / "library", ignore_errors=True)
        git = ["git", "clone", "--quiet", "--branch", "v0.1.0"]
        subprocess.run([*git, str(origin), str(machine / "library")], check=True)
        poetry = Path((machine / "path").read_text().strip()) / "poetry"
        execute([poetry, "build"], machine / "library", env)
        return {path.name: digest(path) for path in (machine / "library" / "dist").iterdir()}

    before = built("then", of_a_year_ago(index, tmp_path / "old"))
    today, newer = of_today(index, tmp_path)
    assert len(before) == 2
    assert built("now", today) == before
    # Today's index could have changed the files: its poetry-core builds other bytes.
    python = tmp_path / "now" / "temp" / "s3index-poetry" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(newer)], check=True)
    assert built("now", today) != before


@pytest.mark.full
def test_another_file_of_a_locked_version_is_refused(tmp_path: Path, index: str) -> None:
    source = tmp_path / "source"
    shutil.copytree(TEMPLATE / "action", source / "action")
    lock = source / "action" / "s3index.txt"
    lock.write_text(re.sub(r"sha256:\w{64}", f"sha256:{0:064}", lock.read_text()))
    code, said = run(tmp_path, source, PIP_INDEX_URL=index)
    assert code == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in said


def test_an_older_python_of_the_library_may_be_first_on_path(tmp_path: Path) -> None:
    for name in ("python3", "python"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    newer = tmp_path / f"python3.{sys.version_info.minor}"
    newer.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexec {sys.executable} "$@"\n')
    newer.chmod(0o755)
    code, said = run(tmp_path, install="", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert (code, said) == (0, "")
    assert (tmp_path / "asked").read_text().startswith("-c import sys")


def test_an_old_python_is_told_what_to_do(tmp_path: Path) -> None:
    for name in ("python3", "python", *(f"python3.{minor}" for minor in range(11, 15))):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    code, said = run(tmp_path, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert code == 1
    assert said.startswith("::error::s3index needs Python 3.11 or newer")
    assert "actions/setup-python" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "lock", sorted((TEMPLATE / "action").glob("*.txt")), ids=lambda path: path.name
)
def test_every_package_of_a_lock_is_pinned_with_hashes(lock: Path) -> None:
    packages = re.split(r"^(?=\w)", lock.read_text(), flags=re.MULTILINE)[1:]
    assert packages
    for package in packages:
        assert re.match(
            r"[\w.-]+(\[[\w, ]+\])?==\S+ (; .+ )?(\\\n    --hash=sha256:\w{64} ?)+\n$", package
        )
