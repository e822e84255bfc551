"""Whether a tag may be released: what a release's workflow asks before it builds."""

import subprocess
from pathlib import Path

from s3index.config import Refused, load, read


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
        raise Refused(
            f"version = {text!r} in pyproject.toml is not in its normal form. "
            f"Write {str(version)!r}."
        )
    if not ref.startswith("refs/tags/"):
        raise Refused(
            f"{ref} is not a tag. Releases are made of tags: git tag v{version} && "
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
