"""Measure what pip and uv fetch until they have chosen a release: `make bench ONLY=choosing`.

A library's newest three releases require a version of another library that does not exist, so that
a client has to inspect four wheels of 20 MB to choose the oldest. Only requests and bytes are
counted, which are the same on every machine.
"""

import json
import logging
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from subprocess import run
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import boto3
from moto.server import ThreadedMotoServer

from benchmarks.proxy import Proxy
from benchmarks.report import Rows, markdown
from benchmarks.results import size
from benchmarks.team import library
from tests.distributions import wheel
from tests.world import Library, at, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MEGABYTES = 20
RELEASES = ("1.0", "2.0", "3.0", "4.0")
NEEDS = "acme-core"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Choice:
    """One client on one kind of index: what it fetched until it had chosen, and in total."""

    client: str
    metadata: bool
    requests: int
    received: int
    in_all: int


def main() -> None:
    """Measure and print the table that is in docs/benchmarks.md."""
    print(markdown(table(measure())))


def measure(megabytes: int = MEGABYTES) -> list[Choice]:
    """Publish the releases and let each client choose, with and without core metadata."""
    choices = []
    with tempfile.TemporaryDirectory() as name, _index(Path(name), megabytes) as (s3, proxy, ours):
        for metadata in (True, False):
            if not metadata:
                _remove_metadata(s3, ours)
            address = ours.index.address(ours.index.team_list)
            for client in ("pip", "uv"):
                runs = [
                    _fetched(client, address, Path(name), proxy, *dry)
                    for dry in (("--dry-run",), ())
                ]
                choices.append(Choice(client, metadata, *runs[0], runs[1][1]))
    return choices


def table(choices: list[Choice]) -> Rows:
    """Return a row for each choice, as {column: cell}."""
    return [
        {
            "client": f"{choice.client} {version(choice.client)}",
            "core metadata": "`.metadata`" if choice.metadata else "in the wheels only",
            "requests": str(choice.requests),
            "received before the choice": size(choice.received),
            "in all": size(choice.in_all),
        }
        for choice in choices
    ]


@contextmanager
def _index(folder: Path, megabytes: int) -> Iterator[tuple["S3Client", Proxy, Library]]:
    """Publish to an index; yield the same as `open_index`."""
    with open_index() as (s3, proxy, ours):
        _publish(ours, folder, megabytes)
        open_to_all(s3, ours.index.bucket)
        yield s3, proxy, ours


@contextmanager
def open_index() -> Iterator[tuple["S3Client", Proxy, Library]]:
    """Run a moto server behind a proxy, with a bucket; yield a client, the proxy, and settings."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # moto's servers in one process share their state: a second measurement has to start empty.
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST"), timeout=60).close()
    proxy = Proxy(port)
    os.environ |= {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
    }
    ours = library()
    index = replace(
        ours.index,
        url=f"{proxy.address}/{ours.index.bucket}",
        endpoint=os.environ["AWS_ENDPOINT_URL_S3"],
    )
    ours = replace(ours, index=index)
    s3 = boto3.client("s3", region_name=index.region)
    location = {"LocationConstraint": index.region}
    s3.create_bucket(Bucket=index.bucket, CreateBucketConfiguration=location)  # type: ignore[arg-type]
    try:
        yield s3, proxy, ours
    finally:
        proxy.stop()
        server.stop()


def _publish(ours: Library, folder: Path, megabytes: int) -> None:
    # Stored without compression, two hexadecimal digits per byte.
    body = f"# {random.Random(0).randbytes(megabytes * 500_000).hex()}"
    release(at(ours, "1.0", NEEDS), wheel(folder, NEEDS, "1.0"))
    for number, each in enumerate(RELEASES):
        requires = (f"{NEEDS}>={each}",) if number else ()
        made = wheel(folder, ours.name, each, body=body, requires=requires)
        release(at(ours, each), made)


def open_to_all(s3: "S3Client", bucket: str) -> None:
    """Let everybody read a bucket's objects."""
    # Unlike S3, moto refuses an anonymous HEAD whatever the bucket's policy, so uv would not read
    # wheels by ranges. moto does respect an object's own ACL.
    for item in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.put_object_acl(Bucket=bucket, Key=item["Key"], ACL="public-read")


def _remove_metadata(s3: "S3Client", ours: Library) -> None:
    """Make the index look like one without support for PEP 658."""
    index = ours.index
    for project in (ours.name, NEEDS):
        key = index.project_page(project)
        stored = s3.get_object(Bucket=index.bucket, Key=key)
        page = json.loads(stored["Body"].read())
        for file in page["files"]:
            del file["core-metadata"]
            path = f"{index.file(project, file['filename'])}.metadata"
            s3.delete_object(Bucket=index.bucket, Key=path)
        body = json.dumps(page).encode()
        kind = stored["ContentType"]
        s3.put_object(Bucket=index.bucket, Key=key, Body=body, ContentType=kind, ACL="public-read")


def _fetched(client: str, index: str, folder: Path, proxy: Proxy, *options: str) -> tuple[int, int]:
    """Install the library into a new environment; return the number of requests and of bytes."""
    uv, target = str(BIN / "uv"), folder / "environment"
    python = str(target / "bin" / "python")
    commands = {
        "pip": [sys.executable, "-m", "pip", "--python", python, "install", "--no-cache-dir"],
        "uv": [uv, "pip", "install", "--no-cache", "--python", python],
    }
    where = {"pip": "--index-url", "uv": "--default-index"}[client]
    command = [*commands[client], where, index, *options, library().name]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PIP_CONFIG_FILE": os.devnull}
    run([uv, "venv", "--quiet", "--clear", target], env=environment, check=True)
    proxy.take()
    run(command, env=environment, check=True, capture_output=True)
    exchanges = proxy.take()
    return len(exchanges), sum(exchange.received for exchange in exchanges)


if __name__ == "__main__":
    main()
