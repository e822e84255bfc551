"""A scheduler for publishers, and a watch over what must hold at each of their steps.

Publishers are protocols: each yields a batch of requests and waits for all replies. A schedule
carries the requests of several publishers out one at a time, in an order drawn from a seeded
generator. After each, the watch looks at the object that may have changed.
"""

import atexit
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from tests.clients.consumers import links
from tests.distributions import sdist, wheel
from s3index import page as pages
from s3index import publish, repair, site
from s3index.config import Config, Refused
from s3index.page import Page
from s3index.release import Distribution, read
from s3index.steps import Get, List, Put, Request, Steps
from tests.world import at

Perform = Callable[[Request], Any]

CONFIG = Config(
    root=Path(),
    project="acme-common",
    version=Version("0.1.0"),
    team="devtools",
    bucket="acme",
    region="eu-central-1",
    url="https://acme.s3.eu-central-1.amazonaws.com",
)
"""Settings for the bucket in memory."""


class Violation(Exception):
    """Something happened that must not happen, whatever the order."""


@dataclass(frozen=True)
class Publish:
    """Publish a version; `body` and `sdist_body` make other bytes of it."""

    version: str
    project: str = "acme-common"
    body: str = ""
    sdist_body: str = ""
    kinds: tuple[str, ...] = ("wheel", "sdist")

    def files(self) -> list[Distribution]:
        """Return the release's files, made once."""
        bodies = {"wheel": self.body, "sdist": self.sdist_body or self.body}
        return [built(kind, self.project, self.version, bodies[kind]) for kind in self.kinds]

    def start(self, config: Config) -> Steps[int]:
        """Return the protocol, not started."""
        settings = at(config, self.version, self.project)
        return publish.publish(self.files(), settings, "somebody")

    def done(self, page: Page) -> bool:
        """Tell whether a project page shows that this has been done."""
        listed = {file["filename"]: file["hashes"]["sha256"] for file in page["files"]}
        return all(listed.get(file.filename) == file.sha256 for file in self.files())


@dataclass(frozen=True)
class Yank:
    """Yank a version, or take it back with `yanked` False."""

    version: str
    project: str = "acme-common"
    yanked: bool | str = True

    def files(self) -> list[Distribution]:
        """Return the files that this brings: none."""
        return []

    def start(self, config: Config) -> Steps[bool]:
        """Return the protocol, not started."""
        settings = at(config, self.version, self.project)
        return publish.yank(settings, Version(self.version), self.yanked)

    def done(self, page: Page) -> bool:
        """Tell whether a project page shows that this has been done."""
        files = [file for file in page["files"] if str(pages.version_of(file)) == self.version]
        return bool(files) and all(file["yanked"] == self.yanked for file in files)


@dataclass(frozen=True)
class Repair:
    """Rebuild the team's index."""

    project: str = "acme-common"

    def files(self) -> list[Distribution]:
        """Return the files that this brings: none."""
        return []

    def start(self, config: Config) -> Steps[list[str]]:
        """Return the protocol, not started."""
        return repair.repair(config)

    def done(self, page: Page) -> bool:
        """Return True: a page does not show that it was repaired."""
        return bool(page)


Action = Publish | Yank | Repair

_folder = tempfile.TemporaryDirectory(prefix="distributions-")
atexit.register(_folder.cleanup)


@cache
def built(kind: str, project: str, version: str, body: str) -> Distribution:
    """Build a wheel or an sdist, once in a process."""
    folder = Path(_folder.name) / sha256(body.encode()).hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    return read((wheel if kind == "wheel" else sdist)(folder, project, version, body=body))


def cache_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the publisher render the same pages once in a process: dumb-pypi takes 30 ms."""
    monkeypatch.setattr(site, "project_site", _cached_project_site)
    monkeypatch.setattr(site, "team_site", _cached_team_site)


def _cached_project_site(page: Page, config: Config) -> dict[str, bytes]:
    return dict(_render_project(json.dumps(page), _no_release(config)))


def _cached_team_site(team: Page, config: Config) -> dict[str, bytes]:
    return dict(_render_team(json.dumps(team), _no_release(config)))


def _no_release(config: Config) -> Config:
    return replace(config, project="", version=Version("0"))


_project_site, _team_site = site.project_site, site.team_site


@lru_cache(20_000)
def _render_project(page: str, config: Config) -> dict[str, bytes]:
    return _project_site(json.loads(page), config)


@lru_cache(20_000)
def _render_team(team: str, config: Config) -> dict[str, bytes]:
    return _team_site(json.loads(team), config)


def carry_out(protocol: Steps[Any], perform: Perform) -> Any:
    """Run one protocol undisturbed; return its result."""
    try:
        batch = next(protocol)
        while True:
            batch = protocol.send([perform(request) for request in batch])
    except StopIteration as stop:
        return stop.value


@dataclass
class Watch:
    """Looks at each object that changes; raises Violation where something went wrong.

    Keeps every state that each project page has had: a derived object is right if it is what
    some states of the pages give, and goes forward if those states do.
    """

    config: Config
    perform: Perform
    objects: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    states: dict[str, dict[int, Page]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        """Take what is in the bucket as given."""
        keys = self.config.keys
        for prefix in (keys.team_page, keys.site("")):
            for key in self.perform(List(prefix)):
                self._take(key, self.perform(Get(key)).body)

    def saw(self, request: Request) -> bool:
        """Look at what a request did; return whether it changed the bucket."""
        if not isinstance(request, Put):
            return False
        key = request.key
        stored = self.perform(Get(key))
        if stored is None or stored.body == self.objects.get(key):
            return False
        old = self.objects.get(key)
        self._take(key, stored.body)
        if self._is_page(key):
            self._page_goes_forward(key, old, stored.body)
        elif key in self._derived_keys():
            self._derived_goes_forward(key, old, stored.body)
        elif old is not None:
            raise Violation(f"{key} was changed after it was created")
        self._links_hold(key)
        return True

    def all_agree(self) -> None:
        """Check, when all are done, that every object is what the pages give."""
        read = self.newest().values()
        team = pages.join(pages.new_team(), [pages.record(page) for page in read])
        expected = {
            self.config.keys.team_page: pages.dump(team),
            **site.team_site(team, self.config),
        }
        for page in read:
            expected |= site.project_site(page, self.config)
        for key, body in expected.items():
            # Before the first release there is nothing to derive anything from.
            if self.objects.get(key) != (body if read else None):
                raise Violation(f"{key} is not what the pages give")

    def newest(self) -> dict[str, Page]:
        """Return each project's page."""
        return {name: states[max(states)] for name, states in self.states.items()}

    def _take(self, key: str, body: bytes) -> None:
        self.objects[key] = body
        self.digests[key] = sha256(body).hexdigest()
        if self._is_page(key):
            page = json.loads(body)
            self.states[page["name"]].setdefault(page["meta"]["_last-serial"], page)

    def _is_page(self, key: str) -> bool:
        root = self.config.keys.team_page
        return key.startswith(root) and key.endswith("/") and key != root

    def _derived_keys(self) -> set[str]:
        keys = self.config.keys
        project_keys = [key for name in self.states for key in site.project_keys(keys, name)]
        return {keys.team_page, *site.team_keys(keys), *project_keys}

    def _page_goes_forward(self, key: str, old: bytes | None, new: bytes) -> None:
        after = json.loads(new)
        before = json.loads(old) if old else pages.new_project(after["name"])
        if after["meta"]["_last-serial"] <= before["meta"]["_last-serial"]:
            raise Violation(f"{key} was changed, but its serial did not grow")
        listed = [{**file, "yanked": None} for file in after["files"]]
        for file in before["files"]:
            if {**file, "yanked": None} not in listed:
                raise Violation(f"{key} lost or changed {file['filename']}")
        flags = {(pages.version_of(file), file["yanked"]) for file in after["files"]}
        if len(flags) > len(after["versions"]):
            raise Violation(f"{key} has a version of which only a part is yanked")

    def _derived_goes_forward(self, key: str, old: bytes | None, new: bytes) -> None:
        before, after = self._serials(key, old), self._serials(key, new)
        for name, serial in before.items():
            if after.get(name, -1) < serial:
                raise Violation(f"{key} went back in {name}, from {serial} to {after.get(name)}")
        if new != self._derived(key, after):
            raise Violation(f"{key} is not what the pages with its serials give")

    def _serials(self, key: str, body: bytes | None) -> dict[str, int]:
        if body is None:
            return {}
        if key == self.config.keys.team_page:
            return pages.serials(json.loads(body))
        return site.serials_of(body)

    def _derived(self, key: str, serials: Mapping[str, int]) -> bytes | None:
        """Return what the pages had to say when they had these serials."""
        keys = self.config.keys
        # The two lists of names depend on nothing but the names.
        names_only = key in (keys.site("simple/"), keys.site("simple/index.html"))
        try:
            read = [
                states[min(states) if names_only else serials[name]]
                for name, states in self.states.items()
                if name in serials
            ]
        except KeyError:
            return None
        team = pages.join(pages.new_team(), [pages.record(page) for page in read])
        if key == keys.team_page:
            return pages.dump(team)
        if key in site.team_keys(keys):
            return site.team_site(team, self.config).get(key)
        return site.project_site(read[0], self.config).get(key) if len(read) == 1 else None

    def _links_hold(self, key: str) -> None:
        for target, digest in links(key, self.objects[key], self.config.url):
            if self.digests.get(target) != digest:
                raise Violation(f"{key} references {target}, which is missing or other bytes")


class Died:
    """The outcome of a publisher that was stopped half-way."""


Outcome = int | list[str] | Refused | Died


@dataclass
class _Publisher:
    protocol: Steps[Any]
    batch: Sequence[Request] = ()
    replies: dict[int, Any] = field(default_factory=dict)
    outcome: Outcome | None = None

    def pending(self) -> list[int]:
        """Return the places in the batch of what is not answered yet."""
        return [place for place in range(len(self.batch)) if place not in self.replies]

    def advance(self) -> None:
        """Hand over the replies, and take the next batch."""
        replies = [self.replies[place] for place in range(len(self.batch))] if self.batch else None
        self.batch, self.replies = (), {}
        try:
            self.batch = self.protocol.send(replies)  # type: ignore[arg-type]
        except StopIteration as stop:
            self.outcome = stop.value
        except Refused as refusal:
            self.outcome = refusal


Trace = list[tuple[int, Request, bool]]
"""What was carried out: whose request, which, and whether it changed the bucket."""


@dataclass(frozen=True)
class Accidents:
    """How often something goes wrong that is nobody's mistake, as shares of the requests."""

    conflict: float = 0
    """S3 answers 409 to a PUT though nobody else has written."""
    lost_reply: float = 0
    """The answer to a PUT is lost, so that the client sends it again."""
    death: float = 0
    """The publisher dies after the request."""


def interleave(
    protocols: Sequence[Steps[Any]],
    perform: Perform,
    watch: Watch,
    rng: random.Random,
    accidents: Accidents,
) -> tuple[list[Outcome], Trace]:
    """Run protocols request by request in an order drawn from `rng`; return their outcomes.

    One draw decides what kind of schedule it is, from taking turns at each request to letting
    each publisher run for a long time.
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
        assert len(trace) < 5_000, "the publishers keep each other from finishing"
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
    """Return what tells schedules apart: for each object, who read it between which writes.

    Two orders of the same requests that differ only in how requests to different objects, or
    reads of the same, follow each other have the same shape: nobody could tell them apart.
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
