"""An import of 400 files takes few round trips, survives a kill, and clients install from it."""

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3index.claims import Claim
from s3index.distribution import Distribution, parse_filename, read_old
from s3index.publish import import_releases, imported
from s3index.settings import LIST, Index
from s3index.steps import Put, Steps
from tests.clients.clients import consumer
from tests.commands import repository, s3index, start
from tests.distributions import sdist, wheel
from tests.protocol import dying
from tests.protocol.memory import MemoryBucket
from tests.protocol.schedules import INDEX, cache_rendering
from tests.protocol.standin import StandIn
from tests.protocol.test_crashes import crashes, ended, prefixes
from tests.world import Library, claim, objects, release, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RELEASES = 200


def made(folder: Path, releases: int = RELEASES) -> list[Path]:
    """Make a wheel and an sdist of each release: 0.0.1, 0.0.2 and so on."""
    folder.mkdir()
    versions = [f"0.0.{number}" for number in range(1, releases + 1)]
    return [kind(folder, version=version) for version in versions for kind in (wheel, sdist)]


def claimed(paths: Sequence[Path]) -> list[tuple[list[Distribution], Claim]]:
    """Return the releases in `paths` with the claims of an import; every tenth is yanked."""
    releases, refused = read_old(paths, "acme-common")
    assert refused == []
    known = {path.name: (None, parse_filename(path.name)[1].micro % 10 == 0) for path in paths}
    return [(files, imported(claim(files), "old.example.com", known)) for files in releases]


def whole(index: Index, releases: Sequence[tuple[list[Distribution], Claim]]) -> Steps[object]:
    return import_releases(releases, index)


@pytest.mark.parametrize(
    ("releases", "step"),
    [(3, 1), pytest.param(RELEASES, 40, marks=pytest.mark.full)],
    ids=["few", "400 files"],
)
def test_dying_before_any_put(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, releases: int, step: int
) -> None:
    """`step` 1 stops before and after each PUT; 400 files passed that once, in four minutes."""
    cache_rendering(monkeypatch)
    found = claimed(made(tmp_path / "old", releases))
    after = ended({}, whole(INDEX, found))
    files = json.loads(after[INDEX.project_page("acme-common")])["files"]
    assert sum("yanked" in file for file in files) == 2 * (releases // 10)
    states = list(crashes({}, whole(INDEX, found), prefixes))
    assert len(states) >= len(after)
    for state in states[::step]:
        page = state.get(INDEX.project_page("acme-common"))
        # The page lists all of the import or nothing.
        assert page is None or len(json.loads(page)["files"]) == 2 * releases
        assert ended(state, whole(INDEX, found)) == after


def test_the_number_of_round_trips_and_requests(tmp_path: Path) -> None:
    found = claimed(made(tmp_path / "old", 20))
    bucket, batches = MemoryBucket(), []
    protocol = whole(INDEX, found)
    batch = next(protocol)
    try:
        while True:
            batches.append(batch)
            batch = protocol.send([bucket.perform(request) for request in batch])
    except StopIteration:
        pass
    puts = [sum(isinstance(request, Put) for request in batch) for batch in batches]
    # Snapshot; claims and the name; wheels, their metadata and sdists; page; derived objects.
    assert puts == [0, 20 + 1, 3 * 20, 1, 11]
    assert len(batches[0]) - 20 == 13


@pytest.mark.full
def test_over_http_and_with_clients(
    s3: "S3Client",
    library: Library,
    wire: StandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    newest = replace(library, version="1.0")
    release(newest, wheel(tmp_path, version="1.0"))
    files = made(tmp_path / "old")
    root = repository(library, tmp_path / "repository")
    wire.seen.clear()
    started = time.monotonic()
    s3index(root, "import", *files)
    seconds = time.monotonic() - started
    sent = sum(len(seen.body) for seen in wire.seen)
    with capsys.disabled():
        print(
            f"\n400 files of {sum(path.stat().st_size for path in files):,} bytes: "
            f"{len(wire.seen):,} requests, {len(wire.puts()):,} of them PUTs, "
            f"{sent:,} bytes sent, {seconds:.1f} s"
        )
    assert wire.puts().count(library.index.project_page("acme-common")) == 1
    before = objects(s3, library.index)
    wire.seen.clear()
    s3index(root, "import", *files)
    assert wire.puts() == []
    assert objects(s3, library.index) == before
    assert verified(library).findings == []

    index = library.index.address(LIST)
    for name in ("pip", "uv", "poetry"):
        client = consumer(tmp_path / name)
        if name == "pip":
            client.pip("install", "--index-url", index, "acme-common<0.0.101")
        elif name == "uv":
            client.uv("pip", "install", "--index", index, "acme-common<0.0.101")
        else:
            client.poetry("source", "add", "--priority=explicit", "acme-packages", index)
            client.poetry("add", "--source", "acme-packages", "acme-common@<0.0.101")
        assert client.version() == "0.0.100"


@pytest.mark.full
@pytest.mark.parametrize("number", [1, 22, 82, 88])
def test_a_killed_process(s3: "S3Client", library: Library, tmp_path: Path, number: int) -> None:
    # PUTs: 21 claims and the name, 60 files and core metadata, the page, twelve derived objects.
    files = made(tmp_path / "old", 20)
    root = repository(library, tmp_path / "repository")
    runner = f"{Path(dying.__file__)} before {number}"
    process = start(root, "import", *files, runner=runner)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    s3index(root, "import", *files)
    page = json.loads(objects(s3, library.index)[library.index.project_page("acme-common")])
    assert {file["filename"] for file in page["files"]} == {path.name for path in files}
    assert page["meta"]["_last-serial"] == 1
    report = verified(library)
    assert (report.findings, report.notes) == ([], [])
