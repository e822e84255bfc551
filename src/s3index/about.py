"""A release as people read it, from its core metadata and its claim."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parseaddr
from itertools import islice

from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from s3index.claims import Changelog, Claim
from s3index.pages import line
from s3index.readme import link

MOST = 200
"""Maximum number of dependencies, and of links, to show."""


@dataclass(frozen=True)
class Dependency:
    """A requirement (PEP 508), cut to one line, the project that it names, and that one's team.

    `team` is None for a project from PyPI.
    """

    text: str
    name: str
    team: str | None


@dataclass(frozen=True)
class About:
    """A release as its page describes it; every text but the description is one line.

    `dependencies` excludes those of extras; `links` are (label, address) pairs.
    """

    summary: str | None = None
    description: str = ""
    content_type: str | None = None
    requires_python: str | None = None
    licence: str | None = None
    authors: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    changelog: Changelog | None = None
    provenance: str | None = None


def read(metadata: bytes, claim: Claim | None) -> About:
    """Parse core metadata (PyPA's specification), omitting invalid values."""
    raw, _ = parse_email(metadata)
    people = [(raw.get("author"), raw.get("author_email"))]
    people += [(raw.get("maintainer"), raw.get("maintainer_email"))]
    urls = {"Homepage": raw.get("home_page", ""), **raw.get("project_urls", {})}
    links = {
        line(label) or "Link": address for label, url in urls.items() if (address := link(url))
    }
    return About(
        summary=line(raw.get("summary")),
        description=raw.get("description", "").strip(),
        content_type=line(raw.get("description_content_type")),
        requires_python=line(raw.get("requires_python")),
        licence=_licence(raw.get("license_expression"), raw.get("license"), raw.get("classifiers")),
        authors=tuple(dict.fromkeys(name for pair in people for name in _names(*pair))),
        dependencies=tuple(islice(_dependencies(raw, claim), MOST)),
        links=tuple(links.items())[:MOST],
        changelog=claim.changelog if claim else None,
        provenance=link(claim.provenance or "") if claim else None,
    )


def required(metadata: bytes) -> set[str]:
    """Return the normalized names that core metadata requires, including those of extras."""
    raw, _ = parse_email(metadata)
    return {canonicalize_name(requirement.name) for requirement, _ in _requirements(raw)}


def _requirements(raw: RawMetadata) -> Iterator[tuple[Requirement, str]]:
    """Yield each valid requirement with its normalized text."""
    for text in raw.get("requires_dist", []):
        try:
            requirement = Requirement(text)
            yield requirement, str(requirement)
        except (ValueError, RecursionError):
            # InvalidRequirement is a ValueError; a number of 5,000 digits raises a plain one.
            continue


def _dependencies(raw: RawMetadata, claim: Claim | None) -> Iterator[Dependency]:
    teams = claim.dependencies if claim else {}
    for requirement, text in _requirements(raw):
        if "extra ==" not in str(requirement.marker or ""):
            name = canonicalize_name(requirement.name)
            yield Dependency(line(text) or name, name, teams.get(name))


def _licence(expression: str | None, text: str | None, classifiers: list[str] | None) -> str | None:
    if expression or (text and len(text) <= 100):
        return line(expression or text)
    named = [each.rpartition(" :: ")[2] for each in classifiers or () if each[:7] == "License"]
    return line(", ".join(named))


def _names(name: str | None, mails: str | None) -> Iterator[str]:
    if found := line(name):
        yield found
    # This also splits a quoted name at its commas; such a name is shown as two.
    for each in re.split(r",\s*(?![^<]*>)", mails or ""):
        name, address = parseaddr(each)
        if found := line(name or address):
            yield found
