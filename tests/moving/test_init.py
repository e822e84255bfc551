"""`s3index init` lets an existing repository release to the index and keeps everything else."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from s3index import init
from s3index.settings import load, project, read
from tests.commands import s3index, start
from tests.publisher.test_tag import git
from tests.template.baking import TEMPLATE

COMMIT = "0123456789012345678901234567890123456789"
PIN = f"https://github.com/acme/s3-lib-template@{COMMIT}"
ANSWERS = {
    "team": "data",
    "bucket": "acme-packages",
    "region": "eu-central-1",
    "access": "public",
    "edge": "",
    "repository": "acme/acme-frames",
}
OPTIONS = [f"--{key}={value}" for key, value in ANSWERS.items()]
PYPROJECT = """\
# The order here is ours.
[build-system]
requires = ["hatchling"] # never older
build-backend = "hatchling.build"

[project]
name = "Acme.Frames"
version = "1.0"
requires-python = ">=3.9"

[tool.ruff]
line-length   =   88
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of a small library that is not yet set up for the index."""
    (tmp_path / "src" / "frames").mkdir(parents=True)
    (tmp_path / "src" / "frames" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "README.md").write_text("# Frames\n\nFor data.\n")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    """Return every file of a repository."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


def changed(root: Path, answers: dict[str, str] = ANSWERS) -> tuple[list[init.Change], list[str]]:
    """Return the changes that init would make, and its notes."""
    return init.changes(project(root, read(root)), answers, PIN)


def test_readers_with_tokens(root: Path) -> None:
    options = [*OPTIONS, "--template", PIN, "--yes", "--access=token"]
    said = s3index(root, "init", *options, "--edge=", exits=1)
    assert said == "Error: The edge is not known. Add --edge.\n"
    said = s3index(root, "init", *options, "--edge=http://acme", exits=1)
    assert said.startswith("Error: edge 'http://acme': must be empty, or an address")
    s3index(root, "init", *options, "--edge=https://packages.acme.example")
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["s3index"]
    assert settings["edge"] == "https://packages.acme.example"
    assert settings["distribution"] == ""
    release = (root / ".github/workflows/s3index-release.yml").read_text()
    assert "INDEX: https://packages.acme.example/simple/\n  REGION" in release
    assert "--index-url https://packages.acme.example/simple/" in (root / "README.md").read_text()
    assert load(root)[0].edge


def test_once_and_again(root: Path) -> None:
    before = contents(root)
    s3index(root, "init", *OPTIONS, "--template", PIN, "--dry-run")
    assert contents(root) == before
    s3index(root, "init", *OPTIONS, "--template", PIN, "--yes")
    after = contents(root)
    assert after.keys() - before.keys() == {
        "publish.py",
        ".github/workflows/s3index-build.yml",
        ".github/workflows/s3index-release.yml",
    }
    # Existing lines stay, in order: init only adds lines.
    assert {path for path in before if after[path] != before[path]} == {
        "pyproject.toml",
        "README.md",
    }
    for path in ("pyproject.toml", "README.md"):
        lines = iter(after[path].decode().splitlines())
        assert all(line in lines for line in before[path].decode().splitlines())
    index, library = load(root)
    assert (index.team, index.bucket, library.name) == ("data", "acme-packages", "acme-frames")
    s3index(root, "init", "--yes")
    assert contents(root) == after


def test_the_workflows(root: Path) -> None:
    found = {change.path.name: change.new for change in changed(root)[0]}
    build = yaml.safe_load(found["s3index-build.yml"])
    release = yaml.safe_load(found["s3index-release.yml"])
    assert list(build["jobs"]) == ["build"]
    runs = [step.get("run") for step in build["jobs"]["build"]["steps"]]
    assert "pyproject-build" in runs
    assert 's3index check-tag "$GITHUB_REF" dist/*' in runs
    assert release["env"] == {
        "PROJECT": "acme-frames",
        "IMPORT": "frames",
        "INDEX": "https://acme-packages.s3.eu-central-1.amazonaws.com/simple/",
        "REGION": "eu-central-1",
        "ACCESS": "public",
        "HAS_TOKEN": "${{ secrets.S3INDEX_TOKEN != '' }}",
    }
    assert release["jobs"]["ci"]["uses"] == "./.github/workflows/s3index-build.yml"
    assert found["s3index-build.yml"].startswith(
        "# The build of every change. No caches: s3index-release.yml publishes the files"
    )
    for text in found.values():
        assert not re.search(r"__[A-Z]+__|[ /](ci|release)\.yml", text)
        assert "poetry build" not in text
    # Only names differ from the template's file.
    template = (init.FILES / ".github/workflows/release.yml").read_text()
    ours = found["s3index-release.yml"].splitlines()
    assert len(set(template.splitlines()) - set(ours)) <= 12
    assert found["publish.py"].splitlines()[2] == f'# dependencies = ["s3index[build] @ git+{PIN}"]'


def test_the_current_branch_without_an_origin(root: Path) -> None:
    git(root, "symbolic-ref", "HEAD", "refs/heads/master")
    found, notes = changed(root)
    [build] = [change.new for change in found if change.path.name == "s3index-build.yml"]
    assert "branches: [master]" in build
    assert (
        "Releases are made from master, the current branch. If that is wrong, change it in the "
        "workflows."
    ) in notes
    git(root, "symbolic-ref", "HEAD", "refs/heads/main")
    assert not any("Releases are made" in note for note in changed(root)[1])


def test_what_was_answered_wrong_is_asked_again(root: Path) -> None:
    git(root, "remote", "add", "origin", "git@github.com:acme/acme-frames.git")
    command = [sys.executable, "-m", "s3index", "init", "--template", PIN, "--dry-run"]
    typed = "data\neu-central-1\nacme-123456789012-eu-central-1-an\npublick\npublic\n"
    done = subprocess.run(command, cwd=root, input=typed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Error: access 'publick': must be one of network, token, public\n" in done.stdout
    assert '+access = "public"' in done.stdout


def test_an_owner_that_github_does_not_have_is_asked_again(root: Path) -> None:
    command = [sys.executable, "-m", "s3index", "init", "--template", PIN, "--dry-run"]
    command += [option for option in OPTIONS if "repository" not in option]
    typed = "a--b/x\nacme/x\n"
    done = subprocess.run(command, cwd=root, input=typed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Error: github_owner 'a--b': " in done.stdout


def test_settings_that_are_declined_end_it(root: Path) -> None:
    before = contents(root)
    command = [sys.executable, "-m", "s3index", "init", *OPTIONS, "--template", PIN]
    done = subprocess.run(command, cwd=root, input="n\n", capture_output=True, text=True)
    assert (done.returncode, contents(root)) == (1, before)
    assert done.stderr == (
        "Error: Nothing was written: the other files need the settings in pyproject.toml. Run it "
        "again and accept them.\n"
    )


def test_another_branch_and_poetry(root: Path) -> None:
    git(root, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    text = PYPROJECT.replace("hatchling.build", "poetry.core.masonry.api")
    (root / "pyproject.toml").write_text(text)
    found = {change.path.name: change.new for change in changed(root)[0]}
    build = yaml.load(found["s3index-build.yml"], yaml.BaseLoader)
    assert build["on"]["push"] == {"branches": ["trunk"]}
    runs = [step.get("run") for step in build["jobs"]["build"]["steps"]]
    assert 's3index check-tag --branch trunk "$GITHUB_REF" dist/*' in runs
    assert "poetry build" in runs
    assert found["publish.py"].splitlines()[2] == f'# dependencies = ["s3index @ git+{PIN}"]'


@pytest.mark.parametrize(
    "text",
    [
        PYPROJECT,
        PYPROJECT + '\n[tool.s3index]\nteam = "web" # ours\n',
        PYPROJECT + '\n[project.urls]\nrepository = "https://github.com/acme/elsewhere"\n',
        PYPROJECT.replace(
            'version = "1.0"', 'version = "1.0"\nurls = { Home = "https://acme.example" }'
        ),
        PYPROJECT + '\n[[tool.uv.index]]\nname = "a"\nurl = "https://acme.example"\n',
        PYPROJECT.replace("\n", "\r\n"),
        PYPROJECT + "[tool]\n",
    ],
    ids=["none", "part", "repository", "inline", "array", "CRLF", "tool"],
)
def test_pyproject_stays_as_it_was_besides(root: Path, text: str) -> None:
    path = root / "pyproject.toml"
    path.write_bytes(text.encode())
    answers = ANSWERS | init.known(root)
    for change in changed(root, answers)[0]:
        change.write()
    new = path.read_bytes().decode()
    old, document = tomllib.loads(text), tomllib.loads(new)
    table, urls = document["tool"].pop("s3index"), document["project"].pop("urls")
    assert table == {key: answers[key] for key in ("team", "bucket", "region", "access")}
    assert len([key for key in urls if key.lower() == "repository"]) == 1
    old.setdefault("tool", {}).pop("s3index", None)
    old["project"].pop("urls", None)
    assert document == old
    assert new.count("\r\n") == (new.count("\n") if "\r\n" in text else 0)
    assert changed(root, answers)[0] == []


def test_networks(root: Path) -> None:
    for change in changed(root, ANSWERS | {"access": "network"})[0]:
        change.write()
    table = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["s3index"]
    assert (table["networks"], table["vpc_endpoints"]) == ([], [])


def test_what_is_there_is_not_overwritten(root: Path) -> None:
    (root / "publish.py").write_text("print('mine')\n")
    found, notes = changed(root)
    assert not any(change.path.name == "publish.py" for change in found)
    assert any("publish.py already exists" in note for note in notes)


def test_without_a_readme(root: Path) -> None:
    (root / "README.md").unlink()
    assert any("no README.md" in note for note in changed(root)[1])


def test_answers_are_held_to_the_template_s_rules(root: Path) -> None:
    wrong = {"team": "PyPI", "bucket": "a.b", "region": "moon", "access": "all"}
    options = [f"--{key}={value}" for key, value in wrong.items()]
    said = s3index(root, "init", *options, "--repository", "acme", "--yes", exits=1)
    for key, value in wrong.items():
        assert f"{key} {value!r}: " in said
    assert "repository 'acme': must be owner/name" in said
    assert "region" in s3index(root, "init", "--team=data", "--bucket=acme-p", "--yes", exits=1)
    said = s3index(root, "init", *OPTIONS, "--template=acme@v1", "--yes", exits=1)
    assert "must be URL@COMMIT, with the full commit" in said
    assert not (root / "publish.py").exists()


def test_it_asks_and_takes_no_for_an_answer(root: Path) -> None:
    git(root, "remote", "add", "origin", "git@github.com:acme/acme-frames.git")
    command = [sys.executable, "-m", "s3index", "init", "--template", PIN]
    done = subprocess.run(
        command,
        cwd=root,
        input="data\neu-central-1\nacme-packages\npublic\ny\nn\nn\nn\nn\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Team, the prefix of its index in the bucket: " in done.stdout
    assert "Repository on GitHub" not in done.stdout
    assert load(root)[0].team == "data"
    assert not (root / "publish.py").exists()


@pytest.mark.full
def test_an_installed_publisher_has_the_template_s_files(root: Path, tmp_path: Path) -> None:
    wanted = {change.path.name: change.new for change in changed(root)[0]}
    built, unpacked = tmp_path / "built", tmp_path / "unpacked"
    built.mkdir()
    call = "import sys; from poetry.core.masonry import api; print(api.{}(sys.argv[1]))"

    def build(kind: str, folder: Path) -> Path:
        command = [sys.executable, "-c", call.format(kind), str(built)]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        return built / done.stdout.strip().splitlines()[-1]

    sdist = build("build_sdist", TEMPLATE)
    shutil.unpack_archive(sdist, unpacked, filter="data")
    wheel = build("build_wheel", unpacked / sdist.name.removesuffix(".tar.gz"))
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    env = {"PYTHONPATH": str(tmp_path / "installed")}
    process = start(root, "init", *OPTIONS, "--yes", env=env)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert (root / "publish.py").read_text() == wanted["publish.py"].replace(COMMIT, "COMMIT")
    for name in init.WORKFLOWS.values():
        text = (root / ".github/workflows" / name).read_text()
        assert text == wanted[name].replace(COMMIT, "COMMIT")
