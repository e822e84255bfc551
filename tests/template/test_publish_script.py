"""publish.py runs on a machine that is new to the project: pipx and uv create its environment.

Libraries with awkward dependencies can lock, test and publish, as the publisher's are not theirs.
"""

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.template.baking import STUBS, TEMPLATE, bake_from, committed, pypi, run

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full

WHEEL = "packages/devtools/acme-common/acme_common-0.1.0-py3-none-any.whl"
AWKWARD = [
    "packaging<22",
    "typer<0.10",
    "click<8",
    "boto3<1.35",
    "botocore==1.31.*",
    "urllib3<2",
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return committed(tmp_path_factory.mktemp("template") / "s3-lib-template")


@pytest.fixture
def bucket(s3: "S3Client") -> str:
    """Make the bucket that the repositories name, or empty it; return its name."""
    name = "acme-packages"
    if name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        for key in keys(s3, name):
            s3.delete_object(Bucket=name, Key=key)
    else:
        s3.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
    return name


def keys(s3: "S3Client", bucket: str) -> list[str]:
    """Return the keys in a bucket of up to 1,000 objects."""
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def machine(home: Path) -> dict[str, str]:
    """Return the environment of a person with this home, and with pipx, uv and Poetry."""
    return {
        "HOME": str(home),
        "PATH": f"{STUBS}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIPX_HOME": str(home / "pipx"),
        "PIPX_DEFAULT_BACKEND": "pip",
        "UV_CACHE_DIR": str(home / "uv"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "POETRY_CACHE_DIR": str(home / "poetry"),
        "POETRY_CONFIG_DIR": str(home / "poetry-config"),
        "POETRY_VIRTUALENVS_CREATE": "true",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        # Some mirrors of PyPI lack the JSON that Poetry requests from PyPI itself.
        "POETRY_PYPI_MIRROR_URL": pypi(),
    }


@pytest.mark.parametrize(
    "command",
    [
        "pipx run publish.py",
        "uv run publish.py",
        "pipx run --spec {requirement} s3index publish",
    ],
)
def test_a_clean_machine_can_publish(
    template: Path, bucket: str, s3: "S3Client", tmp_path: Path, command: str
) -> None:
    project = bake_from(template, tmp_path, starter="empty")
    requirement = re.findall(r'"(s3index @ .*)"', (project / "publish.py").read_text())
    assert requirement == [f"s3index @ git+file://{template}@{head(template)}"]
    words = command.format(requirement=f"'{requirement[0]}'")
    said = run(["sh", "-c", f"{words} --dry-run"], project, machine(tmp_path))
    assert WHEEL in said
    assert keys(s3, bucket) == []
    run(["sh", "-c", words], project, machine(tmp_path))
    assert WHEEL in keys(s3, bucket)


def test_pipx_installs_what_the_docs_say(template: Path, tmp_path: Path) -> None:
    """docs/moving.md adds --force: an installation as in the README may have other extras."""
    readme, moving = (
        next(
            line for line in (TEMPLATE / path).read_text().splitlines() if line.startswith("pipx ")
        )
        for path in ("README.md", "docs/moving.md")
    )
    run(["git", "tag", "v1.0.0"], template)
    (tmp_path / ".gitconfig").write_text(
        f'[url "{template.as_uri()}"]\n'
        "insteadOf = https://github.com/org/s3-lib-template\n"
        "insteadOf = https://github.com/acme/s3-lib-template\n"
    )
    environment = machine(tmp_path) | {"PIPX_BIN_DIR": str(tmp_path / "bin")}
    libraries = "moto.server, tomlkit, pypi_simple, build"
    for command in (readme, moving):
        run(["sh", "-c", command], tmp_path, environment)
        assert run([tmp_path / "bin" / "s3index", "--version"], tmp_path).startswith("s3index ")
        run([tmp_path / "pipx/venvs/s3index/bin/python", "-c", f"import {libraries}"], tmp_path)
        libraries = libraries.removeprefix("moto.server, ")


def head(template: Path) -> str:
    return run(["git", "rev-parse", "HEAD"], template).strip()


def test_the_script_passes_its_arguments_on(template: Path, tmp_path: Path) -> None:
    project = bake_from(template, tmp_path, starter="empty")
    said = run(["uv", "run", "publish.py", "--help"], project, machine(tmp_path))
    assert "yank" in said
    assert "preview" in said
    said = run(["uv", "run", "publish.py", "verify", "--help"], project, machine(tmp_path))
    assert "--deep" in said


@pytest.fixture(scope="module")
def library(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bake a library whose environment and caches the tests below share."""
    return bake_from(template, tmp_path_factory.mktemp("library"), starter="empty")


@pytest.mark.parametrize("dependency", AWKWARD)
def test_an_awkward_library(library: Path, bucket: str, s3: "S3Client", dependency: str) -> None:
    environment = machine(library.parent)
    text = (library / "pyproject.toml").read_text()
    text = re.sub(
        r"^dependencies = .*$", f'dependencies = ["{dependency}"]', text, flags=re.MULTILINE
    )
    (library / "pyproject.toml").write_text(text)
    run(["poetry", "lock"], library, environment)
    run(["poetry", "sync"], library, environment)
    name = re.split("[<=]", dependency)[0]
    assert name in run([".venv/bin/python", "-c", f"import {name}; print({name})"], library)
    assert "1 passed" in run(["poetry", "run", "pytest"], library, environment)
    shutil.rmtree(library / "dist", ignore_errors=True)
    run(["uv", "run", "publish.py"], library, environment)
    assert WHEEL in keys(s3, bucket)


def python_3_10() -> str:
    """Return a Python 3.10: pyenv's own, as its shim on PATH may fail, or one that uv finds."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10"))
    return str(pyenv[-1]) if pyenv else "3.10"


def test_a_library_for_python_3_10(
    template: Path, library: Path, bucket: str, s3: "S3Client", tmp_path: Path
) -> None:
    project = bake_from(template, tmp_path, python_version="3.10")
    environment = machine(library.parent)
    run(
        ["uv", "venv", "--quiet", "--seed", "--python", python_3_10(), ".venv"],
        project,
        environment,
    )
    run(["poetry", "install"], project, environment)
    for tool in ("pytest", "mypy", "ruff check"):
        run(["poetry", "run", *tool.split()], project, environment)
    lock = (project / "poetry.lock").read_text()
    assert len(set(re.findall(r'^name = "(.*)"$', lock, re.MULTILINE))) <= 35
    run(["uv", "run", "publish.py"], project, environment)
    assert WHEEL in keys(s3, bucket)


def test_a_lock_is_short(template: Path, library: Path, tmp_path: Path) -> None:
    project = bake_from(template, tmp_path, python_version="3.12")
    run(["poetry", "lock"], project, machine(library.parent))
    lock = (project / "poetry.lock").read_text()
    assert 20 < lock.count("\n[[package]]\n") <= 35
