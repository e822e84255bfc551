"""The rehearsal's own reading of workflows: what it does not know, it refuses."""

from pathlib import Path

import pytest

from tests.workflows.expressions import Lenient, Unsupported, condition, evaluate, interpolate
from tests.workflows.image import Image
from tests.workflows.machine import git
from tests.workflows.workflows import GitHub

CONTEXTS = {
    "github": {"ref": "refs/tags/v1", "event": {"private": False}},
    "vars": Lenient({"ROLE": ""}),
    "needs": {"ci": {"outputs": {"json": '{"a": ["x", "y"], "b": true}'}}},
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("github.ref == 'REFS/tags/v1'", True),
        ("!github.event.private || vars.NONE == 'true'", True),
        ("github.event.private && 'a' || 'b'", "b"),
        ("vars.ROLE == ''", True),
        ("vars.NONE == ''", True),
        ("vars.NONE != 'x'", True),
        ("fromJSON(needs.ci.outputs.json).a[1]", "y"),
        ("fromJSON(needs.ci.outputs['json']).b == true", True),
        ("('it''s' == 'it''s') == false", False),
    ],
)
def test_expressions(expression: str, value: object) -> None:
    assert evaluate(expression, CONTEXTS) == value


def test_expressions_in_text() -> None:
    assert interpolate("a ${{ github.ref }} b ${{ vars.NONE }}.", CONTEXTS) == "a refs/tags/v1 b ."
    assert condition("${{ !github.event.private }}", CONTEXTS)


@pytest.mark.parametrize(
    "expression",
    [
        "secrets.KEY",
        "github.reff",
        "hashFiles('x')",
        "always()",
        "a ==",
        "1 ~ 2",
        "(true",
        "true true",
    ],
)
def test_what_is_not_known_is_an_error(expression: str) -> None:
    with pytest.raises(Unsupported):
        evaluate(expression, CONTEXTS)


JOB = """\
name: Small
on: {push: {branches: [main]}}
permissions: {}
concurrency: {group: small, cancel-in-progress: false}
defaults: {run: {shell: bash}}
jobs:
  one:
    runs-on: ubuntu-latest
    permissions: {}
    steps:
"""


@pytest.mark.parametrize(
    "step",
    [
        "uses: acme/unknown@3d3c42e5aac5ba805825da76410c181273ba90b1",
        "uses: actions/checkout@v7",
        "uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",  # may not read
        "uses: aws-actions/configure-aws-credentials@517a711dbcd0e402f90c77e7e2f81e849156e31d",
        "{run: 'true', continue-on-error: true}",
        "run: echo ${{ github.ref }}",
        "{run: 'true', if: failure()}",
    ],
)
def test_steps_that_are_not_known_are_errors(tmp_path: Path, step: str) -> None:
    with pytest.raises(Unsupported):
        small(tmp_path, step).run("small.yml")


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ("true", "success"),
        ("false | true", "failure"),
        ("false; true", "failure"),
        ("poetry", "failure"),
    ],
)
def test_scripts_run_as_in_githubs_shell(tmp_path: Path, script: str, result: str) -> None:
    assert small(tmp_path, f"run: {script}").run("small.yml").results == {"one": result}


def test_what_a_step_leaves_for_the_next(tmp_path: Path) -> None:
    steps = (
        "run: 'echo A=1 >> $GITHUB_ENV; echo b=2 >> $GITHUB_OUTPUT; echo $PWD >> $GITHUB_PATH'",
        "id: second\n        run: 'test $A = 1; echo c=3 >> $GITHUB_OUTPUT; [[ $PATH = $PWD:* ]]'",
        "{if: steps.second.outputs.c == '3', run: 'echo it is seen'}",
        "{if: steps.second.outputs.c == '4', run: 'false'}",
    )
    done = small(tmp_path, *steps).run("small.yml")
    assert done.results == {"one": "success"}
    assert "\nit is seen\n" in done.log


def small(folder: Path, *steps: str) -> GitHub:
    """Return a repository whose one workflow has one job with these steps."""
    path = folder / ".github" / "workflows" / "small.yml"
    path.parent.mkdir(parents=True)
    path.write_text(JOB + "".join(f"      - {step}\n" for step in steps))
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".github")
    who = ("-c", "user.name=Developer Tools", "-c", "user.email=devtools@example.com")
    git(folder, *who, "commit", "--quiet", "--message", "Add a workflow")
    return GitHub(folder, Image(folder / "machines"), "refs/heads/main")
