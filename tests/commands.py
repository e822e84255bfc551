"""Run the publisher's command line in a small repository on disk."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

from typer.testing import CliRunner

from s3index.__main__ import app
from tests.world import Library

STUBS = Path(__file__).with_name("stubs")
"""A fake pip that finds no project: most tests' first releases must not ask PyPI."""


def repository(library: Library, folder: Path) -> Path:
    """Make the smallest folder that s3index works in; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    index = library.index
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{library.name}"\nversion = "{library.version}"\n'
        f'[tool.s3index]\nteam = "{index.team}"\nbucket = "{index.bucket}"\n'
        f'region = "{index.region}"\nurl = "{index.url}"\n'
    )
    return folder


def start(
    root: Path, *arguments: str | Path, runner: str = "-m s3index", env: Mapping[str, str] = {}
) -> subprocess.Popen[str]:
    """Start `python -m s3index` in a repository; `runner` replaces `-m s3index`."""
    environment = os.environ | {"GITHUB_ACTOR": "tests"}
    environment["PATH"] = f"{STUBS}:{environment['PATH']}"
    environment |= env
    return subprocess.Popen(
        [sys.executable, *runner.split(), *map(str, arguments)],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def s3index(root: Path, *arguments: str | Path, env: Mapping[str, str] = {}, exits: int = 0) -> str:
    """Run `s3index` in a repository, in this process; return its stderr.

    A separate process, as in `start`, would take a second to start.
    """
    environment = {"GITHUB_ACTOR": "tests", "PATH": f"{STUBS}:{os.environ['PATH']}", **env}
    with chdir(root):
        done = CliRunner().invoke(app, [str(each) for each in arguments], env=environment)
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    assert done.exit_code == exits, done.output
    return done.stderr
