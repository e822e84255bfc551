"""Publishers that die at every place where they can.

A protocol changes the bucket only by PUTs, and those of one batch are under way together: so it
can die with any of them done and the others not. Each of these states is made, in the bucket in
memory; some are made by killing a real process. To add a protocol, add a line to CASES.
"""

import json
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.template.baking import python, run
from tests.commands import repository, s3index, start
from tests.clients.consumers import broken_links, offered
from tests.distributions import sdist, wheel
from tests.protocol.memory import MemoryBucket
from s3index.config import Config
from s3index.repair import repair
from s3index.steps import Put, Request, Steps
from tests.protocol.schedules import CONFIG, Action, Publish, Yank, cache_rendering, carry_out
from tests.world import at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Objects = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """A protocol, what was done before it, and the objects that somebody has lost since."""

    name: str
    before: tuple[Action, ...]
    start: Callable[[Config], Steps[Any]]
    lost: str = "nothing"


SOME = (Publish("0.1.0"), Publish("1.0", "acme-other"))
CASES = [
    Case("first release", (), Publish("0.1.0").start),
    Case("later release", SOME, Publish("0.2.0").start),
    Case("a wheel's sdist", (Publish("0.1.0", kinds=("wheel",)),), Publish("0.1.0").start),
    Case("yank", SOME, Yank("0.1.0", yanked="it leaks").start),
    Case("unyank", (*SOME, Yank("0.1.0")), Yank("0.1.0", yanked=False).start),
    Case("repair of a page", SOME, repair, "packages/devtools/acme-common/"),
    Case("repair of the team page", SOME, repair, "packages/devtools/"),
    Case("repair of everything", SOME, repair, "packages/.*(/|metadata|txt)|dumb-pypi/.*"),
]


@pytest.fixture
def quick_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    cache_rendering(monkeypatch)


def prepared(case: Case) -> Objects:
    """Return what is in the bucket when a case's protocol starts."""
    bucket = MemoryBucket()
    for action in case.before:
        carry_out(action.start(CONFIG), bucket.perform)
    return {key: body for key, body in bucket.objects.items() if not re.fullmatch(case.lost, key)}


def ended(objects: Objects, protocol: Steps[Any]) -> Objects:
    """Return what a protocol that nobody disturbs makes of the objects in a bucket."""
    bucket = MemoryBucket(objects)
    carry_out(protocol, bucket.perform)
    return bucket.objects


def crashes(objects: Objects, protocol: Steps[Any], *, in_order: bool = False) -> Iterator[Objects]:
    """Yield every state in which a protocol can leave the bucket by dying.

    With `in_order`, only those where the PUTs of a batch were done one after another.
    """
    bucket = MemoryBucket(objects)
    try:
        batch = next(protocol)
        while True:
            puts = [request for request in batch if isinstance(request, Put)]
            for done in (prefixes if in_order else subsets)(puts):
                state = MemoryBucket(bucket.objects)
                for put in done:
                    state.perform(put)
                yield state.objects
            batch = protocol.send([bucket.perform(request) for request in batch])
    except StopIteration:
        yield bucket.objects


def subsets(puts: Sequence[Request]) -> Iterator[Sequence[Request]]:
    for size in range(len(puts) + 1):
        yield from combinations(puts, size)


def prefixes(puts: Sequence[Request]) -> Iterator[Sequence[Request]]:
    for size in range(len(puts) + 1):
        yield puts[:size]


def check_consumers(state: Objects, before: Objects, after: Objects) -> None:
    """Check that consumers find what they found before, and nothing that is not whole."""
    assert broken_links(state, CONFIG.url) == []
    had, has, will = (offered(each, CONFIG.team) for each in (before, state, after))
    assert had.keys() <= has.keys()
    for key, file in has.items():
        assert file in (had.get(key), will[key])
    # A page is swapped at once: from each, everything that is new or nothing.
    for folder in {key.rpartition("/")[0] for key in has}:
        states = [
            {key: file for key, file in each.items() if key.rpartition("/")[0] == folder}
            for each in (had, will)
        ]
        assert {key: file for key, file in has.items() if key.startswith(f"{folder}/")} in states


@pytest.mark.usefixtures("quick_rendering")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_dying_anywhere(case: Case) -> None:
    before = prepared(case)
    after = ended(before, case.start(CONFIG))
    for state in crashes(before, case.start(CONFIG)):
        check_consumers(state, before, after)
        assert ended(state, case.start(CONFIG)) == after


@pytest.mark.usefixtures("quick_rendering")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_dying_twice(case: Case) -> None:
    before = prepared(case)
    after = ended(before, case.start(CONFIG))
    for first in crashes(before, case.start(CONFIG), in_order=True):
        for second in crashes(first, case.start(CONFIG), in_order=True):
            check_consumers(second, before, after)
            assert ended(second, case.start(CONFIG)) == after


@pytest.mark.usefixtures("quick_rendering")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_another_project_is_published_in_between(case: Case) -> None:
    other = Publish("3", "acme-third")
    before = prepared(case)
    undisturbed = ended(ended(before, other.start(CONFIG)), case.start(CONFIG))
    for state in crashes(before, case.start(CONFIG)):
        between = ended(state, other.start(CONFIG))
        assert offered(state, CONFIG.team).keys() < offered(between, CONFIG.team).keys()
        assert broken_links(between, CONFIG.url) == []
        assert ended(between, case.start(CONFIG)) == undisturbed


def timeless(objects: Objects, team: str) -> dict[str, str]:
    """Return a team's objects without what differs from one run to the next."""
    found = {}
    for key, body in objects.items():
        if f"/{team}/" in key:
            text = re.sub(r"\d{4}-\d\d-\d\d.\d\d:\d\d:\d\dZ?", "TIME", body.decode("latin-1"))
            # The changelog is in the order of the uploads, which may fall into two seconds.
            lines = sorted(text.splitlines()) if "/changelog/" in key else [text]
            found[key.replace(team, "TEAM")] = "\n".join(lines).replace(team, "TEAM")
    return found


def download(config: Config, requirement: str, into: Path) -> list[str]:
    """Let real pip take a project from the JSON index; return the names of what it took."""
    into.mkdir()
    index = config.address(config.keys.team_page)
    run(python("pip", "download", "--no-deps", "--index-url", index, requirement), into)
    return [path.name for path in into.iterdir()]


KILLS = [("before", 1), ("after", 2), ("before", 4), ("after", 4), ("after", 7)]
"""Of the PUTs of a release, the first three are files, the fourth is the project page."""


@pytest.mark.parametrize(("when", "number"), KILLS)
def test_a_killed_process(
    s3: "S3Client", config: Config, tmp_path: Path, when: str, number: int
) -> None:
    old = wheel(tmp_path)
    new = wheel(tmp_path, version="0.2.0"), sdist(tmp_path, version="0.2.0")
    killed, undisturbed = (at(config, "0.2.0", team=team) for team in ("killed", "undisturbed"))
    for each in (killed, undisturbed):
        release(at(each, "0.1.0"), old)
    release(undisturbed, *new)

    root = repository(killed, tmp_path / "killed")
    runner = f"{Path(__file__).with_name('dying.py')} {when} {number}"
    process = start(root, "publish", *new, runner=runner)
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    stored = objects(s3, config)
    page = json.loads(stored[killed.keys.project_page("acme-common")])
    listed = number > 4 or (when, number) == ("after", 4)
    assert page["versions"] == (["0.1.0", "0.2.0"] if listed else ["0.1.0"])
    assert broken_links(stored, config.url) == []
    newest = new[0] if listed else old
    assert download(killed, "acme-common", tmp_path / "newest") == [newest.name]
    if listed:
        assert download(killed, "acme-common==0.1.0", tmp_path / "old") == [old.name]

    s3index(root, "publish", *new)
    stored = objects(s3, config)
    assert timeless(stored, "killed") == timeless(stored, "undisturbed")
