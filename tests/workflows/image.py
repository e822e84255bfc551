"""What GitHub's machines have installed, as far as the workflows use it: pipx, and Poetry by it.

`Image` makes the commands; run as a program, this file is what they call. pipx is a stand-in that
installs nothing: it refuses every version but the one in the tests' environment, and puts that on
PATH. Poetry is the real one, or, where that would install for minutes, `_poetry`: it checks the
groups that are asked for against what the tests' environment has, and runs commands there.
"""

import json
import os
import sys
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from packaging.requirements import Requirement

TOOLS = Path(sys.executable).parent
KEPT_OUT = ("AWS_", "COV_", "COVERAGE_", "GITHUB_", "POETRY_", "PYTEST", "PYTHON", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Image:
    """A machine's file system and environment. `real_poetry`: install for good, from PyPI."""

    folder: Path
    real_poetry: bool = False
    extra: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return the variables that a job starts with; pip's configuration is kept from it."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(KEPT_OUT)}
        kept.pop("PIP_FIND_LINKS", None)
        path = [self.folder / "bin", Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin")]
        return kept | {
            "CI": "true",
            "HOME": str(self.folder),
            "PATH": ":".join(map(str, path)),
            "PIP_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.extra,
        }

    def prepare(self) -> None:
        """Write the commands."""
        (self.folder / "bin").mkdir(parents=True, exist_ok=True)
        script(self.folder / "bin" / "pipx", f"{__file__} pipx", REAL_POETRY=str(self.real_poetry))


def script(path: Path, arguments: str, **variables: str) -> None:
    """Write a command that runs the tests' Python with these arguments and the caller's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    path.write_text(f'#!/bin/sh\n{settings}exec {TOOLS}/python {arguments} "$@"\n')
    path.chmod(0o755)


def _pipx(arguments: list[str]) -> None:
    match arguments:
        case ["install", wanted]:
            _same_version(wanted)
            name = Requirement(wanted).name
            real = os.environ["REAL_POETRY"] == "True"
            call = f"-m {name}" if real or name != "poetry" else f"{__file__} poetry"
            script(Path.home() / "bin" / name, call)
        case ["run", "--spec", wanted, command, *rest]:
            _same_version(wanted)
            _become(command, *rest)
        case _:
            sys.exit(f"the stand-in for pipx does not know {arguments}")


def _poetry(arguments: list[str]) -> None:
    state = Path(".venv") / "installed.json"
    match arguments:
        case ["install", *options]:
            groups = _groups(options)
            needed = [Requirement(text) for texts in groups.values() for text in texts]
            for requirement in needed:
                _same_version(str(requirement))
            state.parent.mkdir(exist_ok=True)
            names = [requirement.name for requirement in needed]
            state.write_text(json.dumps({"names": names, "root": "project" in groups}))
        case ["run", command, *rest]:
            installed = json.loads(state.read_text())
            if command != "python" and command not in installed["names"]:
                sys.exit(f"{command} is in none of the groups that are installed")
            if installed["root"]:
                os.environ["PYTHONPATH"] = "src"
            _become(command, *rest)
        case ["build"]:
            os.environ["POETRY_VIRTUALENVS_CREATE"] = "false"
            _become("poetry", "build")
        case _:
            sys.exit(f"the stand-in for Poetry does not know {arguments}")


def _groups(options: list[str]) -> dict[str, list[str]]:
    """Return the requirements of each group that `poetry install` with these options takes."""
    document = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    groups = document["dependency-groups"]
    every = {"project": document["project"]["dependencies"], **groups}
    for option in options:
        kind, _, name = option.partition("=")
        if name not in groups or kind not in {"--only", "--without"}:
            sys.exit(f"{option}: no such option, or no such group")
        every = {key: texts for key, texts in every.items() if (key == name) == (kind == "--only")}
    return every


def _same_version(wanted: str) -> None:
    requirement = Requirement(wanted)
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        sys.exit(f"{wanted} is not in the tests' environment")
    if not requirement.specifier.contains(found, prereleases=True):
        sys.exit(f"{wanted} is asked for, the tests run {found}: make them the same")


def _become(command: str, *arguments: str) -> NoReturn:
    """Run a command of the tests' environment in place of this program."""
    os.environ["PATH"] = f"{TOOLS}:{os.environ['PATH']}"
    os.execvp(command, [command, *arguments])


if __name__ == "__main__":
    {"pipx": _pipx, "poetry": _poetry}[sys.argv[1]](sys.argv[2:])
