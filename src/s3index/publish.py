"""The publishing protocol: a release is claimed, created once, listed by a swap, then derived from.

1. Snapshot: read the project page, both lists, every derived object, the release's claim, and
   which of its files are stored. Everything that can be refused is refused here.
2. Claim the release: create the object that says which files, with which digests, it consists
   of; with a project's first release also its page in the organisation's namespace, which makes
   the name this team's.
3. Create the files. From here on they are in the bucket, so that a page may name them.
4. Swap the project page. This is the release.
5. Refresh the lists and what is derived.

Each step is one round trip when nobody interferes. A step that loses a swap reads that object
again and goes on. A publish that dies anywhere is finished by running it again with the same
files.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import sha256

from packaging.version import Version

from s3index import pages, site
from s3index.distribution import Distribution
from s3index.errors import Refused
from s3index.pages import Claim, ProjectPage
from s3index.refresh import (
    Objects,
    Scope,
    derived_put,
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


class Outcome(IntEnum):
    """What a publish did; false if nothing was left to do."""

    UNCHANGED = 0
    WRITTEN = 1
    FIRST = 2
    """The project had no page before: this is its first release."""


@dataclass(frozen=True)
class Snapshot:
    """What the first round trip found: the project page, and every object that follows from it.

    `stored` is the page as it was read, None if there is none yet; `lists` holds, for each list,
    its objects, `project` those of the project alone.
    """

    page: ProjectPage
    stored: Stored | None
    lists: list[tuple[Scope, Objects]]
    project: Objects


@dataclass(frozen=True)
class Prepared:
    """What a publish will go by: a snapshot, and what there is of the release.

    `key` is the claim's key and `claim` the one that holds, if `claimed` as it is in the bucket;
    `stored` are the keys that are there, `released` tells whether the page lists the version.
    """

    snapshot: Snapshot
    key: str
    claim: Claim
    claimed: bool
    stored: frozenset[str]
    released: bool


def publish(files: Sequence[Distribution], index: Index, claim: Claim) -> Steps[Outcome]:
    """Publish one release, or finish one that was cut off; returns what that took.

    `files` are the distributions that `claim` names, all of one version of one project. Raises
    Refused before the first PUT as `prepare` does, and later if another build of the version, or
    another team's project of the name, was faster.
    """
    state = yield from prepare(files, index, claim)
    found = state.snapshot
    if state.released:
        return Outcome((yield from change(index, found, lambda page: page)))
    claim, found = yield from _claim(index, state)
    yield from _create(files, index, state.stored)
    written = yield from change(index, found, lambda page: pages.add(page, claim.files))
    return Outcome.FIRST if found.stored is None else Outcome(written)


def prepare(files: Sequence[Distribution], index: Index, claim: Claim) -> Steps[Prepared]:
    """Look at the bucket for a release, and write nothing.

    Raises Refused if the name is another team's, if the version consists of other files or is
    yanked, or if an object that has to be swapped is not one of ours.
    """
    project, version = files[0].project, files[0].version
    key = index.claim(project, version)
    prefix = os.path.commonprefix([index.file(project, file.filename) for file in files])
    found, [claimed, stored] = yield from gather(
        snapshot(index, project), ask([Get(key), List(prefix)])
    )
    pages.refuse_yanked(found.page, version)
    listed = {file.filename: file.digest for file in found.page.release(version)}
    if listed:
        _refuse_others(claim, listed, version)
    elif claimed:
        claim = _same_claim(claimed, key, claim, version)
    else:
        # Left by 0.2.0, which made no claims: with other bytes there, a claim would be in vain.
        yield from _refuse_stored(files, index, stored)
    return Prepared(found, key, claim, bool(claimed), frozenset(stored), bool(listed))


def planned(
    files: Sequence[Distribution], index: Index, state: Prepared | None
) -> tuple[dict[str, bool], list[str]]:
    """Return what a publish creates, {key: whether it is there already}, and what it swaps.

    `state` is what `prepare` found, None if the bucket could not be read.
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
    """Yank a version (True, or the reason) or take the yank back (False), as PEP 592 says.

    Returns whether anything was written. Raises Refused if the version is not released.
    """
    found = yield from snapshot(index, project)
    return (yield from change(index, found, lambda page: pages.mark(page, version, yanked)))


def snapshot(index: Index, project: str) -> Steps[Snapshot]:
    """Read the project page and everything that follows from it, in one round trip.

    Raises Refused if a page is not one of ours, if the name is another team's, or if the project
    page is older than what was made from it, which only deleting or replacing it by hand causes.
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
        # Perhaps another publisher finished between our reading of the page and of the rest.
        [stored] = yield [Get(key)]
        page = project_page(stored, index, project)
        if newest_serial(found, index) > page.serial:
            raise Refused(
                f"The page at {key} is lost or was put back to an older state: other objects know "
                "a newer one. An administrator's `s3index repair` rebuilds it."
            )
        found = Snapshot(page, stored, found.lists, found.project)
    return found


def newest_serial(found: Snapshot, index: Index) -> int:
    """Return the highest serial of the project that an object of a snapshot was made from."""
    name = found.page.name
    serials = [serial_of(key, stored, name) for key, stored in found.project.items()]
    for scope, objects in found.lists:
        path = scope.record(found.page, index).path
        serials.append(made_from(scope, objects).get(path, 0))
    return max(serials)


def change(
    index: Index, found: Snapshot, next_state: Callable[[ProjectPage], ProjectPage]
) -> Steps[bool]:
    """Swap the project page for its next state, then refresh everything that follows from it.

    `next_state` is asked again of every page that a swap was lost to. Returns whether anything
    was written.
    """
    page, stored = found.page, found.stored
    key = index.project_page(page.name)
    written = False
    while not written:
        changed = next_state(page)
        if changed is page:
            break
        [reply] = yield [page_put(key, changed, stored)]
        if reply:
            page, written = changed, True
        else:
            [stored] = yield [Get(key)]
            page = project_page(stored, index, page.name)
    refreshed = yield from gather(
        refresh_project(index, page, found.project),
        *(refresh_list(scope, index, page, objects) for scope, objects in found.lists),
    )
    return written or any(refreshed)


def metadata_put(key: str, body: bytes, stored: Listed | None) -> Put:
    """Return the request that stores a wheel's core metadata (PEP 658) beside it, as listed."""
    digest, etag = sha256(body).hexdigest(), stored.etag if stored else None
    return Put(key, body, digest, "text/plain; charset=utf-8", IMMUTABLE, etag)


def claim_put(key: str, claim: Claim) -> Put:
    """Return the request that creates a claim."""
    body = pages.dump_claim(claim)
    return Put(key, body, sha256(body).hexdigest(), "application/json", IMMUTABLE)


def _claim(index: Index, state: Prepared) -> Steps[tuple[Claim, Snapshot]]:
    """Claim the release and, the first time, the name.

    Returns the claim that holds, and the snapshot with the name's page as it is now.
    """
    found, project = state.snapshot, state.snapshot.page.name
    owned = index.organization_page(project)
    puts = {} if state.claimed else {state.key: claim_put(state.key, state.claim)}
    if found.project[owned] is None:
        empty = site.organization_page(pages.new_project(project), index)
        puts[owned] = derived_put(owned, empty, None)
    there: dict[str, Stored | None] = {}
    # An object can be neither ours nor another's yet: where two conditional writes meet, S3 may
    # refuse both.
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
    holding = there.get(state.key)
    version = Version(state.claim.version)
    claim = state.claim
    return _same_claim(holding, state.key, claim, version) if holding else claim, found


def _same_claim(stored: Stored, key: str, ours: Claim, version: Version) -> Claim:
    """Return a claim that was read; raises Refused if it is of another build than ours."""
    claim = pages.parse_claim(stored.body, key, ours.name, version)
    if claim.digests != ours.digests:
        who = f" by {claim.uploaded_by}" if claim.uploaded_by else ""
        commit = f" from commit {claim.commit}" if claim.commit else ""
        files = "".join(f"\n  {name} {digest}" for name, (digest, _) in claim.digests.items())
        raise Refused(
            f"{ours.name} {claim.version} was claimed{who}{commit} at {claim.time} by a build with "
            f"other files, and a release never changes:{files}\n"
            "Publish those files (the same commit builds them again), or bump the version."
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

    What is stored already (by a publish that was cut off, or by one that runs now) has to have
    the same bytes.
    """
    puts = {}
    for file in files:
        key = index.file(file.project, file.filename)
        kind = "application/zip" if file.filename.endswith(".whl") else "application/gzip"
        puts[key] = Put(key, file.path, file.sha256, kind, IMMUTABLE)
        if file.metadata is not None:
            puts[f"{key}.metadata"] = metadata_put(f"{key}.metadata", file.metadata, None)
    created: set[str] = set()
    taken = [key for key in puts if key in stored]
    while len(created) < len(puts):
        facts = yield from ask([Stat(key) for key in taken])
        for key, fact in zip(taken, facts, strict=True):
            if fact and fact.sha256 != puts[key].sha256:
                filename = key.split("/")[-1].removesuffix(".metadata")
                raise pages.immutable(files[0].project, filename)
            if fact:
                created.add(key)
        wanted = [key for key in puts if key not in created]
        replies = yield from ask([puts[key] for key in wanted])
        created |= {key for key, reply in zip(wanted, replies, strict=True) if reply}
        taken = [key for key in puts if key not in created]


def _refuse_stored(
    files: Sequence[Distribution], index: Index, stored: Collection[str]
) -> Steps[None]:
    """Raise Refused if a file of the release is stored with other bytes."""
    known = {index.file(file.project, file.filename): file for file in files}
    taken = [key for key in known if key in stored]
    facts = yield from ask([Stat(key) for key in taken])
    for key, fact in zip(taken, facts, strict=True):
        if fact and fact.sha256 != known[key].sha256:
            raise pages.immutable(known[key].project, known[key].filename)
