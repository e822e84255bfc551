"""`s3index import --from` works with the real servers that people migrate from."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
import requests

from tests.commands import repository, s3index
from tests.moving.test_import import listed, made
from tests.template.baking import python, run
from tests.world import Library, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full


LOCK = Path(__file__).with_name("servers.lock")
KEPT = Path(sys.prefix) / "old-indexes"
"""In the tests' own environment, so that the servers are downloaded only once."""


def command(name: str) -> str:
    """Return the path of a command in the old indexes' environment; create that if missing."""
    with Path(f"{KEPT}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of this run may be creating it
        if not (KEPT / "ready").exists():
            run([sys.executable, "-m", "venv", "--clear", str(KEPT)], KEPT.parent)
            install = ("install", "--quiet", "--no-deps", "--require-hashes", "-r", str(LOCK))
            run(python("pip", "--python", str(KEPT / "bin" / "python"), *install), KEPT.parent)
            (KEPT / "ready").touch()
    return str(KEPT / "bin" / name)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def started(words: Sequence[str], url: str, env: Mapping[str, str] = {}) -> Iterator[None]:
    """Run a server for the duration of the block, which starts once the server answers."""
    with tempfile.TemporaryFile() as log:
        environment = os.environ | env
        with subprocess.Popen(words, stdout=log, stderr=log, env=environment) as process:
            try:
                deadline = time.monotonic() + 60
                while True:
                    try:
                        requests.get(url, timeout=5)
                        break
                    except requests.ConnectionError:
                        log.seek(0)
                        assert process.poll() is None, log.read()
                        assert time.monotonic() < deadline
                        time.sleep(0.1)
                yield
            finally:
                process.terminate()


@contextmanager
def pypiserver(files: Sequence[Path], folder: Path) -> Iterator[str]:
    """Run pypiserver with a password; yield its simple index's URL, with that password."""
    packages = folder / "packages"
    packages.mkdir()
    for path in files:
        (packages / path.name).write_bytes(path.read_bytes())
    code = "from passlib.hash import apr_md5_crypt as c; print('reader:' + c.hash('letmein'))"
    (folder / "htpasswd").write_text(run([command("python"), "-c", code], folder))
    port = free_port()
    words = [command("pypi-server"), "run", "-i", "127.0.0.1", "-p", str(port)]
    words += ["-P", str(folder / "htpasswd"), "-a", "list,download,update", str(packages)]
    with started(words, f"http://127.0.0.1:{port}/"):
        yield f"http://reader:letmein@127.0.0.1:{port}/simple/"


@contextmanager
def devpi(files: Sequence[Path], folder: Path) -> Iterator[str]:
    """Run devpi-server with an index acme/dev, without PyPI; yield its simple index's URL."""
    state = str(folder / "devpi")
    run(
        [command("devpi-init"), "--serverdir", state, "--no-root-pypi", "--root-passwd", ""], folder
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = [command("devpi-server"), "--serverdir", state, "--host", "127.0.0.1"]
    with started([*words, "--port", str(port)], f"{url}/+api"):
        with requests.Session() as session:
            session.put(f"{url}/acme", json={"password": "letmein"}, timeout=30).raise_for_status()
            login = {"user": "acme", "password": "letmein"}
            reply = session.post(f"{url}/+login", json=login, timeout=30)
            session.auth = ("acme", reply.json()["result"]["password"])
            token = requests.auth._basic_auth_str(*session.auth)
            session.auth = None
            session.headers["X-Devpi-Auth"] = token.removeprefix("Basic ")
            made = session.put(f"{url}/acme/dev", json={"bases": []}, timeout=30)
            made.raise_for_status()
        upload = ("upload", "--repository-url", f"{url}/acme/dev/", "-u", "acme", "-p", "letmein")
        run(python("twine", *upload, "--disable-progress-bar", *map(str, files)), folder)
        yield f"{url}/acme/dev/+simple/"


def s3pypi(files: Sequence[Path], bucket: str, endpoint: str, folder: Path) -> None:
    """Upload files to a bucket with s3pypi, under old/."""
    words = [command("s3pypi"), "upload", *map(str, files), "--bucket", bucket, "--prefix", "old"]
    run(
        [*words, "--s3-endpoint-url", endpoint],
        folder,
        {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "eu-central-1"},
    )


def brought(
    s3: "S3Client", library: Library, root: Path, url: str, files: list[Path]
) -> dict[str, dict[str, object]]:
    """Import everything, verify it, and return the project page's entries."""
    s3index(root, "import", "--from", url)
    found = listed(s3, library)
    assert found.keys() == {path.name for path in files}
    assert verified(library).findings == []
    return found


@pytest.fixture
def root(library: Library) -> Path:
    return repository(library, library.root / "repository")


def test_pypiserver(s3: "S3Client", library: Library, root: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "old", "0.0.1", "0.0.2")
    with pypiserver(files, tmp_path) as url:
        said = s3index(root, "import", "--from", url.replace("letmein", "wrong"), exits=1)
        assert "403 Client Error" in said
        assert "wrong" not in said
        brought(s3, library, root, url, files)


def test_devpi(s3: "S3Client", library: Library, root: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "old", "0.0.1", "0.0.2")
    with devpi(files, tmp_path) as url:
        brought(s3, library, root, url, files)


def test_s3pypi(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path, endpoint: str
) -> None:
    files = made(tmp_path / "old", "0.0.1", "0.0.2")
    bucket = f"{library.index.bucket}-old"
    s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    boto3.client("s3", "eu-central-1").put_bucket_policy(Bucket=bucket, Policy=policy)
    s3pypi(files, bucket, endpoint, tmp_path)
    url = f"{endpoint}/{bucket}/old/"
    # Somebody has replaced one file's bytes.
    key, body = f"old/acme-common/{files[0].name}", files[0].read_bytes()
    s3.put_object(Bucket=bucket, Key=key, Body=body + b"x")
    said = s3index(root, "import", "--from", url, exits=1)
    assert said.startswith(f"Error: {files[0].name} could not be downloaded from 127.0.0.1")
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    brought(s3, library, root, url, files)
