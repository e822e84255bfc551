"""Each client's option against young releases works on both sides of the date.

acme-common 1.0 is from the first second of 2020, 2.0 from now. The options need upload times
(PEP 700), which our JSON has and HTML cannot have.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3index.pages import CONTENT_TYPE
from s3index.settings import LIST
from tests.clients.clients import Consumer, consumer
from tests.distributions import wheel
from tests.protocol.failing import fails
from tests.world import Library, at, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full

OLD = "2020-01-01T00:00:00Z"
# Each cut-off, and the newest version uploaded before it.
BEFORE = {
    OLD: None,
    "2020-01-01T00:00:01Z": "1.0",
    "2999-01-01": "2.0",
    "P9999D": None,
    "P1D": "1.0",
    "P0D": "2.0",
}


@pytest.fixture
def client(tmp_path: Path) -> Consumer:
    return consumer(tmp_path / "consumer")


@pytest.fixture
def index(s3: "S3Client", library: Library, tmp_path: Path) -> str:
    """Publish an old and a new release; return the index's address."""
    for version in ("1.0", "2.0"):
        release(at(library, version), wheel(tmp_path, version=version))
    key = library.index.organization_page(library.name)
    page = json.loads(s3.get_object(Bucket=library.index.bucket, Key=key)["Body"].read())
    old, new = page["files"]
    old["upload-time"] = OLD
    new["upload-time"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = json.dumps(page).encode()
    s3.put_object(Bucket=library.index.bucket, Key=key, Body=body, ContentType=CONTENT_TYPE)
    return library.index.address(LIST)


@pytest.fixture
def html(library: Library, index: str) -> str:
    """Return the address of the same team's HTML index."""
    return library.index.address(library.index.site("simple/"))


def check(client: Consumer, install: Callable[[str], str], refusal: str) -> None:
    """Install at each date; if no release is old enough, the client must print `refusal`."""
    for date, version in BEFORE.items():
        if version is None:
            assert refusal in fails(install, date), date
        else:
            install(date)
            assert client.version() == version, date


def test_pip(index: str, client: Consumer) -> None:
    options = ("--force-reinstall", "--index-url", index, "--uploaded-prior-to")
    check(
        client,
        lambda date: client.pip("install", *options, date, "acme-common"),
        "ERROR: Could not find a version that satisfies the requirement acme-common",
    )


def test_uv(index: str, client: Consumer) -> None:
    options = ("--reinstall", "--index", index, "--exclude-newer")
    check(
        client,
        lambda date: client.uv("pip", "install", *options, date, "acme-common"),
        "`acme-common` was filtered by `exclude-newer` to only include packages uploaded before",
    )


def test_uv_in_a_project(index: str, client: Consumer) -> None:
    project = client.folder / "pyproject.toml"
    clean = project.read_text()

    def add(date: str) -> str:
        (client.folder / "uv.lock").unlink(missing_ok=True)
        project.write_text(f'{clean}\n[tool.uv]\nexclude-newer = "{date}"\n')
        return client.uv("add", "--index", f"devtools={index}", "acme-common")

    check(client, add, "`acme-common` was filtered by `exclude-newer`")


def test_poetry(index: str, client: Consumer) -> None:
    client.poetry("source", "add", "--priority=primary", "devtools", index)
    older_than(client, "9999")
    said = fails(client.poetry, "add", "acme-common")
    assert "Could not find a matching version of package acme-common" in said
    for days, version in (("1", "1.0"), ("0", "2.0")):
        older_than(client, days)
        client.poetry("add", "acme-common@latest")
        assert client.version() == version


def test_poetry_says_which_releases_are_too_young(index: str, client: Consumer) -> None:
    client.poetry("source", "add", "--priority=primary", "devtools", index)
    older_than(client, "1")
    said = fails(client.poetry, "add", "acme-common>=2")
    assert "Could not find a matching version of package acme-common" in said
    project = client.folder / "pyproject.toml"
    text = project.read_text().replace("[project]", '[project]\ndependencies = ["acme-common>=2"]')
    project.write_text(text)
    said = fails(client.poetry, "lock")
    assert "The following package versions were ignored due to solver.min-release-age=1" in said
    assert "acme-common: 2.0" in said


def older_than(client: Consumer, days: str) -> None:
    """Make Poetry accept only releases of at least this age."""
    client.poetry("config", "--local", "solver.min-release-age", days)
    assert f"min-release-age = {days}" in (client.folder / "poetry.toml").read_text()


def test_constraints_name_the_newest_however_young(index: str, client: Consumer) -> None:
    constrained = ("install", "--force-reinstall", "-c", f"{index}constraints.txt", "acme-common")
    client.pip(*constrained, "--uploaded-prior-to", "P1D")
    assert client.version() == "2.0"


def test_html_is_refused_by_pip(html: str, client: Consumer) -> None:
    options = ("--index-url", html, "--uploaded-prior-to", "P1D")
    said = fails(client.pip, "install", *options, "acme-common")
    assert "/simple/acme-common/ does not provide upload-time metadata." in said


def test_html_is_refused_by_uv(html: str, client: Consumer) -> None:
    options = ("--index", html, "--exclude-newer", "P1D")
    said = fails(client.uv, "pip", "install", *options, "acme-common")
    assert "`acme_common-1.0-py3-none-any.whl` is missing an upload date" in said
    assert "there are no versions of acme-common" in said


def test_poetry_ignores_its_own_option_on_html(html: str, client: Consumer) -> None:
    client.poetry("source", "add", "--priority=primary", "devtools", html)
    older_than(client, "1")
    client.poetry("add", "acme-common")
    assert client.version() == "2.0"
