"""A scheduler for publishers, and a watch that checks the invariants after each of their steps.

Publishers are protocols: each yields a batch of requests and waits for all replies. A schedule
carries out the requests of several publishers one at a time, in an order drawn from a seeded
generator. After each request, the watch checks the object that may have changed.
"""

import atexit
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from packaging.utils import canonicalize_version
from packaging.version import Version

from s3index import pages, publish, repair, site
from s3index.about import About
from s3index.claims import parse_claim
from s3index.distribution import Distribution, read
from s3index.errors import Refused
from s3index.pages import File, ProjectPage, Record, Records
from s3index.refresh import Scope, describe, described_by, scopes
from s3index.settings import CATALOGUE, FEED, LIST, Index
from s3index.steps import Get, List, Put, Request, Steps, Stored
from tests.clients.consumers import links
from tests.distributions import sdist, wheel
from tests.world import claim

Perform = Callable[[Request], Any]

INDEX = Index(
    team="devtools",
    bucket="acme",
    region="eu-central-1",
    url="https://acme.s3.eu-central-1.amazonaws.com",
)
"""Settings for the bucket in memory."""

ORGANIZATION = (f"{LIST}constraints.txt", CATALOGUE, FEED)
"""The objects derived from the organisation's list."""


class Violation(Exception):
    """An invariant that must hold in every order was broken."""


@dataclass(frozen=True)
class Publish:
    """Publish a version; `body` and `sdist_body` change the bytes of its files.

    `team` defaults to the scenario's own; `by` is the publisher's name.
    """

    version: str
    project: str = "acme-common"
    body: str = ""
    sdist_body: str = ""
    kinds: tuple[str, ...] = ("wheel", "sdist")
    team: str = INDEX.team
    by: str = "somebody"

    def files(self) -> list[Distribution]:
        """Return the release's files, built only once."""
        bodies = {"wheel": self.body, "sdist": self.sdist_body or self.body}
        return [built(kind, self.project, self.version, bodies[kind]) for kind in self.kinds]

    def start(self, index: Index) -> Steps[int]:
        """Return the protocol without starting it."""
        files = self.files()
        return publish.publish(files, replace(index, team=self.team), claim(files, self.by))

    def done(self, page: ProjectPage) -> bool:
        """Return whether a project page shows this action as done."""
        listed = {file.filename: file.digest for file in page.files}
        return all(listed.get(file.filename) == file.sha256 for file in self.files())


@dataclass(frozen=True)
class Import:
    """Import another index's releases in one run; `yanked` lists the yanked versions."""

    releases: tuple[Publish, ...]
    yanked: tuple[str, ...] = ()
    project: str = "acme-common"
    team: str = INDEX.team

    @property
    def version(self) -> str:
        """Return the first version."""
        return self.releases[0].version

    def files(self) -> list[Distribution]:
        """Return the files of all releases."""
        return [file for release in self.releases for file in release.files()]

    def start(self, index: Index) -> Steps[int]:
        """Return the protocol without starting it."""
        found = []
        for release in self.releases:
            files = release.files()
            known = {file.filename: (None, release.version in self.yanked) for file in files}
            made = publish.imported(claim(files, release.by), "old.example.com", known)
            found.append((files, made))
        return publish.import_releases(found, replace(index, team=self.team))

    def done(self, page: ProjectPage) -> bool:
        """Return whether a project page shows this action as done."""
        listed = {file.filename: file.digest for file in page.files}
        return all(listed.get(file.filename) == file.sha256 for file in self.files())


@dataclass(frozen=True)
class Yank:
    """Yank a version, or unyank it if `yanked` is False."""

    version: str
    project: str = "acme-common"
    yanked: bool | str = True
    team: str = INDEX.team

    def files(self) -> list[Distribution]:
        """Return the files that this adds: none."""
        return []

    def start(self, index: Index) -> Steps[bool]:
        """Return the protocol without starting it."""
        team = replace(index, team=self.team)
        return publish.yank(team, self.project, Version(self.version), self.yanked)

    def done(self, page: ProjectPage) -> bool:
        """Return whether a project page shows this action as done."""
        files = page.release(Version(self.version))
        return bool(files) and all(file.yanked == self.yanked for file in files)


@dataclass(frozen=True)
class Repair:
    """Rebuild a team's index."""

    project: str = "acme-common"
    team: str = INDEX.team

    def files(self) -> list[Distribution]:
        """Return the files that this adds: none."""
        return []

    def start(self, index: Index) -> Steps[list[str]]:
        """Return the protocol without starting it."""
        return repair.repair(replace(index, team=self.team))

    def done(self, page: ProjectPage) -> bool:
        """Return True: a page does not show whether it was repaired."""
        return bool(page)


Action = Publish | Import | Yank | Repair

_folder = tempfile.TemporaryDirectory(prefix="distributions-")
atexit.register(_folder.cleanup)


@cache
def built(kind: str, project: str, version: str, body: str) -> Distribution:
    """Build a wheel or an sdist, once per process."""
    folder = Path(_folder.name) / sha256(body.encode()).hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    return read((wheel if kind == "wheel" else sdist)(folder, project, version, body=body))


def cache_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache rendered pages in this process, because dumb-pypi takes 30 ms."""
    monkeypatch.setattr(site, "project_site", _cached_project_site)
    monkeypatch.setattr(site, "list_site", _cached_list_site)


def _cached_project_site(
    found: Iterable[tuple[ProjectPage, About | None]], index: Index
) -> dict[str, bytes]:
    return {key: body for each in found for key, body in _render_project(*each, index).items()}


def _cached_list_site(records: Records, index: Index, team: str | None) -> dict[str, bytes]:
    return dict(_render_list(tuple(records.values()), index, team))


_project_site, _list_site = site.project_site, site.list_site


@lru_cache(20_000)
def _render_project(page: ProjectPage, about: About | None, index: Index) -> dict[str, bytes]:
    return _project_site([(page, about)], index)


@lru_cache(20_000)
def _render_list(records: tuple[Record, ...], index: Index, team: str | None) -> dict[str, bytes]:
    return _list_site({record.name: record for record in records}, index, team)


def carry_out(protocol: Steps[Any], perform: Perform) -> Any:
    """Run one protocol alone; return its result."""
    try:
        batch = next(protocol)
        while True:
            batch = protocol.send([perform(request) for request in batch])
    except StopIteration as stop:
        return stop.value


def round_trips(protocol: Steps[Any], perform: Perform) -> list[Sequence[Request]]:
    """Run one protocol alone; return the requests of each round trip."""
    batches = []
    try:
        batch = next(protocol)
        while True:
            batches.append(batch)
            batch = protocol.send([perform(request) for request in batch])
    except StopIteration:
        return batches


Owned = tuple[str, str]
"""Team and name of a project."""


@dataclass
class Watch:
    """Checks each object that changes; raises Violation if an invariant is broken.

    Keeps every state of each project page: a derived object is correct if it results from some
    states of the pages, and goes forward if those states do.
    """

    index: Index
    perform: Perform
    objects: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    states: dict[Owned, dict[int, ProjectPage]] = field(default_factory=lambda: defaultdict(dict))
    claims: dict[str, dict[str, File]] = field(default_factory=dict)
    """For each claim's key: {key of a file: its entry}."""

    def __post_init__(self) -> None:
        """Take the bucket's objects as given."""
        for prefix in ("packages/", LIST, "dumb-pypi/"):
            for key in self.perform(List(prefix)):
                self._take(key, self.perform(Get(key)).body)

    def saw(self, request: Request) -> bool:
        """Check what a request did; return whether it changed the bucket."""
        if not isinstance(request, Put):
            return False
        key = request.key
        stored = self.perform(Get(key))
        if stored is None or stored.body == self.objects.get(key):
            return False
        old = self.objects.get(key)
        self._take(key, stored.body)
        if _page_path(key):
            self._page_goes_forward(key, old, stored.body)
        elif self._is_derived(key):
            self._derived_goes_forward(key, old, stored.body)
        elif old is not None:
            raise Violation(f"{key} was changed after it was created")
        elif key not in self.claims and not any(
            key.removesuffix(".metadata") in files for files in self.claims.values()
        ):
            raise Violation(f"{key} came before its claim")
        self._links_hold(key)
        return True

    def all_agree(self) -> None:
        """Check, after all are done, that every derived object matches the pages."""
        expected: dict[str, bytes] = {}
        read = self.newest()
        for team in {team for team, _ in read}:
            index = replace(self.index, team=team)
            for scope in scopes(index):
                expected |= _rendered(scope, index, self._records(scope, read))
            own = [
                (page, self._about(team, page))
                for (owner, _), page in read.items()
                if owner == team
            ]
            expected |= site.project_site(own, index)
        for key, body in expected.items():
            if self.objects.get(key) != body:
                raise Violation(f"{key} is not what the pages give")

    def newest(self) -> dict[Owned, ProjectPage]:
        """Return the newest state of each project's page."""
        return {path: states[max(states)] for path, states in self.states.items()}

    def owner(self, project: str) -> str | None:
        """Return the team that owns a name, if any."""
        key = f"{LIST}{project}/"
        return pages.owner(self.objects[key], key) if key in self.objects else None

    def _take(self, key: str, body: bytes) -> None:
        self.objects[key] = body
        self.digests[key] = sha256(body).hexdigest()
        if path := _page_path(key):
            page = pages.parse_project(body, key, path[1])
            self.states[path].setdefault(page.serial, page)
        elif found := re.fullmatch(r"(packages/[^/]+/([^/]+)/)release-(.+)\.json", key):
            folder, name, version = found.groups()
            files = parse_claim(body, key, name, Version(version)).files
            self.claims[key] = {f"{folder}{file.filename}": file for file in files}

    def _is_derived(self, key: str) -> bool:
        return bool(
            key.startswith((LIST, "dumb-pypi/"))
            or re.fullmatch(r"packages/[^/]+/(constraints\.txt)?", key)
        )

    def _page_goes_forward(self, key: str, old: bytes | None, new: bytes) -> None:
        name = key.split("/")[2]
        after = pages.parse_project(new, key, name)
        before = pages.parse_project(old, key, name) if old else pages.new_project(name)
        if after.serial <= before.serial:
            raise Violation(f"{key} was changed, but its serial did not grow")
        listed = {structs.replace(file, yanked=False) for file in after.files}
        for file in before.files:
            if structs.replace(file, yanked=False) not in listed:
                raise Violation(f"{key} lost or changed {file.filename}")
        flags = {(file.version, file.yanked) for file in after.files}
        if len(flags) > len(after.versions):
            raise Violation(f"{key} has a version of which only a part is yanked")
        for version in {file.version for file in after.files}:
            claimed = self.claims.get(f"{key}release-{canonicalize_version(version)}.json", {})
            release = {structs.replace(file, yanked=False) for file in after.release(version)}
            if claimed and release != {
                structs.replace(file, yanked=False) for file in claimed.values()
            }:
                raise Violation(f"{key} has other files of {version} than were claimed")
            if not claimed and not all(file in before.files for file in after.release(version)):
                raise Violation(f"{key} has {version}, which nobody has claimed")

    def _derived_goes_forward(self, key: str, old: bytes | None, new: bytes) -> None:
        before, after = self._serials(key, old), self._serials(key, new)
        for name, serial in before.items():
            if after.get(name, -1) < serial:
                raise Violation(f"{key} went back in {name}, from {serial} to {after.get(name)}")
        if new != self._derived(key, after):
            raise Violation(f"{key} is not what the pages with its serials give")

    def _serials(self, key: str, body: bytes | None) -> dict[Owned, int]:
        """Return the serials of the pages that an object was made from, as it records them."""
        if body is None or ("/simple/" in key and key.endswith("/index.html")):
            return {}
        team = key.split("/")[1]
        if key == LIST:
            records, _ = pages.parse_list(body, key, "../packages/")
            return {
                (record.team or "", name): record.last_serial for name, record in records.items()
            }
        if key.startswith(LIST) and key.endswith("/"):
            page = pages.parse_project(
                body, key, team, f"../../packages/{pages.owner(body, key)}/{team}/"
            )
            return {(pages.owner(body, key), team): page.serial}
        if key.startswith("packages/") and key.endswith("/"):
            records, _ = pages.parse_list(body, key)
            return {(team, name): record.last_serial for name, record in records.items()}
        found = site.serials_of(body)
        if key in ORGANIZATION:
            return {(path.split("/")[0], path.split("/")[1]): found[path] for path in found}
        return {(team, name): serial for name, serial in found.items()}

    def _derived(self, key: str, serials: Mapping[Owned, int]) -> bytes | None:
        """Return the object as derived from the pages with these serials."""
        if key.endswith("/index.html") and "/simple/" in key:
            return site.MOVED
        team = key.split("/")[1]
        try:
            # A name is taken before its project page exists.
            read = {
                path: self.states[path][serial] if serial else pages.new_project(path[1])
                for path, serial in serials.items()
            }
        except KeyError:
            return None
        if key.startswith(LIST) and key.endswith("/") and key != LIST:
            [(owner, _)] = serials
            [page] = read.values()
            return site.organization_page(page, replace(self.index, team=owner))
        if "/simple/" in key:
            index = replace(self.index, team=team)
            own = [(page, self._about(team, page)) for page in read.values()]
            return site.project_site(own, index).get(key) if len(read) == 1 else None
        index = replace(self.index, team=self.index.team if key in (LIST, *ORGANIZATION) else team)
        [scope] = [scope for scope in scopes(index) if key in scope.keys]
        return _rendered(scope, index, self._records(scope, read))[key]

    def _about(self, team: str, page: ProjectPage) -> About | None:
        index = replace(self.index, team=team)
        there = {key: self.objects.get(key) for key in described_by(index, page)}
        return describe(index, page, {k: Stored(body, "") for k, body in there.items() if body})

    def _records(self, scope: Scope, read: Mapping[Owned, ProjectPage]) -> Records:
        return pages.join(
            {},
            [
                scope.record(page, replace(self.index, team=team), self._about(team, page))
                for (team, _), page in sorted(read.items())
                if scope.team in (None, team)
            ],
        )

    def _links_hold(self, key: str) -> None:
        for target, digest in links(key, self.objects[key], self.index.url):
            if self.digests.get(target) != digest:
                raise Violation(f"{key} references {target}, which is missing or other bytes")


def _page_path(key: str) -> Owned | None:
    """Return the team and name of a project page, or None for any other key."""
    found = re.fullmatch(r"packages/([^/]+)/([^/]+)/", key)
    return (found[1], found[2]) if found else None


def _rendered(scope: Scope, index: Index, records: Records) -> dict[str, bytes]:
    return {scope.key: pages.dump_list(records, scope.base), **scope.render(records, index)}


class Died:
    """The outcome of a publisher that died half-way."""


Outcome = int | list[str] | Refused | Died


@dataclass
class _Publisher:
    protocol: Steps[Any]
    batch: Sequence[Request] = ()
    replies: dict[int, Any] = field(default_factory=dict)
    outcome: Outcome | None = None

    def pending(self) -> list[int]:
        """Return the places of the batch's unanswered requests."""
        return [place for place in range(len(self.batch)) if place not in self.replies]

    def advance(self) -> None:
        """Send the replies and take the next batch."""
        replies = [self.replies[place] for place in range(len(self.batch))] if self.batch else None
        self.batch, self.replies = (), {}
        try:
            self.batch = self.protocol.send(replies)  # type: ignore[arg-type]
        except StopIteration as stop:
            self.outcome = stop.value
        except Refused as refusal:
            self.outcome = refusal


Trace = list[tuple[int, Request, bool]]
"""For each request: the publisher's number, the request, whether it changed the bucket."""


@dataclass(frozen=True)
class Accidents:
    """Rates of failures that no publisher causes, as shares of the requests."""

    conflict: float = 0
    """S3 answers a PUT with 409 although nobody else has written."""
    lost_reply: float = 0
    """The response to a PUT is lost, so the client sends it again."""
    death: float = 0
    """The publisher dies after the request."""


def interleave(
    protocols: Sequence[Steps[Any]],
    perform: Perform,
    watch: Watch,
    rng: random.Random,
    accidents: Accidents,
) -> tuple[list[Outcome], Trace]:
    """Run protocols request by request in an order drawn from `rng`; return outcomes and trace.

    One draw sets the kind of schedule, from switching publishers at each request to letting each
    run for a long time.
    """
    publishers = [_Publisher(protocol) for protocol in protocols]
    for publisher in publishers:
        publisher.advance()
    trace: Trace = []
    steadiness = rng.random()
    current = 0
    while busy := [number for number, each in enumerate(publishers) if each.outcome is None]:
        if current not in busy or rng.random() > steadiness:
            current = rng.choice(busy)
        publisher = publishers[current]
        place = rng.choice(publisher.pending())
        request = publisher.batch[place]
        publisher.replies[place] = _perform(request, perform, rng, accidents)
        trace.append((current, request, watch.saw(request)))
        if rng.random() < accidents.death:
            publisher.outcome = Died()
        elif not publisher.pending():
            publisher.advance()
        if len(trace) > 5_000:
            raise Violation("the publishers keep each other from finishing")
    return [publisher.outcome for publisher in publishers if publisher.outcome is not None], trace


def _perform(request: Request, perform: Perform, rng: random.Random, accidents: Accidents) -> Any:
    if isinstance(request, Put):
        if rng.random() < accidents.conflict:
            return None
        if rng.random() < accidents.lost_reply:
            perform(request)
    return perform(request)


Shape = frozenset[tuple[str, tuple[Any, ...]]]


def shape(trace: Trace) -> Shape:
    """Return what distinguishes schedules: for each object, who read it between which writes.

    Two orders of the same requests have the same shape if they differ only in the order of
    requests to different objects, or of reads of one object: no publisher can tell them apart.
    """
    touched = {request.key for _, request, _ in trace if not isinstance(request, List)}
    story: dict[str, list[Any]] = defaultdict(lambda: [()])
    for who, request, changed in trace:
        if isinstance(request, List):
            keys = [key for key in touched if key.startswith(request.prefix)]
        else:
            keys = [request.key]
        for key in keys:
            event = (who, type(request).__name__)
            if changed:
                story[key] += [event, ()]
            else:
                story[key][-1] = tuple(sorted((*story[key][-1], event)))
    return frozenset((key, tuple(events)) for key, events in story.items())
