"""The repository's settings, and the keys that they imply in the bucket."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from s3index.errors import Refused as Refused


@dataclass(frozen=True)
class Keys:
    """Where a team's objects are in the bucket.

    Keys that end in a slash are objects of their own: S3's REST endpoint serves them at the
    directory's URL, where a client of the simple repository API (PEP 503, PEP 691) asks.
    """

    team: str

    @property
    def team_page(self) -> str:
        """Return the key of the project list (PEP 691 JSON)."""
        return f"packages/{self.team}/"

    def project_page(self, project: str) -> str:
        """Return the key of a project page (PEP 691 JSON); `project` is a normalized name."""
        return f"packages/{self.team}/{project}/"

    def file(self, project: str, filename: str) -> str:
        """Return the key of a wheel or sdist."""
        return f"packages/{self.team}/{project}/{filename}"

    @property
    def constraints(self) -> str:
        """Return the key of pip's and uv's constraints file."""
        return f"packages/{self.team}/constraints.txt"

    def site(self, path: str) -> str:
        """Return the key of a page of the site that dumb-pypi renders."""
        return f"dumb-pypi/{self.team}/index/{path}"


@dataclass(frozen=True)
class Config:
    """What `pyproject.toml` and the environment say.

    `project` is the normalized name (PEP 503), `url` the bucket's public address without a
    trailing slash, `endpoint` an S3-compatible server's address or None for AWS.
    """

    root: Path
    project: str
    version: Version
    team: str
    bucket: str
    region: str
    url: str
    endpoint: str | None = None

    @property
    def keys(self) -> Keys:
        """Return the keys of this repository's team."""
        return Keys(self.team)

    @property
    def partition(self) -> str:
        """Return the AWS partition of the region, which ARNs start with."""
        return _partition(self.region)[0]

    def address(self, key: str) -> str:
        """Return the public URL of an object."""
        return f"{self.url}/{quote(key)}"


def load(root: Path) -> Config:
    """Read `[project]` and `[tool.s3index]` of `root`'s pyproject.toml, and boto3's endpoint.

    Raises Refused if the file or a setting is missing or has the wrong form.
    """
    document = read(root)
    project = _table(document, "project")
    tool = _table(document, "tool")
    settings = _table(tool, "s3index", "tool.s3index")
    bucket = _text(settings, "bucket", "tool.s3index")
    region = _text(settings, "region", "tool.s3index")
    endpoint = _endpoint()
    url = settings.get("url") or _public_url(bucket, region, endpoint)
    version = _text(project, "version", "project")
    try:
        parsed = Version(version)
    except InvalidVersion:
        raise Refused(
            f"version = {version!r} in pyproject.toml is no version. Write one such as 0.1.0."
        ) from None
    return Config(
        root=root,
        project=canonicalize_name(_text(project, "name", "project")),
        version=parsed,
        team=_text(settings, "team", "tool.s3index"),
        bucket=bucket,
        region=region,
        url=str(url).rstrip("/"),
        endpoint=endpoint,
    )


def read(root: Path) -> dict[str, Any]:
    """Return `root`'s pyproject.toml as it is; raises Refused if it is missing or no TOML."""
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(
            f"There is no pyproject.toml in {root}. Run s3index from the repository's root."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused(f"pyproject.toml cannot be read: {error}.") from None


def _table(document: dict[str, Any], name: str, shown: str | None = None) -> dict[str, Any]:
    table = document.get(name)
    if not isinstance(table, dict):
        raise Refused(f"pyproject.toml has no [{shown or name}] table. Restore it.")
    return table


def _text(table: dict[str, Any], key: str, shown: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip() or "/" in value:
        raise Refused(f"{key} = {value!r} in [{shown}] of pyproject.toml is not usable. Set it.")
    return value


def _endpoint() -> str | None:
    """Return the endpoint that boto3 would take from the environment (AWS SDK reference)."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _public_url(bucket: str, region: str, endpoint: str | None) -> str:
    if endpoint:
        return f"{endpoint.rstrip('/')}/{bucket}"
    return f"https://{bucket}.s3.{region}.{_partition(region)[1]}"


def _partition(region: str) -> tuple[str, str]:
    """Return the AWS partition of a region and its DNS suffix."""
    partitions = {
        "cn-": ("aws-cn", "amazonaws.com.cn"),
        "us-gov-": ("aws-us-gov", "amazonaws.com"),
        "eusc-": ("aws-eusc", "amazonaws.eu"),
    }
    found = (names for start, names in partitions.items() if region.startswith(start))
    return next(found, ("aws", "amazonaws.com"))
