"""Install older pips and the newest, each in its own folder, from a lock with hashes."""

import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.template.baking import TEMPLATE, python, run

LOCKS = (Path(__file__).with_name("pips.lock"), TEMPLATE / "requirements.lock")
KEPT = Path(sys.prefix) / "pips"


def pip(name: str) -> Path:
    """Return the folder of a pip that any Python can run: `newest`, or a version in pips.lock.

    It is kept in the tests' environment, so it is downloaded once.
    """
    wanted = version("pip") if name == "newest" else name
    folder = KEPT / wanted
    if not folder.exists():
        KEPT.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as new:
            install = ("install", "--quiet", "--no-deps", "--require-hashes", "--target", new)
            run(python("pip", *install, "-r", "/dev/stdin"), KEPT, text=requirement(wanted))
            try:
                Path(new).rename(folder)
            except OSError:
                assert folder.exists()  # another process of this run was faster
            else:
                Path(new).mkdir()
    return folder / "pip"


def requirement(wanted: str) -> str:
    """Return a pip's lines in the locks, hashes included."""
    pattern = rf"^pip=={re.escape(wanted)} \\\n(?:    --hash=\S+(?: \\)?\n)+"
    found = [re.search(pattern, lock.read_text(), re.MULTILINE) for lock in LOCKS]
    [lines] = [match[0] for match in found if match]
    return lines
