"""Compare a team's objects in the bucket with what they should be, for verify and repair.

A finding affects clients; repair fixes it, or it needs an administrator. A note is harmless and
cannot be fixed without deleting: an abandoned upload, or a folder that is not a project's.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec

from msgspec.structs import replace
from packaging.version import InvalidVersion, Version

from s3index import pages, site
from s3index.about import About
from s3index.claims import Claim, parse_claim
from s3index.distribution import new_md5, parse_filename
from s3index.errors import Refused
from s3index.pages import File, Malformed, ProjectPage, Record, Records
from s3index.refresh import Objects, Scope, describe, described_by, organization_page
from s3index.settings import LIST, NAME, Index
from s3index.steps import Facts, List, Listed, Stat, Steps, Stored, ask, get_all

TOGETHER = 64
"""Projects in one batch, whose objects have to fit into memory."""


P = ParamSpec("P")

Listing = Mapping[str, Listed]
Described = tuple[ProjectPage, About | None]
"""A project page, and the description of its newest release."""


@dataclass
class Observed:
    """A project as found in the bucket.

    `listed` are the objects in its folder, `about` describes its newest release, `objects` are
    those derived from its page and `rendered` what they should be, `claims` is {version: claim},
    `facts` is {key: facts about a distribution or its core metadata}, `owner` is the team that
    owns the name in the organisation's namespace. The audit adds `findings`, `lost` (findings
    that nothing in the bucket can fix) and `notes`.
    """

    name: str
    listed: Listing
    stored: Stored | None
    page: ProjectPage | None
    claims: dict[Version, Claim]
    findings: list[str]
    about: About | None = None
    objects: Objects = field(default_factory=dict)
    rendered: Mapping[str, bytes] = field(default_factory=dict)
    owner: str | None = None
    facts: dict[str, Facts | None] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> bool:
        """Return whether there is no page; S3's console creates an empty object for a folder."""
        return self.stored is None or not self.stored.body


def listed_keys(index: Index, project: str | None = None) -> Steps[dict[str, Listed]]:
    """List the objects of a team and of the organisation's namespace, or of one project."""
    prefixes = (
        [index.team_list, LIST, index.site("simple/")]
        if project is None
        else [index.project_page(project), *site.project_keys(index, project)]
    )
    found: dict[str, Listed] = {}
    for keys in (yield from ask([List(prefix) for prefix in prefixes])):
        found |= keys
    return found


def folders(keys: Listing, index: Index) -> tuple[dict[str, dict[str, Listed]], list[str]]:
    """Return the objects in each project's folder, {project: {key: …}}, and the other keys."""
    found: dict[str, dict[str, Listed]] = {}
    foreign = []
    for key, listed in keys.items():
        if not key.startswith(index.team_list):
            continue
        name, slash, _ = key.removeprefix(index.team_list).partition("/")
        if slash and re.fullmatch(NAME, name):
            found.setdefault(name, {})[key] = listed
        elif key not in (index.team_list, index.constraints):
            foreign.append(key)
    return found, foreign


def observe(
    folders: Mapping[str, Listing], index: Index, keys: Listing, *, deep: bool
) -> Steps[list[Observed]]:
    """Read projects from the bucket, given the listing of each folder and of all keys.

    Objects listed with the expected MD5 are not requested; if `deep`, distributions are.
    """
    claims = {name: _claim_keys(folder, index, name) for name, folder in folders.items()}
    wanted = [key for name in folders for key in (index.project_page(name), *claims[name])]
    objects = yield from get_all(wanted)
    found = [
        _observed(name, folder, claims[name], index, objects) for name, folder in folders.items()
    ]
    about = [key for one in found if one.page for key in described_by(index, one.page)]
    objects |= yield from get_all([key for key in about if key not in objects])
    for one in found:
        one.about = describe(index, one.page, objects) if one.page else None
    rendered = site.project_site([(one.page, one.about) for one in found if one.page], index)
    derived: dict[str, Stored | None] = {
        key: Stored(body, listed.etag)
        for key, body in rendered.items()
        if (listed := keys.get(key)) and listed.etag == new_md5(body).hexdigest()
    }
    site_keys = {one.name: site.project_keys(index, one.name) for one in found}
    derived |= yield from get_all(
        [key for keys in site_keys.values() for key in keys if key not in derived]
    )
    stats = []
    for one in found:
        one.objects = {key: derived[key] for key in site_keys[one.name]}
        one.rendered = {key: rendered[key] for key in one.objects if one.page}
        owned = index.organization_page(one.name)
        if stored := one.objects[owned]:
            one.owner = read(pages.owner, stored, owned, one.findings)
        one.facts = {} if deep else _listed_facts(one, index)
        # A release made after the keys were listed has its files, too: request all that pages and
        # claims name, listed or not.
        stats += [(one, key) for key in _named_keys(one, index) if key not in one.facts]
    replies = yield from ask([Stat(key, deep) for _, key in stats])
    for (one, key), facts in zip(stats, replies, strict=True):
        one.facts[key] = facts
    return found


def records_of(scope: Scope, objects: Objects, findings: list[str]) -> dict[str, Record]:
    """Return the records of a list as read; add a finding for each damaged one.

    A missing list has none. That is not a finding: the team may not have released anything yet.
    """
    if objects[scope.key] is None:
        return {}
    found = read(pages.parse_list, objects[scope.key], scope.key, findings, scope.base)
    records, damaged = found or ({}, [])
    findings += [f"{scope.key}: the record of {name} is damaged" for name in damaged]
    return records


def listed_names(listed: Mapping[str, Records], index: Index) -> set[str]:
    """Return the names that belong to this team according to the lists."""
    return {
        record.name
        for records in listed.values()
        for record in records.values()
        if record.team in (None, index.team)
    }


def expected_records(
    scope: Scope,
    listed: Records,
    read: Mapping[str, Described],
    names: set[str],
    index: Index,
) -> dict[str, Record]:
    """Return the records that a list should have: those of the pages, and of taken names.

    Records of other teams' projects stay as they are.
    """
    expected = {}
    for name, record in listed.items():
        if name not in names or record.team not in (None, index.team):
            expected[name] = record
        elif name not in read:
            expected[name] = Record(name, record.last_serial, None, record.team)
    ours = [scope.record(page, index, about) for page, about in read.values()]
    return {**{record.name: record for record in ours}, **expected}


def chunks(names: Collection[str], folders: Mapping[str, Listing]) -> Iterator[dict[str, Listing]]:
    """Yield the listings of projects in batches of TOGETHER."""
    ordered = sorted(names)
    for start in range(0, len(ordered), TOGETHER):
        yield {name: folders.get(name, {}) for name in ordered[start : start + TOGETHER]}


def should_be(one: Observed, index: Index) -> list[File]:
    """Return the files that a project's page should list; notes and findings say why.

    A claim is a release if all its files are stored with its digests. So is anything that the page
    already lists, if it is stored. Yanks come from the page, else from its copy in the
    organisation's namespace, else from an imported release's claim. Everything else is ignored.
    """
    old = {file.filename: file for file in one.page.files} if one.page else {}
    copy = _copy(one, index)
    yanked = {file.version: file.yanked for file in [*copy, *old.values()]}
    listed: list[File] = []
    claimed: set[str] = set()
    for version, claim in sorted(one.claims.items()):
        claimed |= claim.digests.keys()
        there = [
            file for file in claim.files if file.filename in old or _is_stored(file, one, index)
        ]
        key = index.claim(one.name, version)
        if not old.keys() & claim.digests.keys():
            if len(there) < len(claim.files):
                one.notes.append(
                    f"{key}: an unfinished release: some of its files are missing, and it is not "
                    "listed"
                )
                continue
            one.findings.append(f"{key}: the release is complete, but not listed")
        listed += [replace(file, yanked=yanked.get(version, file.yanked)) for file in there]
    # Releases of 0.2.0 have no claim; if the page is lost, its copy lists the same files.
    known = list(old.values()) if one.page else copy
    listed += [file for file in known if file.filename not in claimed]
    names = {file.filename for file in listed} | claimed
    one.notes += [
        f"{key}: stored, but not part of a release"
        for key in one.listed
        if _is_distribution(key, one) and key.rpartition("/")[2] not in names
    ]
    files = [file for file in listed if _present(file, one, index)]
    if one.missing and files:
        one.findings.append(f"{index.project_page(one.name)}: missing")
    return files


def unclaimed(one: Observed, files: Collection[File], index: Index) -> list[Claim]:
    """Return claims for 0.2.0's releases, which have none, if all their files are intact."""
    found = []
    for version in sorted({file.version for file in files} - one.claims.keys()):
        entries = [file for file in files if file.version == version]
        times = [file.upload_time for file in entries if file.upload_time]
        free = index.claim(one.name, version) not in one.listed
        if free and times and all(_is_stored(file, one, index) for file in entries):
            plain = pages.in_order(replace(file, yanked=False) for file in entries)
            found.append(Claim(one.name, str(version), plain, min(times), plain[0].uploaded_by))
    return found


def read(
    parse: Callable[Concatenate[bytes, str, P], pages.T],
    stored: Stored | None,
    key: str,
    findings: list[str],
    *args: P.args,
    **kwargs: P.kwargs,
) -> pages.T | None:
    """Parse an object; return None and add a finding if it is missing or malformed."""
    if stored is None:
        findings.append(f"{key}: missing")
        return None
    try:
        return parse(stored.body, key, *args, **kwargs)
    except Malformed:
        findings.append(f"{key}: not what this publisher writes")
        return None


def _observed(
    name: str,
    listed: Listing,
    claimed: Mapping[str, Version],
    index: Index,
    objects: Objects,
) -> Observed:
    key = index.project_page(name)
    findings: list[str] = []
    stored = objects[key]
    page = None
    if stored and stored.body:
        page = read(pages.parse_project, stored, key, findings, name)
    claims = {}
    for path, version in claimed.items():
        if claim := read(parse_claim, objects[path], path, findings, name, version):
            claims[version] = claim
    one = Observed(name, listed, stored, page, claims, findings)
    one.notes += [
        f"{path}: not managed by s3index"
        for path in listed
        if path != key
        and path not in claimed
        and not _is_distribution(path.removesuffix(".metadata"), one)
    ]
    return one


def _claim_keys(folder: Listing, index: Index, name: str) -> dict[str, Version]:
    """Return the keys of the claims in a project's folder, with the version in each."""
    found = {}
    for key in folder:
        match = re.fullmatch(r".*/release-(.{1,200})\.json", key)
        try:
            version = Version(match[1]) if match else None
        except InvalidVersion:
            continue
        # Equal versions share one claim: release-1.0.json would be a second one for 1.
        if version and key == index.claim(name, version):
            found[key] = version
    return found


def _is_distribution(key: str, one: Observed) -> bool:
    folder, _, filename = key.rpartition("/")
    try:
        return folder.count("/") == 2 and parse_filename(filename)[0] == one.name
    except Refused:
        return False


def _named_keys(one: Observed, index: Index) -> set[str]:
    """Return the keys of all files that a page or claim names, and of their core metadata."""
    claimed = [file for claim in one.claims.values() for file in claim.files]
    named = [*(one.page.files if one.page else ()), *_copy(one, index), *claimed]
    files = {index.file(one.name, file.filename): file for file in named}
    return files.keys() | {f"{key}.metadata" for key, file in files.items() if file.core_metadata}


def _listed_facts(one: Observed, index: Index) -> dict[str, Facts | None]:
    """Return the facts about every object that is listed with the MD5 in its claim."""
    facts: dict[str, Facts | None] = {}
    for claim in one.claims.values():
        for file in claim.files:
            key = index.file(one.name, file.filename)
            for path, digest in ((key, file.digest), (f"{key}.metadata", file.metadata_digest)):
                listed, md5 = one.listed.get(path), claim.md5.get(path.rpartition("/")[2])
                if listed and digest and listed.etag == md5:
                    facts[path] = Facts(listed.size, digest)
    return facts


def _copy(one: Observed, index: Index) -> tuple[File, ...]:
    key = index.organization_page(one.name)
    stored = one.objects[key]
    if stored is None or one.owner != index.team:
        return ()
    try:
        return organization_page(key, stored, one.name).files
    except Malformed:
        return ()


def _is_stored(file: File, one: Observed, index: Index) -> bool:
    facts = one.facts.get(index.file(one.name, file.filename))
    return bool(facts and facts.sha256 == file.digest)


def _present(file: File, one: Observed, index: Index) -> bool:
    """Return whether a file that should be listed exists, whatever its bytes; record problems."""
    key = index.file(one.name, file.filename)
    facts = one.facts.get(key)
    if facts is None:
        one.lost.append(f"{key}: listed, but missing")
        return False
    if facts.sha256 != file.digest:
        one.lost.append(
            f"{key}: released with SHA-256 {file.digest}, stored with {facts.sha256}; restore "
            "the object's earlier version"
        )
    elif file.size not in (None, facts.size):
        one.findings.append(f"{key}: listed with {file.size} bytes, stored with {facts.size}")
    if (wrong := metadata_problem(file, one, index)) is not None:
        one.findings.append(f"{key}.metadata: {wrong}")
    return True


def metadata_problem(file: File, one: Observed, index: Index) -> str | None:
    """Return what is wrong with the core metadata stored for a wheel, or None."""
    key = index.file(one.name, file.filename)
    if not file.core_metadata or one.facts.get(key) is None:
        return None
    facts, digest = one.facts.get(f"{key}.metadata"), file.metadata_digest
    if facts is None:
        return "missing"
    if digest and facts.sha256 != digest:
        return "stored with another SHA-256 than listed"
    return None
