"""The commands that install a published project.

The project's page, the terminal and GitHub's step summary show them after a release; the generated
README gets them from the template, and docs/consumers.md says what each protects against.
"""

import shlex
from importlib.metadata import distribution
from importlib.util import find_spec

import msgspec
from msgspec import Struct

from s3index.settings import Index

EDGE = (
    "One index for every client, instead of PyPI's. It serves the organisation's projects, and "
    "PyPI's for all other names: a stranger's project cannot replace one of the organisation's."
)
"""The explanation of the commands if there is an edge."""


class Commit(Struct, frozen=True):
    """The commit of a package that was installed from version control."""

    commit_id: str
    requested_revision: str | None = None


class Source(Struct, frozen=True):
    """Where a package was installed from (PEP 610); `url` is empty if no installer recorded it."""

    url: str = ""
    vcs_info: Commit | None = None


def source() -> Source:
    """Return where s3index was installed from."""
    recorded = distribution("s3index").read_text("direct_url.json") or "{}"
    return msgspec.json.decode(recorded, type=Source)


EXTRAS = {
    "build": "build",
    "edge": "awscrt",
    "import": "pypi_simple",
    "init": "tomlkit",
    "preview": "moto",
}
"""The extras of s3index, and a module that only each of them brings."""


def with_extra(extra: str) -> str:
    """Return the command that installs s3index with an extra, from where this one came.

    The command keeps the extras that are installed.

    Never by name alone: a project of that name on PyPI would be a stranger's.
    """
    found = source()
    vcs = found.vcs_info
    url = f"git+{found.url}@{vcs.commit_id}" if vcs else found.url or "git+<template>"
    extras = ",".join(each for each in EXTRAS if each == extra or find_spec(EXTRAS[each]))
    return f"pipx install --force {shlex.quote(f's3index[{extras}] @ {url}')}"


def commands(url: str, bucket: str, project: str, *, edge: bool = False) -> dict[str, str]:
    """Return {client: the commands that install a project}.

    `url` is the bucket's address for readers, `edge` whether it also serves PyPI; uv and Poetry
    name the index after the bucket.
    """
    index = f"{url}/simple/"
    if edge:
        return {
            "pip": f"pip install --index-url {index} {project}",
            "uv": f"uv add --default-index {bucket}={index} {project}",
            "Poetry": f"poetry source add --priority=primary {bucket} {index}\n"
            f"poetry add {project}",
        }
    return {
        "pip": f"pip install -c {index}constraints.txt {project}",
        "uv": f"uv add --index {bucket}={index} {project}",
        "Poetry": f"poetry source add --priority=primary {bucket} {index}\n"
        "poetry source add --priority=supplemental PyPI\n"
        f"poetry add --source {bucket} {project}",
    }


def markdown(index: Index, project: str) -> str:
    """Return, as Markdown, the commands that install a project, each under a level-3 heading."""
    shown = [f"{EDGE}\n"] if index.edge else []
    shown += [
        f"### {client}\n\n```sh\n{command}\n```\n"
        for client, command in commands(index.url, index.bucket, project, edge=index.edge).items()
    ]
    return "\n".join(shown)
