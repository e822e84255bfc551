"""Check whether a tag may be released, as the release workflow does before it publishes."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from packaging.version import Version

from s3index.distribution import read_release
from s3index.errors import Refused
from s3index.settings import Project


def refuse_tag(
    project: Project, ref: str, files: Sequence[Path] = (), branch: str = "main"
) -> None:
    """Raise Refused unless `ref` is the tag of the project's version, on a branch.

    `files` are the built files, if there are any yet: they must be of that version, and determine
    it if it is dynamic.

    The version must be public and normalized (version specifiers specification), so that a release
    has only one name. HEAD must be the tag's commit, and origin's branch must be available.
    """
    version = _version(project, files)
    text = project.stated or str(version)
    if version.local:
        raise Refused(
            f"version = {text!r} in pyproject.toml has a local part (after the +), which "
            f"is for builds that are not released. Write {version.public!r}."
        )
    if text != str(version):
        raise Refused(
            f"version = {text!r} in pyproject.toml is not normalized. Use the normalized "
            f"form {str(version)!r}."
        )
    if not ref.startswith("refs/tags/"):
        raise Refused(
            f"{ref} is not a tag. Releases are made from tags: git tag v{version} && "
            f"git push origin v{version}"
        )
    if ref != f"refs/tags/v{version}":
        where = "in pyproject.toml" if project.stated else "of the built files"
        raise Refused(
            f"Tag {ref.removeprefix('refs/tags/')} is not v{version}, the version {where}. "
            "Delete the tag, correct one of the two, and tag again."
        )
    command = ["git", "merge-base", "--is-ancestor", "HEAD", f"refs/remotes/origin/{branch}"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    if done.returncode == 1:
        raise Refused(
            f"The commit of v{version} is not on {branch}. Merge it, then tag the merged commit."
        )
    if done.returncode:
        raise Refused(
            f"git cannot say whether v{version} is on {branch}: {done.stderr.strip()}. Fetch "
            "origin, or name the branch with --branch."
        )


def _version(project: Project, files: Sequence[Path]) -> Version:
    if files:
        return read_release(files, project.name, project.version)[0].version
    if project.version is None:
        raise Refused(
            "The version is dynamic and comes from the built files. Build, then name them after "
            "the tag: s3index check-tag REF dist/*"
        )
    return project.version
