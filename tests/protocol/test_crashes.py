"""A publisher may die at any PUT: consumers see a consistent index, and a second run finishes.

A protocol changes the bucket only by PUTs, and sends those of one batch concurrently, so it can die
with any subset of them done. The tests create each of these states in the bucket in memory, and
some by killing a real process. To add a protocol, add a line to CASES.
"""

import json
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from s3index.errors import Refused
from s3index.repair import repair
from s3index.settings import LIST, Index
from s3index.steps import Put, Request, Steps
from tests.clients.consumers import broken_links, offered
from tests.commands import repository, s3index, start
from tests.distributions import sdist, wheel
from tests.protocol.memory import MemoryBucket
from tests.protocol.schedules import (
    INDEX,
    Action,
    Import,
    Publish,
    Yank,
    cache_rendering,
    carry_out,
)
from tests.template.baking import python, run
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Objects = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """A protocol, the actions before it, and a pattern of the objects lost since."""

    name: str
    before: tuple[Action, ...]
    start: Callable[[Index], Steps[Any]]
    lost: str = "nothing"


WHEEL = Publish("0.0.2", kinds=("wheel",))
SOME = (Publish("0.1.0"), Publish("1.0", "acme-other"))
CASES = [
    Case("first release", (), Publish("0.1.0").start),
    Case("later release", SOME, Publish("0.2.0").start),
    Case("another team's first release", SOME, Publish("1", "acme-frames", team="data").start),
    Case("import", SOME, Import((Publish("0.0.1"), WHEEL), yanked=("0.0.2",)).start),
    Case("yank", SOME, Yank("0.1.0", yanked="it leaks").start),
    Case("unyank", (*SOME, Yank("0.1.0")), Yank("0.1.0", yanked=False).start),
    Case("repair of a page", SOME, repair, "packages/devtools/acme-common/"),
    Case("repair of the team page", SOME, repair, "packages/devtools/"),
    Case(
        "repair of everything", SOME, repair, "packages/.*(/|metadata|txt)|simple/.*|dumb-pypi/.*"
    ),
]


@pytest.fixture
def quick_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    cache_rendering(monkeypatch)


def prepared(case: Case) -> Objects:
    """Return the bucket's objects when a case's protocol starts."""
    bucket = MemoryBucket()
    for action in case.before:
        carry_out(action.start(INDEX), bucket.perform)
    return {key: body for key, body in bucket.objects.items() if not re.fullmatch(case.lost, key)}


def ended(objects: Objects, protocol: Steps[Any]) -> Objects:
    """Return the objects that a protocol leaves in a bucket if it runs undisturbed."""
    bucket = MemoryBucket(objects)
    carry_out(protocol, bucket.perform)
    return bucket.objects


def crashes(objects: Objects, protocol: Steps[Any], choice: "Choice") -> Iterator[Objects]:
    """Yield the states in which a dying protocol can leave the bucket.

    `choice` yields, for the PUTs of a batch, the subsets that were done.
    """
    bucket = MemoryBucket(objects)
    try:
        batch = next(protocol)
        while True:
            puts = [request for request in batch if isinstance(request, Put)]
            for done in choice(puts):
                state = MemoryBucket(bucket.objects)
                for put in done:
                    state.perform(put)
                yield state.objects
            batch = protocol.send([bucket.perform(request) for request in batch])
    except StopIteration:
        yield bucket.objects


def subsets(puts: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """Yield every subset: 4,096 for the twelve objects derived from a page."""
    for size in range(len(puts) + 1):
        yield from combinations(puts, size)


def few(puts: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """Yield the subsets that reveal most mistakes: none, one, two, all but one, all."""
    for size in sorted({0, 1, 2, len(puts) - 1, len(puts)} & set(range(len(puts) + 1))):
        yield from combinations(puts, size)


def prefixes(puts: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """Yield the subsets for a publisher that sends one PUT after another."""
    for size in range(len(puts) + 1):
        yield puts[:size]


Choice = Callable[[Sequence[Request]], Iterator[Sequence[Request]]]
every_choice = pytest.mark.parametrize(
    "choice", [few, pytest.param(subsets, marks=pytest.mark.full)], ids=["few", "all"]
)


def check_consumers(state: Objects, before: Objects, after: Objects) -> None:
    """Check that consumers find everything they found before, and nothing incomplete."""
    assert broken_links(state, INDEX.url) == []
    had, has, will = (
        offered(each, INDEX.team) | offered(each, "data") for each in (before, state, after)
    )
    assert had.keys() <= has.keys()
    for key, file in has.items():
        assert file in (had.get(key), will[key])
    # A page is swapped at once: each shows all of its new files or none.
    for folder in {key.rpartition("/")[0] for key in has}:
        states = [
            {key: file for key, file in each.items() if key.rpartition("/")[0] == folder}
            for each in (had, will)
        ]
        assert {key: file for key, file in has.items() if key.startswith(f"{folder}/")} in states


@pytest.mark.usefixtures("quick_rendering")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@every_choice
def test_dying_anywhere(case: Case, choice: Choice) -> None:
    before = prepared(case)
    after = ended(before, case.start(INDEX))
    for state in crashes(before, case.start(INDEX), choice):
        check_consumers(state, before, after)
        assert ended(state, case.start(INDEX)) == after


@pytest.mark.full
@pytest.mark.usefixtures("quick_rendering")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_dying_twice(case: Case) -> None:
    before = prepared(case)
    after = ended(before, case.start(INDEX))
    for first in crashes(before, case.start(INDEX), prefixes):
        for second in crashes(first, case.start(INDEX), prefixes):
            check_consumers(second, before, after)
            assert ended(second, case.start(INDEX)) == after


@pytest.mark.usefixtures("quick_rendering")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@every_choice
def test_another_project_is_published_in_between(case: Case, choice: Choice) -> None:
    other = Publish("3", "acme-third")
    before = prepared(case)
    undisturbed = ended(ended(before, other.start(INDEX)), case.start(INDEX))
    for state in crashes(before, case.start(INDEX), choice):
        between = ended(state, other.start(INDEX))
        assert offered(state, INDEX.team).keys() < offered(between, INDEX.team).keys()
        assert broken_links(between, INDEX.url) == []
        assert ended(between, case.start(INDEX)) == undisturbed


BY_ANOTHER = r"was claimed by the one that died .* a release never changes|with other bytes"


@pytest.mark.usefixtures("quick_rendering")
@pytest.mark.parametrize("before", [(), SOME], ids=["first release", "later release"])
def test_another_build_after_dying(before: tuple[Action, ...]) -> None:
    ours = Publish("0.2.0", by="the one that died")
    another = Publish("0.2.0", body="x = 1", by="another")
    case = Case("", before, ours.start)
    start = prepared(case)
    whole = ended(start, ours.start(INDEX))
    claim = INDEX.claim("acme-common", Version("0.2.0"))
    refused = won = 0
    for state in crashes(start, ours.start(INDEX), prefixes):
        first, second = (another, ours) if claim not in state else (ours, another)
        won += first is another
        bucket = MemoryBucket(state)
        if first is ours:
            # The other build is refused, told who has the claim, and writes nothing.
            with pytest.raises(Refused, match=BY_ANOTHER) as told:
                carry_out(another.start(INDEX), bucket.perform)
            assert bucket.objects == state
            refused += "the one that died from commit 0123456789abcdef" in str(told.value)
            assert ended(state, ours.start(INDEX)) == whole
        else:
            bucket = MemoryBucket(ended(state, another.start(INDEX)))
        between = bucket.objects if first is another else ended(state, ours.start(INDEX))
        with pytest.raises(Refused, match=r"in the bucket with other bytes.* Bump the version"):
            carry_out(second.start(INDEX), MemoryBucket(between).perform)
    assert won
    assert refused > 3


def timeless(objects: Objects, library: Library) -> dict[str, str]:
    """Return the bucket's objects without the parts that differ between runs."""
    found = {}
    for key, body in objects.items():
        text = re.sub(r"\d{4}-\d\d-\d\d.\d\d:\d\d:\d\dZ?", "TIME", body.decode("latin-1"))
        # The changelog is in upload order, and uploads may fall into different seconds.
        lines = sorted(text.splitlines()) if "/changelog/" in key else [text]
        found[key] = "\n".join(lines).replace(library.index.bucket, "BUCKET")
    return found


def download(index: Index, requirement: str, into: Path) -> list[str]:
    """Download a project from the organisation's index with real pip; return the filenames."""
    into.mkdir()
    run(
        python("pip", "download", "--no-deps", "--index-url", index.address(LIST), requirement),
        into,
    )
    return [path.name for path in into.iterdir()]


KILLS = [("before", 1), ("after", 1), ("before", 3), ("before", 5), ("after", 5), ("after", 8)]
"""The first PUT of a release is its claim, the next three are files, the fifth is its page."""


@pytest.mark.full
@pytest.mark.parametrize(("when", "number"), KILLS)
def test_a_killed_process(
    s3: "S3Client", library: Library, tmp_path: Path, when: str, number: int
) -> None:
    old = wheel(tmp_path)
    new = wheel(tmp_path, version="0.2.0"), sdist(tmp_path, version="0.2.0")
    twin = replace(library.index, bucket=f"{library.index.bucket}-b", url=f"{library.index.url}-b")
    s3.create_bucket(
        Bucket=twin.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    killed, undisturbed = at(library, "0.2.0"), replace(at(library, "0.2.0"), index=twin)
    for each in (killed, undisturbed):
        release(at(each, "0.1.0"), old)
    s3index(repository(undisturbed, tmp_path / "undisturbed"), "publish", *new)

    root = repository(killed, tmp_path / "killed")
    runner = f"{Path(__file__).with_name('dying.py')} {when} {number}"
    process = start(root, "publish", *new, runner=runner)
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    stored = objects(s3, killed.index)
    page = json.loads(stored[killed.index.project_page("acme-common")])
    listed = number > 5 or (when, number) == ("after", 5)
    assert page["versions"] == (["0.1.0", "0.2.0"] if listed else ["0.1.0"])
    assert broken_links(stored, killed.index.url) == []
    # The page is the release; clients read the organisation's copy, which is written later.
    copied = (
        "0.2.0" in json.loads(stored[killed.index.organization_page("acme-common")])["versions"]
    )
    newest = new[0] if copied else old
    assert copied <= listed
    assert download(killed.index, "acme-common", tmp_path / "newest") == [newest.name]
    assert download(killed.index, "acme-common==0.1.0", tmp_path / "old") == [old.name]
    if (when, number) != ("before", 1):
        (tmp_path / "other").mkdir()
        other = wheel(tmp_path / "other", version="0.2.0", body="x = 1")
        assert re.search(
            "with other bytes" if listed else "was claimed by tests at ",
            s3index(root, "publish", other, exits=1),
        )

    s3index(root, "publish", *new)
    stored = objects(s3, killed.index)
    assert timeless(stored, killed) == timeless(objects(s3, twin), undisturbed)
