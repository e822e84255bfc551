"""What the bucket holds of a team, and what it should hold: one walk for verify and repair.

A finding is something that clients meet and repair mends, or that needs an administrator. A note
is what harms nobody and cannot be mended without deleting: an upload that was abandoned, a
folder that is not a project's.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version

from s3index import pages, site
from s3index.distribution import parse_filename
from s3index.errors import Refused
from s3index.pages import Claim, File, Malformed, ProjectPage
from s3index.refresh import Objects, organization_page
from s3index.settings import NAME, Index
from s3index.steps import Facts, Get, Stat, Steps, Stored, ask, get_all

TOGETHER = 64
"""Projects that are looked at in one batch: what they hold has to fit into memory."""


@dataclass
class Observed:
    """A project as the bucket has it.

    `keys` are those of its folder, `objects` what is derived from its page, `claims` {canonical
    version: claim}, `facts` {key: what the server says of a distribution}, `metadata` {key:
    core metadata beside a wheel}, `owner` the team that has the name in the organisation's
    namespace. `findings`, `lost` (findings that nothing in the bucket can mend) and `notes` grow
    while it is judged.
    """

    name: str
    keys: frozenset[str]
    stored: Stored | None
    page: ProjectPage | None
    objects: Objects
    claims: dict[Version, Claim]
    owner: str | None
    facts: dict[str, Facts | None] = field(default_factory=dict)
    metadata: Objects = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> bool:
        """Tell whether there is no page; S3's console makes an empty object of each folder."""
        return self.stored is None or not self.stored.body


def folders(keys: Collection[str], index: Index) -> tuple[set[str], list[str]]:
    """Return the projects that have a folder among a team's keys, and the keys of nothing known."""
    names, foreign = set(), []
    for key in keys:
        path = key.removeprefix(index.team_list)
        name, slash, _ = path.partition("/")
        if slash and re.fullmatch(NAME, name):
            names.add(name)
        elif key not in (index.team_list, index.constraints):
            foreign.append(key)
    return names, foreign


def observe(
    names: Sequence[str], index: Index, keys: Collection[str], *, deep: bool
) -> Steps[list[Observed]]:
    """Read what the bucket holds of projects, in two round trips; `keys` are those of the team."""
    wanted: list[str] = []
    folder: dict[str, frozenset[str]] = {}
    for name in names:
        page = index.project_page(name)
        folder[name] = frozenset(key for key in keys if key.startswith(page))
        claims = [key for key in folder[name] if _claimed_version(key.removeprefix(page))]
        wanted += [page, *site.project_keys(index, name), *claims]
    objects = yield from get_all(wanted)
    found = [_observed(name, folder[name], index, objects) for name in names]
    # A release that was made since the keys were listed has its files, too: what pages and claims
    # name is asked for, listed or not.
    files = {one.name: _distributions(one, index) for one in found}
    wheels = {one.name: [f"{key}.metadata" for key in _wheels(one, index)] for one in found}
    stats = [Stat(key, deep) for keys in files.values() for key in keys]
    metadata = [Get(key) for keys in wheels.values() for key in keys]
    replies = iter((yield from ask([*stats, *metadata])))
    for one in found:
        one.facts = dict(zip(files[one.name], replies, strict=False))
    for one in found:
        one.metadata = dict(zip(wheels[one.name], replies, strict=False))
    return found


def chunks(names: Collection[str]) -> Iterator[list[str]]:
    """Return names, sorted, in lists of what is looked at together."""
    ordered = sorted(names)
    for start in range(0, len(ordered), TOGETHER):
        yield ordered[start : start + TOGETHER]


def should_be(one: Observed, index: Index) -> list[File]:
    """Return the files that a project's page should list; notes and findings say why.

    A claim whose files are all stored, with its digests, is a release. So is what the page lists
    already, if it is stored. Yanks come from the page, else from its copy in the organisation's
    namespace, else from the claim of a release that was imported. Everything else is left alone.
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
        if any(file.filename in old for file in claim.files):
            listed += [pages.yanked(file, yanked.get(version, file.yanked)) for file in there]
        elif len(there) == len(claim.files):
            listed += [pages.yanked(file, yanked.get(version, file.yanked)) for file in there]
            one.findings.append(f"{key}: the release is complete, but not listed")
        else:
            one.notes.append(f"{key}: a release whose files are not all there, and not listed")
    # What 0.2.0 released has no claim; where the page is lost, its copy knows as much.
    known = list(old.values()) if one.page else copy
    listed += [file for file in known if file.filename not in claimed]
    names = {file.filename for file in listed} | claimed
    one.notes += [
        f"{key}: stored, but part of no release"
        for key, facts in one.facts.items()
        if facts and key.rpartition("/")[2] not in names
    ]
    files = [file for file in listed if _present(file, one, index)]
    if one.missing and files:
        one.findings.append(f"{index.project_page(one.name)}: missing")
    return files


def unclaimed(one: Observed, files: Collection[File], index: Index) -> list[Claim]:
    """Return claims for releases that have none, which 0.2.0 made: if all their files are right."""
    found = []
    for version in sorted({file.version for file in files} - one.claims.keys()):
        entries = [file for file in files if file.version == version]
        times = [file.upload_time for file in entries if file.upload_time]
        free = index.claim(one.name, version) not in one.keys
        if free and times and all(_is_stored(file, one, index) for file in entries):
            plain = pages.in_order(pages.yanked(file, False) for file in entries)
            found.append(Claim(one.name, str(version), plain, min(times), plain[0].uploaded_by))
    return found


def read(
    stored: Stored | None, parse: Callable[[bytes], pages.T], key: str, findings: list[str]
) -> pages.T | None:
    """Return what an object parses to; None, and a finding, if it is missing or malformed."""
    if stored is None:
        findings.append(f"{key}: missing")
        return None
    try:
        return parse(stored.body)
    except Malformed:
        findings.append(f"{key}: not what this publisher writes")
        return None


def _observed(name: str, keys: frozenset[str], index: Index, objects: Objects) -> Observed:
    key = index.project_page(name)
    findings: list[str] = []
    stored = objects[key]
    page = None
    if stored and stored.body:
        page = read(stored, lambda body: pages.parse_project(body, key, name), key, findings)
    claims = {}
    for path in sorted(keys):
        version = _claimed_version(path.removeprefix(key))
        if version is None:
            continue
        claim = read(
            objects[path],
            lambda body, path=path, version=version: pages.parse_claim(body, path, name, version),  # type: ignore[misc]
            path,
            findings,
        )
        if claim:
            claims[version] = claim
    derived = {path: objects[path] for path in site.project_keys(index, name)}
    owned = index.organization_page(name)
    owner = None
    if derived[owned]:
        owner = read(derived[owned], lambda body: pages.owner(body, owned), owned, findings)
    one = Observed(name, keys, stored, page, derived, claims, owner, findings=findings)
    one.notes += [
        f"{path}: nothing that this publisher writes"
        for path in sorted(keys - {key})
        if not _claimed_version(path.removeprefix(key))
        and not _is_distribution(path.removesuffix(".metadata"), one)
    ]
    return one


def _claimed_version(path: str) -> Version | None:
    """Return the version of a claim's key, None if the key is not one."""
    found = re.fullmatch(r"release-(.{1,200})\.json", path)
    try:
        version = Version(found[1]) if found else None
    except InvalidVersion:
        return None
    # Equal versions have one claim: release-1.0.json would be a second one of 1.
    return version if version and path == f"release-{canonicalize_version(version)}.json" else None


def _is_distribution(key: str, one: Observed) -> bool:
    folder, _, filename = key.rpartition("/")
    try:
        return folder.count("/") == 2 and parse_filename(filename)[0] == one.name
    except Refused:
        return False


def _distributions(one: Observed, index: Index) -> list[str]:
    """Return the keys of the wheels and sdists that are in a folder, or that anything names."""
    stored = {key for key in one.keys if _is_distribution(key, one)}
    return sorted(stored | {index.file(one.name, file.filename) for file in _named(one, index)})


def _wheels(one: Observed, index: Index) -> list[str]:
    """Return the keys of the wheels whose core metadata a page or a claim names."""
    files = (file for file in _named(one, index) if file.core_metadata)
    return sorted({index.file(one.name, file.filename) for file in files})


def _named(one: Observed, index: Index) -> list[File]:
    claimed = (file for claim in one.claims.values() for file in claim.files)
    return [*(one.page.files if one.page else ()), *_copy(one, index), *claimed]


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
    """Tell whether a file that should be listed is there, with or without its released bytes."""
    key = index.file(one.name, file.filename)
    facts = one.facts.get(key)
    if facts is None:
        one.lost.append(f"{key}: listed, but missing")
        return False
    if facts.sha256 != file.digest:
        one.lost.append(
            f"{key}: released with SHA-256 {file.digest}, stored is {facts.sha256}; bring the "
            "object's earlier version back"
        )
    elif file.size not in (None, facts.size):
        one.findings.append(f"{key}: listed with {file.size} bytes, stored are {facts.size}")
    if (wrong := metadata_problem(file, one, index)) is not None:
        one.findings.append(f"{key}.metadata: {wrong}")
    return True


def metadata_problem(file: File, one: Observed, index: Index) -> str | None:
    """Return what is wrong with the core metadata beside a wheel, None if nothing is."""
    key = index.file(one.name, file.filename)
    if not file.core_metadata or one.facts.get(key) is None:
        return None
    stored, digest = one.metadata.get(f"{key}.metadata"), file.metadata_digest
    if stored is None:
        return "missing"
    if digest and sha256(stored.body).hexdigest() != digest:
        return "stored with another SHA-256 than listed"
    return None
