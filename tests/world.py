"""Publish, verify, and read the bucket in tests."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from packaging.utils import canonicalize_name
from packaging.version import Version

from s3index.claims import Claim, new_claim
from s3index.distribution import Distribution, read_release
from s3index.publish import publish
from s3index.s3 import Bucket
from s3index.settings import Index, Project
from s3index.verify import Report, verify

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION: Final = "eu-central-1"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
"""The time of the tests' releases."""


def readable(s3: "S3Client", bucket: str) -> None:
    """Create a bucket whose objects everyone may read."""
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    folders = ("packages", "simple", "dumb-pypi")
    readers = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": [f"arn:aws:s3:::{bucket}/{folder}/*" for folder in folders],
    }
    policy = {"Version": "2012-10-17", "Statement": [readers]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


@dataclass(frozen=True)
class Library:
    """A library of the index, with its repository at `root` and the version it releases."""

    index: Index
    root: Path
    name: str = "acme-common"
    version: str = "0.1.0"

    @property
    def project(self) -> Project:
        """Return the project as the publisher reads it from pyproject.toml."""
        return Project(self.root, canonicalize_name(self.name), Version(self.version), self.version)


def at(
    library: Library, version: str, project: str | None = None, team: str | None = None
) -> Library:
    """Return a library with another version, project or team."""
    return replace(
        library,
        version=version,
        name=project or library.name,
        index=replace(library.index, team=team or library.index.team),
    )


def objects(s3: "S3Client", index: Index) -> dict[str, bytes]:
    """Return every object in the bucket.

    Read moto's memory if its server runs in this process: a request per object would take a fifth
    of the tests' time.
    """
    if bucket := s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.get(index.bucket):
        return {key: bytes(bucket.keys[key].value) for key in sorted(bucket.keys)}
    found = s3.list_objects_v2(Bucket=index.bucket).get("Contents", [])
    return {
        item["Key"]: s3.get_object(Bucket=index.bucket, Key=item["Key"])["Body"].read()
        for item in found
    }


def claim(files: Sequence[Distribution], by: str = "tests") -> Claim:
    """Return the claim of a release made by tests."""
    return new_claim(files, NOW, by, "0123456789abcdef")


def release(library: Library, *files: Path) -> bool:
    """Publish files as the library's release; return whether anything was written."""
    found = read_release(files, library.name, Version(library.version))
    return bool(Bucket(library.index).run(publish(found, library.index, claim(found))))


def verified(library: Library) -> Report:
    """Verify the library's team."""
    return Bucket(library.index).run(verify(library.index))
