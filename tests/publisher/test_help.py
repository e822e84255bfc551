"""Every help text, as an 80-column terminal shows it, has been read and approved.

After a change, `APPROVE=1 make test ARGS=tests/publisher/test_help.py` writes the texts; read the
diff.
"""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from typer.models import CommandInfo
from typer.testing import CliRunner

from s3index.__main__ import app

S3INDEX = Path(sys.executable).with_name("s3index")
APPROVED = Path(__file__).with_name("help")


@cache
def printed(*arguments: str, width: int = 80) -> str:
    """Return a command's help for a terminal of this width, without trailing spaces."""
    environment = {"COLUMNS": str(width)}
    done = CliRunner().invoke(app, [*arguments, "--help"], env=environment, prog_name="s3index")
    assert done.exit_code == 0, done.output
    return _stripped(done.stdout)


def _stripped(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_the_installed_command_shows_the_same() -> None:
    done = subprocess.run(
        [S3INDEX, "--help"],
        env={"PATH": os.environ["PATH"], "COLUMNS": "80", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert _stripped(done.stdout) == printed()


TEXTS = [path.stem for path in sorted(APPROVED.iterdir()) if path.stem != "s3index"]
COMMANDS = [text for text in TEXTS if " " not in text]


def test_every_command_has_an_approved_text() -> None:
    listed = printed().partition("Commands")[2]
    assert sorted(re.findall(r"^│ ([\w-]+) ", listed, re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("command", ["s3index", *TEXTS])
def test_help_is_the_approved_text(command: str) -> None:
    text = printed(*(command.split() if command != "s3index" else []))
    approved = APPROVED / f"{command}.txt"
    if os.environ.get("APPROVE"):
        approved.write_text(text, encoding="utf-8")
    assert text == approved.read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("command", app.registered_commands, ids=lambda command: command.name)
def test_help_shows_all_that_the_docstring_says(command: CommandInfo) -> None:
    # rich would treat words in brackets as markup and drop them.
    assert command.callback
    name = command.name or command.callback.__name__
    said = " ".join((command.callback.__doc__ or "").split())
    assert said in " ".join(printed(name).split())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_is_one_the_command_takes(command: str) -> None:
    [example] = re.findall(r"Example: s3index (.*)", printed(command, width=200))
    name, *words = re.findall(r"'[^']*'|\S+", example)
    assert name == command
    options = {word for word in words if word.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", printed(command)))


@pytest.mark.parametrize(
    ("shell", "words", "expected"),
    [
        ("bash", "s3index ", set(COMMANDS)),
        ("bash", "s3index un", {"unyank"}),
        ("zsh", "s3index un", {"unyank"}),
        ("fish", "s3index un", {"unyank"}),
    ],
)
def test_shells_complete_commands(shell: str, words: str, expected: set[str]) -> None:
    """The shell asks the program itself, through variables that its script sets."""
    environment = {
        "_S3INDEX_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": words.split()[-1],
    }
    done = subprocess.run(
        [S3INDEX], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    answered = {name for name in COMMANDS if re.search(rf'(?m)(^|"){name}("|\t|$)', done.stdout)}
    assert answered == expected


def test_bash_completes_after_its_script_was_read(tmp_path: Path) -> None:
    script = (
        f'eval "$({S3INDEX} --show-completion bash)"\n'
        f"COMP_WORDS=(s3index ver) COMP_CWORD=1\n_s3index_completion {S3INDEX}\n"
        'echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("verify\n", "")
