"""The publishing protocol: claim a release, create its files, swap the page, refresh the rest.

1. Snapshot: read the project page, both lists, every derived object and the release's claim, and
   list its stored files. Everything that can be refused is refused here.
2. Claim the release: create the object that names its files and their digests; for a project's
   first release, also create its page in the organisation's namespace, which reserves the name for
   this team.
3. Create the files. From here on they are in the bucket, so that a page may name them.
4. Swap the project page. This is the release.
5. Refresh the lists and the derived objects.

Each step is one round trip when nobody interferes. A step that loses a swap reads that object
again and continues. To finish a publish that died at any point, run it again with the same files.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum
from hashlib import sha256

from msgspec import structs
from packaging.version import Version

from s3index import pages, site
from s3index.about import required
from s3index.claims import Claim, dump_claim, parse_claim
from s3index.distribution import Distribution
from s3index.errors import Refused
from s3index.pages import ProjectPage
from s3index.refresh import (
    Objects,
    Scope,
    derived_put,
    describe,
    described_by,
    made_from,
    organization_page,
    page_put,
    project_page,
    refresh_list,
    refresh_project,
    scopes,
    serial_of,
)
from s3index.settings import Index
from s3index.steps import Get, List, Listed, Put, Stat, Steps, Stored, ask, gather, get_all

IMMUTABLE = "public, max-age=31536000, immutable"


Known = tuple[datetime | None, bool | str]
"""A file's upload time on another index, and whether (or why) it is yanked there."""


class Outcome(IntEnum):
    """What a publish did; falsy if nothing was left to do."""

    UNCHANGED = 0
    WRITTEN = 1
    FIRST = 2
    """The project had no page before: this is its first release."""


@dataclass(frozen=True)
class Snapshot:
    """The result of the first round trip: the project page, and every object derived from it.

    `stored` is the page as read, None if there is none yet; `lists` holds the objects of each
    list, `project` those of the project alone.
    """

    page: ProjectPage
    stored: Stored | None
    lists: list[tuple[Scope, Objects]]
    project: Objects


@dataclass(frozen=True)
class Prepared:
    """The state that a publish starts from: a snapshot, and what exists of one release.

    `key` is the claim's key and `claim` the valid claim, as read from the bucket if `claimed`;
    `stored` are the existing keys, `released` tells whether the page lists the version.
    """

    files: Sequence[Distribution]
    snapshot: Snapshot
    key: str
    claim: Claim
    claimed: bool
    stored: frozenset[str]
    released: bool


def publish(files: Sequence[Distribution], index: Index, claim: Claim) -> Steps[Outcome]:
    """Publish one release, or finish one that was interrupted; return the outcome.

    `files` are the distributions that `claim` names, all of one version of one project. Raise
    Refused before the first PUT as `prepare` does, and later if another build of the version, or
    another team's project of the name, was faster.
    """
    state = yield from prepare(files, index, claim)
    return (yield from _carry_out(index, [state]))


def import_releases(
    releases: Sequence[tuple[Sequence[Distribution], Claim]], index: Index
) -> Steps[Outcome]:
    """Publish any number of old releases of a project with one swap of its page.

    `releases` are pairs of files and their claim. Existing releases stay as they are, yanked or
    not. Raise Refused as `publish` does; before the first PUT, with a line for each release that
    cannot be imported.
    """
    states, refused = yield from _prepare(releases, index)
    if refused:
        lines = "".join(f"\n  {str(refusal).splitlines()[0]}" for refusal in refused)
        raise Refused(f"Nothing was imported. These releases cannot be imported:{lines}")
    return (yield from _carry_out(index, states))


def imported(claim: Claim, host: str, known: Mapping[str, Known]) -> Claim:
    """Return an old release's claim, marked as imported, with another index's data on its files.

    `host` is that index's, empty for files on disk. A yank applies to the whole release (PEP 592),
    and an upload is never later than the claim.
    """
    said = [known.get(file.filename, (None, False)) for file in claim.files]
    reason = next((yanked for _, yanked in said if yanked), False)
    yanked = pages.line(reason) or True if isinstance(reason, str) else reason
    source = f" from {host}" if host else ""
    who = claim.uploaded_by
    by = pages.line(f"{who} (imported{source})" if who else f"an import{source}")
    files = []
    for file, (uploaded, _) in zip(claim.files, said, strict=True):
        time = f"{uploaded.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if uploaded else claim.time
        time = min(time, claim.time)
        files.append(structs.replace(file, upload_time=time, uploaded_by=by, yanked=yanked))
    return structs.replace(claim, files=tuple(files))


def prepare(files: Sequence[Distribution], index: Index, claim: Claim) -> Steps[Prepared]:
    """Read a release's state from the bucket; write nothing.

    Raise Refused if the name belongs to another team, if the version has other files or is yanked,
    or if an object that has to be swapped is not one of ours.
    """
    states, refused = yield from _prepare([(files, claim)], index)
    for refusal in refused:
        raise refusal
    pages.refuse_yanked(states[0].snapshot.page, files[0].version)
    return states[0]


def _prepare(
    releases: Sequence[tuple[Sequence[Distribution], Claim]], index: Index
) -> Steps[tuple[list[Prepared], list[Refused]]]:
    """Read the state of one project's releases; return them, and the refusals."""
    project = releases[0][0][0].project
    keys = [index.claim(project, files[0].version) for files, _ in releases]
    names = [index.file(project, file.filename) for files, _ in releases for file in files]
    found, [stored, *claims] = yield from gather(
        snapshot(index, project),
        ask([List(os.path.commonprefix(names)), *(Get(key) for key in keys)]),
    )
    there = frozenset(stored)
    teams = _teams(found)
    releases = [(files, _with_teams(claim, files, teams)) for files, claim in releases]
    compared: list[Prepared | Refused] = yield from gather(
        *(
            _compare(
                Prepared(files, found, key, claim, bool(claimed), there, released=False),
                index,
                claimed,
            )
            for (files, claim), key, claimed in zip(releases, keys, claims, strict=True)
        )
    )
    states = [each for each in compared if isinstance(each, Prepared)]
    return states, [each for each in compared if isinstance(each, Refused)]


def _teams(found: Snapshot) -> dict[str, str]:
    """Return the team of each of the organisation's projects, according to its list."""
    [(scope, objects)] = [each for each in found.lists if each[0].team is None]
    stored = objects[scope.key]
    records, _ = pages.parse_list(stored.body, scope.key, scope.base) if stored else ({}, [])
    return {name: record.team for name, record in records.items() if record.team}


def _with_teams(claim: Claim, files: Sequence[Distribution], teams: Mapping[str, str]) -> Claim:
    """Return the claim with those of the files' requirements that are the organisation's."""
    needed = {name for file in files if file.metadata for name in required(file.metadata)}
    ours = {name: teams[name] for name in sorted(needed & teams.keys())}
    return structs.replace(claim, dependencies=ours)


def _compare(state: Prepared, index: Index, claimed: Stored | None) -> Steps[Prepared | Refused]:
    """Return a release updated from its page and its claim, or why it is refused."""
    version = state.files[0].version
    listed = {file.filename: file.digest for file in state.snapshot.page.release(version)}
    try:
        if listed:
            _refuse_others(state.claim, listed, version)
        elif claimed:
            state = replace(state, claim=_same_claim(claimed, state.key, state.claim, version))
        else:
            # 0.2.0 made no claims; if it left other bytes here, a claim would be useless.
            keys = {index.file(file.project, file.filename): file for file in state.files}
            taken = {key: file.sha256 for key, file in keys.items() if key in state.stored}
            yield from _same_bytes(state.claim.name, taken)
    except Refused as refusal:
        return refusal
    return replace(state, released=bool(listed))


def planned(
    files: Sequence[Distribution], index: Index, state: Prepared | None
) -> tuple[dict[str, bool], list[str]]:
    """Return the keys that a publish creates, {key: whether it exists}, and those that it swaps.

    `state` is the result of `prepare`, None if the bucket could not be read.
    """
    project, version = files[0].project, files[0].version
    keys = {index.claim(project, version): bool(state and state.claimed)}
    for file in files:
        key = index.file(project, file.filename)
        names = [key] if file.metadata is None else [key, f"{key}.metadata"]
        keys |= {name: bool(state and name in state.stored) for name in names}
    lists = [key for scope in scopes(index) for key in scope.keys]
    return keys, [index.project_page(project), *site.project_keys(index, project), *lists]


def yank(index: Index, project: str, version: Version, yanked: bool | str) -> Steps[bool]:
    """Yank a version (True, or the reason) or undo the yank (False), as in PEP 592.

    Return whether anything was written. Raise Refused if the version is not released.
    """
    found = yield from snapshot(index, project)
    return (yield from change(index, found, lambda page: pages.mark(page, version, yanked)))


def snapshot(index: Index, project: str) -> Steps[Snapshot]:
    """Read the project page and everything derived from it, in one round trip.

    Raise Refused if a page is not one of ours, if the name belongs to another team, or if the
    project page is older than objects made from it, which only happens if it was deleted or
    replaced by hand.
    """
    key, project_keys = index.project_page(project), site.project_keys(index, project)
    both = scopes(index)
    objects = yield from get_all([key, *project_keys, *(k for scope in both for k in scope.keys)])
    found = Snapshot(
        project_page(objects[key], index, project),
        objects[key],
        [(scope, {k: objects[k] for k in scope.keys}) for scope in both],
        {k: objects[k] for k in project_keys},
    )
    _refuse_taken(index, project, objects[index.organization_page(project)])
    if newest_serial(found, index) > found.page.serial:
        # Another publisher may have finished after we read the page but before we read the rest.
        [stored] = yield [Get(key)]
        page = project_page(stored, index, project)
        if newest_serial(found, index) > page.serial:
            raise Refused(
                f"The page at {key} was lost or reverted to an older state: other objects refer to "
                "a newer one. Run `s3index repair` as an administrator to rebuild it."
            )
        found = Snapshot(page, stored, found.lists, found.project)
    return found


def newest_serial(found: Snapshot, index: Index) -> int:
    """Return the highest serial of the project that any object in a snapshot was made from."""
    name = found.page.name
    serials = [serial_of(key, stored, name) for key, stored in found.project.items()]
    for scope, objects in found.lists:
        path = scope.record(found.page, index).path
        serials.append(made_from(scope, objects).get(path, 0))
    return max(serials)


def change(
    index: Index,
    found: Snapshot,
    next_state: Callable[[ProjectPage], ProjectPage],
    known: Objects | None = None,
) -> Steps[bool]:
    """Swap the project page for its next state, then refresh everything derived from it.

    After a lost swap, `next_state` is called with the page that won. `known` are objects that
    describe releases; missing ones that describe the newest are read alongside the swap. Return
    whether anything was written.
    """
    page, stored, described = found.page, found.stored, dict(known or {})
    key = index.project_page(page.name)
    written = False
    while True:
        changed = next_state(page)
        unread = [each for each in described_by(index, changed) if each not in described]
        if changed is page:
            described |= yield from get_all(unread)
            break
        [[reply], read] = yield from gather(ask([page_put(key, changed, stored)]), get_all(unread))
        described |= read
        if reply:
            page, written = changed, True
            break
        [stored] = yield [Get(key)]
        page = project_page(stored, index, page.name)
    about = describe(index, page, described)
    refreshed = yield from gather(
        refresh_project(index, page, about, found.project),
        *(refresh_list(scope, index, page, about, objects) for scope, objects in found.lists),
    )
    return written or any(refreshed)


def metadata_put(key: str, body: bytes, stored: Listed | None) -> Put:
    """Return the request that stores a wheel's core metadata (PEP 658); `stored` is as listed."""
    digest, etag = sha256(body).hexdigest(), stored.etag if stored else None
    return Put(key, body, digest, "text/plain; charset=utf-8", IMMUTABLE, etag)


def claim_put(key: str, claim: Claim) -> Put:
    """Return the request that creates a claim."""
    body = dump_claim(claim)
    return Put(key, body, sha256(body).hexdigest(), "application/json", IMMUTABLE)


def _carry_out(index: Index, states: Sequence[Prepared]) -> Steps[Outcome]:
    """Publish the releases that are not listed yet, with one swap; return the outcome."""
    new = [state for state in states if not state.released]
    if not new:
        return Outcome((yield from change(index, states[0].snapshot, lambda page: page)))
    claims, found = yield from _claim(index, new)
    distributions = [file for state in new for file in state.files]
    yield from _create(distributions, index, new[0].stored)
    files = [file for claim in claims for file in claim.files]
    ours = {state.key: dump_claim(claim) for state, claim in zip(new, claims, strict=True)} | {
        f"{index.file(file.project, file.filename)}.metadata": file.metadata
        for file in distributions
        if file.metadata is not None
    }
    known = {key: Stored(body, "") for key, body in ours.items()}
    written = yield from change(index, found, lambda page: pages.add(page, files), known)
    return Outcome.FIRST if found.stored is None else Outcome(written)


def _claim(index: Index, states: Sequence[Prepared]) -> Steps[tuple[list[Claim], Snapshot]]:
    """Claim the releases and, for a project's first release, the name.

    Return the valid claims, and the snapshot with the current page of the name.
    """
    found, project = states[0].snapshot, states[0].snapshot.page.name
    owned = index.organization_page(project)
    puts = {state.key: claim_put(state.key, state.claim) for state in states if not state.claimed}
    if found.project[owned] is None:
        empty = site.organization_page(pages.new_project(project), index)
        puts[owned] = derived_put(owned, empty, None)
    there: dict[str, Stored | None] = {}
    # S3 may refuse both of two concurrent conditional writes, so an object that we failed to create
    # may still be missing.
    while wanted := [put for key, put in puts.items() if not there.get(key)]:
        replies = yield from ask(wanted)
        there |= {
            put.key: Stored(put.body, reply.etag)
            for put, reply in zip(wanted, replies, strict=True)
            if reply and isinstance(put.body, bytes)
        }
        there |= yield from get_all([put.key for put in wanted if not there.get(put.key)])
    _refuse_taken(index, project, there.get(owned))
    found = replace(found, project={**found.project, owned: there.get(owned, found.project[owned])})
    claims = []
    for state in states:
        holding, claim = there.get(state.key), state.claim
        version = Version(claim.version)
        claims.append(_same_claim(holding, state.key, claim, version) if holding else claim)
    return claims, found


def _same_claim(stored: Stored, key: str, ours: Claim, version: Version) -> Claim:
    """Parse a stored claim; raise Refused if it is for another build than ours."""
    claim = parse_claim(stored.body, key, ours.name, version)
    if claim.digests != ours.digests:
        who = f" by {claim.uploaded_by}" if claim.uploaded_by else ""
        commit = f" from commit {claim.commit}" if claim.commit else ""
        again = "" if commit.endswith("-modified") else " (the same commit builds them again)"
        files = "".join(f"\n  {name} {digest}" for name, (digest, _) in claim.digests.items())
        raise Refused(
            f"{ours.name} {claim.version} was claimed{who}{commit} at {claim.time} for "
            f"other files, and a release never changes:{files}\n"
            f"Publish those files{again}, or bump the version."
        )
    return claim


def _refuse_others(claim: Claim, listed: Mapping[str, str], version: Version) -> None:
    """Raise Refused if a released version has other bytes than the claim, or lacks its files."""
    for filename, (digest, _) in claim.digests.items():
        if filename not in listed:
            raise Refused(
                f"{claim.name} {version} is released without {filename}, and a release gets no "
                "further files. Bump the version."
            )
        if listed[filename] != digest:
            raise pages.immutable(claim.name, filename)


def _refuse_taken(index: Index, project: str, stored: Stored | None) -> None:
    """Raise Refused if another team of the organisation has a project of this name."""
    if stored is None:
        return
    team = pages.owner(stored.body, index.organization_page(project))
    if team != index.team:
        raise Refused(
            f"The name {project} belongs to team {team}, which released it first. Choose another "
            "name in pyproject.toml, or release it as that team."
        )
    organization_page(index.organization_page(project), stored, project)


def _create(files: Sequence[Distribution], index: Index, stored: Collection[str]) -> Steps[None]:
    """Create the files that are not stored yet.

    Files that are stored already (by an interrupted or a concurrent publish) must have the same
    bytes.
    """
    puts = {}
    for file in files:
        key = index.file(file.project, file.filename)
        kind = "application/zip" if file.filename.endswith(".whl") else "application/gzip"
        puts[key] = Put(key, file.path, file.sha256, kind, IMMUTABLE)
        if file.metadata is not None:
            puts[f"{key}.metadata"] = metadata_put(f"{key}.metadata", file.metadata, None)
    project = files[0].project
    created: set[str] = set()
    taken = [key for key in puts if key in stored]
    while len(created) < len(puts):
        created |= yield from _same_bytes(project, {key: puts[key].sha256 for key in taken})
        wanted = [key for key in puts if key not in created]
        replies = yield from ask([puts[key] for key in wanted])
        created |= {key for key, reply in zip(wanted, replies, strict=True) if reply}
        taken = [key for key in puts if key not in created]


def _same_bytes(project: str, digests: Mapping[str, str]) -> Steps[set[str]]:
    """Return the keys that exist; raise Refused if one has a different SHA-256."""
    facts = yield from ask([Stat(key) for key in digests])
    found = {key: fact for key, fact in zip(digests, facts, strict=True) if fact}
    for key, fact in found.items():
        if fact.sha256 != digests[key]:
            raise pages.immutable(project, key.rpartition("/")[2].removesuffix(".metadata"))
    return set(found)
