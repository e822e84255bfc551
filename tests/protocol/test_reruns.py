"""The real command can be run twice, cancelled in the middle or run for an old tag."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.consumers import broken_links, offered
from tests.commands import repository, s3index, start
from tests.distributions import sdist, wheel
from tests.protocol.standin import Answer, Seen, StandIn, standing_in
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "packages/devtools/acme-common/"


def latest(s3: "S3Client", library: Library) -> str:
    """Return the newest version in the team's list, which constraints.txt must match."""
    stored = objects(s3, library.index)
    [said] = json.loads(stored[library.index.team_list])["projects"]
    version = said["_latest"]["version"]
    for key in (library.index.constraints, library.index.organization_constraints):
        assert f"-{version}-py3-none-any.whl" in stored[key].decode()
    return str(version)


def test_twice(s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    root = repository(library, tmp_path / "root")
    s3index(root, "publish", *files)
    before = objects(s3, library.index)
    wire.seen.clear()
    s3index(root, "publish", *files)
    assert wire.puts() == []
    assert objects(s3, library.index) == before


@pytest.mark.full
def test_both_at_once(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    root = repository(library, tmp_path / "root")
    processes = [start(root, "publish", *files) for _ in range(2)]
    assert [process.communicate()[1] for process in processes] == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(offered(objects(s3, library.index), "devtools")) == 2


@pytest.mark.full
def test_an_old_tag_after_a_newer_release(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    old, new = wheel(tmp_path), wheel(tmp_path, version="0.2.0")
    late = wheel(tmp_path, version="0.1.1")
    release(library, old)
    release(at(library, "0.2.0"), new)
    # The release job of 0.1.0 runs again; then a fix for the old line is released.
    root = repository(library, tmp_path / "root")
    before = objects(s3, library.index)
    s3index(root, "publish", old)
    assert objects(s3, library.index) == before
    s3index(repository(at(library, "0.1.1"), root), "publish", late)
    assert latest(s3, library) == "0.2.0"
    page = json.loads(objects(s3, library.index)[FOLDER])
    assert page["versions"] == ["0.1.0", "0.1.1", "0.2.0"]


class Gate:
    """Once closed, holds the first PUT of one object until opened."""

    def __init__(self, key: str) -> None:
        """Start open."""
        self.key = key
        self.closed = threading.Event()
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, seen: Seen) -> Answer | None:
        """Hold the request if it is that PUT."""
        if (seen.method, seen.key) == ("PUT", self.key) and self.closed.is_set():
            self.closed.clear()
            self.reached.set()
            self.opened.wait(60)
        return None


@pytest.fixture
def gate(
    request: pytest.FixtureRequest,
    endpoint: str,
    s3: "S3Client",
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Gate]:
    """Put a gate in front of the server; the parameter is its key."""
    made = Gate(request.param)
    with standing_in(made, endpoint) as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stand_in.url)
        yield made


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    "gate",
    [
        f"{FOLDER}release-0.2.json",
        f"{FOLDER}acme_common-0.2.0.tar.gz",
        FOLDER,
        "simple/constraints.txt",
    ],
    ids=["at its claim", "while a file goes out", "at the project page", "at constraints.txt"],
    indirect=True,
)
def test_cancelled_in_the_middle(
    s3: "S3Client",
    library: Library,
    gate: Gate,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    release(library, wheel(tmp_path))
    before = objects(s3, library.index)
    gate.closed.set()
    files = wheel(tmp_path, version="0.2.0"), sdist(tmp_path, version="0.2.0")
    root = repository(at(library, "0.2.0"), tmp_path / "root")
    process = start(root, "publish", *files)
    assert gate.reached.wait(60)
    process.send_signal(number)
    gate.opened.set()
    _, stderr = process.communicate()
    assert process.returncode != 0
    assert "Traceback" not in stderr

    stored = objects(s3, library.index)
    assert broken_links(stored, library.index.url) == []
    assert offered(before, "devtools").items() <= offered(stored, "devtools").items()
    s3index(root, "publish", *files)
    assert latest(s3, library) == "0.2.0"
    assert len(offered(objects(s3, library.index), "devtools")) == 3
