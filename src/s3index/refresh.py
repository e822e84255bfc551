"""Everything that follows from the project pages, and how it only moves forward.

Lists, HTML, constraints and the organisation's pages each say which serials of which project
pages they were made from. An object is swapped only for one whose serials are all at least as
high, so that none goes back to an older state, however many write and in any order.
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
    """A project list and what is derived from it: the team's, or the organisation's.

    `base` is what the list's links to projects start with, `team` whose projects it may hold
    (None: every team's).
    """

    key: str
    base: str
    team: str | None
    derived: list[str]
    render: Callable[[Records, Index], dict[str, bytes]]

    @property
    def keys(self) -> list[str]:
        """Return the keys of the list and of what is derived from it."""
        return [self.key, *self.derived]

    def record(self, page: ProjectPage, index: Index, about: About | None = None) -> Record:
        """Return what the list says of a project of the index's team."""
        summary = about.summary if about else None
        return pages.record(page, None if self.team else index.team, summary)


def scopes(index: Index) -> list[Scope]:
    """Return the two lists that a team's releases are part of."""
    return [
        Scope(index.team_list, "", index.team, site.team_keys(index), site.team_site),
        Scope(LIST, "../packages/", None, site.organization_keys(index), site.organization_site),
    ]


def refresh_project(
    index: Index, page: ProjectPage, about: About | None, objects: Objects
) -> Steps[bool]:
    """Bring a project's objects, given as they were read, to what its page says or beyond.

    `about` is what its newest release says of itself. Returns whether anything was written.
    """

    def wanted(objects: Objects) -> Steps[list[Put]]:
        yield from ask([])
        # What has a higher serial was written by a publisher that knows a newer page than ours.
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
    """Bring a list and what is derived from it, as they were read, to what one page says or beyond.

    `about` is what the page's newest release says of itself. Returns whether anything was written.
    """
    records: Records = pages.join({}, [scope.record(page, index, about)])

    def wanted(objects: Objects) -> Steps[list[Put]]:
        nonlocal records
        if stored := objects.get(scope.key):
            there, _ = pages.parse_list(stored.body, scope.key, scope.base)
            records = pages.join(there, records.values())
        records = yield from _catch_up(scope, index, records, made_from(scope, objects))
        bodies = scope.render(records, index)
        return [
            list_put(scope, records, stored)
            if key == scope.key
            else derived_put(key, bodies[key], stored)
            for key, stored in objects.items()
        ]

    return _write(objects, wanted)


def described_by(index: Index, page: ProjectPage) -> list[str]:
    """Return the keys of what describes a page's newest release: its claim, and core metadata.

    Empty for a release without a wheel: only wheels have core metadata beside them.
    """
    version = pages.newest(page)
    for file in page.release(version) if version else ():
        if version and file.metadata_digest:
            key = f"{index.file(page.name, file.filename)}.metadata"
            return [index.claim(page.name, version), key]
    return []


def describe(index: Index, page: ProjectPage, objects: Objects) -> About | None:
    """Return what a page's newest release says of itself, out of the objects that describe it.

    None if core metadata is missing or is not what the page names: nothing is said rather than
    something that nobody released.
    """
    version, keys = pages.newest(page), described_by(index, page)
    if not version or not keys or not (stored := objects.get(keys[1])):
        return None
    digests = {file.metadata_digest for file in page.release(version)}
    if sha256(stored.body).hexdigest() not in digests:
        return None
    return about.read(stored.body, _claim(objects.get(keys[0]), keys[0], page, version))


def read_about(index: Index, page: ProjectPage) -> Steps[About | None]:
    """Read what a page's newest release says of itself, in one round trip."""
    return describe(index, page, (yield from get_all(described_by(index, page))))


def page_put(key: str, page: ProjectPage, stored: Stored | None) -> Put:
    """Return the request that creates a page, or swaps it for the one that was read."""
    return _put(key, pages.dump(page), pages.CONTENT_TYPE, stored)


def list_put(scope: Scope, records: Records, stored: Stored | None) -> Put:
    """Return the request that creates a list, or swaps it for the one that was read."""
    return _put(scope.key, pages.dump_list(records, scope.base), pages.CONTENT_TYPE, stored)


def derived_put(key: str, body: bytes, stored: Stored | None) -> Put:
    """Return the request that creates a derived object, or swaps it for the one that was read."""
    return _put(key, body, site.content_type(key), stored)


def made_from(scope: Scope, objects: Objects) -> dict[str, int]:
    """Return the highest serial of each project that a list, or what is derived, was made from.

    Projects are named by their path (`Record.path`). Raises Malformed if the list is not one.
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
    """Return the serial of the project page that one of the project's objects was made from."""
    if stored is None:
        return 0
    if key.startswith(LIST):
        try:
            return organization_page(key, stored, name).serial
        except Malformed:
            return 0
    return site.serials_of(stored.body).get(name, 0)


def _is_others(key: str, stored: Stored | None, index: Index) -> bool:
    """Tell whether another team has taken the name meanwhile: its page stays as it is."""
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

    Raises Malformed if it is not one.
    """
    # Whose it is decides what its links have to be, so it is asked first.
    team = pages.owner(stored.body, key)
    return pages.parse_project(stored.body, key, name, f"{site.IN_NAMESPACE}{team}/{name}/")


def project_page(stored: Stored | None, index: Index, name: str) -> ProjectPage:
    """Return the page of a project as it was read, or a new one if there is none.

    An empty object is none: S3's console makes one of each folder.
    """
    if stored is None or not stored.body:
        return pages.new_project(name)
    return pages.parse_project(stored.body, index.project_page(name), name)


def differs(stored: Stored | None, put: Put) -> bool:
    """Tell whether a PUT would change the object that was read."""
    return stored is None or stored.body != put.body


def _write(objects: Objects, wanted: Callable[[Objects], Steps[list[Put]]]) -> Steps[bool]:
    """Write what differs until nothing does; what was lost to others is read and asked again."""
    written = False
    while objects:
        puts = [put for put in (yield from wanted(objects)) if differs(objects[put.key], put)]
        replies = yield from ask(puts)
        written = written or any(replies)
        lost = [put.key for put, reply in zip(puts, replies, strict=True) if not reply]
        objects = yield from get_all(lost)
    return written


def _claim(stored: Stored | None, key: str, page: ProjectPage, version: Version) -> Claim | None:
    """Return the claim of a release as it was read; None if it is not that of the page's files."""
    try:
        claim = parse_claim(stored.body, key, page.name, version) if stored else None
    except Malformed:
        return None
    listed = {file.filename: (file.digest, file.metadata_digest) for file in page.release(version)}
    return claim if claim and claim.digests == listed else None


def _catch_up(
    scope: Scope, index: Index, records: Records, made: Mapping[str, int]
) -> Steps[Records]:
    """Return records with what others have told the list's objects, but not the list, yet.

    A page that is missing or malformed is its own project's finding: its record stays as it is.
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
