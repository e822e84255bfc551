"""Set-up names a missing tool, starts over after an interruption, and runs only once."""

import os
import shutil
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.setup.making import make, prepare
from tests.setup.test_lock import packed, versions


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("version_info", "Python 3.11 or newer is needed: install it or name it with make PYTHON="),
        ("ensurepip", "Python's venv module is needed: install it (Debian: python3-venv)"),
        ("git", "git is needed: install it"),
    ],
)
def test_a_missing_tool_is_one_line(tmp_path: Path, without: str, said: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in {"sh", "make", "git"} - {without}:
        (tools / name).symlink_to(shutil.which(name) or "")
    # This stands in for a Python that lacks something: it fails when asked for that.
    python = tools / "python3"
    python.write_text(f'#!/bin/sh\ncase "$*" in *{without}*) echo no >&2; exit 1; esac\n')
    python.chmod(0o755)
    root = prepare(tmp_path / "clone", "")
    [line] = make(root, "demo", "PYTHON=python3", path=str(tools), exits=2).splitlines()
    assert said in line
    assert not (root / ".venv").exists()


@pytest.mark.full
def test_set_up_starts_over_and_is_done_once(tmp_path: Path) -> None:
    made = packed(distribution("poetry-core"), tmp_path)
    digest = sha256(made.read_bytes()).hexdigest()
    pin = f"poetry-core=={distribution('poetry-core').version} --hash=sha256:"
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    root = prepare(tmp_path / "clone", pin + "0" * 64)
    make(root, ".venv/ready", env=env, exits=2)
    assert (root / ".venv").is_dir()
    (root / ".venv" / "half").touch()
    (root / "requirements.lock").write_text(pin + digest)
    assert make(root, ".venv/ready", env=env).startswith("Setting up .venv with Python 3.")
    assert not (root / ".venv" / "half").exists()

    before = (root / ".venv" / "ready").stat().st_mtime_ns
    assert "Setting up" not in make(root, ".venv/ready", env=env)
    assert (root / ".venv" / "ready").stat().st_mtime_ns == before

    pyproject = root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('\nversion = "', '\nversion = "9!'))
    os.utime(pyproject, (later := before / 1e9 + 5, later))
    assert "Setting up" not in make(root, ".venv/ready", env=env)
    assert versions(root / ".venv")["s3index"].startswith("9!")
