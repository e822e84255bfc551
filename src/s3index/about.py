"""What people read of a release: what its core metadata says, and what its claim adds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parseaddr

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from s3index.claims import Changelog, Claim
from s3index.pages import line
from s3index.readme import link

MOST = 200
"""Dependencies, and links, that are shown."""


@dataclass(frozen=True)
class About:
    """A release as its page describes it; every text but the description is one line.

    `dependencies` are requirements (PEP 508) without those of extras, `links` pairs of a label and
    an address, `teams` pairs of one of the organisation's projects and its team, for dependencies.
    """

    summary: str | None = None
    description: str = ""
    content_type: str | None = None
    requires_python: str | None = None
    licence: str | None = None
    authors: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    teams: tuple[tuple[str, str], ...] = ()
    changelog: Changelog | None = None
    provenance: str | None = None


def read(metadata: bytes, claim: Claim | None) -> About:
    """Return what core metadata (PyPA's specification) says; what is not valid is left out."""
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
        dependencies=tuple(_dependencies(raw.get("requires_dist", [])))[:MOST],
        links=tuple(links.items())[:MOST],
        teams=tuple(claim.dependencies.items()) if claim else (),
        changelog=claim.changelog if claim else None,
        provenance=claim.provenance if claim else None,
    )


def required(metadata: bytes) -> set[str]:
    """Return the normalized names that core metadata requires, those of extras included."""
    raw, _ = parse_email(metadata)
    names = set()
    for text in raw.get("requires_dist", []):
        try:
            names.add(str(canonicalize_name(Requirement(text).name)))
        except (InvalidRequirement, RecursionError):
            continue
    return names


def _dependencies(found: list[str]) -> Iterator[str]:
    for text in found:
        try:
            requirement = Requirement(text)
        except (InvalidRequirement, RecursionError):
            continue
        if "extra ==" not in str(requirement.marker or ""):
            yield line(str(requirement)) or ""


def _licence(expression: str | None, text: str | None, classifiers: list[str] | None) -> str | None:
    if expression or (text and len(text) <= 100):
        return line(expression or text)
    named = [each.rpartition(" :: ")[2] for each in classifiers or () if each[:7] == "License"]
    return line(", ".join(named))


def _names(name: str | None, mails: str | None) -> Iterator[str]:
    if found := line(name):
        yield found
    # A comma also separates the parts of an address in quotes; such a name is shown in two.
    for each in re.split(r",\s*(?![^<]*>)", mails or ""):
        name, address = parseaddr(each)
        if found := line(name or address):
            yield found
