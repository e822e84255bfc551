"""Fixtures that the tests of the action and of the workflows share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from packaging.utils import parse_wheel_filename

from tests.distributions import wheel
from tests.template.baking import TEMPLATE

LOCKS = sorted((TEMPLATE / "action").glob("*.txt"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the workers share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "rehearsal"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def index(cache: Path) -> str:
    """Return the address of a local index with all that the locks pin, and a newer one of each."""
    simple, wheels = cache / "simple", cache / "wheels"
    with FileLock(cache / "index.lock"):
        if not simple.exists():
            command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps"]
            command += ["--only-binary=:all:", "--require-hashes", "--dest", str(wheels)]
            for lock in LOCKS:
                subprocess.run([*command, "-r", lock], check=True)
            for path in list(wheels.iterdir()):
                name = parse_wheel_filename(path.name)[0]
                newer = wheel(
                    wheels, project=name, version="9999", body='raise RuntimeError("newer")'
                )
                folder = simple / name
                folder.mkdir(parents=True)
                links = [f'<a href="{file.as_uri()}">{file.name}</a>' for file in (path, newer)]
                (folder / "index.html").write_text("\n".join(links))
    return simple.as_uri()
