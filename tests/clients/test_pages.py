"""The index conforms to its specifications, and an independent client can read it.

pypi-simple fetches both forms over HTTP. Each JSON page of two teams is checked field by field
against PEP 691 (JSON), 700 (versions, sizes, times), 592 (yanked) and 714 (core metadata).
"""

import hashlib
import json
import re
import urllib.request
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version
from pypi_simple import (
    ACCEPT_HTML_ONLY,
    ACCEPT_JSON_ONLY,
    DistributionPackage,
    PyPISimple,
)

from s3index.publish import yank
from s3index.s3 import Bucket
from tests.distributions import digest, sdist, wheel
from tests.world import NOW, Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

JSON = "application/vnd.pypi.simple.v1+json"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")

Page = dict[str, Any]


@dataclass(frozen=True)
class Filled:
    """A bucket that two teams publish to, and the distributions of acme-common in devtools."""

    library: Library
    files: dict[str, Path]


@pytest.fixture(scope="module")
def kept() -> list[Filled]:
    """Return a list for the first test's bucket; the others only read it."""
    return []


@pytest.fixture
def filled(kept: list[Filled], library: Library, tmp_path: Path) -> Filled:
    if not kept:
        kept.append(Filled(library, fill(library, tmp_path)))
    return kept[0]


def fill(library: Library, folder: Path) -> dict[str, Path]:
    common = [
        [wheel(folder, version="1.0"), sdist(folder, version="1.0")],
        [wheel(folder, version="1.0+local.1", requires_python=">=3.9,!=3.10.*,<4")],
        [wheel(folder, version="1.1"), sdist(folder, version="1.1")],
        [wheel(folder, version="1.10")],
        [wheel(folder, version="2.0rc1")],
    ]
    for made in common:
        release(at(library, made[0].name.split("-")[1]), *made)
    Bucket(library.index).run(
        yank(library.index, library.name, Version("1.1"), 'it "leaks" <memory> & more')
    )
    others = {"acme-core": "0.1.0", "acme-dotted-name": "2026.11.1.post1", "acme-gone": "0.1.dev3"}
    for project, version in others.items():
        release(at(library, version, project), wheel(folder, project, version))
    Bucket(library.index).run(yank(library.index, "acme-gone", Version("0.1.dev3"), True))
    source = sdist(folder, "acme-data", "3.0", requires_python=">=3.12")
    release(at(library, "3.0", "acme-data", team="data"), source)
    return {file.name: file for made in common for file in made}


@pytest.fixture
def json_reader(filled: Filled) -> Iterator[PyPISimple]:
    address = filled.library.index.address(filled.library.index.team_list)
    with PyPISimple(address, accept=ACCEPT_JSON_ONLY) as reader:
        yield reader


@pytest.fixture
def html_reader(filled: Filled) -> Iterator[PyPISimple]:
    address = filled.library.index.address(filled.library.index.site("simple/"))
    with PyPISimple(address, accept=ACCEPT_HTML_ONLY) as reader:
        yield reader


def said(package: DistributionPackage) -> dict[str, object]:
    """Return the fields of a file that both forms have."""
    return {
        "url": package.url,
        "version": package.version,
        "digests": package.digests,
        "requires-python": package.requires_python,
        "yanked": package.is_yanked,
        "reason": package.yanked_reason or None,
        "metadata": package.metadata_digests,
    }


@pytest.mark.full
def test_a_second_reader_finds_our_files(
    json_reader: PyPISimple, filled: Filled, tmp_path: Path
) -> None:
    page = json_reader.get_project_page("acme-common")
    assert page.repository_version == "1.1"
    assert page.versions == ["1.0", "1.0+local.1", "1.1", "1.10", "2.0rc1"]
    assert {package.filename for package in page.packages} == set(filled.files)
    for package in page.packages:
        file = filled.files[package.filename]
        assert package.digests == {"sha256": digest(file)}
        assert package.size == file.stat().st_size
        assert package.upload_time == NOW
        assert package.is_yanked == (package.version == "1.1")
        assert bool(package.has_metadata) == (package.package_type == "wheel")
        # pypi-simple checks digests here.
        json_reader.download_package(package, tmp_path / "downloaded")
        assert (tmp_path / "downloaded").read_bytes() == file.read_bytes()
        if package.has_metadata:
            assert "Name: acme-common\n" in json_reader.get_package_metadata(package)


@pytest.mark.full
def test_both_forms_say_the_same(json_reader: PyPISimple, html_reader: PyPISimple) -> None:
    names = json_reader.get_index_page().projects
    assert names == ["acme-common", "acme-core", "acme-dotted-name", "acme-gone"]
    for name in names:
        pages = [reader.get_project_page(name) for reader in (json_reader, html_reader)]
        # HTML for people also links to other pages, which have no version.
        one, other = (
            {each.filename: said(each) for each in page.packages if each.version} for page in pages
        )
        if name == "acme-gone":
            # In HTML, a yank without a reason gets one: dumb-pypi omits empty attributes.
            found = [each.pop("reason") for each in (*one.values(), *other.values())]
            assert found == [None, "yanked"]
        assert one == other


def test_every_page_is_what_the_specifications_say(filled: Filled, s3: "S3Client") -> None:
    pattern = r"(packages/[^/]+|simple)/([^/]+/)?"
    keys = [key for key in objects(s3, filled.library.index) if re.fullmatch(pattern, key)]
    lists = {"packages/data/", "packages/devtools/", "simple/"}
    assert lists < set(keys)
    assert len(keys) == len(lists) + 2 * 5
    for key in keys:
        address = f"{filled.library.index.url}/{key}"
        (project_list if key in lists else project)(fetched(address), address)


def fetched(address: str) -> Page:
    """Return a page, fetched as a client would."""
    request = urllib.request.Request(address, headers={"Accept": JSON})
    with urllib.request.urlopen(request) as reply:
        assert reply.headers["Content-Type"] == JSON
        return dict(json.loads(reply.read()))


def body(address: str) -> bytes:
    """Return the content at an address."""
    with urllib.request.urlopen(address) as reply:
        return bytes(reply.read())


def only(found: Page, required: set[str], optional: AbstractSet[str] = frozenset()) -> None:
    """Assert which keys exist, ignoring a server's own, which start with an underscore."""
    public = {key for key in found if not key.startswith("_")}
    assert required <= public <= required | optional, public


def meta(page: Page) -> None:
    """PEP 691, "JSON Serialization"; PEP 700 asks for 1.1."""
    only(page["meta"], {"api-version"})
    assert re.fullmatch(r"1\.[1-9]\d*", page["meta"]["api-version"])


def project_list(page: Page, address: str) -> None:
    """PEP 691, "Project List"."""
    only(page, {"meta", "projects"})
    meta(page)
    for listed in page["projects"]:
        only(listed, {"name"})
        assert listed["name"] == canonicalize_name(listed["name"])
        assert fetched(f"{address}{listed['name']}/")["name"] == listed["name"]
    names = [listed["name"] for listed in page["projects"]]
    assert names == sorted(set(names))


def project(page: Page, address: str) -> None:
    """PEP 691, "Project Detail"; PEP 700, "versions"."""
    only(page, {"meta", "name", "files", "versions"})
    meta(page)
    assert page["name"] == canonicalize_name(page["name"]) == address.split("/")[-2]
    versions = [distribution(file, page["name"], address) for file in page["files"]]
    assert len(set(page["versions"])) == len(page["versions"])
    assert {Version(version) for version in page["versions"]} == set(versions)
    names = [file["filename"] for file in page["files"]]
    assert len(set(names)) == len(names)


def distribution(file: Page, name: str, address: str) -> Version:
    """PEP 691, "files"; PEP 592, 700, 714. Return the file's version."""
    optional = {"requires-python", "core-metadata", "upload-time", "yanked"}
    only(file, {"filename", "url", "hashes", "size"}, optional)
    target = urljoin(address, file["url"])
    # S3 reads a plus sign in a path as a space; moto does not.
    assert "+" not in target
    content = body(target)
    assert unquote(target.rsplit("/", 1)[1]) == file["filename"]
    hashes(file["hashes"], content)
    assert type(file["size"]) is int
    assert file["size"] == len(content)
    assert TIME.fullmatch(file["upload-time"])
    datetime.fromisoformat(file["upload-time"])
    SpecifierSet(file["requires-python"])
    yanked = file.get("yanked", False)
    assert yanked in (True, False) or (isinstance(yanked, str) and yanked)
    if file["filename"].endswith(".whl"):
        found, version, *_ = parse_wheel_filename(file["filename"])
        hashes(file["core-metadata"], body(f"{target}.metadata"))
    else:
        found, version = parse_sdist_filename(file["filename"])
        assert "core-metadata" not in file
    assert found == name
    return version


def hashes(found: dict[str, str], content: bytes) -> None:
    """PEP 691: names from hashlib, hexadecimal digests, one by a secure algorithm."""
    assert "sha256" in found
    for name, value in found.items():
        assert value == hashlib.new(name, content).hexdigest()
