"""What the workflows in .github/ ask: pyproject.toml's settings, and whether a tag may be released.

A program of its own, `python -m s3index.ci`: people have no use for it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from s3index.config import Refused, load, read

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""What s3index runs on; the tests run on those of them that requires-python allows."""

ROOT = Path()

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("settings")
def print_settings() -> None:
    """Print what the workflows need to know, as a line for GITHUB_OUTPUT."""
    typer.echo(f"settings={json.dumps(settings(ROOT))}")


@app.command("check-tag")
def check_tag(ref: str) -> None:
    """Refuse REF (GITHUB_REF, such as refs/tags/v0.1.0) if it must not be released."""
    refuse_tag(ROOT, ref)
    typer.echo(f"{ref.removeprefix('refs/tags/')} may be released.")


def settings(root: Path) -> dict[str, Any]:
    """Return the settings of the repository at `root`, for JSON.

    `pythons` are the versions to test on and `python` is the oldest of them; `index` is the
    address that pip takes, `imports` the packages to import, as an import statement names them.
    Raises Refused if pyproject.toml lacks what a release needs.
    """
    config, document = load(root), read(root)
    packages = document["tool"].get("poetry", {}).get("packages", [])
    names = [package["include"] for package in packages] or [config.project.replace("-", "_")]
    pythons = _pythons(document["project"].get("requires-python", ""))
    return {
        "project": config.project,
        "version": str(config.version),
        "imports": ", ".join(name.replace("/", ".") for name in names),
        "index": config.address(config.keys.team_page),
        "region": config.region,
        "access": document["tool"]["s3index"].get("access", "public"),
        "python": pythons[0],
        "pythons": pythons,
    }


def refuse_tag(root: Path, ref: str) -> None:
    """Raise Refused unless `ref` is the tag of the version in pyproject.toml, on branch main.

    The version has to be public and in its normal form (version specifiers specification), so
    that a release has one name only. HEAD is the tag's commit, and origin/main has to be there.
    """
    version, text = load(root).version, read(root)["project"]["version"]
    if version.local:
        raise Refused(
            f"version = {text!r} in pyproject.toml is a local one: what follows the + is for "
            f"builds that are not released. Write {version.public!r}."
        )
    if text != str(version):
        raise Refused(f"version = {text!r} in pyproject.toml is written {str(version)!r}. Do so.")
    if not ref.startswith("refs/tags/"):
        raise Refused(
            f"{ref} is no tag. Releases are made of tags: git tag v{version} && "
            f"git push origin v{version}"
        )
    if ref != f"refs/tags/v{version}":
        raise Refused(
            f"Tag {ref.removeprefix('refs/tags/')} is not v{version}, the version in "
            "pyproject.toml. Delete the tag, correct one of the two, and tag again."
        )
    command = ["git", "merge-base", "--is-ancestor", "HEAD", "refs/remotes/origin/main"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == 1:
        raise Refused(f"The commit of v{version} is not on main. Merge it, then tag what main has.")
    if done.returncode:
        raise Refused(f"git cannot say whether v{version} is on main: {done.stderr.strip()}")


def _pythons(requires_python: str) -> list[str]:
    try:
        specifiers = SpecifierSet(requires_python)
    except InvalidSpecifier:
        raise Refused(
            f"requires-python = {requires_python!r} in pyproject.toml cannot be read. "
            f"Write one such as '>={PYTHONS[0]}'."
        ) from None
    # A bound may name a bug fix release: >=3.11.4 leaves most of 3.11.
    fit = [
        minor for minor in PYTHONS if any(f"{minor}.{patch}" in specifiers for patch in range(100))
    ]
    if not fit:
        raise Refused(
            f"requires-python = {requires_python!r} in pyproject.toml allows none of "
            f"{', '.join(PYTHONS)}, which s3index runs on. Allow one."
        )
    return fit


if __name__ == "__main__":
    try:
        app()
    except Refused as refusal:
        sys.exit(f"Error: {refusal}")
