"""Whether a stranger has a project of the same name, asked once: after a project's first release.

The template's hook asks the same before the repository exists; a library whose name was changed
since, or that was offline then, is told of it here, while nobody depends on it yet.
"""

import re
import shutil
import subprocess
import sys

PATIENCE = 60
"""Seconds to wait for pip's answer."""


def taken(name: str, ours: str) -> bool | None:
    """Ask the indexes that the user's pip is configured for whether one has a project `name`.

    `ours` is the address of the bucket, whose answer does not count. Returns None
    where there is no answer within a few seconds.
    """
    pip = shutil.which("pip")
    command = [pip] if pip else [sys.executable, "-m", "pip"]
    # Only with -vvv does pip tell a name that is not there from an index that does not answer.
    command += ["index", "versions", "--pre", "-vvv", "--no-input", "--disable-pip-version-check"]
    command += ["--timeout", "3", "--retries", "0", name]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout + done.stderr
    asked = re.findall(r"Getting page (\S+)", said)
    failed = dict(re.findall(r"Could not fetch URL (\S+): (.*)", said))
    found = [url for url in asked if url not in failed]
    # A page without a version for this Python still belongs to somebody.
    if any(not url.startswith(ours) for url in found):
        return True
    if done.returncode == 0 and not found:
        return True
    if not asked or any("404 Client Error" not in why for why in failed.values()):
        return None
    return False


def warning(name: str, found: bool | None) -> str | None:
    """Return what there is to say of a project's name, as `taken` found it, if anything."""
    if found is None:
        return f"{name} was not checked against PyPI: pip's index gave no answer."
    if not found:
        return None
    return (
        f"the index that pip uses also has a project {name}. Installing without the "
        "commands above gets that one.\nRename yours while nobody depends on it: in "
        "pyproject.toml, put your organisation in front of its name."
    )
