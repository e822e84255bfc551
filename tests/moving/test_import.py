"""Old releases can be imported from files and from another index."""

import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3index.settings import LIST
from tests.clients.clients import consumer
from tests.commands import repository, s3index
from tests.distributions import sdist, wheel
from tests.moving.indexes import OldIndex, serving
from tests.world import Library, objects, release, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE = "packages/devtools/acme-common/"


@pytest.fixture
def root(library: Library) -> Path:
    return repository(library, library.root / "repository")


@pytest.fixture
def old() -> Iterator[OldIndex]:
    with serving(OldIndex()) as index:
        yield index


def made(folder: Path, *versions: str) -> list[Path]:
    """Make a wheel and an sdist of each version."""
    folder.mkdir(exist_ok=True)
    return [kind(folder, version=version) for version in versions for kind in (wheel, sdist)]


def listed(s3: "S3Client", library: Library) -> dict[str, Any]:
    page = json.loads(objects(s3, library.index)[PAGE])
    return {file["filename"]: file for file in page["files"]}


def test_files_of_many_versions(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path
) -> None:
    release(library, *made(tmp_path / "new", "0.1.0"))
    files = made(tmp_path / "old", "0.0.1", "0.0.2", "0.0.9rc1")
    s3index(root, "import", *files)
    found = listed(s3, library)
    assert found.keys() == {file.name for file in [*files, *made(tmp_path / "new", "0.1.0")]}
    assert found[files[0].name]["_uploaded-by"] == "tests (imported)"
    # One swap: the page's serial counts its changes.
    assert json.loads(objects(s3, library.index)[PAGE])["meta"]["_last-serial"] == 2
    report = verified(library)
    assert (report.findings, report.notes) == ([], [])
    before = objects(s3, library.index)
    s3index(root, "import", *files)
    assert objects(s3, library.index) == before


def test_each_file_that_is_refused_has_a_line(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path
) -> None:
    good = made(tmp_path, "0.0.1")
    broken = tmp_path / "acme_common-0.0.2-py3-none-any.whl"
    broken.write_bytes(b"no archive")
    egg = tmp_path / "acme_common-0.0.3-py2.7.egg"
    egg.write_bytes(b"")
    lonely = wheel(tmp_path, version="0.0.4").rename(
        tmp_path / "acme_common-0.0.4-cp311-cp311-win_amd64.whl"
    )
    stranger = wheel(tmp_path, "acme-other", "0.0.5")
    unreadable = wheel(tmp_path, version="0.0.6", requires=("six>=1.*",))
    wrong = [broken, egg, lonely, stranger, unreadable]
    said = s3index(root, "import", *good, *wrong, exits=1).splitlines()
    assert said[0] == "Error: Nothing was imported. These files cannot be imported:"
    for path in wrong:
        assert sum(path.name in line for line in said) == 1, (path, said)
    assert objects(s3, library.index) == {}
    s3index(root, "import", "--skip-unusable", *good, *wrong)
    assert listed(s3, library).keys() == {file.name for file in good}


def rewritten(path: Path, *edits: tuple[str, str]) -> Path:
    """Edit a wheel's METADATA."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            for old, new in edits if name.endswith("METADATA") else ():
                assert old in text
                text = text.replace(old, new)
            archive.writestr(name, text)
    return path


VERSION = "Metadata-Version: 2.3\n"
OLD = (VERSION, "Metadata-Version: 2.0\nSummary: two\n  lines\n")
LICENSED = (VERSION, "Metadata-Version: 2.1\nLicense-File: LICENSE\n")


@pytest.mark.full
def test_metadata_of_its_time(s3: "S3Client", library: Library, root: Path, tmp_path: Path) -> None:
    # wheel and setuptools wrote this for years, and pip and uv have always installed it.
    old = rewritten(wheel(tmp_path, version="0.0.1"), OLD)
    licensed = rewritten(wheel(tmp_path, version="0.1.0"), LICENSED)
    assert "'2.0' is not a valid" in s3index(root, "publish", old, exits=1)
    s3index(root, "import", old)
    s3index(root, "publish", licensed)
    assert listed(s3, library).keys() == {old.name, licensed.name}
    for number, tool in enumerate(("pip", "uv pip")):
        client = consumer(tmp_path / f"client{number}")
        run = client.pip if tool == "pip" else partial(client.uv, "pip")
        index = library.index.address(LIST)
        run("install", "--index-url", index, "acme-common==0.0.1")
        assert client.version() == "0.0.1"


def test_a_release_with_other_bytes_is_refused(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path
) -> None:
    release(library, *made(tmp_path / "new", "0.1.0"))
    other = [wheel(tmp_path, version="0.1.0", body="x = 1"), *made(tmp_path, "0.0.1")]
    before = objects(s3, library.index)
    said = s3index(root, "import", *other, exits=1).splitlines()
    assert said[0] == "Error: Nothing was imported. These releases cannot be imported:"
    assert [line.split(" ")[2:4] for line in said[1:]] == [["acme-common", "0.1.0"]]
    assert objects(s3, library.index) == before


def test_yanks_and_times_come_along(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path, old: OldIndex
) -> None:
    files = made(tmp_path / "old", "0.0.1", "0.0.2", "0.0.3")
    times = {"upload-time": "2019-05-06T07:08:09.123456Z"}
    said: list[dict[str, Any]] = [times, times, {"yanked": "it leaks"}, {}, {"yanked": True}, {}]
    said[5] = {"upload-time": "2219-05-06T07:08:09Z"}
    old.add("acme-common", dict(zip(files, said, strict=True)), json=True)
    s3index(root, "import", "--from", old.url)
    found = listed(s3, library)
    host = old.url.split("/")[2]
    assert {file["_uploaded-by"] for file in found.values()} == {f"tests (imported from {host})"}
    assert [found[file.name]["upload-time"] for file in files[:2]] == ["2019-05-06T07:08:09Z"] * 2
    assert "2219" not in found[files[5].name]["upload-time"]
    yanks = [found[file.name].get("yanked", False) for file in files]
    # A yank applies to a whole release; PyPI does not yank single files either.
    assert yanks == [False, False, "it leaks", "it leaks", True, True]
    assert [found[file.name]["requires-python"] for file in files] == [">=3.11"] * 6
    before = objects(s3, library.index)
    assert (verified(library).findings, verified(library).notes) == ([], [])
    s3index(root, "import", "--from", old.url)
    assert objects(s3, library.index) == before


@pytest.mark.full
def test_what_was_yanked_elsewhere_stays_so_without_its_page(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path, old: OldIndex
) -> None:
    files = made(tmp_path / "old", "0.0.1")
    old.add("acme-common", {file: {"yanked": "it leaks"} for file in files}, json=True)
    s3index(root, "import", "--from", old.url)
    for key in (PAGE, "simple/acme-common/"):
        s3.delete_object(Bucket=library.index.bucket, Key=key)
    s3index(root, "repair")
    assert {file["yanked"] for file in listed(s3, library).values()} == {"it leaks"}
    s3index(root, "unyank", "0.0.1")
    s3index(root, "repair")
    assert all("yanked" not in file for file in listed(s3, library).values())


def test_html_and_a_password(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path, old: OldIndex
) -> None:
    old.password = "reader:a p@ss"
    files = made(tmp_path / "old", "0.0.1", "0.0.2")
    yanked: dict[Path, dict[str, Any]] = {file: {} for file in files}
    yanked[files[0]] = {"yanked": ""}
    old.add("acme-common", yanked, json=False)
    with serving(OldIndex()) as elsewhere:
        # Files on another host are requested without the password.
        kind, page = old.pages["/simple/acme-common/"]
        other = elsewhere.url.removesuffix("simple/") + f"files/{files[3].name}"
        page = page.replace(f"../../files/{files[3].name}".encode(), other.encode())
        old.pages["/simple/acme-common/"] = kind, page
        elsewhere.pages |= {f"/files/{files[3].name}": old.pages[f"/files/{files[3].name}"]}
        said = s3index(root, "import", "--from", old.url, exits=1)
        assert "401" in said
        address = old.url.replace("://", "://reader:a%20p%40ss@")
        said = s3index(root, "import", "--from", address.replace("p%40ss", "wrong"), exits=1)
        assert "401" in said
        assert "wrong" not in said
        s3index(root, "import", "--from", address)
        assert elsewhere.asked == [(f"/files/{files[3].name}", "")]
    found = listed(s3, library)
    assert [found[file.name].get("yanked", False) for file in files] == [True, True, False, False]
    assert not any(b"p@ss" in body for body in objects(s3, library.index).values())


def test_netrc(s3: "S3Client", library: Library, root: Path, tmp_path: Path, old: OldIndex) -> None:
    old.password = "reader:secret"
    old.add("acme-common", {path: {} for path in made(tmp_path / "old", "0.0.1")}, json=True)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login reader password secret\n")
    s3index(root, "import", "--from", old.url, env={"NETRC": str(netrc)})
    assert len(listed(s3, library)) == 2


@pytest.mark.parametrize("as_json", [True, False], ids=["JSON", "HTML"])
def test_a_digest_that_disagrees_is_refused_by_name(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path, old: OldIndex, as_json: bool
) -> None:
    files = made(tmp_path / "old", "0.0.1", "0.0.2")
    said: dict[Path, dict[str, Any]] = {file: {} for file in files}
    said[files[2]] = {"hashes": {"sha256": "0" * 64}}
    old.add("acme-common", said, json=as_json)
    told = s3index(root, "import", "--from", old.url, "--skip-unusable", exits=1)
    assert told.startswith(f"Error: {files[2].name} could not be downloaded from 127.0.0.1")
    assert "0" * 64 in told
    said[files[2]] = {"hashes": {}}
    old.add("acme-common", said, json=as_json)
    told = s3index(root, "import", "--from", old.url, "--skip-unusable", exits=1)
    assert told.startswith(f"Error: {files[2].name} could not be downloaded from 127.0.0.1")
    assert objects(s3, library.index) == {}


@pytest.mark.full
def test_an_index_that_fails_in_the_middle(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path, old: OldIndex
) -> None:
    files = made(tmp_path / "old", "0.0.1", "0.0.2")
    old.add("acme-common", {path: {} for path in files}, json=True)
    third = f"/files/{files[2].name}"
    old.fails = lambda path: 500 if path == third else 0
    said = s3index(root, "import", "--from", old.url, exits=1)
    assert said.startswith(f"Error: {files[2].name} could not be downloaded from 127.0.0.1")
    assert objects(s3, library.index) == {}
    old.asked.clear()
    # The index recovers: the client retries after two failures.
    old.fails = lambda path: 500 if path == third and _times(old, third) < 3 else 0
    s3index(root, "import", "--from", old.url)
    assert _times(old, third) == 3
    assert listed(s3, library).keys() == {file.name for file in files}


def _times(old: OldIndex, path: str) -> int:
    return [asked for asked, _ in old.asked].count(path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "has no acme-common"),
        (b"{", "Its page could not be downloaded"),
        (
            b'{"meta": {"api-version": "9.0"}, "name": "a", "files": []}',
            "Its page could not be downloaded",
        ),
        (b'{"meta": {"api-version": "1.0"}, "name": "a", "files": []}', "No releases of"),
        (b'{"meta": {"api-version": "1.0"}, "name": "a", "files": [{"filename": 1}]}', "Its page"),
    ],
)
def test_pages_that_are_none(
    s3: "S3Client", library: Library, root: Path, old: OldIndex, body: bytes | None, said: str
) -> None:
    if body is not None:
        old.pages["/simple/acme-common/"] = "application/vnd.pypi.simple.v1+json", body
    assert said in s3index(root, "import", "--from", old.url, exits=1)


def test_filenames_are_no_paths(
    s3: "S3Client", library: Library, root: Path, tmp_path: Path, old: OldIndex
) -> None:
    files = made(tmp_path / "old", "0.0.1")
    said: dict[Path, dict[str, Any]] = {file: {} for file in files}
    said[files[0]] = {"filename": "../../../acme_common-0.0.1-py3-none-any.whl"}
    said[files[1]] = {"filename": "acme_other-0.0.1.tar.gz"}
    old.add("acme-common", said, json=True)
    told = s3index(root, "import", "--from", old.url, exits=1)
    assert "is not the filename of a wheel or sdist" in told
    assert "acme_other-0.0.1.tar.gz belongs to acme-other, not to acme-common." in told
    assert not any(path.startswith("/files/") for path, _ in old.asked)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give either files or an index"),
        (("pyproject.toml", "--from", "https://packages.acme.example/"), "give either files or an"),
        (("--skip-unusable", "typo.whl"), "'typo.whl' does not exist"),
    ],
)
def test_wrong_usage(root: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in s3index(root, "import", *arguments, exits=2)


def test_an_address_that_is_none(root: Path, library: Library) -> None:
    said = s3index(root, "import", "--from", "packages.acme.example/simple", exits=1)
    assert said == "Error: The index's address must start with http:// or https://.\n"
