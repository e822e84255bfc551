"""Rebuild the team's index from its claims and the files in the bucket.

Names, digests, uploaders and times come from the claims; for releases of 0.2.0, which made no
claims, they come from the pages, and claims are created now. Yanks come from an old page. Nothing
that was released is lost, and nothing that was not released is listed. Others may publish
meanwhile: after a lost swap, the attempt starts over.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256

from packaging.version import Version

from s3index import audit, pages, site
from s3index.audit import Described, Observed
from s3index.pages import File, Malformed, ProjectPage, Record, Records
from s3index.publish import claim_put, metadata_put
from s3index.refresh import (
    Objects,
    Scope,
    catch_up,
    derived_put,
    differs,
    list_put,
    made_from,
    organization_page,
    page_put,
    read_about,
    scopes,
    serial_of,
)
from s3index.settings import LIST, NAME, Index
from s3index.steps import CoreMetadata, Put, Steps, Stored, ask, gather, get_all


def repair(index: Index) -> Steps[list[str]]:
    """Rebuild pages, lists and derived objects; return the problems that remain.

    A file without its released bytes stays listed as it was, so that clients reject it by its
    digest: restore it from the bucket's version history.
    """
    while True:
        left = yield from _attempt(index)
        if left is not None:
            return left


def _attempt(index: Index) -> Steps[list[str] | None]:
    """Repair once; return None if another publisher won a swap."""
    both = scopes(index)
    lists, keys = yield from gather(
        get_all([key for scope in both for key in scope.keys]), audit.listed_keys(index)
    )
    listed = {scope.key: audit.records_of(scope, lists, []) for scope in both}
    made = _made(both, lists, listed, index)
    folders, _ = audit.folders(keys, index)
    released = audit.listed_names(listed, index) | made.keys()
    names = folders.keys() | released
    left: list[str] = []
    read: dict[str, Described] = {}
    for chunk in audit.chunks(names, folders):
        observed = yield from audit.observe(chunk, index, keys, deep=False)
        found = yield from _repair_projects(observed, index, made, released, left)
        if found is None:
            return None
        read |= found
    others = yield from _other_teams(keys, names | listed[LIST].keys(), index)
    puts = []
    for scope in both:
        copies = {} if scope.team else others
        # Another team's release may have reached its copy, or derived objects, before the list.
        ahead = {record.path: record.last_serial for record in copies.values()}
        ahead |= _serials(scope, lists, listed)
        read_now = yield from catch_up(scope, index, listed[scope.key], ahead)
        known = {**_kept(scope, lists), **copies, **read_now}
        records = audit.expected_records(scope, known, read, names, index)
        bodies = scope.render(records, index)
        puts.append(list_put(scope, records, lists[scope.key]))
        puts += [derived_put(key, bodies[key], lists[key]) for key in scope.derived]
    return left if (yield from _write(puts, lists)) else None


def _made(
    both: Sequence[Scope], lists: Objects, listed: Mapping[str, Records], index: Index
) -> dict[str, int]:
    """Return the highest serial of each of the team's projects that the lists were made from."""
    made: dict[str, int] = {}
    for scope in both:
        for path, serial in _serials(scope, lists, listed).items():
            team, _, name = path.rpartition("/")
            if team == ("" if scope.team else index.team):
                made[name] = max(serial, made.get(name, 0))
    return made


def _serials(scope: Scope, lists: Objects, listed: Mapping[str, Records]) -> dict[str, int]:
    """Return the highest serials that a list and its derived objects were made from."""
    # A damaged list says nothing; the objects derived from it still do.
    keys = scope.keys if listed[scope.key] else scope.derived
    return made_from(scope, {key: lists[key] for key in keys})


def _kept(scope: Scope, lists: Objects) -> Records:
    """Return records of the names in a list's derived objects, so that they stay taken."""
    kept = {}
    for path, serial in made_from(scope, {key: lists[key] for key in scope.derived}).items():
        team, _, name = path.rpartition("/")
        if bool(team) == (scope.team is None):
            kept[name] = pages.Record(name, serial, None, team or None)
    return kept


def _other_teams(
    keys: Collection[str], known: Collection[str], index: Index
) -> Steps[dict[str, Record]]:
    """Return the records of other teams' projects that the organisation's list lacks."""
    projects = {
        key: key.removeprefix(LIST).rstrip("/")
        for key in keys
        if re.fullmatch(rf"{LIST}{NAME}/", key)
    }
    lost = [key for key, name in projects.items() if name not in known]
    records = {}
    for key, stored in (yield from get_all(lost)).items():
        try:
            page = organization_page(key, stored, projects[key]) if stored else None
        except Malformed:
            continue
        if page and page.files and page.meta.team != index.team:
            records[page.name] = pages.record(page, page.meta.team)
    return records


def _repair_projects(
    observed: Sequence[Observed],
    index: Index,
    made: Mapping[str, int],
    released: Collection[str],
    left: list[str],
) -> Steps[dict[str, Described] | None]:
    """Repair projects; return their pages, described, or None if another publisher won a swap.

    `released` are the names that any list says were released once: they get a page, even an empty
    one, so that the next release can continue from its serial. Others get none without files.
    """
    found: dict[str, ProjectPage] = {}
    first: list[Put] = []
    puts: list[Put] = []
    there: dict[str, Stored | None] = {}
    rendered: dict[str, bytes] = {}
    for one in observed:
        key = index.project_page(one.name)
        files = audit.should_be(one, index)
        if one.owner not in (None, index.team):
            left += [f"{key}: the name {one.name} is team {one.owner}'s"] if one.stored else []
            continue
        left += one.lost
        if one.page is None and not files and not (one.missing and one.name in released):
            if not one.missing:
                left.append(f"{key}: no claim says what it listed; restore its earlier version")
            continue
        page = found[one.name] = _page(one, files, made.get(one.name, 0))
        claims = audit.unclaimed(one, files, index)
        first += [
            claim_put(index.claim(one.name, Version(claim.version)), claim) for claim in claims
        ]
        first += yield from _metadata(one, files, index)
        puts.append(page_put(key, page, one.stored))
        there |= {key: one.stored, **one.objects}
        rendered |= one.rendered
    # Everything that a page names must exist before the page.
    if not ((yield from _write(first, there)) and (yield from _write(puts, there))):
        return None
    changed, described = yield from _described(observed, found, index)
    rendered |= site.project_site([described[name] for name in changed], index)
    derived = [derived_put(key, body, there[key]) for key, body in rendered.items()]
    return described if (yield from _write(derived, there)) else None


def _described(
    observed: Sequence[Observed], found: Mapping[str, ProjectPage], index: Index
) -> Steps[tuple[list[str], dict[str, Described]]]:
    """Return the names whose pages or core metadata were repaired, and each page, described."""
    read = {one.name: (one.page, one.about) for one in observed}
    # Lost core metadata has been restored by now.
    changed = [
        name for name, page in found.items() if read[name][0] != page or read[name][1] is None
    ]
    abouts = yield from gather(*(read_about(index, found[name]) for name in changed))
    new = dict(zip(changed, abouts, strict=True))
    return changed, {
        name: (page, new[name] if name in new else read[name][1]) for name, page in found.items()
    }


def _page(one: Observed, files: Sequence[File], made: int) -> ProjectPage:
    """Return the page that a project should have; `made` is its serial according to the lists."""
    old = one.page or pages.new_project(one.name)
    serials = [serial_of(path, stored, one.name) for path, stored in one.objects.items()]
    serials += [old.serial, made]
    newest = max((serial for serial in serials if serial < pages.FORGED), default=0)
    if pages.in_order(files) == old.files and old.serial == newest and one.page:
        return old
    return pages.with_files(old, files, newest + 1)


def _metadata(one: Observed, files: Sequence[File], index: Index) -> Steps[list[Put]]:
    """Return the requests that restore lost core metadata (PEP 658) from its wheels."""
    wheels = [file for file in files if audit.metadata_problem(file, one, index)]
    keys = [index.file(one.name, file.filename) for file in wheels]
    bodies = yield from ask([CoreMetadata(key) for key in keys])
    return [
        metadata_put(f"{key}.metadata", body, one.listed.get(f"{key}.metadata"))
        for key, body, file in zip(keys, bodies, wheels, strict=True)
        if body and file.metadata_digest in (None, sha256(body).hexdigest())
    ]


def _write(puts: Sequence[Put], objects: Objects) -> Steps[bool]:
    """Write the objects that differ; return whether every swap was won."""
    wanted = [put for put in puts if differs(objects.get(put.key), put)]
    return all((yield from ask(wanted)))
