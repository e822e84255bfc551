"""`s3index import --from` the real servers that people come from."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from tests.commands import repository, s3index
from tests.moving import servers
from tests.moving.test_import import listed, made
from tests.world import Library, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full


def brought(
    s3: "S3Client", library: Library, root: Path, url: str, files: list[Path]
) -> dict[str, dict[str, object]]:
    """Import everything; return the entries of the page."""
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
    with servers.pypiserver(files, tmp_path) as url:
        said = s3index(root, "import", "--from", url.replace("letmein", "wrong"), exits=1)
        assert "403 Client Error" in said
        assert "wrong" not in said
        brought(s3, library, root, url, files)


def test_devpi(s3: "S3Client", library: Library, root: Path, tmp_path: Path) -> None:
    files = made(tmp_path / "old", "0.0.1", "0.0.2")
    with servers.devpi(files, tmp_path) as url:
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
    servers.s3pypi(files, bucket, endpoint, tmp_path)
    url = f"{endpoint}/{bucket}/old/"
    # Somebody has put other bytes in the place of one.
    key, body = f"old/acme-common/{files[0].name}", files[0].read_bytes()
    s3.put_object(Bucket=bucket, Key=key, Body=body + b"x")
    said = s3index(root, "import", "--from", url, exits=1)
    assert said.startswith(f"Error: {files[0].name} could not be downloaded from 127.0.0.1")
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    brought(s3, library, root, url, files)
