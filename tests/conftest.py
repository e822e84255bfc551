"""Shared fixtures: an S3 server over HTTP, a public bucket in it, and the publisher's settings."""

import functools
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import botocore.loaders
import botocore.session
import dumb_pypi.main
import hypothesis
import jinja2
import jinja2.bccache
import pytest
from botocore.awsrequest import AWSHTTPConnection
from moto.server import ThreadedMotoServer

from s3index.settings import Index
from tests.access.administrator import repository, tell_moto
from tests.protocol.standin import StandIn, standing_in, verifies_checksums
from tests.s3server import quicken
from tests.world import REGION, Library, readable

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client


def pytest_configure() -> None:
    """Let the tests' child processes receive SIGINT, which shells ignore for background jobs.

    Read botocore's service models and compile dumb-pypi's templates once, too: for every client
    and page, that takes half of a test's time.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A case's duration depends on how busy the machine is.
    hypothesis.settings.register_profile("tests", deadline=None)
    hypothesis.settings.load_profile("tests")
    create = functools.cache(botocore.loaders.create_loader)
    botocore.session.create_loader = create
    environment = functools.partial(jinja2.Environment, bytecode_cache=_Compiled())
    names = SimpleNamespace(Environment=environment, PackageLoader=jinja2.PackageLoader)
    vars(dumb_pypi.main)["jinja2"] = names


class _Compiled(jinja2.BytecodeCache):
    """Keeps compiled templates in memory; environments hold settings and are not shared."""

    def __init__(self) -> None:
        self.code: dict[str, CodeType | None] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        bucket.code = self.code.get(bucket.key)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self.code[bucket.key] = bucket.code


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options for longer runs: of interleavings, and of combinations of answers."""
    parser.addoption(
        "--every-combination",
        action="store_true",
        help="run a generated repository's own checks for every combination of choices",
    )
    parser.addoption(
        "--schedules",
        type=int,
        default=1_200,
        metavar="N",
        help="how many distinct schedules of concurrent publishers to run (default: 1200)",
    )


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Run moto's server for the tests of this process; return its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    quicken()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def connections_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the connections that boto3's clients opened in a test.

    A client closes only connections returned to its pool, not one whose response was partly read.
    That one would warn, which is an error, in whichever test it is garbage-collected.
    """
    opened: list[AWSHTTPConnection] = []
    connect = AWSHTTPConnection.connect

    def remembered(connection: AWSHTTPConnection) -> None:
        opened.append(connection)
        connect(connection)

    monkeypatch.setattr(AWSHTTPConnection, "connect", remembered)
    yield
    for connection in opened:
        connection.close()


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's own AWS settings out of the tests."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> "S3Client":
    """Return a client of the server; point boto3 in this process and its children at it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    return boto3.client("s3", region_name=REGION)


@pytest.fixture
def library(s3: "S3Client", endpoint: str, tmp_path: Path) -> Library:
    """Return acme-common 0.1.0 of team devtools, with a new bucket of its own."""
    bucket = f"acme-{uuid4().hex[:12]}"
    readable(s3, bucket)
    index = Index("devtools", bucket, REGION, f"{endpoint}/{bucket}", endpoint)
    return Library(index, tmp_path)


@pytest.fixture
def wire(endpoint: str, s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Record each request with a stand-in between the publisher and the server."""
    with standing_in(verifies_checksums, endpoint) as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stand_in.url)
        yield stand_in


@pytest.fixture(scope="session")
def moto_process() -> Iterator[str]:
    """Run moto's server in its own process, where no account can read another's buckets."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("s3server.py")],
        env=os.environ | {"MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "false"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process.stdout:
        yield process.stdout.readline().strip()
        process.terminate()
    process.wait()


@pytest.fixture
def account(moto_process: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Reset the server process and point boto3 at it for every service; return its address."""
    tell_moto(moto_process, "reset")
    tell_moto(moto_process, "reset-auth", "inf")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_process)
    return moto_process


@pytest.fixture
def storage(account: str) -> "S3Client":
    """Return an S3 client for the account."""
    return boto3.client("s3", region_name=REGION)


@pytest.fixture
def iam(account: str) -> "IAMClient":
    """Return an IAM client for the account."""
    return boto3.client("iam", region_name=REGION)


@pytest.fixture
def acme(account: str, tmp_path: Path) -> Library:
    """Return acme-common's repository, with public access."""
    return repository(tmp_path)
