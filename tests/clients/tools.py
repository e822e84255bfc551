"""Install tools other than pip, uv and Poetry in their own environment, from a lock."""

import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from tests.template.baking import run

LOCK = Path(__file__).with_name("tools.lock")


def tools() -> Path:
    """Return the folder of the commands `hatch`, `pdm`, `pip-compile`, `pipenv` and `tox`.

    Their environment is kept in the tests' own, so it is downloaded once.
    """
    digest = sha256(LOCK.read_bytes()).hexdigest()[:12]
    kept = Path(sys.prefix) / "tools" / digest
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        uv = Path(sys.executable).parent / "uv"
        with tempfile.TemporaryDirectory(dir=kept.parent) as name:
            new = Path(name) / "new"
            run([uv, "venv", "--quiet", "--relocatable", new], kept.parent)
            python = str(new / "bin" / "python")
            install = ["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python"]
            run([uv, *install, python, "-r", LOCK], kept.parent)
            try:
                new.rename(kept)
            except OSError:
                assert kept.exists()  # another process of this run was faster
    return kept / "bin"


def path(*folders: Path) -> str:
    """Return a PATH with folders first."""
    return os.pathsep.join([*map(str, folders), os.environ["PATH"]])
