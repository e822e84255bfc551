"""Run Poetry or build to make the distributions, and ask CI or git who publishes them."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from s3index.distribution import LONGEST_TEXT
from s3index.errors import Refused
from s3index.install import with_extra
from s3index.readme import link
from s3index.settings import read


def uses_poetry(document: dict[str, object]) -> bool:
    """Return whether Poetry's backend builds a project (PEP 517)."""
    system = document.get("build-system")
    return isinstance(system, dict) and str(system.get("build-backend")).startswith("poetry.")


def build(root: Path, into: Path) -> list[Path]:
    """Build a wheel and an sdist from the repository at `root` into an empty folder; return them.

    Use Poetry if its backend builds the project, else PyPA's build, in an environment with only the
    project's build requirements. Raise Refused if the tool is missing or fails.
    """
    if uses_poetry(read(root)):
        poetry = shutil.which("poetry")
        if poetry is None:
            raise Refused(
                "Poetry is not installed, or not on PATH. Install it, or pass the built files."
            )
        name, command = "poetry build", [poetry, "build", "--no-interaction", "--output", str(into)]
    elif find_spec("build"):
        # -P: the repository may have its own build.py.
        name, command = "build", [sys.executable, "-P", "-m", "build", "--outdir", str(into), "."]
    else:
        raise Refused(
            f"build is not installed. Pass the built files, or run: {with_extra('build')}"
        )
    environment = dict(os.environ)
    if environment.get("VIRTUAL_ENV") == sys.prefix:
        # `uv run publish.py` sets it to the publisher's environment; Poetry would take it for the
        # library's, whose Python may differ.
        del environment["VIRTUAL_ENV"]
    done = subprocess.run(
        command,
        cwd=root,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise Refused(f"`{name}` failed. Fix what it reports, then run it again:\n{said}")
    return sorted(path for path in into.iterdir() if path.is_file())


def uploader(root: Path) -> tuple[str | None, str | None]:
    """Return who publishes and from which commit, from GitHub's variables or else from git.

    The commit ends in -modified if the working tree has changes that are not in it, apart from
    dist/. Ask before a build, which may leave files.
    """
    who = os.environ.get("GITHUB_ACTOR") or _git(root, "config", "user.name")
    commit = os.environ.get("GITHUB_SHA") or _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", ".", ":!dist")
    if commit and not os.environ.get("GITHUB_SHA") and changed:
        commit += "-modified"
    return who or None, commit or None


def provenance() -> str | None:
    """Return the address of the files' attestation, set by the workflow that made it, or None.

    Raise Refused if S3INDEX_ATTESTATION is not an address that a page may link to.
    """
    said = os.environ.get("S3INDEX_ATTESTATION", "").strip()
    address = link(said) if said.startswith("https://") and len(said) <= LONGEST_TEXT else None
    if said and address is None:
        raise Refused(
            f"S3INDEX_ATTESTATION = {said!r:.200} is not an https address. Unset it, or set it to "
            "the output attestation-url of actions/attest-build-provenance."
        )
    return address


def _git(root: Path, *arguments: str) -> str:
    try:
        # A name may be in any encoding.
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
