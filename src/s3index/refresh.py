"""Refresh everything derived from the project pages, never going back to an older state.

Lists, HTML, constraints and the organisation's pages each record the serials of the project pages
that they were made from. An object is swapped only for one whose serials are all at least as high,
so that none reverts to an older state, however many writers there are and in any order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from packaging.version import Version

from s3index import about, pages, site
from s3index.about import About
from s3index.claims import Claim, parse_claim
from s3index.pages import Malformed, ProjectPage, Record, Records
from s3index.settings import LIST, Index
from s3index.steps import Put, Steps, Stored, ask, get_all

REVALIDATED = "no-cache"

Objects = Mapping[str, Stored | None]


@dataclass(frozen=True)
class Scope:
    """A project list and the objects derived from it: the team's, or the organisation's.

    `base` is the prefix of the list's links to projects, `team` the team whose projects it may
    contain (None: every team's).
    """

    key: str
    base: str
    team: str | None
    derived: list[str]

    @property
    def keys(self) -> list[str]:
        """Return the keys of the list and of the objects derived from it."""
        return [self.key, *self.derived]

    def render(self, records: Records, index: Index) -> dict[str, bytes]:
        """Return the objects derived from the list."""
        return site.list_site(records, index, self.team)

    def record(self, page: ProjectPage, index: Index, about: About | None = None) -> Record:
        """Return the list's record of a project of the index's team."""
        summary = about.summary if about else None
        return pages.record(page, None if self.team else index.team, summary)


def scopes(index: Index) -> list[Scope]:
    """Return the two lists that contain a team's releases."""
    return [
        Scope(index.team_list, "", index.team, site.list_keys(index, index.team)),
        Scope(LIST, "../packages/", None, site.list_keys(index, None)),
    ]


def refresh_project(
    index: Index, page: ProjectPage, about: About | None, objects: Objects
) -> Steps[bool]:
    """Bring a project's objects, given as read, to the state of its page or a newer one.

    `about` describes its newest release. Return whether anything was written.
    """

    def wanted(objects: Objects) -> Steps[list[Put]]:
        yield from ask([])
        # A publisher with a newer page than ours wrote the objects that have a higher serial.
        rendered = site.project_site([(page, about)], index)
        return [
            derived_put(key, rendered[key], stored)
            for key, stored in objects.items()
            if key in rendered
            and serial_of(key, stored, page.name) <= page.serial
            and not _is_others(key, stored, index)
        ]

    return _write(objects, wanted)


def refresh_list(
    scope: Scope, index: Index, page: ProjectPage, about: About | None, objects: Objects
) -> Steps[bool]:
    """Bring a list and its derived objects, given as read, to the state of one page or a newer one.

    `about` describes the page's newest release. Return whether anything was written.
    """
    records: Records = pages.join({}, [scope.record(page, index, about)])

    def wanted(objects: Objects) -> Steps[list[Put]]:
        nonlocal records
        if stored := objects.get(scope.key):
            there, _ = pages.parse_list(stored.body, scope.key, scope.base)
            records = pages.join(there, records.values())
        records = yield from catch_up(scope, index, records, made_from(scope, objects))
        bodies = scope.render(records, index)
        return [
            list_put(scope, records, stored)
            if key == scope.key
            else derived_put(key, bodies[key], stored)
            for key, stored in objects.items()
        ]

    return _write(objects, wanted)


def described_by(index: Index, page: ProjectPage) -> list[str]:
    """Return the keys that describe a page's newest release: its claim, and its core metadata.

    Empty for a release without a wheel: only wheels have core metadata stored beside them.
    """
    version = pages.newest(page)
    for file in page.release(version) if version else ():
        if version and file.metadata_digest:
            key = f"{index.file(page.name, file.filename)}.metadata"
            return [index.claim(page.name, version), key]
    return []


def describe(index: Index, page: ProjectPage, objects: Objects) -> About | None:
    """Return the description of a page's newest release, from the objects that describe it.

    None if core metadata is missing or differs from the page's digest: no description is better
    than one that nobody released.
    """
    version, keys = pages.newest(page), described_by(index, page)
    if not version or not keys or not (stored := objects.get(keys[1])):
        return None
    digests = {file.metadata_digest for file in page.release(version)}
    if sha256(stored.body).hexdigest() not in digests:
        return None
    return about.read(stored.body, _claim(objects.get(keys[0]), keys[0], page, version))


def read_about(index: Index, page: ProjectPage) -> Steps[About | None]:
    """Read the description of a page's newest release, in one round trip."""
    return describe(index, page, (yield from get_all(described_by(index, page))))


def page_put(key: str, page: ProjectPage, stored: Stored | None) -> Put:
    """Return the request that creates a page, or swaps the one that was read for it."""
    return _put(key, pages.dump(page), pages.CONTENT_TYPE, stored)


def list_put(scope: Scope, records: Records, stored: Stored | None) -> Put:
    """Return the request that creates a list, or swaps the one that was read for it."""
    return _put(scope.key, pages.dump_list(records, scope.base), pages.CONTENT_TYPE, stored)


def derived_put(key: str, body: bytes, stored: Stored | None) -> Put:
    """Return the request that creates a derived object, or swaps the one that was read for it."""
    return _put(key, body, site.content_type(key), stored)


def made_from(scope: Scope, objects: Objects) -> dict[str, int]:
    """Return the highest serial of each project that a list or its derived objects were made from.

    Projects are named by their path (`Record.path`). Raise Malformed if the list is not one.
    """
    made: dict[str, int] = {}
    for key, stored in objects.items():
        if stored and key == scope.key:
            records, _ = pages.parse_list(stored.body, key, scope.base)
            found = {record.path: record.last_serial for record in records.values()}
        else:
            found = site.serials_of(stored.body) if stored else {}
        made = {path: max(made.get(path, 0), found.get(path, 0)) for path in made | found}
    return made


def serial_of(key: str, stored: Stored | None, name: str) -> int:
    """Return the serial of the project page that one of its derived objects was made from."""
    if stored is None:
        return 0
    if key.startswith(LIST):
        try:
            return organization_page(key, stored, name).serial
        except Malformed:
            return 0
    return site.serials_of(stored.body).get(name, 0)


def _is_others(key: str, stored: Stored | None, index: Index) -> bool:
    """Return whether another team has taken the name meanwhile: its page stays as it is."""
    try:
        return (
            stored is not None
            and key.startswith(LIST)
            and pages.owner(stored.body, key) != index.team
        )
    except Malformed:
        return False


def organization_page(key: str, stored: Stored, name: str) -> ProjectPage:
    """Return a project's page in the organisation's namespace; its `meta` names the team.

    Raise Malformed if it is not one.
    """
    # The team determines the prefix of its links, so read it first.
    team = pages.owner(stored.body, key)
    return pages.parse_project(stored.body, key, name, f"{site.IN_NAMESPACE}{team}/{name}/")


def project_page(stored: Stored | None, index: Index, name: str) -> ProjectPage:
    """Return the page of a project as read, or a new one if there is none.

    An empty object does not count: S3's console creates one for a folder.
    """
    if stored is None or not stored.body:
        return pages.new_project(name)
    return pages.parse_project(stored.body, index.project_page(name), name)


def differs(stored: Stored | None, put: Put) -> bool:
    """Return whether a PUT would change the object that was read."""
    return stored is None or stored.body != put.body


def _write(objects: Objects, wanted: Callable[[Objects], Steps[list[Put]]]) -> Steps[bool]:
    """Write objects that differ until none do; after lost swaps, read them and retry."""
    written = False
    while objects:
        puts = [put for put in (yield from wanted(objects)) if differs(objects[put.key], put)]
        replies = yield from ask(puts)
        written = written or any(replies)
        lost = [put.key for put, reply in zip(puts, replies, strict=True) if not reply]
        objects = yield from get_all(lost)
    return written


def _claim(stored: Stored | None, key: str, page: ProjectPage, version: Version) -> Claim | None:
    """Parse a release's claim; return None if it does not match the page's files."""
    try:
        claim = parse_claim(stored.body, key, page.name, version) if stored else None
    except Malformed:
        return None
    listed = {file.filename: (file.digest, file.metadata_digest) for file in page.release(version)}
    return claim if claim and claim.digests == listed else None


def catch_up(
    scope: Scope, index: Index, records: Records, made: Mapping[str, int]
) -> Steps[Records]:
    """Return records updated with pages that the list's derived objects include before the list.

    A missing or malformed page is its own project's finding: its record stays as it is.
    """
    known = {record.path: record.last_serial for record in records.values()}
    ahead = [path for path in made if made[path] > known.get(path, 0)]
    folder = scope.key if scope.team else "packages/"
    found = yield from get_all([f"{folder}{path}/" for path in ahead])
    others: list[tuple[Index, ProjectPage]] = []
    for path, (key, stored) in zip(ahead, found.items(), strict=True):
        team, _, name = path.rpartition("/")
        try:
            if stored and bool(team) == (scope.team is None):
                page = pages.parse_project(stored.body, key, name)
                others.append((replace(index, team=team or index.team), page))
        except Malformed:
            continue
    objects = yield from get_all([key for each in others for key in described_by(*each)])
    return pages.join(
        records,
        [scope.record(page, owner, describe(owner, page, objects)) for owner, page in others],
    )


def _put(key: str, body: bytes, content_type: str, stored: Stored | None) -> Put:
    etag = stored.etag if stored else None
    return Put(key, body, sha256(body).hexdigest(), content_type, REVALIDATED, etag)
