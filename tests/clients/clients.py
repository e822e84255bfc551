"""Run real pip, uv and Poetry, each in a clean environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.template.baking import python, run


@dataclass(frozen=True)
class Consumer:
    """A consumer's project folder with its own virtual environment and settings."""

    folder: Path

    @property
    def interpreter(self) -> Path:
        """Return the virtual environment's Python."""
        return self.folder / ".venv" / "bin" / "python"

    def settings(self) -> Mapping[str, str]:
        """Return the environment variables that confine every client to this folder."""
        return {
            "HOME": str(self.folder),
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "UV_CACHE_DIR": str(self.folder / "uv-cache"),
            "POETRY_CACHE_DIR": str(self.folder / "poetry-cache"),
            "POETRY_CONFIG_DIR": str(self.folder / "poetry-config"),
            "POETRY_VIRTUALENVS_CREATE": "true",
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "VIRTUAL_ENV": str(self.folder / ".venv"),
        }

    def pip(self, *arguments: str) -> str:
        """Run pip for the virtual environment; return what it printed."""
        return self.run(*python("pip", "--python", str(self.interpreter), *arguments))

    def uv(self, *arguments: str) -> str:
        """Run uv for the virtual environment; return what it printed."""
        return self.run(str(Path(sys.executable).parent / "uv"), *arguments)

    def poetry(self, *arguments: str) -> str:
        """Run Poetry in the folder; return what it printed."""
        return self.run(*python("poetry", "--no-interaction", *arguments))

    def shell(self, script: str, pip: Path | None = None) -> str:
        """Run a script in bash as printed; return what it printed.

        `pip`, `uv` and `poetry` are on PATH, as a person has them. `pip` installs into the virtual
        environment; it is the tests' own, or the one in the folder `pip`.
        """
        folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
        settings = {"POETRY_NO_INTERACTION": "1", "PIP_PYTHON": str(self.interpreter)}
        if pip:
            command = self.folder / "bin" / "pip"
            command.parent.mkdir(exist_ok=True)
            command.write_text(f'#!/bin/sh\nexec "{self.interpreter}" "{pip}" "$@"\n')
            command.chmod(0o755)
            folders.insert(0, str(command.parent))
            del settings["PIP_PYTHON"]
        settings["PATH"] = os.pathsep.join(folders)
        return run(["bash", "-euc", script], self.folder, {**self.settings(), **settings})

    def run(self, *command: str) -> str:
        """Run a command in the folder; return what it printed."""
        return run(command, self.folder, self.settings())

    def installed(self) -> dict[str, str]:
        """Return {project: version} of the virtual environment."""
        code = (
            "from importlib.metadata import *\nfor d in distributions(): print(d.name, d.version)"
        )
        lines = self.run(str(self.interpreter), "-c", code).splitlines()
        return dict(line.split() for line in lines)

    def version(self, module: str = "acme_common") -> str:
        """Import a `distributions` module in the virtual environment; return its version."""
        code = f"import {module}; print({module}.VERSION)"
        return self.run(str(self.interpreter), "-c", code).strip()


def consumer(folder: Path) -> Consumer:
    """Make a project folder with an empty virtual environment and a Poetry project in it."""
    folder.mkdir(parents=True, exist_ok=True)
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "consumer"\nversion = "1"\nrequires-python = ">={minor}"\n'
        "[tool.poetry]\npackage-mode = false\n"
    )
    made = Consumer(folder)
    made.uv("venv", "--quiet", "--python", os.path.realpath(sys.executable), ".venv")
    return made
