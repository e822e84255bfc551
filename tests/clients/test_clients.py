"""pip, uv and Poetry install from the index over HTTP, without credentials."""

import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from s3index.publish import yank
from s3index.s3 import Bucket
from s3index.settings import LIST
from tests.clients.clients import Consumer, consumer
from tests.commands import repository, s3index
from tests.distributions import sdist, wheel
from tests.protocol.failing import fails
from tests.template.baking import python
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def client(tmp_path: Path) -> Consumer:
    return consumer(tmp_path / "consumer")


@pytest.fixture
def index(library: Library, tmp_path: Path) -> str:
    """Publish two libraries of one team and one of another; return the index's address."""
    for version in ("0.1.0", "0.2.0"):
        release(
            at(library, version), wheel(tmp_path, version=version), sdist(tmp_path, version=version)
        )
    release(at(library, "7.0", "acme-other"), wheel(tmp_path, "acme-other", "7.0"))
    release(at(library, "9.0", "acme-data", "data"), wheel(tmp_path, "acme-data", "9.0"))
    return library.index.address(LIST)


def test_pip_from_the_index(index: str, client: Consumer) -> None:
    client.pip("install", "--index-url", index, "acme-common", "acme-data")
    assert (client.version(), client.version("acme_data")) == ("0.2.0", "9.0")


@pytest.mark.full
def test_pip_with_constraints(index: str, client: Consumer) -> None:
    client.pip("install", "-c", f"{index}constraints.txt", "acme-common")
    assert client.version() == "0.2.0"


@pytest.mark.full
def test_pip_from_the_html_index(library: Library, index: str, client: Consumer) -> None:
    html = library.index.address(library.index.site("simple/"))
    client.pip("install", "--index-url", html, "acme-common==0.1.0")
    assert client.version() == "0.1.0"


@pytest.mark.full
def test_pip_takes_an_sdist(index: str, client: Consumer) -> None:
    # Without isolation, poetry-core comes from the tests' environment, not from PyPI.
    build = ["--no-deps", "--no-build-isolation", "--no-binary", ":all:"]
    said = client.run(*python("pip", "download", *build, "--index-url", index, "acme-common"))
    assert "acme_common-0.2.0.tar.gz" in said


def test_uv(index: str, client: Consumer) -> None:
    client.uv("pip", "install", "--index", index, "acme-common", "acme-other")
    assert (client.version(), client.version("acme_other")) == ("0.2.0", "7.0")


@pytest.mark.full
def test_poetry_with_an_explicit_source(index: str, client: Consumer) -> None:
    client.poetry("source", "add", "--priority=explicit", "acme-packages", index)
    client.poetry("add", "--source", "acme-packages", "acme-common", "acme-other")
    assert (client.version(), client.version("acme_other")) == ("0.2.0", "7.0")


@pytest.mark.full
def test_each_team_has_its_own_index_too(library: Library, index: str, client: Consumer) -> None:
    team = library.index.address(library.index.team_list)
    client.pip("install", "--index-url", team, "acme-common")
    said = fails(client.pip, "install", "--index-url", team, "acme-data")
    assert "No matching distribution found for acme-data" in said
    client.pip("install", "--index-url", team.replace("/devtools/", "/data/"), "acme-data")
    assert (client.version(), client.version("acme_data")) == ("0.2.0", "9.0")


@pytest.mark.full
def test_pip_with_constraints_of_a_team(library: Library, index: str, client: Consumer) -> None:
    client.pip("install", "-c", library.index.address(library.index.constraints), "acme-common")
    assert client.version() == "0.2.0"


def test_readers_see_nothing_else(s3: "S3Client", library: Library, index: str) -> None:
    s3.put_object(Bucket=library.index.bucket, Key="private/notes", Body=b"")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{library.index.url}/private/notes")
    error.value.close()
    assert error.value.code == 403


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("simple/", marks=pytest.mark.full),
        pytest.param("packages/devtools/", marks=pytest.mark.full),
        pytest.param("dumb-pypi/devtools/index/simple/", marks=pytest.mark.full),
    ],
)
def test_yanked_releases_are_passed_over_unless_pinned(
    library: Library, index: str, client: Consumer, path: str
) -> None:
    Bucket(library.index).run(yank(library.index, library.name, Version("0.2.0"), "it leaks"))
    address = f"{library.index.url}/{path}"
    client.pip("install", "--index-url", address, "acme-common")
    assert client.version() == "0.1.0"
    said = client.pip("install", "--index-url", address, "acme-common==0.2.0")
    assert client.version() == "0.2.0"
    assert "it leaks" in said
    client.uv("pip", "install", "--reinstall", "--index", address, "acme-common")
    assert client.version() == "0.1.0"
    said = client.uv("pip", "install", "--index", address, "acme-common==0.2.0")
    assert client.version() == "0.2.0"
    assert "it leaks" in said


@pytest.mark.full
def test_constraints_name_the_newest_release_that_is_not_yanked(
    library: Library, index: str, client: Consumer
) -> None:
    constraints = f"{index}constraints.txt"
    Bucket(library.index).run(yank(library.index, library.name, Version("0.2.0"), True))
    client.pip("install", "-c", constraints, "acme-common")
    assert client.version() == "0.1.0"
    Bucket(library.index).run(yank(library.index, library.name, Version("0.2.0"), False))
    client.pip("install", "--upgrade", "-c", constraints, "acme-common")
    assert client.version() == "0.2.0"


@pytest.mark.full
def test_another_teams_name_is_refused(
    s3: "S3Client", library: Library, index: str, tmp_path: Path
) -> None:
    before = objects(s3, library.index)
    root = repository(at(library, "10.0", team="data"), tmp_path / "repository")
    said = s3index(root, "publish", wheel(tmp_path, version="10.0"), exits=1)
    assert said == (
        "Error: The name acme-common belongs to team devtools, which released it first. Choose "
        "another name in pyproject.toml, or release it as that team.\n"
    )
    assert objects(s3, library.index) == before
