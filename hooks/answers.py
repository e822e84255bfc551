"""Reject answers that could not work, all at once, and without a traceback.

When a hook fails, cookiecutter and cruft print a traceback. A Jinja extension runs inside them and
can exit instead. cookiecutter.json passes the answers through the filter `checked` after the last
question, before a folder exists. A replay asks nothing, so pre_gen_project.py passes its answers
through the filter `replayed`; cookiecutter renders that file before it runs it.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment, pass_environment
from jinja2.ext import Extension

from .pre_gen_project import answer, problems


class Answers(Extension):
    """Adds the filters `checked` and `replayed` to cookiecutter's templates."""

    def __init__(self, environment: Environment) -> None:
        """Add the filters."""
        super().__init__(environment)
        environment.filters |= {"checked": checked, "replayed": replayed}


@pass_environment
def checked(environment: Environment, answers: Mapping[str, object]) -> str:
    """Return "yes" ("" if a replay asks), or print the problems with the answers and exit."""
    if answer(answers, "project_slug") is None:
        # A replay of another version asks only for the answers that it lacks.
        return ""
    found = problems(answers)
    if not found:
        name = str(answer(answers, "project_slug"))
        taken = name_taken(name)
        said = name_problem(answers, taken)
        if said and taken and answers.get("_require_unused_name"):
            found = [said]
        elif said:
            print(f"Warning: {said}", file=sys.stderr)
    if not found:
        return "yes"
    sys.stdout.flush()
    sys.stderr.writelines(f"{line}\n" for line in found)
    bad = derived(environment, answers, {line.split(" ")[0] for line in found})
    good = {key: str(answers[key]) for key in answers if key[0] != "_" and key not in bad}
    given = [word for word in sys.argv if "=" not in word or word.split("=")[0] not in answers]
    again = command(given, good)
    if again:
        print(
            f"\nTo answer again, with the valid answers filled in:\n\n    {again}", file=sys.stderr
        )
    raise SystemExit(1)


def derived(environment: Environment, answers: Mapping[str, object], refused: set[str]) -> set[str]:
    """Return the keys of the refused answers, and of unchanged defaults made from them."""
    questions = json.loads(
        Path(__file__).parents[1].joinpath("cookiecutter.json").read_text("utf-8")
    )
    found = set(refused)
    for key, default in questions.items():
        made_from = re.findall(r"cookiecutter\.(\w+)", str(default))
        if found.intersection(made_from):
            rendered = environment.from_string(str(default)).render(cookiecutter=answers)
            found |= {key} if answers.get(key) == rendered else set()
    return found


def replayed(answers: Mapping[str, object]) -> str:
    """Return "", or print the problems with a replay's answers and exit.

    Remove the folder of the project if it is empty: cookiecutter has probably just created it.
    """
    if found := problems(answers):
        sys.stdout.flush()
        sys.stderr.writelines(f"{line}\n" for line in found)
        with suppress(KeyError, OSError):
            Path(str(answers["_output_dir"]), str(answers["project_slug"])).rmdir()
        raise SystemExit(1)
    return ""


def command(argv: list[str], answers: Mapping[str, str]) -> str:
    """Return the command line `argv` with answers added, quoted for a shell.

    It is empty if the program is neither cookiecutter nor `cruft create`.
    """
    program = Path(argv[0])
    module = program.stem == "__main__"
    name = program.parent.name if module else program.stem
    # uvx and pipx run programs that are not on PATH.
    start = [sys.executable, "-m", name] if module else [name if shutil.which(name) else argv[0]]
    if name == "cookiecutter":
        filled = [f"{key}={value}" for key, value in answers.items()]
        return shlex.join([*start, *argv[1:], *filled])
    if name == "cruft" and argv[1:2] == ["create"]:
        # If an option of cruft is given twice, the last value counts.
        filled = ["--extra-context", json.dumps(answers, ensure_ascii=False)]
        return shlex.join([*start, *argv[1:], *filled])
    return ""


def name_taken(name: str) -> bool | None:
    """Return whether the index of the user's pip has this project; None if it does not answer."""
    pip = shutil.which("pip")
    asking = [pip] if pip else [sys.executable, "-m", "pip"]
    # Only with -vvv does pip distinguish an unknown name from an index that does not answer.
    asking += ["index", "versions", "--pre", "-vvv", "--no-input", "--disable-pip-version-check"]
    asking += ["--timeout", "3", "--retries", "0", name]
    try:
        done = subprocess.run(asking, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout + done.stderr
    if done.returncode == 0:
        return True
    asked, unknown = said.count("Getting page "), said.count(": 404 Client Error")
    if not asked or said.count("Could not fetch URL ") > unknown:
        return None
    # Even a page without a version for this Python means that the name is taken.
    return unknown < asked


def name_problem(answers: Mapping[str, object], taken: bool | None) -> str | None:
    """Return the warning about a distribution name for a result of `name_taken`, if any."""
    name = str(answers.get("project_slug"))
    if not taken:
        unknown = f"project_slug {name!r}: not checked against PyPI, pip's index gave no answer"
        return unknown if taken is None else None
    organization = re.sub(r"[^a-z0-9]+", "-", str(answers.get("organization")).lower()).strip("-")
    better = "another name" if name.startswith(f"{organization}-") else f"{organization}-{name}"
    return (
        f"project_slug {name!r}: the index that pip uses has a project of this name already; "
        f"installing without the README's commands gets that one. Better: {better}"
    )
