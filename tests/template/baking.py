"""Bake the template with given answers, and run tools in the result."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import IO

from cookiecutter.exceptions import CookiecutterException
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[2]
STUBS = TEMPLATE / "tests" / "stubs"
"""A pip that knows no project, so that tests do not ask PyPI; test_names covers that question."""

ANSWERS: dict[str, object] = {
    "organization": "Acme",
    "project_name": "Common",
    "project_slug": "acme-common",
    "package_name": "acme_common",
    "description": "Python code that the teams of Acme share.",
    "author_name": "Developer Tools",
    "author_email": "devtools@example.com",
    "team": "devtools",
    "bucket": "acme-packages",
    "region": "eu-central-1",
    "github_owner": "acme",
    # The running Python, so that the project's own tools run in it.
    "python_version": f"3.{min(sys.version_info.minor, 14)}",
    "starter": "opentelemetry",
    "access": "public",
    "edge": "",
    "license": "Proprietary",
}


class Refused(Exception):
    """The template refused its answers; `stderr` holds what its hooks printed there."""

    def __init__(self, stderr: str) -> None:
        """Keep the hooks' output."""
        super().__init__(stderr)
        self.stderr = stderr


def bake(output_dir: Path, /, **answers: object) -> Path:
    """Bake a project into `output_dir` and return its folder.

    Takes the answers that differ from ANSWERS. They are passed in a replay file, which
    cookiecutter uses unchanged; it would first render `extra_context` as template code.
    Raises Refused if the template, or cookiecutter itself, refuses them.
    """
    return bake_from(TEMPLATE, output_dir, **answers)


def bake_from(template: Path, output_dir: Path, /, **answers: object) -> Path:
    """Bake like `bake`, from another template."""
    context = ANSWERS | answers
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile("w+") as stderr:
        folder = Path(name)
        replay = folder / "answers.json"
        replay.write_text(json.dumps({"cookiecutter": context}))
        try:
            with _stderr_into(stderr):
                project = cookiecutter(
                    str(template),
                    replay=str(replay),
                    output_dir=str(output_dir),
                    config_file=str(config_file(folder)),
                )
        except (CookiecutterException, FileNotFoundError, SystemExit) as error:
            stderr.seek(0)
            raise Refused(stderr.read()) from error
    return Path(project)


def config_file(folder: Path) -> Path:
    """Write a configuration that keeps cookiecutter's files in `folder`, not in HOME."""
    path = folder / "config.yaml"
    path.write_text(
        json.dumps({"cookiecutters_dir": str(folder), "replay_dir": str(folder / "replay")})
    )
    return path


@contextmanager
def _stderr_into(file: IO[str]) -> Iterator[None]:
    # Hooks are processes that inherit the descriptor; pytest has replaced sys.stderr.
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        with redirect_stderr(file):
            yield
    finally:
        file.flush()
        os.dup2(saved, 2)
        os.close(saved)


def run(
    command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None, text: str = ""
) -> str:
    """Run a command that must succeed; return its output, stderr included.

    It does not see pip's configuration or the settings of the running pytest. `env` adds
    variables; `text` is its standard input.
    """
    private = ("PIP_FIND_LINKS", "PYTEST_", "COV_", "COVERAGE_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(private)}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "POETRY_VIRTUALENVS_CREATE": "false"}
    result = subprocess.run(
        command,
        cwd=cwd,
        env=environment | dict(env or {}),
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    shown = " ".join(map(str, command))
    assert result.returncode == 0, f"{shown} ended with {result.returncode}:\n{result.stdout}"
    return result.stdout


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with the tests' own Python."""
    return [sys.executable, "-m", module, *arguments]


def pypi() -> str:
    """Return the simple index that pip uses as PyPI, for poetry-plugin-pypi-mirror."""
    code = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    default = run([sys.executable, "-c", code], Path.cwd()).strip()
    return os.environ.get("PIP_INDEX_URL", default)


def committed(folder: Path) -> Path:
    """Commit the template's current files to a new repository, `folder`; return it."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], TEMPLATE)
    for name in filter(None, listed.split("\0")):
        if (TEMPLATE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((TEMPLATE / name).read_bytes())
    person = ["-c", "user.name=Developer Tools", "-c", "user.email=devtools@example.com"]
    run(["git", "init", "--quiet"], folder)
    run(["git", "add", "--all"], folder)
    run(["git", *person, "commit", "--quiet", "--message", "The present"], folder)
    return folder
