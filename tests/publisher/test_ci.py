"""`python -m s3index.ci`: what the workflows are told of a repository."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template.baking import TEMPLATE, bake
from tests.commands import S3INDEX
from s3index import ci
from s3index.config import Refused


def repository(folder: Path, requires: str = ">=3.11", more: str = "") -> Path:
    """Write the pyproject.toml that matters here; return the folder."""
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "acme.common"\nversion = "0.1.0"\nrequires-python = "{requires}"\n'
        '[tool.s3index]\nteam = "devtools"\nbucket = "acme-packages"\nregion = "eu-central-1"\n'
        f"{more}"
    )
    return folder


@pytest.mark.parametrize(
    ("requires", "pythons"),
    [
        (">=3.11", ["3.11", "3.12", "3.13", "3.14"]),
        (">=3.12", ["3.12", "3.13", "3.14"]),
        (">=3.14", ["3.14"]),
        (">=3.12,<3.14", ["3.12", "3.13"]),
        (">=3.12.4", ["3.12", "3.13", "3.14"]),
        ("~=3.12", ["3.12", "3.13", "3.14"]),
        ("!=3.13.*", ["3.11", "3.12", "3.14"]),
    ],
)
def test_the_pythons_to_test_on(tmp_path: Path, requires: str, pythons: list[str]) -> None:
    said = ci.settings(repository(tmp_path, requires))
    assert said["pythons"] == pythons
    assert said["python"] == pythons[0]


@pytest.mark.parametrize("requires", ["<3.11", ">=3.15", "three"])
def test_no_python_fits(tmp_path: Path, requires: str) -> None:
    with pytest.raises(Refused, match="requires-python"):
        ci.settings(repository(tmp_path, requires))


@pytest.mark.parametrize(
    ("more", "imports"),
    [
        ("", "acme_common"),
        ('[tool.poetry]\npackages = [{ include = "one" }, { include = "a/b" }]\n', "one, a.b"),
    ],
)
def test_what_to_import(tmp_path: Path, more: str, imports: str) -> None:
    assert ci.settings(repository(tmp_path, more=more))["imports"] == imports


@pytest.mark.parametrize("access", ["public", "network"])
def test_settings_of_a_baked_repository(tmp_path: Path, access: str) -> None:
    project = bake(tmp_path, access=access, python_version="3.13")
    command = [sys.executable, "-m", "s3index.ci", "settings"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    [line] = done.stdout.splitlines()
    assert json.loads(line.removeprefix("settings=")) == {
        "project": "acme-common",
        "version": "0.1.0",
        "imports": "acme_common",
        "index": "https://acme-packages.s3.eu-central-1.amazonaws.com/packages/devtools/",
        "region": "eu-central-1",
        "access": access,
        "python": "3.13",
        "pythons": ["3.13", "3.14"],
    }


def test_without_the_main_branch_nothing_is_released(tmp_path: Path) -> None:
    project = repository(tmp_path)
    command = [sys.executable, "-m", "s3index.ci", "check-tag", "refs/tags/v0.1.0"]
    env = {"PYTHONPATH": str(S3INDEX), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=project, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: git cannot say whether v0.1.0 is on main: ")


def test_it_is_tested_where_the_template_is() -> None:
    ours = (TEMPLATE / ".github" / "workflows" / "ci.yml").read_text()
    assert json.dumps(list(ci.PYTHONS)) in ours


def git(folder: Path, *arguments: str) -> None:
    person = ["-c", "user.name=Developer Tools", "-c", "user.email=devtools@example.com"]
    subprocess.run(["git", *person, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def on_main(tmp_path: Path) -> Path:
    """Return a repository whose commit is on origin's main."""
    project = repository(tmp_path)
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Start")
    git(project, "update-ref", "refs/remotes/origin/main", "HEAD")
    return project


def test_the_tag_of_the_version_on_main_may_be_released(
    on_main: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ci, "ROOT", on_main)
    ci.check_tag("refs/tags/v0.1.0")
    assert capsys.readouterr().out == "v0.1.0 may be released.\n"
    ci.print_settings()
    assert json.loads(capsys.readouterr().out.removeprefix("settings="))["version"] == "0.1.0"


@pytest.mark.parametrize(
    ("ref", "version", "said"),
    [
        ("refs/tags/v0.2.0", "0.1.0", r"Tag v0\.2\.0 is not v0\.1\.0, the version in"),
        ("refs/tags/0.1.0", "0.1.0", r"Tag 0\.1\.0 is not v0\.1\.0"),
        ("refs/heads/main", "0.1.0", "refs/heads/main is no tag"),
        ("refs/tags/v0.1.0+dirty", "0.1.0+dirty", r"is a local one.* Write '0\.1\.0'"),
        ("refs/tags/v0.1", "v0.1", r"is written '0\.1'"),
    ],
)
def test_other_tags_are_refused(on_main: Path, ref: str, version: str, said: str) -> None:
    settings = on_main / "pyproject.toml"
    settings.write_text(settings.read_text().replace('"0.1.0"', f'"{version}"'))
    with pytest.raises(Refused, match=said):
        ci.refuse_tag(on_main, ref)


def test_a_commit_that_is_not_on_main_is_refused(on_main: Path) -> None:
    git(on_main, "commit", "--quiet", "--allow-empty", "--message", "Elsewhere")
    with pytest.raises(Refused, match=r"The commit of v0\.1\.0 is not on main"):
        ci.refuse_tag(on_main, "refs/tags/v0.1.0")
