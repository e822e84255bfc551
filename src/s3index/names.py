"""Check once, after a project's first release, whether a stranger has a project of its name.

The template's hook checks the same before the repository exists; this is for a library that was
renamed since, or was created offline, while nobody depends on it yet.
"""

import re
import shutil
import subprocess
import sys

PATIENCE = 60
"""Seconds to wait for pip's answer."""


def taken(name: str, ours: str) -> bool | None:
    """Return whether any index that the user's pip is configured for has a project `name`.

    `ours` is the address of the bucket, whose answer does not count. Return None if there is no
    answer in time.
    """
    pip = shutil.which("pip")
    command = [pip] if pip else [sys.executable, "-m", "pip"]
    # Only with -vvv does pip distinguish an unknown name from an index that does not answer.
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
    # Even a page without a version for this Python means that the name is taken.
    if any(not url.startswith(ours) for url in found):
        return True
    if done.returncode == 0 and not found:
        return True
    if not asked or any("404 Client Error" not in why for why in failed.values()):
        return None
    return False


def warning(name: str, found: bool | None) -> str | None:
    """Return the warning about a project's name for a result of `taken`, if any."""
    if found is None:
        return f"{name} was not checked against PyPI: pip's index gave no answer."
    if not found:
        return None
    return (
        f"the index that pip uses also has a project {name}. Installing without the "
        "commands above gets that one.\nRename yours while nobody depends on it: in "
        "pyproject.toml, put your organisation in front of its name."
    )
