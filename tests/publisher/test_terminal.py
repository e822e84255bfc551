"""What is different on a terminal: a bar while files go out, colour, and waiting for Ctrl-C."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import S3INDEX, STUBS, repository
from tests.distributions import wheel
from s3index import console
from s3index.config import Config
from s3index.preview import embedded
from s3index.streams import Watched


def on_a_terminal(config: Config, *arguments: str) -> tuple[int, str]:
    """Run s3index with a terminal for its errors; return its status and what was shown there."""
    ours, its = pty.openpty()
    path = f"{STUBS}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "s3index", *arguments],
        cwd=config.root,
        env={**os.environ, "PYTHONPATH": str(S3INDEX), "TERM": "xterm", "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=its,
    )
    os.close(its)
    shown = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # Linux's way to say that nobody writes any more
            part = b""
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(), shown.decode()


def test_a_bar_for_each_file_that_goes_out(config: Config, tmp_path: Path) -> None:
    repository(config, config.root)
    path = wheel(tmp_path, body=f"# {os.urandom(600_000).hex()}")
    status, shown = on_a_terminal(config, "publish", str(path))
    assert status == 0
    assert path.name in shown
    done = re.findall(r"([\d.]+)/([\d.]+) MB", shown)
    assert done, shown
    assert done[-1] == (f"{path.stat().st_size / 1e6:.1f}",) * 2


def test_an_error_is_red_on_a_terminal_alone(config: Config) -> None:
    repository(config, config.root)
    status, shown = on_a_terminal(config, "yank", "9.0")
    assert status == 1
    assert shown.startswith("\x1b[31m\x1b[1mError: \x1b[0m")


def test_what_is_sent_again_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    told: list[int] = []
    with Watched(path, lambda _, count: told.append(count)) as file:
        assert file.readable()
        assert file.seekable()
        assert file.read(4) == b"0123"
        assert file.seek(0) == 0
        assert file.read() == b"0123456789"
        file.seek(2, os.SEEK_END)
    assert sum(told) == 10
    assert told[:2] == [4, -4]


def test_waiting_ends_with_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = iter([None, KeyboardInterrupt()])

    def sleep(seconds: float) -> None:
        if error := next(waits):
            raise error

    monkeypatch.setattr("time.sleep", sleep)
    console.until_interrupted()
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Serving until Ctrl-C.",
        "Stopped; nothing is left behind.",
    ]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_a_preview_has_the_bucket_and_nothing_of_ones_own_account(
    config: Config, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "own")
    repository(config, config.root)
    settings = config.root / "pyproject.toml"
    # moto's servers in one process share their buckets.
    text = settings.read_text().replace(config.bucket, f"{config.bucket}-{region}")
    settings.write_text(text.replace(f'region = "{config.region}"', f'region = "{region}"'))
    with embedded(config.root) as preview:
        assert preview.region == region
        assert preview.url.startswith("http://127.0.0.1:")
        assert preview.url.endswith(f"/{config.bucket}-{region}")
        assert os.environ["AWS_ENDPOINT_URL_S3"] in preview.url
        assert "AWS_PROFILE" not in os.environ
