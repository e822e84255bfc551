"""The index (where a team's objects are) and the project, as configured in pyproject.toml."""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from packaging.utils import NormalizedName, canonicalize_name, canonicalize_version
from packaging.version import Version

from s3index.errors import Refused

NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
"""A normalized name (PEP 503); teams follow the same rule."""
LIST = "simple/"
"""The key of the organisation's project list."""
CATALOGUE = "dumb-pypi/index.html"
"""The key of the organisation's start page for people."""
FEED = "dumb-pypi/feed.xml"
"""The key of the organisation's feed of releases."""


@dataclass(frozen=True)
class Index:
    """A team's index in the organisation's bucket.

    `url` is the bucket's address for readers, without a trailing slash; `edge` tells whether it
    also serves PyPI. `endpoint` is an S3-compatible server's address, or None for AWS. Keys that
    end in a slash are objects of their own: S3's REST endpoint serves them at the directory's URL,
    where a client of the simple repository API (PEP 503, PEP 691) looks.
    """

    team: str
    bucket: str
    region: str
    url: str
    endpoint: str | None = None
    edge: bool = False

    @property
    def partition(self) -> str:
        """Return the AWS partition of the region, as used in ARNs."""
        return _partition(self.region)[0]

    @property
    def team_list(self) -> str:
        """Return the key of the team's project list (PEP 691 JSON)."""
        return f"packages/{self.team}/"

    def project_page(self, project: str) -> str:
        """Return the key of a project page (PEP 691 JSON); `project` is a normalized name."""
        return f"packages/{self.team}/{project}/"

    def file(self, project: str, filename: str) -> str:
        """Return the key of a wheel or sdist."""
        return f"packages/{self.team}/{project}/{filename}"

    def claim(self, project: str, version: Version) -> str:
        """Return the key of a release's claim; equal versions, such as 1.0 and 1.0.0, share it."""
        return f"packages/{self.team}/{project}/release-{canonicalize_version(version)}.json"

    @property
    def constraints(self) -> str:
        """Return the key of the team's constraints file, for pip and uv."""
        return f"packages/{self.team}/constraints.txt"

    def organization_page(self, project: str) -> str:
        """Return the key of a project page in the organisation's namespace."""
        return f"{LIST}{project}/"

    @property
    def organization_constraints(self) -> str:
        """Return the key of the organisation's constraints file, for pip and uv."""
        return f"{LIST}constraints.txt"

    def site(self, path: str) -> str:
        """Return the key of a page of the team's site, parts of which dumb-pypi renders."""
        return f"dumb-pypi/{self.team}/index/{path}"

    def address(self, key: str) -> str:
        """Return the public URL of an object."""
        return f"{self.url}/{quote(key)}"

    def page_address(self, project: str) -> str:
        """Return the URL of a project's page for people."""
        return self.address(self.site(f"simple/{project}/"))


@dataclass(frozen=True)
class Project:
    """The library in the repository at `root`, and the version to release.

    `stated` is the version as written in pyproject.toml. Both are None if it is dynamic (PEP 621):
    it then comes from the built files.
    """

    root: Path
    name: NormalizedName
    version: Version | None
    stated: str | None


def load(root: Path) -> tuple[Index, Project]:
    """Read `[project]` and `[tool.s3index]` of `root`'s pyproject.toml, and boto3's endpoint.

    Raise Refused if the file or a setting is missing or malformed.
    """
    document = read(root)
    return index_of(table(document)), project(root, document)


def project(root: Path, document: dict[str, object]) -> Project:
    """Return the project of a parsed pyproject.toml; raise Refused as `load` does."""
    found = section(document, "project")
    name = canonicalize_name(_text(found, "name", "project"))
    _match(name, NAME, "name", "project", "a normalized project name such as acme-common")
    dynamic = found.get("dynamic")
    if "version" not in found and isinstance(dynamic, list) and "version" in dynamic:
        return Project(root, name, None, None)
    version = _text(found, "version", "project")
    try:
        return Project(root, name, Version(version), version)
    except ValueError:
        raise Refused(
            f"version = {version!r:.200} in pyproject.toml is not a version. "
            "Write one such as 0.1.0."
        ) from None


def table(document: dict[str, object]) -> dict[str, object]:
    """Return `[tool.s3index]`; raise Refused if pyproject.toml has no such table."""
    return section(document, "tool.s3index", "Restore it, or add it with `s3index init`.")


def read(root: Path) -> dict[str, object]:
    """Return `root`'s parsed pyproject.toml; raise Refused if it is missing or not TOML."""
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(
            f"There is no pyproject.toml in {root.resolve()}. Run s3index from the repository's "
            "root."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"pyproject.toml cannot be read: {error}.") from None


def index_of(settings: dict[str, object]) -> Index:
    """Return the index that `[tool.s3index]` names; raise Refused as `load` does."""
    team = _setting(settings, "team", NAME, "a-z and 0-9 with single hyphens between them")
    bucket = _setting(settings, "bucket", r"[a-z0-9][a-z0-9.-]+[a-z0-9]", "an S3 bucket's name")
    region = _setting(settings, "region", r"[a-z0-9-]+", "an AWS region such as eu-central-1")
    endpoint = _endpoint()
    key = "edge" if "edge" in settings else "url"
    url = _setting(
        {"url": _public_url(bucket, region, endpoint), **settings},
        key,
        r"https?://[A-Za-z0-9.:\[\]-]+(/[\w.~%/-]*)?",
        "an address such as https://packages.acme.example",
    )
    return Index(team, bucket, region, url.rstrip("/"), endpoint, key == "edge")


def section(
    document: dict[str, object], name: str, advice: str = "Add it, with name and version (PEP 621)."
) -> dict[str, object]:
    """Return a table of pyproject.toml, such as tool.s3index; raise Refused if it is missing."""
    found: object = document
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise Refused(f"pyproject.toml has no [{name}] table. {advice}")
    return found


def _setting(settings: dict[str, object], key: str, pattern: str, rule: str) -> str:
    """Return a checked `[tool.s3index]` string for keys, addresses, commands and policies."""
    value = _text(settings, key, "tool.s3index")
    _match(value, pattern, key, "tool.s3index", rule)
    return value


def _text(found: dict[str, object], key: str, shown: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"{key} = {value!r} in [{shown}] of pyproject.toml must be text. Set it.")
    return value


def _match(value: str, pattern: str, key: str, shown: str, rule: str) -> None:
    if not re.fullmatch(pattern, value, re.ASCII):
        raise Refused(f"{key} = {value!r} in [{shown}] of pyproject.toml must be {rule}.")


def _endpoint() -> str | None:
    """Return the endpoint that boto3 would take from the environment (AWS SDK reference).

    Raise Refused if it is not an address.
    """
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if value := os.environ.get(name):
            if not value.lower().startswith(("http://", "https://")):
                raise Refused(f"{name} = {value!r:.200} must start with http:// or https://.")
            return value
    return None


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
