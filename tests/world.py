"""What tests ask of the publisher and of the bucket."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from s3index.bucket import Bucket
from s3index.config import Config
from s3index.publish import publish
from s3index.release import read_release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def at(config: Config, version: str, project: str | None = None, team: str | None = None) -> Config:
    """Return the same settings for another version, project or team."""
    return replace(
        config,
        version=Version(version),
        project=project or config.project,
        team=team or config.team,
    )


def objects(s3: "S3Client", config: Config) -> dict[str, bytes]:
    """Return everything in the bucket."""
    found = s3.list_objects_v2(Bucket=config.bucket).get("Contents", [])
    return {
        item["Key"]: s3.get_object(Bucket=config.bucket, Key=item["Key"])["Body"].read()
        for item in found
    }


def release(config: Config, *files: Path) -> bool:
    """Publish files as the release that `config` names; return whether anything was written."""
    found = read_release(files, config.project, config.version)
    return bool(Bucket(config).run(publish(found, config, "tests")))
