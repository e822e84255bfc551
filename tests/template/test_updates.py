"""A repository can be updated to the template's next version, even if its owner changed it."""

import json
import re
from pathlib import Path

import pytest

from tests.template.baking import ANSWERS, TEMPLATE, config_file, python, run

pytestmark = pytest.mark.full

FOLDER = TEMPLATE / "{{cookiecutter.project_slug}}"
IDENTITY = {
    "GIT_AUTHOR_NAME": "Developer Tools",
    "GIT_AUTHOR_EMAIL": "devtools@example.com",
    "GIT_COMMITTER_NAME": "Developer Tools",
    "GIT_COMMITTER_EMAIL": "devtools@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


def git(folder: Path, *arguments: str) -> str:
    return run(["git", *arguments], folder, IDENTITY)


def commit_of(version: str) -> str:
    """Return the commit that released a version: the first whose changelog has it."""
    heading = rf"-G^## {re.escape(version)} "
    search = ["log", "--reverse", "--format=%H", heading, "--", "CHANGELOG.md"]
    found = git(TEMPLATE, *search).split()
    assert found, "the template's history is not here: a shallow clone? `git fetch --unshallow`"
    return found[0]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository from 0.2.0, change it as an owner does, and update it to the present."""
    folder = tmp_path_factory.mktemp("updates")
    template = folder / "template"
    git(folder, "clone", "--quiet", "--no-local", str(TEMPLATE), str(template))
    git(template, "checkout", "--quiet", "-B", "main", commit_of("0.2.0"))
    settings = IDENTITY | {"HOME": str(folder), "COOKIECUTTER_CONFIG": str(config_file(folder))}
    answers = json.dumps(ANSWERS)
    create = python("cruft", "create", str(template), "--no-input", "--extra-context", answers)
    run(create, folder, settings)
    project = folder / "acme-common"
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Start from the template")
    change_as_an_owner(project)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Make it ours")

    release_the_present(template)
    run(python("cruft", "update", "--skip-apply-ask"), project, settings)
    return project


def change_as_an_owner(project: Path) -> None:
    """Make the changes that an owner may make."""
    replace(project / "README.md", r"## Use\n", "## Use\n\nOrders are counted in every shop.\n")
    replace(project / "README.md", r"at Acme\.\n", "at Acme.\n\nAsk us in the hallway.\n")
    pyproject = project / "pyproject.toml"
    replace(pyproject, r'version = "0\.1\.0"', 'version = "1.4.0"')
    replace(pyproject, r'description = ".*"', 'description = "What our shops share"')
    replace(pyproject, r'dependencies = \["', 'dependencies = ["typing-extensions>=4", "')
    replace(pyproject, r"line-length = 100", "line-length = 110")
    replace(project / "CHANGELOG.md", r"- The first version\.", "- Orders.")
    metrics = project / "src" / "acme_common" / "metrics.py"
    metrics.write_text(metrics.read_text() + "\n\nSHOPS = 3\n")
    (project / "src" / "acme_common" / "orders.py").write_text('"""Orders."""\n\nOPEN = "open"\n')
    (project / "tests" / "test_orders.py").write_text(
        "from acme_common import metrics, orders\n\n\n"
        'def test_orders() -> None:\n    assert (orders.OPEN, metrics.SHOPS) == ("open", 3)\n'
    )


def replace(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, lambda _: text, path.read_text(), count=1)
    assert count == 1, f"{path.name} has no {pattern}"
    path.write_text(changed)


def release_the_present(template: Path) -> None:
    """Commit the template's current files to a clone that is at 0.2.0."""
    listed = git(TEMPLATE, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    git(template, "rm", "-r", "--quiet", ".")
    for name in listed.split("\0"):
        if name and (TEMPLATE / name).is_file():
            (template / name).parent.mkdir(parents=True, exist_ok=True)
            (template / name).write_bytes((TEMPLATE / name).read_bytes())
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "--allow-empty", "--message", "The present")


def test_the_update_merges_without_conflict(repository: Path) -> None:
    changed = git(repository, "status", "--porcelain")
    assert ".cruft.json" in changed
    assert "CONTRIBUTING.md" in changed
    assert not re.search(r"^(U.|.U|AA|DD) ", changed, re.MULTILINE), changed
    assert not list(repository.rglob("*.rej"))
    for path in repository.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            assert b"\n<<<<<<<" not in path.read_bytes(), path


def test_what_is_the_publishers_is_gone(repository: Path) -> None:
    tracked = {path for path in git(repository, "ls-files").split() if (repository / path).exists()}
    assert {path.split("/")[0] for path in tracked} & {"s3index", "infra"} == set()
    present = {path.relative_to(FOLDER) for path in (FOLDER / ".github").rglob("*.yml")}
    assert {Path(path) for path in tracked if path.startswith(".github/")} == present
    assert "publish = [" not in (repository / "pyproject.toml").read_text()
    assert (repository / "publish.py").exists()


def test_what_the_owner_changed_is_still_there(repository: Path) -> None:
    readme = (repository / "README.md").read_text()
    assert "Orders are counted in every shop." in readme
    assert "Ask us in the hallway." in readme
    pyproject = (repository / "pyproject.toml").read_text()
    for kept in ('"1.4.0"', "What our shops share", "typing-extensions>=4", "line-length = 110"):
        assert kept in pyproject
    assert "- Orders." in (repository / "CHANGELOG.md").read_text()


def test_the_updated_repository_passes_its_own_checks(repository: Path) -> None:
    env = {"PYTHONPATH": "src"}
    assert run(python("poetry", "check", "--strict"), repository) == "All set!\n"
    said = run(python("pytest", "-p", "no:cacheprovider"), repository, env)
    assert re.search(r"\d+ passed", said)
    run(python("mypy"), repository, env)
    run(python("ruff", "check", "--no-cache"), repository)
    run(python("poetry", "build"), repository)
    assert run(python("cruft", "check"), repository, IDENTITY).startswith("SUCCESS")


def test_a_replay_gives_the_same_repository(tmp_path: Path) -> None:
    configured = {"COOKIECUTTER_CONFIG": str(config_file(tmp_path))}
    bake = [*python("cookiecutter", str(TEMPLATE)), "--output-dir"]
    made = []
    for name, how in (("asked", ["--no-input", "team=shops"]), ("replayed", ["--replay"])):
        run([*bake, str(tmp_path / name), *reorder(how)], tmp_path, configured)
        project = tmp_path / name / "acme-common"
        tracked = git(project, "ls-files").split()
        made.append({path: (project / path).read_bytes() for path in tracked})
    assert made[0] == made[1]
    assert b'team = "shops"' in made[1]["pyproject.toml"]


def reorder(how: list[str]) -> list[str]:
    return sorted(how, key=lambda word: not word.startswith("-"))


def test_a_users_own_defaults_are_taken(tmp_path: Path) -> None:
    config = config_file(tmp_path)
    settings = json.loads(config.read_text())
    settings["default_context"] = {"organization": "Umbra", "team": "shops", "license": "MIT"}
    config.write_text(json.dumps(settings))
    command = [*python("cookiecutter", str(TEMPLATE), "--no-input")]
    run(command, tmp_path, {"COOKIECUTTER_CONFIG": str(config)})
    pyproject = (tmp_path / "umbra-common" / "pyproject.toml").read_text()
    for text in ('name = "umbra-common"', 'team = "shops"', 'bucket = "umbra-packages"', '"MIT"'):
        assert text in pyproject
