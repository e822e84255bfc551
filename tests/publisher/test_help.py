"""Every help text, as an 80-column terminal shows it, is one that somebody has read.

After a change, `APPROVE=1 make test ARGS=tests/test_help.py` writes the texts; read the diff.
"""

import os
import re
import subprocess
import sys

import pytest

from tests.template.baking import TEMPLATE

FOLDER = TEMPLATE / "{{cookiecutter.project_slug}}"
APPROVED = TEMPLATE / "tests" / "help"


def printed(*arguments: str, width: int = 80) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "s3index", *arguments, "--help"],
        cwd=FOLDER,
        env={"PATH": os.environ["PATH"], "COLUMNS": str(width), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def commands() -> list[str]:
    listed = printed().partition("Commands")[2]
    return re.findall(r"^│ (\w+) ", listed, re.MULTILINE)


@pytest.mark.parametrize("command", [None, *commands()])
def test_help_is_the_approved_text(command: str | None) -> None:
    text = printed(command) if command else printed()
    approved = APPROVED / f"{command or 's3index'}.txt"
    if os.environ.get("APPROVE"):
        approved.parent.mkdir(exist_ok=True)
        approved.write_text(text, encoding="utf-8")
    assert text == approved.read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("command", commands())
def test_the_example_is_one_the_command_takes(command: str) -> None:
    [example] = re.findall(r"Example: python -m s3index (.*)", printed(command, width=200))
    name, *words = re.findall(r"'[^']*'|\S+", example)
    assert name == command
    options = {word for word in words if word.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", printed(command)))


def test_no_help_is_approved_for_a_command_that_is_gone() -> None:
    names = {path.stem for path in APPROVED.iterdir()}
    assert names == {"s3index", *commands()}
