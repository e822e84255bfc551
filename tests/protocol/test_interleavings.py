"""Publishers at the same time, request by request, in every kind of order.

In the bucket in memory for most, and for some against a real server over HTTP. The last tests
show that the harness notices publishers that are broken.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import pytest

from tests.protocol.memory import START, MemoryBucket, Overwrite
from s3index import forward, site
from s3index import page as pages
from s3index.bucket import Bucket
from s3index.config import Config, Refused
from s3index.publish import _create, change, look
from s3index.steps import Put, Request, Steps
from tests.protocol.schedules import (
    CONFIG,
    Accidents,
    Action,
    Died,
    Outcome,
    Perform,
    Publish,
    Repair,
    Shape,
    Trace,
    Violation,
    Watch,
    Yank,
    cache_rendering,
    carry_out,
    interleave,
    shape,
)
from tests.world import at

TEAM_PAGE = CONFIG.keys.team_page


@dataclass(frozen=True)
class Scenario:
    """What is done one after another first, and then all at once."""

    name: str
    before: tuple[Action, ...]
    at_once: tuple[Action, ...]


def other(version: str) -> Publish:
    return Publish(version, "acme-other")


SOME = (Publish("0.1.0"), other("1.0"))
NEXT = Publish("0.2.0")
WHEEL_ONLY = Publish("0.1.0", kinds=("wheel",))

SCENARIOS = [
    Scenario("the first two versions ever", (), (Publish("0.1.0"), NEXT)),
    Scenario("two versions", SOME, (NEXT, Publish("0.3.0"))),
    Scenario("an old tag beside a new one", (NEXT,), (Publish("0.1.0"), Publish("0.3.0"))),
    Scenario("three versions", SOME, (NEXT, Publish("0.3.0rc1"), Publish("0.1.1"))),
    Scenario("same bytes, first ever", (), (Publish("0.1.0"), Publish("0.1.0"))),
    Scenario("same bytes three times", SOME, (NEXT, NEXT, NEXT)),
    Scenario("a wheel, then its sdist too", (), (WHEEL_ONLY, Publish("0.1.0"))),
    Scenario("other bytes, first ever", (), (NEXT, replace(NEXT, body="x = 1"))),
    Scenario("other bytes of the sdist", SOME, (NEXT, replace(NEXT, sdist_body="x = 1"))),
    Scenario(
        "other bytes three times",
        SOME,
        (NEXT, replace(NEXT, body="x = 1"), replace(NEXT, body="x = 2")),
    ),
    Scenario("the first two projects ever", (), (NEXT, other("1.0"))),
    Scenario("two projects", SOME, (NEXT, other("1.1"))),
    Scenario("three projects, two new", SOME, (NEXT, Publish("3", "a"), Publish("4", "z"))),
    Scenario("publish and yank", SOME, (NEXT, Yank("0.1.0"))),
    Scenario("yank before all of it is there", (WHEEL_ONLY,), (Publish("0.1.0"), Yank("0.1.0"))),
    Scenario(
        "yank, unyank and publish",
        (*SOME, NEXT, Yank("0.2.0")),
        (Yank("0.1.0", yanked="it leaks"), Yank("0.2.0", yanked=False), Publish("0.3.0")),
    ),
    Scenario(
        "yank and unyank", (*SOME, Yank("0.1.0")), (Yank("0.1.0"), Yank("0.1.0", yanked=False))
    ),
    Scenario("three of one team, mixed", SOME, (NEXT, Yank("0.1.0"), other("1.1"))),
    Scenario(
        "everything yanked beside a new project",
        SOME,
        (Yank("0.1.0"), Yank("1.0", "acme-other"), Publish("3", "a")),
    ),
    Scenario("publish and repair", SOME, (NEXT, Repair())),
    Scenario("publish a new project and repair", SOME, (Publish("3", "a"), Repair())),
    Scenario("yank and repair", SOME, (Yank("0.1.0"), Repair())),
    Scenario("publish, yank and repair", SOME, (NEXT, Yank("0.1.0"), Repair())),
    Scenario("the first release, and repair", (), (NEXT, Repair())),
]


@pytest.fixture(autouse=True)
def quick_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    cache_rendering(monkeypatch)


KINDS = (
    Accidents(),
    Accidents(conflict=0.1, lost_reply=0.1),
    Accidents(conflict=0.05, lost_reply=0.05, death=0.01),
)


def prepare(scenario: Scenario, perform: Perform, config: Config) -> None:
    """Do what comes before a scenario's publishers start."""
    for action in scenario.before:
        carry_out(action.start(config), perform)


def run(scenario: Scenario, seed: int, perform: Perform, config: Config) -> Shape:
    """Run one schedule and check everything; raise Violation if something does not hold."""
    watch = Watch(config, perform)
    rng = random.Random(f"{scenario.name} {seed}")
    outcomes, trace = run_watched(scenario.at_once, watch, rng, KINDS[seed % len(KINDS)])
    check_end([(action, True) for action in scenario.before] + outcomes, watch)
    return shape(trace)


Outcomes = list[tuple[Action, Outcome]]


def run_watched(
    actions: Sequence[Action], watch: Watch, rng: random.Random, accidents: Accidents
) -> tuple[Outcomes, Trace]:
    """Run publishers at once, then each of those that died once more; return what came of each."""

    def start(actions: Sequence[Action], accidents: Accidents) -> tuple[list[Outcome], Trace]:
        protocols = [action.start(watch.config) for action in actions]
        return interleave(protocols, watch.perform, watch, rng, accidents)

    found, trace = start(actions, accidents)
    outcomes = list(zip(actions, found, strict=True))
    for action, outcome in list(outcomes):
        if isinstance(outcome, Died):
            [again], _ = start([action], Accidents())
            outcomes.append((action, again))
    return outcomes, trace


def refusable(action: Action, actions: list[Action]) -> bool:
    """Tell whether others do what an action may be refused for: other bytes, or a yank."""
    mine = {file.filename: file.sha256 for file in action.files()}
    others = [each for each in actions if each.project == action.project]
    return any(
        mine.get(file.filename, file.sha256) != file.sha256
        for other in others
        for file in other.files()
    ) or any(
        isinstance(other, Yank) and isinstance(action, Publish) and other.version == action.version
        for other in others
    )


def check_end(outcomes: Outcomes, watch: Watch) -> None:
    """Check what has been left: what succeeded is there, what was refused is not."""
    watch.all_agree()
    for action, outcome in outcomes:
        if isinstance(outcome, Refused) and not refusable(action, [each for each, _ in outcomes]):
            raise Violation(f"{action} was refused: {outcome}")
    # Whoever died may have got as far as the page: then the release is there, and whole.
    succeeded = [
        action
        for action, outcome in outcomes
        if isinstance(outcome, int | list)
        or (isinstance(outcome, Died) and action.done(watch.newest()[action.project]))
    ]
    for action in succeeded:
        states = watch.states[action.project]
        # A yank may have been taken back since; what is published stays.
        shown = [states[max(states)]] if isinstance(action, Publish) else states.values()
        if not any(action.done(page) for page in shown):
            raise Violation(f"{action} succeeded, but its page does not show it")
    listed = {
        (name, file["filename"], file["hashes"]["sha256"])
        for name, page in watch.newest().items()
        for file in page["files"]
    }
    published = {
        (file.project, file.filename, file.sha256)
        for action in succeeded
        for file in action.files()
    }
    if listed != published:
        raise Violation(f"listed and published differ by {listed ^ published}")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_distinct_schedules(scenario: Scenario, request: pytest.FixtureRequest) -> None:
    wanted = -(-int(request.config.getoption("schedules")) // len(SCENARIOS))
    start = MemoryBucket()
    prepare(scenario, start.perform, CONFIG)
    shapes: set[Shape] = set()
    for seed in count():
        shapes.add(run(scenario, seed, MemoryBucket(start.objects).perform, CONFIG))
        if len(shapes) >= wanted:
            break
        assert seed < 20 * wanted + 100, f"only {len(shapes)} schedules are distinct"


def test_a_normal_run_has_a_thousand_schedules(pytestconfig: pytest.Config) -> None:
    # Each scenario runs as many as its share, and fails if it cannot reach it.
    assert pytestconfig.getoption("schedules") >= 1_000


def round_over_http(n: int) -> tuple[Action, ...]:
    """Return what is done at once in a round of the test below."""
    this = Publish(f"0.{n}.0")
    return (
        (this, other(f"1.{n}")),
        (this, Yank(f"0.{n - 1}.0")),
        (this, replace(this, body="x = 1")),
        (this, this, other(f"1.{n}")),
    )[n % 4]


@pytest.mark.parametrize("rounds", [range(10), range(12, 22)], ids=repr)
def test_schedules_over_http(rounds: range, config: Config) -> None:
    watch = Watch(config, Bucket(config).perform)
    outcomes: Outcomes = []
    for n in rounds:
        rng = random.Random(n)
        some, _ = run_watched(round_over_http(n), watch, rng, KINDS[n % len(KINDS)])
        outcomes += some
        check_end(outcomes, watch)


Start = Callable[[Publish, Config], Steps[int]]
Mistake = Callable[[Request], Request]


def publish_with(mistake: Mistake, start: Start = Publish.start) -> Start:
    """Return a publisher that makes the requests which `mistake` makes of the right ones."""

    def broken(action: Publish, config: Config) -> Steps[bool]:
        protocol = start(action, config)
        try:
            batch = next(protocol)
            while True:
                batch = protocol.send((yield [mistake(request) for request in batch]))
        except StopIteration as stop:
            return bool(stop.value)

    return broken


def overwrites(concerned: Callable[[str], bool]) -> Mistake:
    """Return the mistake of PUTs without their condition, for the keys that are concerned."""

    def mistake(request: Request) -> Request:
        if isinstance(request, Put) and concerned(request.key):
            return Overwrite(
                request.key,
                request.body,
                request.sha256,
                request.content_type,
                request.cache_control,
            )
        return request

    return mistake


def is_project_page(key: str) -> bool:
    return key.startswith("packages/") and key.count("/") == 3 and key.endswith("/")


def is_derived(key: str) -> bool:
    return key.startswith("dumb-pypi/") or key in (TEAM_PAGE, CONFIG.keys.constraints)


def publish_listing_first(action: Publish, config: Config) -> Steps[bool]:
    """Publish, but write the page before the files that it lists."""
    settings = at(config, action.version, action.project)
    found = yield from look(settings)
    entries = [pages.entry(file, START, None) for file in action.files()]
    written = yield from change(settings, found, lambda page: pages.add(page, entries))
    yield from _create(action.files(), settings, [])
    return written


def violations(scenario: Scenario) -> list[str]:
    """Run a hundred schedules; return the violations that were found."""
    start = MemoryBucket()
    prepare(scenario, start.perform, CONFIG)
    found = []
    for seed in range(100):
        try:
            run(scenario, seed, MemoryBucket(start.objects).perform, CONFIG)
        except Violation as violation:
            found.append(str(violation))
    return found


LATER = Scenario("two versions", SOME, (Publish("0.2.0"), Publish("0.3.0")))


def test_finds_pages_that_are_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publish, "start", publish_with(overwrites(is_project_page)))
    found = violations(LATER)
    assert any("its serial did not grow" in violation for violation in found), found


def test_finds_derived_objects_that_are_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publish, "start", publish_with(overwrites(is_derived)))
    found = violations(LATER)
    for key in (TEAM_PAGE, CONFIG.keys.constraints, *site.project_keys(CONFIG.keys, "acme-common")):
        assert any(f"{key} went back" in violation for violation in found), key


def test_finds_derived_objects_without_a_look_at_serials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "made_from", lambda *_: {})
    found = violations(LATER)
    for key in (CONFIG.keys.constraints, *site.project_keys(CONFIG.keys, "acme-common")):
        assert any(f"{key} went back" in violation for violation in found), key


def test_finds_pages_that_come_before_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publish, "start", publish_listing_first)
    found = violations(LATER)
    assert len(found) == 100
    assert any("is missing or other bytes" in violation for violation in found), found
