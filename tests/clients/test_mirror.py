"""docs/examples/mirror.py follows the bucket, and no key stops it from copying the rest."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.distributions import sdist, wheel
from tests.protocol.failing import fails
from tests.protocol.standin import Answer, Seen, forward, standing_in
from tests.template.baking import TEMPLATE, run
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full

NOTHING = "0 files and 0 pages fetched, 0 removed.\n"
FOLDER = "packages/devtools/acme-common/"
LONG = "a" * 251
FOREIGN = [
    "packages/../../outside",
    "packages/devtools",
    "packages/devtools//",
    "packages/devtools/acme-common",
    "packages/devtools/acme-common/acme_common-0.1.0-py3-none-any.whl/inner",
    "packages/devtools/acme-common/.hidden.whl",
    "packages/devtools/acme-common/index.json",
    "packages/devtools/acme-common/notes.txt",
    "packages/devtools/acme-common/acme_common-9-py3-none-any.whl.part",
    "packages/devtools/acme-common/a b.whl",
    "packages/devtools/acme-common/a\\b.whl",
    "packages/devtools/acme-common/aNEWLINE::error::b.whl",
    "packages/devtools/acme-common/a\x1b[31m.whl",
    "packages/devtools/acme-common/a\u202eb.whl",
    "packages/devtools/acme-common/übung.whl",
    "packages/devtools/New Folder/",
    "packages/index.html",
    "simple/acme-common",
    "simple/acme-common/index.json",
    "simple/../outside",
    "dumb-pypi/devtools/index/simple/acme-common/page.html",
    "dumb-pypi/devtools/index/index.html/page.html",
]
TOO_LONG = [
    f"packages/devtools/{LONG}/",
    f"packages/devtools/acme-common/{LONG}.whl",
    f"simple/{LONG}/",
]
LEFT_OUT = [
    "packages/devtools/acme-common/release-1.0rc1.json",
    "packages/devtools/acme-common/release-1!2.0+cu118.json",
    "dumb-pypi/devtools/index/simple/",
    "dumb-pypi/devtools/index/simple/index.html",
    "dumb-pypi/devtools/index/pypi/acme-common/json",
]
"""Keys of the index that no client requests from a web server."""

Mirror = Callable[[], str]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "tree"


@pytest.fixture
def mirror(library: Library, tree: Path) -> Mirror:
    """Return a function that updates the copy and returns what it printed."""
    command = [sys.executable, TEMPLATE / "docs/examples/mirror.py", library.index.bucket, tree]
    return lambda: run(list(map(str, command)), library.root)


@pytest.fixture
def newlines(endpoint: str, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Turn NEWLINE in listed keys into one, which moto cannot store."""

    def rule(seen: Seen) -> Answer | None:
        if seen.key or seen.method != "GET":
            return None
        answer = forward(endpoint, f"/{seen.bucket}?{seen.query}", seen)
        body = answer.body.replace(b"NEWLINE", b"%0A")
        return Answer(answer.status, {"Content-Type": "application/xml"}, body)

    with standing_in(rule, endpoint) as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stand_in.url)
        yield


def test_the_copy_follows_the_bucket(
    s3: "S3Client", library: Library, mirror: Mirror, tree: Path, tmp_path: Path
) -> None:
    release(library, wheel(tmp_path))
    assert mirror().startswith("1 files and ")
    assert mirror() == NOTHING
    release(at(library, "0.2.0"), wheel(tmp_path, version="0.2.0"))
    assert mirror().startswith("1 files and ")
    key = f"{FOLDER}acme_common-0.1.0-py3-none-any.whl"
    s3.delete_object(Bucket=library.index.bucket, Key=key)
    (tree / "packages" / "devtools" / "half.whl.part").write_bytes(b"cut off")
    assert mirror() == "0 files and 0 pages fetched, 2 removed.\n"
    assert not (tree / key).exists()
    assert mirror() == NOTHING


@pytest.mark.usefixtures("newlines")
def test_foreign_keys_are_named_and_skipped_and_the_rest_is_copied(
    s3: "S3Client", library: Library, mirror: Mirror, tree: Path, tmp_path: Path
) -> None:
    release(library, wheel(tmp_path), sdist(tmp_path))
    mirror()
    before = files(tree)
    for key in (*FOREIGN, *TOO_LONG, *LEFT_OUT):
        s3.put_object(Bucket=library.index.bucket, Key=key, Body=b"foreign")
    release(at(library, "0.2.0"), wheel(tmp_path, version="0.2.0"))
    s3.put_object(Bucket=library.index.bucket, Key="simple/acme-common/", Body=b"{}")
    said = fails(mirror)
    for key in FOREIGN:
        shown = repr(key).replace("NEWLINE", "\\n")
        assert f"Skipped {shown}: not a key of the index" in said
    for key in TOO_LONG:
        assert f"Skipped {key!r}: too long for a file system" in said
    assert said.count("Skipped") == len(FOREIGN) + len(TOO_LONG)
    assert "1 files and " in said
    new = {f"{FOLDER}acme_common-0.2.0-py3-none-any.whl{end}" for end in ("", ".metadata")}
    assert files(tree) == before | new | {"simple/acme-common/index.json"}
    assert not (tmp_path / "outside").exists()


def test_both_pages_of_a_project_for_people_are_kept(
    s3: "S3Client", library: Library, mirror: Mirror, tree: Path
) -> None:
    key = "dumb-pypi/devtools/index/simple/acme-common/"
    s3.put_object(Bucket=library.index.bucket, Key=key, Body=b"page")
    s3.put_object(Bucket=library.index.bucket, Key=f"{key}index.html", Body=b"link")
    mirror()
    assert (tree / key / "page.html").read_bytes() == b"page"
    assert (tree / key / "index.html").read_bytes() == b"link"
    assert mirror() == NOTHING


def test_objects_that_cannot_be_read_or_kept_are_skipped(
    s3: "S3Client", library: Library, mirror: Mirror, tree: Path, tmp_path: Path
) -> None:
    archived = [f"{FOLDER}acme_common-9-py3-none-any.whl", "simple/archived/"]
    for key in archived:
        s3.put_object(Bucket=library.index.bucket, Key=key, Body=b"9", StorageClass="GLACIER")
    release(library, wheel(tmp_path))
    # A file that an earlier copy left for a folder is removed.
    (tree / "packages" / "devtools").mkdir(parents=True)
    (tree / FOLDER).with_name("acme-common").write_bytes(b"a file")
    said = fails(mirror)
    for key in archived:
        assert f"Skipped {key!r}: An error occurred (InvalidObjectState)" in said
    assert "Skipped 'packages/devtools/acme-common/index.json': " in said
    assert (tree / "packages/devtools/index.json").exists()
    for key in archived:
        s3.delete_object(Bucket=library.index.bucket, Key=key)
    assert mirror().startswith("1 files and 2 pages")
    names = objects(s3, library.index)[FOLDER]
    assert (tree / FOLDER / "index.json").read_bytes() == names


def files(tree: Path) -> set[str]:
    return {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
