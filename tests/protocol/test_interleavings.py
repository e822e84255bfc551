"""Concurrent publishers keep every invariant, whatever the order of their requests.

Most schedules run on the bucket in memory, some against a real server over HTTP. The last tests
show that the harness detects broken publishers.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import ceil

import pytest
from packaging.version import Version

from s3index import pages, publish, refresh, site
from s3index.claims import Claim
from s3index.errors import Refused
from s3index.pages import ProjectPage
from s3index.s3 import Bucket
from s3index.settings import LIST, Index
from s3index.steps import Put, Request, Steps, Stored
from tests.protocol.memory import MemoryBucket, Overwrite
from tests.protocol.schedules import (
    INDEX,
    Accidents,
    Action,
    Died,
    Import,
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
    round_trips,
    shape,
)
from tests.world import Library, claim

TEAMS = ("abcd", "efgh", "ijkl", "mnop")
PAGE = INDEX.project_page("acme-common")


@dataclass(frozen=True)
class Scenario:
    """Actions that run one after another first, and actions that then run concurrently."""

    name: str
    before: tuple[Action, ...]
    at_once: tuple[Action, ...]


def other(version: str) -> Publish:
    return Publish(version, "acme-other")


SOME = (Publish("0.1.0"), other("1.0"))
NEXT = Publish("0.2.0")
OLD = Import((Publish("0.0.1"), Publish("0.0.2")), yanked=("0.0.2",))
WHEEL_ONLY = Publish("0.1.0", kinds=("wheel",))

SCENARIOS = [
    Scenario("the first two versions ever", (), (Publish("0.1.0"), NEXT)),
    Scenario("two versions", SOME, (NEXT, Publish("0.3.0"))),
    Scenario("an old tag beside a new one", (NEXT,), (Publish("0.1.0"), Publish("0.3.0"))),
    Scenario("three versions", SOME, (NEXT, Publish("0.3.0rc1"), Publish("0.1.1"))),
    Scenario("same bytes, first ever", (), (Publish("0.1.0"), Publish("0.1.0"))),
    Scenario(
        "same bytes by three people", SOME, (NEXT, replace(NEXT, by="a"), replace(NEXT, by="b"))
    ),
    Scenario("a wheel, and its sdist too", (), (WHEEL_ONLY, Publish("0.1.0"))),
    Scenario("1.0 and 1.0.0", SOME, (Publish("1.0"), Publish("1.0.0"))),
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
    Scenario("the same again beside its yank", SOME, (Publish("0.1.0"), Yank("0.1.0"))),
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
    Scenario("the first release and an import", (), (NEXT, OLD)),
    Scenario("publish and import", SOME, (NEXT, OLD)),
    Scenario("publish and import of the same release", SOME, (Publish("0.0.2", by="a"), OLD)),
    Scenario("publish and import of other bytes", SOME, (Publish("0.0.2", body="x = 1"), OLD)),
    Scenario("the same import twice, first ever", (), (OLD, OLD)),
    Scenario(
        "two imports that share a release",
        SOME,
        (OLD, Import((Publish("0.0.2"), Publish("0.0.3"))), NEXT),
    ),
    Scenario("import, yank and repair", SOME, (OLD, Yank("0.1.0"), Repair())),
    Scenario("import again, unyank and publish", (OLD,), (OLD, Yank("0.0.2", yanked=False), NEXT)),
    Scenario("two teams import one name", (), (OLD, replace(OLD, team="data"))),
    Scenario("publish and repair", SOME, (NEXT, Repair())),
    Scenario("publish a new project and repair", SOME, (Publish("3", "a"), Repair())),
    Scenario("yank and repair", SOME, (Yank("0.1.0"), Repair())),
    Scenario("publish, yank and repair", SOME, (NEXT, Yank("0.1.0"), Repair())),
    Scenario("the first release, and repair", (), (NEXT, Repair())),
    Scenario("two teams, two names", (), (NEXT, Publish("1.0", "acme-frames", team="data"))),
    Scenario("two teams, one name", (), (NEXT, replace(NEXT, team="data"))),
    Scenario(
        "three teams, one name",
        SOME,
        (Publish("3", "a"), Publish("4", "a", team="data"), Publish("5", "a", team="web")),
    ),
    Scenario(
        "two teams, one name, and each its own",
        (),
        (NEXT, replace(NEXT, team="data"), other("1.0"), Publish("1", "acme-frames", team="data")),
    ),
    Scenario(
        "two teams, one name, and repair of the other",
        (Publish("1", "acme-frames", team="data"),),
        (NEXT, Publish("0.1.0", team="data"), Repair(team="data")),
    ),
]


@pytest.fixture(autouse=True)
def quick_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    cache_rendering(monkeypatch)


KINDS = (
    Accidents(),
    Accidents(conflict=0.1, lost_reply=0.1),
    Accidents(conflict=0.05, lost_reply=0.05, death=0.01),
)


def prepare(scenario: Scenario, perform: Perform, index: Index) -> None:
    """Carry out the actions that precede a scenario's concurrent ones."""
    for action in scenario.before:
        carry_out(action.start(index), perform)


def run(scenario: Scenario, seed: int, perform: Perform, index: Index) -> Shape:
    """Run one schedule and check all invariants; raise Violation if one does not hold."""
    watch = Watch(index, perform)
    rng = random.Random(f"{scenario.name} {seed}")
    outcomes, trace = run_watched(scenario.at_once, watch, rng, KINDS[seed % len(KINDS)])
    check_end([(action, True) for action in scenario.before] + outcomes, watch)
    return shape(trace)


Outcomes = list[tuple[Action, Outcome]]


def run_watched(
    actions: Sequence[Action], watch: Watch, rng: random.Random, accidents: Accidents
) -> tuple[Outcomes, Trace]:
    """Run publishers concurrently, then rerun those that died; return outcomes and trace."""

    def start(actions: Sequence[Action], accidents: Accidents) -> tuple[list[Outcome], Trace]:
        protocols = [action.start(watch.index) for action in actions]
        return interleave(protocols, watch.perform, watch, rng, accidents)

    found, trace = start(actions, accidents)
    outcomes = list(zip(actions, found, strict=True))
    for action, outcome in list(outcomes):
        if isinstance(outcome, Died):
            [again], _ = start([action], Accidents())
            outcomes.append((action, again))
    return outcomes, trace


def refusable(action: Action, refused: Refused, actions: list[Action], watch: Watch) -> bool:
    """Return whether the actions of others justify a refusal and its message."""
    if isinstance(action, Import):
        return any(refusable(each, refused, actions, watch) for each in released(action))
    if not isinstance(action, Publish):
        return False
    owner = watch.owner(action.project)
    if owner != action.team:
        return f"The name {action.project} belongs to team {owner}" in str(refused)
    version, mine = Version(action.version), {file.sha256 for file in action.files()}
    same = [
        each
        for one in actions
        for each in released(one)
        if isinstance(each, Publish | Yank)
        and (each.team, each.project, Version(each.version)) == (owner, action.project, version)
    ]
    if f"{action.project} {version} is yanked" in str(refused):
        imports = (each for each in actions if isinstance(each, Import))
        return any(isinstance(each, Yank) for each in same) or any(
            action.version in each.yanked for each in imports
        )
    others = [each for each in same if {file.sha256 for file in each.files()} not in (mine, set())]
    if "was claimed" in str(refused):
        # The message matches the claim.
        key = replace(watch.index, team=owner).claim(action.project, version)
        # An import has one line for each release that it cannot have.
        return bool(others) and all(
            "Nothing was imported" in str(refused)
            or f"{file.filename} {file.digest}" in str(refused)
            for file in watch.claims[key].values()
        )
    told = r"in the bucket with other bytes|is released without"
    return bool(others) and bool(re.search(told, str(refused)))


def released(action: Action) -> list[Action]:
    """Return the releases of an import, or else the action itself."""
    if isinstance(action, Import):
        return [replace(each, team=action.team) for each in action.releases]
    return [action]


def check_end(outcomes: Outcomes, watch: Watch) -> None:
    """Check the final state: successful actions are listed, refused ones are not."""
    watch.all_agree()
    actions = [each for each, _ in outcomes]
    for action, outcome in outcomes:
        if isinstance(outcome, Refused) and not refusable(action, outcome, actions, watch):
            raise Violation(f"{action} was refused: {outcome}")
    newest = watch.newest()

    def page(action: Action) -> ProjectPage:
        path = action.team, action.project
        return newest.get(path) or pages.new_project(action.project)

    # A publisher that died may have swapped the page: then the release is listed and complete.
    succeeded = [
        action
        for action, outcome in outcomes
        if isinstance(outcome, int | list)
        or (isinstance(outcome, Died) and action.done(page(action)))
    ]
    for action in succeeded:
        # A yank may have been undone since; a published release stays.
        states = watch.states[action.team, action.project].values()
        shown = [page(action)] if isinstance(action, Publish | Import) else states
        if isinstance(action, Repair):
            continue
        if not any(action.done(page) for page in shown):
            raise Violation(f"{action} succeeded, but its page does not show it")
    listed = {
        (*path, file.filename, file.digest) for path, page in newest.items() for file in page.files
    }
    published = {
        (action.team, file.project, file.filename, file.sha256)
        for action in succeeded
        for file in action.files()
    }
    if listed != published:
        raise Violation(f"listed and published differ by {listed ^ published}")
    check_names([action for action in actions if isinstance(action, Publish)], watch, newest)


def check_names(
    published: Sequence[Publish], watch: Watch, newest: Mapping[tuple[str, str], ProjectPage]
) -> None:
    """Check that one build of each version is released, and that each name has one owner."""
    for action in published:
        ours = watch.owner(action.project) == action.team
        page = newest.get((action.team, action.project)) or pages.new_project(action.project)
        if ours and not page.release(Version(action.version)):
            raise Violation(f"{action.project} {action.version} is burnt")
    owners = {project: team for team, project in newest if newest[team, project].files}
    if len(owners) < len(newest) or any(watch.owner(name) != owners[name] for name in owners):
        raise Violation(f"names have two owners: {sorted(newest)}")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("share", [0.2, pytest.param(1, marks=pytest.mark.full)])
def test_distinct_schedules(
    share: float, scenario: Scenario, request: pytest.FixtureRequest
) -> None:
    wanted = ceil(share * int(request.config.getoption("schedules")) / len(SCENARIOS))
    start = MemoryBucket()
    prepare(scenario, start.perform, INDEX)
    shapes: set[Shape] = set()
    for seed in count():
        shapes.add(run(scenario, seed, MemoryBucket(start.objects).perform, INDEX))
        if len(shapes) >= wanted:
            break
        assert seed < 20 * wanted + 100, f"only {len(shapes)} schedules are distinct"


def test_a_full_run_has_a_thousand_schedules(pytestconfig: pytest.Config) -> None:
    # Each scenario runs its share of the schedules, and fails if it cannot reach it.
    assert pytestconfig.getoption("schedules") >= 1_000


def round_over_http(n: int) -> tuple[Action, ...]:
    """Return the concurrent actions of one round of the test below."""
    this = Publish(f"0.{n}.0")
    return (
        (this, other(f"1.{n}")),
        (this, Yank(f"0.{n - 1}.0")),
        (this, replace(this, body="x = 1")),
        (this, this, other(f"1.{n}")),
    )[n % 4]


@pytest.mark.full
@pytest.mark.parametrize("rounds", [range(6), range(6, 12)], ids=repr)
def test_schedules_over_http(rounds: range, library: Library) -> None:
    watch = Watch(library.index, Bucket(library.index).perform)
    outcomes: Outcomes = []
    for n in rounds:
        rng = random.Random(n)
        some, _ = run_watched(round_over_http(n), watch, rng, KINDS[n % len(KINDS)])
        outcomes += some
        check_end(outcomes, watch)


@pytest.mark.full
def test_sixteen_first_releases_of_four_teams() -> None:
    names = {f"acme-{letter}": team for team in TEAMS for letter in team[:4]}
    for seed in range(3):
        watch = Watch(INDEX, MemoryBucket().perform)
        actions = [Publish("1.0", name, team=team) for name, team in names.items()]
        outcomes, _ = run_watched(actions, watch, random.Random(seed), KINDS[seed % len(KINDS)])
        check_end(outcomes, watch)
        records, _ = pages.parse_list(watch.objects[LIST], LIST, "../packages/")
        assert {name: record.team for name, record in records.items()} == names
        pins = watch.objects[INDEX.organization_constraints].decode()
        assert all(f"\n{name} @ " in pins for name in names)


def test_a_release_of_an_older_version_takes_five_round_trips_too() -> None:
    bucket = MemoryBucket()
    for action in (Publish("0.1.0"), Publish("1.0")):
        carry_out(action.start(INDEX), bucket.perform)
    assert len(round_trips(NEXT.start(INDEX), bucket.perform)) == 5


@pytest.mark.parametrize("first", [True, False], ids=["first release", "later release"])
def test_a_release_takes_five_round_trips(first: bool) -> None:
    bucket = MemoryBucket()
    for action in () if first else (Publish("0.1.0"), other("1.0")):
        carry_out(action.start(INDEX), bucket.perform)
    batches = round_trips(NEXT.start(INDEX), bucket.perform)
    puts = [[request.key for request in batch if isinstance(request, Put)] for batch in batches]
    claimed, *name = puts[1]
    assert puts[0] == []
    assert (claimed, name) == (f"{PAGE}release-0.2.json", [f"{LIST}acme-common/"] if first else [])
    assert sorted(puts[2]) == [
        f"{PAGE}acme_common-0.2.0-py3-none-any.whl",
        f"{PAGE}acme_common-0.2.0-py3-none-any.whl.metadata",
        f"{PAGE}acme_common-0.2.0.tar.gz",
    ]
    assert puts[3] == [PAGE]
    assert all(Watch(INDEX, bucket.perform)._is_derived(key) for key in puts[4])
    assert len(puts) == 5


Start = Callable[[Publish, Index], Steps[int]]
Mistake = Callable[[Request], Request]


def publish_with(mistake: Mistake, start: Start = Publish.start) -> Start:
    """Return a publisher that sends every request as `mistake` changes it."""

    def broken(action: Publish, index: Index) -> Steps[int]:
        protocol = start(action, index)
        try:
            batch = next(protocol)
            while True:
                batch = protocol.send((yield [mistake(request) for request in batch]))
        except StopIteration as stop:
            return int(stop.value)

    return broken


def overwrites(concerned: Callable[[str], bool]) -> Mistake:
    """Return a mistake that drops the condition of PUTs for the concerned keys."""

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


def violations(scenario: Scenario) -> list[str]:
    """Run TRIED schedules; return the violations."""
    start = MemoryBucket()
    prepare(scenario, start.perform, INDEX)
    found = []
    for seed in range(TRIED):
        try:
            run(scenario, seed, MemoryBucket(start.objects).perform, INDEX)
        except Violation as violation:
            found.append(str(violation))
    return found


TRIED = 240
"""Schedules to run for a broken publisher; each is detected in fewer."""
LATER = Scenario("two versions", SOME, (Publish("0.2.0"), Publish("0.3.0")))
BUILDS = Scenario("two builds", SOME, (NEXT, replace(NEXT, body="x = 1")))
DERIVED = (
    INDEX.constraints,
    INDEX.organization_constraints,
    INDEX.organization_page("acme-common"),
)
"""Some derived objects: one each of the team, the organisation and the project."""


@pytest.mark.full
def test_finds_pages_that_are_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publish, "start", publish_with(overwrites(is_project_page)))
    found = violations(LATER)
    assert any("its serial did not grow" in violation for violation in found), found


@pytest.mark.full
def test_finds_derived_objects_that_are_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_derived(key: str) -> bool:
        return not key.startswith("packages/") or key in (INDEX.team_list, INDEX.constraints)

    monkeypatch.setattr(Publish, "start", publish_with(overwrites(is_derived)))
    found = violations(LATER)
    for key in (*DERIVED, INDEX.team_list, LIST, *site.list_keys(INDEX, INDEX.team)):
        assert any(f"{key} went back" in violation for violation in found), key


@pytest.mark.full
def test_finds_derived_objects_without_a_look_at_serials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "made_from", lambda *_: {})
    monkeypatch.setattr(refresh, "serial_of", lambda *_: 0)
    found = violations(LATER)
    for key in DERIVED:
        assert any(f"{key} went back" in violation for violation in found), key


def release_in_order(
    *parts: Callable[[Publish, Index, publish.Prepared], Steps[object]],
) -> Start:
    """Return a publisher that runs the parts of a release in the given order."""

    def broken(action: Publish, index: Index) -> Steps[int]:
        files = action.files()
        state = yield from publish.prepare(files, index, claim(files))
        for part in parts:
            yield from part(action, index, state)
        return 1

    return broken


def claims(action: Publish, index: Index, state: publish.Prepared) -> Steps[object]:
    return publish._claim(index, [state])


def creates(action: Publish, index: Index, state: publish.Prepared) -> Steps[object]:
    return publish._create(action.files(), index, state.stored)


def lists(action: Publish, index: Index, state: publish.Prepared) -> Steps[object]:
    return publish.change(index, state.snapshot, lambda page: pages.add(page, state.claim.files))


def test_finds_pages_that_come_before_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publish, "start", release_in_order(claims, lists, creates))
    found = violations(LATER)
    assert len(found) == TRIED
    assert any("is missing or other bytes" in violation for violation in found), found


def test_finds_files_that_come_before_their_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publish, "start", release_in_order(creates, claims, lists))
    found = violations(LATER)
    assert len(found) == TRIED
    assert all("came before its claim" in violation for violation in found), found


@pytest.mark.full
def test_finds_claims_that_nobody_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def ours(_: Stored, __: str, claim: Claim, ___: Version) -> Claim:
        return claim

    monkeypatch.setattr(publish, "_same_claim", ours)
    found = violations(BUILDS)
    assert any("has other files of 0.2.0 than were claimed" in line for line in found), found
    assert any("is burnt" in violation for violation in found), found
    [builds] = [each for each in SCENARIOS if each.name == "publish and import of other bytes"]
    found = violations(builds)
    assert any("has other files of 0.0.2 than were claimed" in line for line in found), found


def test_finds_names_that_two_teams_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_refuse_taken", lambda *_: None)
    assert violations(Scenario("two teams", (), (NEXT, replace(NEXT, team="data"))))
