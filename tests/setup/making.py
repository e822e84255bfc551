"""Run the template's Makefile in a small clone with an environment of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.template.baking import TEMPLATE


def prepare(root: Path, lock: str, bench_lock: str = "") -> Path:
    """Make a clone of the files that set-up reads, with other locks."""
    (root / "benchmarks").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "README.md"):
        shutil.copy(TEMPLATE / name, root)
    # Empty files are enough for an editable install.
    (root / "src" / "s3index").mkdir(parents=True)
    (root / "src" / "s3index" / "__init__.py").touch()
    for name in ("hooks", "{{cookiecutter.project_slug}}"):
        (root / name).mkdir()
        (root / name / "publish.py").touch()
    (root / "requirements.lock").write_text(lock)
    (root / "benchmarks" / "requirements.txt").write_text(bench_lock)
    return root


def make(
    root: Path, *arguments: str, env: Mapping[str, str] = {}, path: str = "", exits: int = 0
) -> str:
    """Run make; return its output, stderr included.

    Of pip's own configuration, only the settings for reaching PyPI are kept.
    """
    kept = ("PIP_CERT", "PIP_INDEX_URL", "PIP_PROXY")
    environment = {name: value for name, value in os.environ.items() if name in kept}
    environment |= {"PATH": path or os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, **env}
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode != 0) == bool(exits), done.stdout
    return done.stdout
