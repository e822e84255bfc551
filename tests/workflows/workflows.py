"""Runs the jobs of a repository's GitHub workflows on this machine, for a rehearsal.

`run:` steps are run as they stand, in bash and in order, each job in a checkout, a HOME and an
environment of its own. Actions are replaced by what they leave behind. What is not known here
(an action, an input, a key, an expression) is an error, so that no step is passed over in silence.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

import yaml

from tests.workflows.expressions import Contexts, Lenient, Unsupported, condition, evaluate, interpolate
from tests.workflows.machine import RUNNING, Machine, Repository, git

KEYS = {
    "workflow": {"name", "on", "permissions", "concurrency", "defaults", "env", "jobs"},
    "job": {
        *("name", "needs", "if", "runs-on", "timeout-minutes", "environment", "permissions"),
        *("outputs", "strategy", "steps", "uses"),
    },
    "step": {"name", "id", "if", "uses", "with", "env", "run"},
}


@dataclass
class Run:
    """What a run of a workflow did: each job's result, its steps' output, its summary.

    `group` is its concurrency group, `cancels` whether it ends older runs in that.
    Jobs of a called workflow are named as GitHub shows them: `ci / lint`.
    """

    group: str
    cancels: bool
    results: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""


@dataclass
class GitHub(Repository):
    """A repository on GitHub: its bare git repository, an event, its variables, its machines.

    `variables` are by environment, those of the whole repository under "".
    """

    private: bool = True
    variables: Mapping[str, dict[str, str]] = field(default_factory=dict)

    def contexts(self, environment: str = "") -> dict[str, object]:
        """Return the contexts that a job in an environment sees before its own are added."""
        github = {
            "ref": self.ref,
            "event_name": self.event,
            "event": {"repository": {"private": self.private}},
        }
        seen = self.variables.get("", {}) | self.variables.get(environment, {})
        return {"github": github, "vars": Lenient(seen)}

    def read(self, name: str) -> dict[str, Any]:
        """Return a workflow as it stands in the event's commit; every value is text."""
        text = git(self.origin, "show", f"{self.sha}:.github/workflows/{name}")
        # GitHub's own reading differs from YAML 1.1's, in which `on` is true.
        workflow: dict[str, Any] = yaml.load(text, yaml.BaseLoader)
        _known(workflow, "workflow")
        if workflow["permissions"] or workflow["defaults"] != {"run": {"shell": "bash"}}:
            raise Unsupported(f"permissions for all jobs, or another shell than bash, in {name}")
        return workflow

    def run(self, name: str) -> Run:
        """Run a workflow to its end. Raises Unsupported if the event does not start it."""
        workflow = self.read(name)
        if self.event not in workflow["on"]:
            raise Unsupported(f"{name} is not started by {self.event}")
        if self.event == "push":
            kind, short = self.ref.removeprefix("refs/").split("/", 1)
            patterns = workflow["on"]["push"].get({"heads": "branches", "tags": "tags"}[kind], [])
            if not any(fnmatch(short, pattern) for pattern in patterns):
                raise Unsupported(f"{name} is not started by a push of {self.ref}")
        group, cancel = (
            interpolate(workflow["concurrency"][key], self.contexts())
            for key in ("group", "cancel-in-progress")
        )
        done = Run(group, cancel == "true")
        self.jobs(workflow, done)
        return done

    def jobs(self, workflow: dict[str, Any], done: Run, prefix: str = "") -> dict[str, Any]:
        """Run a workflow's jobs, which stand in the order of their needs; return their states."""
        states: dict[str, Any] = {}
        for name, job in workflow["jobs"].items():
            _known(job, "job")
            wanted = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            contexts = {**self.contexts(), "needs": {need: states[need] for need in wanted}}
            state: dict[str, Any] = {"result": "skipped", "outputs": {}}
            ready = all(states[need]["result"] == "success" for need in wanted)
            if ready and condition(job.get("if", "true"), contexts):
                state = self.job(workflow, f"{prefix}{name}", job, contexts["needs"], done)
            states[name] = state
            done.results[f"{prefix}{name}"] = state["result"]
        return states

    def job(
        self, workflow: dict[str, Any], name: str, job: dict[str, Any], needs: object, done: Run
    ) -> dict[str, Any]:
        """Run one job, or the workflow that it calls; return its result and its outputs."""
        if "uses" in job:
            called = self.read(job["uses"].removeprefix("./.github/workflows/"))
            for inner in called["jobs"].values():
                if not inner["permissions"].items() <= job["permissions"].items():
                    raise Unsupported(f"{name} lends fewer permissions than the called jobs need")
            states = self.jobs(called, done, f"{name} / ")
            good = all(state["result"] == "success" for state in states.values())
            given = called["on"]["workflow_call"]["outputs"]
            outputs = {
                key: interpolate(output["value"], {"jobs": states}) if good else ""
                for key, output in given.items()
            }
            return {"result": "success" if good else "failure", "outputs": outputs}
        contexts = {**self.contexts(job.get("environment", "")), "needs": needs}
        machine = Machine(self, name, job, contexts | {"matrix": _matrix(job, contexts)})
        for step in job["steps"]:
            _known(step, "step")
            done.log += f"== {name}: {step.get('name') or step.get('run') or step['uses']}\n"
            good, said = machine.step(step, workflow.get("env", {}))
            done.log += said
            done.summary += machine.take("GITHUB_STEP_SUMMARY")
            if not good:
                return {"result": "failure", "outputs": {}}
        given = job.get("outputs", {})
        outputs = {key: interpolate(text, machine.contexts) for key, text in given.items()}
        return {"result": "success", "outputs": outputs}


def _matrix(job: dict[str, Any], contexts: Contexts) -> dict[str, object]:
    """Return one combination: the running Python's."""
    strategy = job.get("strategy", {"matrix": {}})
    values = {
        key: evaluate(text.removeprefix("${{").removesuffix("}}"), contexts)
        for key, text in strategy["matrix"].items()
    }
    for key, choices in values.items():
        if not isinstance(choices, list) or RUNNING not in choices:
            raise Unsupported(f"a matrix without Python {RUNNING}: {key}: {json.dumps(choices)}")
    return dict.fromkeys(values, RUNNING)


def _known(value: Mapping[str, object], kind: str) -> None:
    if unknown := value.keys() - KEYS[kind]:
        raise Unsupported(f"{', '.join(unknown)} in a {kind}")
