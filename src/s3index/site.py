"""Render the objects derived from the pages, as {key: bytes}: HTML, feeds, constraints, namespace.

Each derived object records the serials of the projects that it was made from. A writer compares
them with its own, so that no object is ever replaced by an older one.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from dumb_pypi.main import Package, Settings, build_repo
from msgspec.structs import replace

from s3index import pages, people
from s3index.about import About
from s3index.pages import File, ProjectPage, Records
from s3index.people import RENDERER
from s3index.settings import CATALOGUE, FEED, LIST, NAME, Index

SERIALS = re.compile(rb"serials (\{[^{}]*\})")
RENDERED_BY = re.compile(rb"by (s3index [^ ,]+(?:, [\w-]+ [^ ,\"]+)+)")
DIGEST = re.compile(rb"\b[0-9a-f]{64}\b")
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
ATOM = "application/atom+xml; charset=utf-8"
IN_NAMESPACE = "../../packages/"
"""Prefix of the links on a page in the organisation's namespace."""
ANCHOR = re.compile(r"(<a\s[^>]*>([^<]*)</a>)")
"""A link to a file as dumb-pypi writes it."""
MOVED = b"""<!doctype html>
<meta charset="utf-8"><meta http-equiv="refresh" content="0; url=./"><title>Moved</title>
<a href="./">The project's page</a>
"""


def content_type(key: str) -> str:
    """Return the Content-Type of a derived object."""
    if key.startswith(LIST) and key.endswith("/"):
        return pages.CONTENT_TYPE
    return TEXT if key.endswith(".txt") else ATOM if key.endswith(".xml") else HTML


def serials_of(body: bytes) -> dict[str, int]:
    """Return the plausible serials that HTML, a feed or constraints were made from."""
    found = SERIALS.findall(body)
    try:
        serials = msgspec.json.decode(found[-1], type=dict[str, int]) if found else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return {
        path: number
        for path, number in serials.items()
        if re.fullmatch(rf"({NAME}/)?{NAME}", path) and 0 <= number <= pages.HIGHEST
    }


def same_state(key: str, body: bytes, other: bytes) -> bool:
    """Return whether HTML, or a feed, differs from `other` only in the versions that rendered it.

    A team's libraries need not all use the same version of the publisher. Clients read the same
    from all of them.
    """
    by = RENDERED_BY.findall(body)
    return (
        content_type(key) in (HTML, ATOM)
        and bool(by)
        and by[-1] != RENDERER.encode()
        and serials_of(body) == serials_of(other)
        and set(DIGEST.findall(body)) == set(DIGEST.findall(other))
    )


def project_keys(index: Index, project: str) -> list[str]:
    """Return the keys of `project_site`: the organisation's page, HTML, and a redirect to it."""
    html = index.site(f"simple/{project}/")
    return [index.organization_page(project), html, f"{html}index.html"]


def project_site(
    found: Sequence[tuple[ProjectPage, About | None]], index: Index
) -> dict[str, bytes]:
    """Render the objects that depend on one project page alone, for any number of pages at once.

    Each page comes with the description of its newest release.
    """
    anchors = _anchors(
        {
            page.name: [file for release in people.releases(page) for file in release.files]
            for page, _ in found
        },
        index,
    )
    site: dict[str, bytes] = {}
    for page, about in found:
        copy, html, moved = project_keys(index, page.name)
        site |= {
            copy: organization_page(page, index),
            html: people.project(page, about, index, anchors[page.name])
            + _made_from({page.name: page.serial}),
            moved: MOVED,
        }
    return site


def organization_page(page: ProjectPage, index: Index) -> bytes:
    """Return a project's page in the organisation's namespace, which names its team.

    Uploaders are only on the team's page: with thousands of files, their size matters.
    """
    files = tuple(replace(file, uploaded_by=None) for file in page.files)
    owned = replace(page, files=files, meta=replace(page.meta, team=index.team))
    return pages.dump(owned, f"{IN_NAMESPACE}{index.team}/{page.name}/")


def list_keys(index: Index, team: str | None) -> list[str]:
    """Return the keys of `list_site`."""
    if team is None:
        return [index.organization_constraints, CATALOGUE, FEED]
    return [index.constraints, index.site("index.html"), index.site("feed.xml")]


def list_site(records: Records, index: Index, team: str | None) -> dict[str, bytes]:
    """Render the objects that depend on a list: constraints, start page, feed.

    The list is the team's or, with None, the organisation's. The objects show only each project's
    newest releases, so a release costs the same however many files there are.
    """
    made = _made_from(_serials(records))
    key, start, feed = list_keys(index, team)
    whose = f"team {team}" if team else "the organisation"
    return {
        key: constraints(records, index, whose),
        start: people.catalogue(records, index, team) + made,
        feed: people.feed(records, index, feed, start, team or whose) + made,
    }


def constraints(records: Records, index: Index, whose: str) -> bytes:
    """Return the newest release of each project as `name @ URL#sha256=…` (PEP 440, PEP 508).

    The file is a project's pure-Python wheel, else its sdist: one URL has to work on every
    platform. pip and uv read the constraints with `-c`, and install these names from nowhere else;
    a project with no release to install cannot be installed at all.
    """
    lines = [f"# The newest release of each project of {whose}, for pip install -c."]
    for name, record in sorted(records.items()):
        file = min(record.latest.files, key=_platforms, default=None) if record.latest else None
        if file is None:
            # Without a line, the name could come from PyPI: this allows no version.
            lines.append(f"{name} <0  # no release to install")
        else:
            base = index.address(f"packages/{record.team or index.team}/{name}/")
            lines.append(f"{name} @ {base}{file.url}#sha256={file.digest}")
    lines.append(f"# serials {_json(_serials(records))}")
    return "\n".join(lines).encode() + b"\n"


def _serials(records: Records) -> dict[str, int]:
    return {record.path: record.last_serial for _, record in sorted(records.items())}


def _platforms(file: File) -> tuple[int, str]:
    name = file.filename
    rank = 0 if name.endswith("-none-any.whl") else 1 if name.endswith(".tar.gz") else 2
    return rank, name


class _Hosted(Package):
    """dumb-pypi's package, with the project's folder in its URL, which is percent-encoded."""

    def url(self, base_url: str, *, include_hash: bool = True) -> str:
        fragment = f"#{self.hash}" if self.hash and include_hash else ""
        return f"{base_url}/{self.name}/{quote(self.filename)}{fragment}"


def _package(name: str, file: File) -> Package:
    digest, uploaded = file.metadata_digest, file.uploaded
    fields: dict[str, Any] = dict.fromkeys(Package._fields)
    return _Hosted(
        **fields
        | {
            "filename": file.filename,
            "name": name,
            "version": str(file.version),
            "parsed_version": file.version,
            "hash": f"sha256={file.digest}",
            "requires_python": file.requires_python,
            "core_metadata": f"sha256={digest}" if digest else None,
            "upload_timestamp": int(uploaded.timestamp()) if uploaded else None,
            "uploaded_by": file.uploaded_by,
            # dumb-pypi omits data-yanked if the reason is empty, which PEP 592 allows.
            "yanked_reason": "yanked" if file.yanked in (True, "") else file.yanked or None,
        }
    )


def _anchors(files: Mapping[str, Sequence[File]], index: Index) -> dict[str, dict[str, str]]:
    """Run dumb-pypi on projects' files; return {project: {filename: its link}}.

    The links are in the form that clients read (PEP 503).
    """
    packages = {
        name: {_package(name, file) for file in listed} for name, listed in files.items() if listed
    }
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            output_dir=folder,
            packages_url=f"{'../' * 5}packages/{index.team}",
            title="",
            logo="",
            logo_width=0,
            generate_timestamp=False,
            disable_per_release_json=True,
        )
        # dumb-pypi omits the pages of unchanged projects, and the lists if no name has changed.
        build_repo(packages, {name: set() for name in packages}, settings)
        found: dict[str, dict[str, str]] = {name: {} for name in files}
        for name in packages:
            html = Path(folder, "simple", name, "index.html").read_text(encoding="utf-8")
            found[name] = {filename: anchor for anchor, filename in ANCHOR.findall(html)}
    return found


def _made_from(serials: Mapping[str, int]) -> bytes:
    return f"<!-- serials {_json(serials)} by {RENDERER} -->\n".encode()


def _json(serials: Mapping[str, int]) -> str:
    return msgspec.json.encode(serials).decode()
