"""The commands in the template's README run and print what it says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template.baking import TEMPLATE, bake, run

TEMPLATES_OWN = ("publish.py", ".github/")
README = (TEMPLATE / "README.md").read_text(encoding="utf-8")


@pytest.mark.full
def test_make_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    [block] = re.findall(r"```console\n\$ make demo\n(.*?)```", README, re.DOTALL)
    # `make demo` sets .venv up and runs this; .ci/run runs it through make, with an empty HOME.
    assert "$(BIN)/python demo.py" in (TEMPLATE / "Makefile").read_text()
    printed = subprocess.run(
        [sys.executable, TEMPLATE / "demo.py"], capture_output=True, text=True, check=False
    )
    assert printed.returncode == 0, printed.stdout + printed.stderr
    assert _without_chance(printed.stdout) == _without_chance(block)


def _without_chance(text: str) -> str:
    """Mask what differs from run to run: the server's port, the time of a sum."""
    return re.sub(r"\d\.\d{3} s\b", "… s", re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:…", text))


def test_every_command_is_one_that_a_test_runs() -> None:
    commands = re.findall(r"^\$ (.*)$", README, re.MULTILINE)
    assert commands == ["make demo", "make test", "cookiecutter gh:org/s3-lib-template"]
    ci = (TEMPLATE / ".ci" / "run").read_text()
    assert "make demo" in ci
    assert "make test" in ci


def test_every_question_is_explained() -> None:
    answers = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    asked = [key for key in answers if not key.startswith("_")]
    rows = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
    explained = re.findall(r"`(\w+)`", " ".join(rows))
    assert explained[: len(asked)] == asked
    assert set(answers["__prompts__"]) == set(asked)


def test_the_size_of_a_repository_is_what_it_says(tmp_path: Path) -> None:
    project = bake(tmp_path)
    lines = {
        path: len((project / path).read_text(encoding="utf-8").splitlines())
        for path in run(["git", "ls-files"], project).split()
    }
    theirs = {path: lines[path] for path in lines if not path.startswith(TEMPLATES_OWN)}
    said = (
        f"An owner gets {len(lines)} files with about {sum(lines.values()):,.0f} lines. "
        f"{len(theirs)} files with about {sum(theirs.values())} lines are theirs to change"
    )
    # To the nearest fifty: one more line is fine.
    rounded = re.sub(r"[\d,]+(?= lines)", lambda match: _fifties(match.group()), said)
    assert rounded in " ".join(README.split())


def _fifties(number: str) -> str:
    return f"{round(int(number.replace(',', '')) / 50) * 50:,}"
