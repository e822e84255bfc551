"""Render the pages and feeds for people.

Everything in them is untrusted text: Jinja escapes it, `readme` sanitizes the README, and a
Content-Security-Policy allows only the page's own style and script to load or run.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version as version_of

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from s3index import __version__, install, pages, readme
from s3index.about import About
from s3index.pages import File, ProjectPage, Records
from s3index.settings import Index

PARTS = ("dumb-pypi", "readme-renderer", "comrak", "docutils", "nh3", "Pygments")
RENDERER = f"s3index {__version__}, " + ", ".join(f"{part} {version_of(part)}" for part in PARTS)
"""The versions that determine what a page looks like."""
SHOWN = 200
"""Maximum releases on a project's page, the newest; its JSON pages list all of them."""
FOLLOWED = 100
"""Maximum entries in a feed, the newest."""
LONG_AGO = "1970-01-01T00:00:00Z"
"""The time of a feed without entries."""


@dataclass(frozen=True)
class Release:
    """A version of a project as its page shows it, with its files."""

    version: str
    files: list[File]

    @property
    def time(self) -> str | None:
        """Return the time of its last upload, in UTC; None if unknown."""
        return max((file.upload_time for file in self.files if file.upload_time), default=None)

    @property
    def by(self) -> str | None:
        """Return who uploaded it; None if unknown."""
        return next((file.uploaded_by for file in self.files if file.uploaded_by), None)

    @property
    def yanked(self) -> str | None:
        """Return why it is yanked, empty if no reason was given; None if it is not yanked."""
        yanks = [file.yanked for file in self.files if file.yanked is not False]
        return next((yank for yank in yanks if isinstance(yank, str)), "") if yanks else None


def project(
    page: ProjectPage, about: About | None, index: Index, anchors: Mapping[str, str]
) -> bytes:
    """Return a project's page for people.

    `about` describes its newest release; `anchors` has the HTML of each file's link, as the simple
    repository API (PEP 503) requires, so that clients without JSON can read the same page.
    """
    about = about or About()
    changes = about.changelog
    newest = pages.newest(page)
    version = str(newest) if newest else None
    shown = releases(page)
    return _render(
        "project.html",
        page=page,
        index=index,
        version=version,
        newest=next((each for each in shown if each.version == version and each.time), None),
        about=about,
        commands=install.commands(index.url, index.bucket, page.name, edge=index.edge),
        edge=install.EDGE if index.edge else None,
        changelog=changes and Markup(readme.html(changes.text, changes.content_type)),
        readme=about.description and Markup(readme.html(about.description, about.content_type)),
        releases=shown,
        anchors=anchors,
    )


def releases(page: ProjectPage) -> list[Release]:
    """Return the releases that a project's page for people shows, newest first."""
    found = {text: Release(text, []) for text in reversed(page.versions[-SHOWN:])}
    for file in page.files:
        if release := found.get(str(file.version)):
            release.files.append(file)
    return list(found.values())


def catalogue(records: Records, index: Index, team: str | None) -> bytes:
    """Return the start page of a team or, with None, of the organisation.

    An organisation with a single team gets that team's title.
    """
    teams = sorted({record.team or index.team for record in records.values()})
    alone = team or (teams[0] if len(teams) == 1 else None)
    return _render(
        "catalogue.html",
        title=f"Packages of {alone}" if alone else "Packages",
        index=index,
        team=team,
        teams=teams,
        records=[record for _, record in sorted(records.items())],
    )


def feed(records: Records, index: Index, key: str, page: str, whose: str) -> bytes:
    """Return the newest releases as an Atom feed (RFC 4287), stored at `key`, for page `page`."""
    uploads = [(upload, record) for record in records.values() for upload in record.recent]
    uploads.sort(key=lambda each: (each[0].time, each[1].name, each[0].version), reverse=True)
    return _render(
        "feed.xml",
        address=index.address(key),
        page=index.address(page),
        whose=whose,
        updated=uploads[0][0].time if uploads else LONG_AGO,
        entries=[
            (upload, record, replace(index, team=record.team or index.team))
            for upload, record in uploads[:FOLLOWED]
        ],
    )


def _size(size: int | None) -> str:
    if size is None:
        return ""
    amount: float = size
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"


def _render(template: str, **values: object) -> bytes:
    text = _environment().get_template(template).render(values)
    # JSON allows these two characters, XML 1.0 does not.
    return text.translate({0xFFFE: None, 0xFFFF: None}).encode()


@cache
def _environment() -> Environment:
    loader = PackageLoader("s3index", "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, _, _ = loader.get_source(environment, "style.css")
    script, _, _ = loader.get_source(environment, "script.js")
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    environment.filters["size"] = _size
    environment.globals |= {"style": Markup(style), "script": Markup(script), "policy": policy}
    return environment


def _source(text: str) -> str:
    """Return the Content-Security-Policy source of an inline style or script."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
