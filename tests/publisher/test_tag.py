"""Only the tag of the project's version, on a commit of main, may be released."""

import subprocess
import sys
from pathlib import Path

import pytest

from s3index.errors import Refused
from s3index.settings import Project, load
from s3index.tag import refuse_tag


def git(folder: Path, *arguments: str) -> None:
    person = ["-c", "user.name=Developer Tools", "-c", "user.email=devtools@example.com"]
    subprocess.run(["git", *person, *arguments], cwd=folder, check=True, capture_output=True)


def project(root: Path) -> Project:
    return load(root)[1]


@pytest.fixture
def on_main(tmp_path: Path) -> Path:
    """Return a repository whose commit is on origin's main."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "acme.common"\nversion = "0.1.0"\n'
        '[tool.s3index]\nteam = "devtools"\nbucket = "acme-packages"\nregion = "eu-central-1"\n'
    )
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "Start")
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    return tmp_path


@pytest.mark.parametrize(
    ("ref", "code", "said"),
    [
        ("refs/tags/v0.1.0", 0, "v0.1.0 may be released.\n"),
        ("refs/tags/v0.2.0", 1, "Error: Tag v0.2.0 is not v0.1.0"),
    ],
)
def test_the_command(on_main: Path, ref: str, code: int, said: str) -> None:
    command = [sys.executable, "-m", "s3index", "check-tag", ref]
    done = subprocess.run(command, cwd=on_main, capture_output=True, text=True, check=False)
    assert (done.returncode, (done.stdout + done.stderr)[: len(said)]) == (code, said)


@pytest.mark.parametrize(
    ("ref", "version", "said"),
    [
        ("refs/tags/v0.2.0", "0.1.0", r"Tag v0\.2\.0 is not v0\.1\.0, the version in"),
        ("refs/tags/0.1.0", "0.1.0", r"Tag 0\.1\.0 is not v0\.1\.0"),
        ("refs/heads/main", "0.1.0", "refs/heads/main is not a tag"),
        ("refs/tags/v0.1.0+dirty", "0.1.0+dirty", r"has a local part.* Write '0\.1\.0'"),
        ("refs/tags/v0.1", "v0.1", r"is not normalized\. Use the normalized form '0\.1'"),
    ],
)
def test_other_tags_are_refused(on_main: Path, ref: str, version: str, said: str) -> None:
    settings = on_main / "pyproject.toml"
    settings.write_text(settings.read_text().replace('"0.1.0"', f'"{version}"'))
    with pytest.raises(Refused, match=said):
        refuse_tag(project(on_main), ref)


def test_a_commit_that_is_not_on_main_is_refused(on_main: Path) -> None:
    git(on_main, "commit", "--quiet", "--allow-empty", "--message", "Elsewhere")
    with pytest.raises(Refused, match=r"The commit of v0\.1\.0 is not on main"):
        refuse_tag(project(on_main), "refs/tags/v0.1.0")


def test_without_main_it_cannot_be_said(on_main: Path) -> None:
    git(on_main, "update-ref", "-d", "refs/remotes/origin/main")
    with pytest.raises(Refused, match=r"git cannot say whether v0\.1\.0 is on main: .*fatal"):
        refuse_tag(project(on_main), "refs/tags/v0.1.0")
