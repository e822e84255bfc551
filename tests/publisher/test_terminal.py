"""A terminal shows a bar while files are uploaded, and colour; Ctrl-C ends a preview."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from rich.progress import Progress

from s3index import output
from s3index.distribution import read_release
from s3index.preview import embedded
from tests.commands import STUBS, repository
from tests.distributions import wheel
from tests.protocol.standin import Answer, Seen, error, standing_in
from tests.world import Library

if TYPE_CHECKING:
    from s3index.s3 import Opener


def on_a_terminal(root: Path, *arguments: str, **env: str) -> tuple[int, str]:
    """Run s3index with a terminal as stderr; return its exit status and the terminal's output."""
    ours, its = pty.openpty()
    path = f"{STUBS}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [sys.executable, "-m", "s3index", *arguments],
        cwd=root,
        env={**os.environ, "TERM": "xterm", "PATH": path, **env},
        stdout=subprocess.DEVNULL,
        stderr=its,
    ) as process:
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # Linux's way to report the end of a terminal's output
                part = b""
            if not part:
                break
            shown += part
        os.close(ours)
    return process.returncode, shown.decode()


def bars(shown: str) -> list[tuple[float, float]]:
    """Return the states that the bar showed, in order: (amount sent, total)."""
    found = re.findall(r"(-?[\d.]+)/([\d.]+) (?:MB|kB|bytes)", shown)
    return [(float(done), float(total)) for done, total in found]


def test_a_bar_for_each_file_that_goes_out(library: Library, tmp_path: Path) -> None:
    root = repository(library, library.root)
    path = wheel(tmp_path, body=f"# {os.urandom(600_000).hex()}")
    status, shown = on_a_terminal(root, "publish", str(path))
    assert status == 0
    assert path.name in shown
    states = bars(shown)
    assert states, shown
    assert states[-1] == (float(f"{path.stat().st_size / 1e6:.1f}"),) * 2


@pytest.mark.full
def test_a_bar_goes_back_with_what_is_sent_again(
    library: Library, tmp_path: Path, endpoint: str
) -> None:
    root = repository(library, library.root)
    path = wheel(tmp_path, body=f"# {os.urandom(600_000).hex()}")
    refused: list[str] = []

    def slow_down(seen: Seen) -> Answer | None:
        # Twice, after the body was received: boto rewinds the file and sends it again.
        if seen.method != "PUT" or not seen.key.endswith(".whl") or len(refused) == 2:
            return None
        refused.append(seen.key)
        return error(503, "SlowDown", "Please reduce your request rate.")

    with standing_in(slow_down, endpoint) as server:
        status, shown = on_a_terminal(root, "publish", str(path), AWS_ENDPOINT_URL_S3=server.url)
    assert (status, len(refused)) == (0, 2), shown
    states = bars(shown)
    assert states[-1] == (float(f"{path.stat().st_size / 1e6:.1f}"),) * 2
    assert all(0 <= done <= total for done, total in states)


@pytest.mark.parametrize("rewinds", [0, 3])
def test_what_is_sent_again_is_taken_back(
    rewinds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Progress] = []
    start = Progress.start

    def started(self: Progress) -> None:
        made.append(self)
        start(self)

    monkeypatch.setattr(Progress, "start", started)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    path = wheel(tmp_path)
    found = read_release([path], "acme-common", Version("0.1.0"))
    opener: Opener | None
    with output.upload_progress(found) as opener:
        assert opener
        [task] = made[0].tasks
        with opener(path) as file:
            for _ in range(rewinds):
                assert file.read(100) == path.read_bytes()[:100]
                assert task.completed == 100
                file.seek(0)
                assert task.completed == 0
            assert file.read() == path.read_bytes()
        assert task.completed == task.total == path.stat().st_size


def test_an_error_is_red_on_a_terminal_alone(library: Library) -> None:
    root = repository(library, library.root)
    status, shown = on_a_terminal(root, "yank", "9.0")
    assert status == 1
    assert shown.startswith("\x1b[31m\x1b[1mError: \x1b[0m")


def test_waiting_ends_with_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = iter([None, KeyboardInterrupt()])

    def sleep(seconds: float) -> None:
        if error := next(waits):
            raise error

    monkeypatch.setattr("time.sleep", sleep)
    output.until_interrupted()
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Serving until Ctrl-C.",
        "Stopped; nothing is left behind.",
    ]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_a_preview_has_the_bucket_and_nothing_of_ones_own_account(
    library: Library, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "own")
    root = repository(library, library.root)
    bucket = library.index.bucket
    settings = root / "pyproject.toml"
    # moto's servers in one process share their buckets.
    text = settings.read_text().replace(bucket, f"{bucket}-{region}")
    settings.write_text(text.replace(f'region = "{library.index.region}"', f'region = "{region}"'))
    with embedded(root) as (index, project):
        assert (index.region, project.name) == (region, "acme-common")
        assert index.url.startswith("http://127.0.0.1:")
        assert index.url.endswith(f"/{bucket}-{region}")
        assert os.environ["AWS_ENDPOINT_URL_S3"] in index.url
        assert "AWS_PROFILE" not in os.environ
