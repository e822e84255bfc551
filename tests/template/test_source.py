"""A project names the template that it was made from: its address, its commit and its tag.

cookiecutter, cruft and git are real; git's settings map GitHub and other hosts to folders here.
"""

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from hooks import post_gen_project
from hooks.post_gen_project import Template, find_template, web
from tests.template.baking import STUBS, TEMPLATE, python

HOSTS = ["https://github.com/", "https://gitlab.com/", "https://bitbucket.org/"]
HOSTS += ["git@github.com:", "ssh://git@github.com/", "https://dev:secret@github.com/"]
PERSON = "[user]\nname = Developer Tools\nemail = devtools@example.com\n"
WORKFLOW = "name: W\nuses: __TEMPLATE_ACTION__\npython: __PYTHON__ __PYTHONS__\nx: ${{ x }} __X__\n"
WORKFLOW += "all: __PROJECT__ __IMPORT__ __REGION__ __ACCESS__ __INDEX__\n"


@dataclass(frozen=True)
class World:
    """A folder that stands for all hosts: `acme/s3-lib-template.git` has tags v0.9.0 and v1.0.0."""

    folder: Path
    old: str
    new: str

    @property
    def template(self) -> Path:
        """Return the template's repository."""
        return self.folder / "acme" / "s3-lib-template.git"

    def clone(self, name: str) -> Path:
        """Clone the template from GitHub into a folder; return it."""
        folder = self.folder / name
        self.git(self.folder, "clone", "--quiet", f"{HOSTS[0]}acme/s3-lib-template", str(folder))
        return folder

    def git(self, folder: Path, *arguments: str) -> str:
        """Run git with only this world's settings."""
        return self.run(["git", "-C", str(folder), *arguments], folder)

    def cookiecutter(self, *arguments: str, cwd: Path | None = None) -> str:
        """Bake with cookiecutter into `made`; return its output."""
        command = [*python("cookiecutter"), "--no-input", "--output-dir", str(self.folder / "made")]
        return self.run([*command, *arguments], cwd or self.folder)

    def cruft(self, *arguments: str) -> str:
        """Bake with cruft into `made`; return its output."""
        command = [*python("cruft", "create", "--no-input"), "--output-dir"]
        return self.run([*command, str(self.folder / "made"), *arguments], self.folder)

    def run(self, command: list[str], cwd: Path) -> str:
        """Run a command that must succeed; return its stdout."""
        settings = {
            "HOME": str(self.folder),
            "COOKIECUTTER_CONFIG": str(self.folder / "config.yaml"),
            "PATH": f"{STUBS}{os.pathsep}{os.environ['PATH']}",
            "PWD": str(cwd),
        }
        environment = {key: value for key, value in os.environ.items() if key[:4] != "GIT_"}
        done = subprocess.run(
            command, cwd=cwd, env=environment | settings, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def written(self) -> tuple[str, str]:
        """Return the requirement in `publish.py` and the action in the workflows."""
        project = self.folder / "made" / "acme-common"
        [requirement] = re.findall(
            r'^# dependencies = \["(.*)"\]$', (project / "publish.py").read_text(), re.MULTILINE
        )
        [action] = re.findall(
            r"^uses: (.*)$", (project / ".github/workflows/w.yml").read_text(), re.MULTILINE
        )
        return requirement, action


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the files needed for baking and a workflow with every placeholder; commit them."""
    home = tmp_path_factory.mktemp("source")
    folder = home / "template"
    name = "{{cookiecutter.project_slug}}"
    ignored = shutil.ignore_patterns("*_cache", "__pycache__")
    for part in ("hooks", name):
        shutil.copytree(TEMPLATE / part, folder / part, ignore=ignored)
    for part in ("cookiecutter.json", ".gitignore"):
        shutil.copy(TEMPLATE / part, folder)
    (folder / name / ".github" / "workflows" / "w.yml").write_text(WORKFLOW)
    (home / ".gitconfig").write_text(PERSON)
    world = World(home, "", "")
    world.git(folder, "init", "--quiet", "--initial-branch=main")
    for version in ("v0.9.0", "v1.0.0"):
        (folder / "CHANGELOG.md").write_text(version)
        world.git(folder, "add", "--all")
        world.git(folder, "commit", "--quiet", "--message", version)
        world.git(folder, "tag", version)
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path) -> World:
    abbreviations = {"ours": "git@github.com:acme/{0}.git"}
    settings = {
        "cookiecutters_dir": str(tmp_path / "clones"),
        "abbreviations": abbreviations,
        "replay_dir": str(tmp_path / "replay"),
        # A newer Python than the running one would add a note.
        "default_context": {"python_version": "3.10"},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    (tmp_path / ".gitconfig").write_text(
        PERSON
        + f'[url "file://{tmp_path}/"]\n'
        + "".join(f"insteadOf = {host}\n" for host in HOSTS)
    )
    world = World(tmp_path, "", "")
    shutil.copytree(template, world.template)
    old, new = (world.git(world.template, "rev-parse", tag).strip() for tag in ("v0.9.0", "v1.0.0"))
    return World(tmp_path, old, new)


full = pytest.mark.full
GITHUB = "https://github.com/acme/s3-lib-template"
SSH = "ssh://git@github.com/acme/s3-lib-template"


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ("gh:acme/s3-lib-template", f"{GITHUB}.git"),
        ("ours:s3-lib-template", f"{SSH}.git"),
        pytest.param(GITHUB, GITHUB, marks=full),
        pytest.param(
            "https://dev:secret@github.com/acme/s3-lib-template.git", f"{GITHUB}.git", marks=full
        ),
        pytest.param("git@github.com:acme/s3-lib-template.git", f"{SSH}.git", marks=full),
        pytest.param(SSH, SSH, marks=full),
        ("gl:acme/s3-lib-template", "https://gitlab.com/acme/s3-lib-template.git"),
        pytest.param(
            "bb:acme/s3-lib-template.git",
            "https://bitbucket.org/acme/s3-lib-template.git",
            marks=full,
        ),
    ],
)
def test_cookiecutter_with_an_address(world: World, asked: str, url: str) -> None:
    said = world.cookiecutter(asked, "github_owner=umbra")
    requirement, action = world.written()
    assert requirement == f"s3index @ git+{url}@{world.new}"
    if "github.com" in url:
        assert action == f"acme/s3-lib-template@{world.new} # v1.0.0"
        assert "Note: " not in said
    else:
        assert action == f"umbra/s3-lib-template@{world.new} # v1.0.0"
        assert f"Note: The workflows install the publisher from {action}, which must " in said


@pytest.mark.parametrize("checkout", [pytest.param("v0.9.0", marks=full), "commit"])
def test_checkout(world: World, checkout: str) -> None:
    named = world.old if checkout == "commit" else checkout
    world.cookiecutter("gh:acme/s3-lib-template", "--checkout", named)
    requirement, action = world.written()
    assert requirement == f"s3index @ git+{GITHUB}.git@{world.old}"
    assert action == f"acme/s3-lib-template@{world.old} # v0.9.0"


def test_a_final_tag_comes_before_its_candidates(world: World) -> None:
    for tag in ("v1.0.0-rc1", "v1.0.0-rc2"):
        world.git(world.template, "tag", tag, "v1.0.0")
    world.cookiecutter("gh:acme/s3-lib-template")
    assert world.written()[1] == f"acme/s3-lib-template@{world.new} # v1.0.0"


@full
def test_a_commit_that_only_a_tag_has(world: World) -> None:
    world.git(world.template, "reset", "--quiet", "--hard", "v0.9.0")
    world.cookiecutter("gh:acme/s3-lib-template", "--checkout", "v1.0.0")
    assert world.written()[0] == f"s3index @ git+{GITHUB}.git@{world.new}"


@pytest.mark.parametrize("relative", [pytest.param(False, marks=full), True])
def test_a_pushed_clone_is_named_by_where_it_is_from(world: World, relative: bool) -> None:
    folder = world.clone("my clone")
    said = world.cookiecutter("my clone" if relative else str(folder))
    requirement, action = world.written()
    assert requirement == f"s3index @ git+{GITHUB}@{world.new}"
    assert action == f"acme/s3-lib-template@{world.new} # v1.0.0"
    assert "Note: " not in said


def test_a_clone_that_is_not_pushed_is_named_by_its_folder(world: World) -> None:
    folder = world.clone("my clone")
    (folder / "CHANGELOG.md").write_text("mine")
    said = world.cookiecutter(str(folder))
    assert world.written()[0] == f"s3index @ git+{GITHUB}@{world.new}"
    assert "Note: The template has uncommitted changes, " in said

    world.git(folder, "commit", "--quiet", "--all", "--message", "Mine")
    world.git(folder, "tag", "v1.1.0")
    shutil.rmtree(world.folder / "made")
    said = world.cookiecutter(str(folder))
    mine = world.git(folder, "rev-parse", "HEAD").strip()
    address = f"file://{world.folder}/my%20clone"
    assert world.written() == (
        f"s3index @ git+{address}@{mine}",
        f"acme/s3-lib-template@{mine} # v1.1.0",
    )
    assert (
        f"Note: publish.py installs the publisher from {address}, which only this machine has: "
        in said
    )
    assert "not committed" not in said


def test_a_folder_that_nobody_else_has(world: World) -> None:
    said = world.cookiecutter(str(world.template))
    requirement, action = world.written()
    assert requirement == f"s3index @ git+file://{world.template}@{world.new}"
    assert action == f"acme/s3-lib-template@{world.new} # v1.0.0"
    assert "which only this machine has" in said
    assert f"from {action}, which must exist on GitHub." in said


def test_a_folder_without_git(world: World) -> None:
    shutil.rmtree(world.template / ".git")
    said = world.cookiecutter(str(world.template))
    requirement, action = world.written()
    assert requirement == f"s3index @ file://{world.template}"
    assert action == "acme/s3-lib-template@COMMIT"
    assert "which only this machine has" in said


def test_an_archive_has_no_commit(world: World) -> None:
    shutil.rmtree(world.template / ".git")
    path = world.folder / "s3-lib-template.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("s3-lib-template")
        for file in world.template.rglob("*"):
            archive.write(file, f"s3-lib-template/{file.relative_to(world.template)}")
    said = world.cookiecutter(str(path))
    assert world.written() == (f"s3index @ git+{GITHUB}@COMMIT", "acme/s3-lib-template@COMMIT")
    assert (
        "Replace COMMIT with it in publish.py and in .github/workflows. If the template is not at "
        f"{GITHUB}, correct the address.\n"
    ) in said


def test_a_fork_fixes_its_address(world: World) -> None:
    settings = world.template / "cookiecutter.json"
    fixed = '"_template_address": "https://github.com/umbra/tools.git"'
    settings.write_text(settings.read_text().replace('"_template_address": ""', fixed))
    world.git(world.template, "commit", "--quiet", "--all", "--message", "Ours")
    commit = world.git(world.template, "rev-parse", "HEAD").strip()
    said = world.cookiecutter(str(world.template))
    assert world.written() == (
        f"s3index @ git+https://github.com/umbra/tools.git@{commit}",
        f"umbra/tools@{commit}",
    )
    assert (
        f"Note: The template's commit {commit} is only on this machine: push it to "
        "https://github.com/umbra/tools.git.\n"
    ) in said


@pytest.mark.full
def test_cruft_with_an_address(world: World) -> None:
    world.cruft(f"{GITHUB}.git", "--checkout", "v0.9.0")
    requirement, action = world.written()
    assert requirement == f"s3index @ git+{GITHUB}.git@{world.old}"
    assert action == f"acme/s3-lib-template@{world.old} # v0.9.0"

    project = world.folder / "made" / "acme-common"
    world.git(project, "add", "--all")
    world.git(project, "commit", "--quiet", "--message", "Start")
    state = json.loads((project / ".cruft.json").read_text())
    (project / ".cruft.json").write_text(json.dumps(state | {"checkout": None}))
    world.git(project, "commit", "--quiet", "--all", "--message", "Follow main")
    said = world.run([*python("cruft"), "update", "--skip-apply-ask"], project)
    assert "Note: " not in said
    requirement, action = world.written()
    assert requirement == f"s3index @ git+{GITHUB}.git@{world.new}"
    assert action == f"acme/s3-lib-template@{world.new} # v1.0.0"


@full
def test_cruft_with_a_folder(world: World) -> None:
    said = world.cruft(str(world.template))
    assert world.written()[0] == f"s3index @ git+file://{world.template}@{world.new}"
    assert "which only this machine has" in said
    shutil.rmtree(world.folder / "made")
    world.cruft(str(world.clone("pushed")))
    assert world.written()[0] == f"s3index @ git+{GITHUB}@{world.new}"


def test_what_is_filled_into_workflows(world: World) -> None:
    world.cookiecutter("gh:acme/s3-lib-template", "region=cn-north-1", "python_version=3.13")
    text = (world.folder / "made/acme-common/.github/workflows/w.yml").read_text()
    assert text == (
        f"name: W\nuses: acme/s3-lib-template@{world.new} # v1.0.0\n"
        'python: 3.13 ["3.13", "3.14"]\nx: ${{ x }} __X__\n'
        "all: acme-common acme_common cn-north-1 network "
        "https://acme-packages.s3.cn-north-1.amazonaws.com.cn/simple/\n"
    )


def answers(**given: str) -> Mapping[str, object]:
    return {"github_owner": "acme", **given}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the parent process's working folder, as on macOS."""
    monkeypatch.setattr(os, "getppid", lambda: 0)
    monkeypatch.setenv("PWD", str(tmp_path))


@pytest.mark.usefixtures("elsewhere")
def test_without_proc_the_answers_say_where_it_is(world: World) -> None:
    clone = world.clone("clone")
    found = find_template(answers(_template="clone", _repo_dir="clone"))
    assert (found.url, found.commit, found.tag) == (GITHUB, world.new, "v1.0.0")
    assert found == find_template(answers(_template="x:y", _repo_dir=str(clone)))
    found = find_template(answers(_template=f"{GITHUB}.git", _commit=world.new))
    assert found == Template(f"{GITHUB}.git", world.new)
    found = find_template(answers(_template=str(clone), _commit=world.old))
    assert (found.url, found.commit, found.tag) == (GITHUB, world.old, "v0.9.0")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("commit", ["", "main", '0"] # ', "0" * 39])
def test_a_commit_is_believed_if_it_is_one(commit: str) -> None:
    assert find_template(answers(_template=GITHUB, _commit=commit)) == Template(GITHUB, "COMMIT")


@pytest.mark.usefixtures("elsewhere")
def test_a_folder_that_cannot_be_read_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "is_file", refuse)
    assert post_gen_project.template_folder(answers(_template=".")) is None


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://github.com/a/b/", "https://github.com/a/b"),
        ("git+https://github.com/a/b", "https://github.com/a/b"),
        ("https://token@github.com/a/b", "https://github.com/a/b"),
        ("http://dev:p%40ss@git.example.com/a/b", "http://git.example.com/a/b"),
        ("dev@git.example.com:a/b.git", "ssh://dev@git.example.com/a/b.git"),
        ("ssh://git@git.example.com:2222/a/b", "ssh://git@git.example.com:2222/a/b"),
        ('https://x/a"]\n# b', "https://x/a%22%5D%0A%23%20b"),
        ("https://x/a b\\", "https://x/a%20b%5C"),
        ("", ""),
    ],
)
def test_an_address_is_made_clean(url: str, clean: str) -> None:
    assert web(url) == clean
