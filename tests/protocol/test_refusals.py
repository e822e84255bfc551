"""What must not be published is refused with a message, before anything is written."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.template.baking import python, run
from tests.commands import repository, s3index
from tests.distributions import digest, sdist, wheel
from s3index.s3 import Bucket
from s3index.errors import Refused
from s3index.publish import publish, yank
from s3index.distribution import read, read_release
from s3index.repair import repair
from s3index.steps import Put
from tests.protocol.standin import StandIn
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "packages/devtools/acme-common/"
WHEEL = "acme_common-0.1.0-py3-none-any.whl"
SDIST = "acme_common-0.1.0.tar.gz"


def refusal(library: Library, *files: Path) -> str:
    """Publish files in vain; return what was said."""
    with pytest.raises(Refused) as caught:
        release(library, *files)
    return str(caught.value)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def renamed(path: Path, name: str) -> Path:
    return path.rename(path.with_name(name))


def damaged(path: Path) -> Path:
    """Change one byte in the first member of a wheel."""
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    return written(path, bytes(content))


def without_metadata(folder: Path) -> Path:
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr("acme_common/__init__.py", "")
    return folder / WHEEL


def twice(folder: Path) -> list[Path]:
    (folder / "copy").mkdir()
    return [wheel(folder), Path(shutil.copy(wheel(folder), folder / "copy"))]


OURS = "but pyproject.toml says acme-common 0.1.0. Publish this repository's own release."
REBUILD = "which is not what its filename says. Build it again; do not rename distributions."
BAD_FILES: dict[str, tuple[Callable[[Path], Path | list[Path]], str]] = {
    "no files": (lambda _: [], "There are no files to publish. Run `poetry build` first."),
    "a file that is not there": (
        lambda folder: folder / WHEEL,
        f"{{folder}}/{WHEEL} is not a file. Build first, or name the files in dist/.",
    ),
    "a folder": (
        lambda folder: folder,
        "{folder} is not a file. Build first, or name the files in dist/.",
    ),
    "no distribution": (
        lambda folder: written(folder / "notes.txt", b"notes"),
        "notes.txt is neither a wheel (.whl) nor an sdist (.tar.gz).",
    ),
    "no distribution's name": (
        lambda folder: renamed(wheel(folder), "acme_common.whl"),
        "Invalid wheel filename (wrong number of parts): 'acme_common'. Publish what `poetry "
        "build` wrote.",
    ),
    "text under a wheel's name": (
        lambda folder: written(folder / WHEEL, b"notes"),
        f"{WHEEL} is no intact wheel (File is not a zip file). Build it again.",
    ),
    "a damaged wheel": (
        lambda folder: damaged(wheel(folder)),
        f"{WHEEL} is damaged at acme_common/__init__.py. Build it again.",
    ),
    "a wheel without METADATA": (
        without_metadata,
        f"{WHEEL} holds 0 METADATA files; a wheel holds one.",
    ),
    "text under an sdist's name": (
        lambda folder: written(folder / SDIST, b"notes"),
        f"{SDIST} is no intact sdist (not a gzip file). Build it again.",
    ),
    "a renamed wheel of another project": (
        lambda folder: renamed(wheel(folder, "acme-other"), WHEEL),
        f"{WHEEL} says acme-other 0.1.0 in its core metadata, {REBUILD}",
    ),
    "a renamed sdist of another version": (
        lambda folder: renamed(sdist(folder, version="0.2.0"), SDIST),
        f"{SDIST} says acme-common 0.2.0 in its core metadata, {REBUILD}",
    ),
    "another project's wheel": (
        lambda folder: wheel(folder, "acme-other"),
        f"acme_other-0.1.0-py3-none-any.whl is acme-other 0.1.0, {OURS}",
    ),
    "another version": (
        lambda folder: [wheel(folder), sdist(folder, version="0.2.0")],
        f"acme_common-0.2.0.tar.gz is acme-common 0.2.0, {OURS}",
    ),
    "the same filename twice": (twice, "The same filename is given twice. Name each file once."),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path, case: str
) -> None:
    make, message = BAD_FILES[case]
    made = make(tmp_path)
    files = [made] if isinstance(made, Path) else made
    assert refusal(library, *files) == message.format(folder=tmp_path)
    assert wire.seen == []
    assert objects(s3, library.index) == {}


@pytest.mark.parametrize("build", [wheel, sdist])
def test_files_cut_off_anywhere(build: Callable[[Path], Path], tmp_path: Path) -> None:
    path = build(tmp_path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(Refused, match=r"is no intact (wheel|sdist) \(.*\). Build it again\."):
            read(path)


def test_a_file_that_changes_after_it_was_read(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path
) -> None:
    # The server verifies the digest that was taken when the file was checked.
    [found] = read_release([wheel(tmp_path)], config.project, config.version)
    wheel(tmp_path, body="x = 1")
    with pytest.raises(Refused) as caught:
        Bucket(library.index).run(publish([found], config, None))
    assert str(caught.value) == (
        f"PutObject on bucket {library.index.bucket} failed: BadDigest The SHA256 you specified did not "
        "match what we received."
    )
    assert FOLDER + WHEEL in wire.puts()
    assert objects(s3, library.index).keys() <= {f"{FOLDER}{WHEEL}.metadata"}


def test_a_yanked_version(s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    release(library, files[0])
    Bucket(library.index).run(yank(library, config.version, "it leaks"))
    before = objects(s3, library.index)
    wire.seen.clear()
    for some in ([files[0]], files):
        message = "acme-common 0.1.0 is yanked. Unyank it, or bump the version."
        assert refusal(library, *some) == message
    assert wire.puts() == []
    assert objects(s3, library.index) == before


NOT_OURS = {
    b"": "it is not JSON of the simple repository API",
    b"<html></html>": "it is not JSON of the simple repository API",
    b"[]": "it is not JSON of the simple repository API",
    b"{}": "it is not JSON of the simple repository API",
    b'{"meta": {"api-version": 1}}': "it is not JSON of the simple repository API",
    b'{"meta": {"api-version": "2.0"}, "name": "acme-common", "files": []}': (
        "it has version 2.0 of the API, not 1.x"
    ),
}
NO_PROJECT_PAGE = {
    b'{"meta": {"api-version": "1.1"}}': "it has no name or no files",
    b'{"meta": {"api-version": "1.1"}, "name": "acme-common"}': "it has no name or no files",
    b'{"meta": {"api-version": "1.1"}, "name": "acme-common", "files": []}': (
        "it has no _last-serial"
    ),
    b'{"meta": {"api-version": "1.1", "_last-serial": 1}, "name": "acme-common", "files": [{}]}': (
        "it lists {}"
    ),
}
NO_TEAM_PAGE = {
    b'{"meta": {"api-version": "1.1"}}': "it has no projects",
    b'{"meta": {"api-version": "1.1"}, "projects": [{"name": "a"}]}': 'it lists {"name": "a"}',
}


@pytest.mark.parametrize(
    ("key", "body", "why"),
    [
        (key, body, why)
        for key, bodies in (
            (FOLDER, NOT_OURS | NO_PROJECT_PAGE),
            ("packages/devtools/", NOT_OURS | NO_TEAM_PAGE),
        )
        for body, why in bodies.items()
    ],
)
def test_pages_that_are_not_ours(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path, key: str, body: bytes, why: str
) -> None:
    s3.put_object(Bucket=library.index.bucket, Key=key, Body=body)
    message = (
        f"The page at {key} was not written by this publisher: {why}. Nothing was changed; look "
        "at it, then `python -m s3index repair` rebuilds it."
    )
    assert refusal(library, wheel(tmp_path)) == message
    with pytest.raises(Refused) as caught:
        Bucket(library.index).run(yank(library, config.version, True))
    assert str(caught.value) == message
    assert wire.puts() == []
    assert objects(s3, library.index) == {key: body}


@pytest.mark.parametrize("what", ["deleted", "put back"])
def test_a_page_that_was_lost(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path, what: str
) -> None:
    release(library, wheel(tmp_path))
    older = objects(s3, library.index)[FOLDER]
    release(at(library, "0.2.0"), wheel(tmp_path, version="0.2.0"))
    if what == "deleted":
        s3.delete_object(Bucket=library.index.bucket, Key=FOLDER)
    else:
        s3.put_object(Bucket=library.index.bucket, Key=FOLDER, Body=older)
    before = objects(s3, library.index)
    wire.seen.clear()
    assert refusal(at(library, "0.3.0"), wheel(tmp_path, version="0.3.0")) == (
        f"The page at {FOLDER} is lost or was put back to an older state: other objects know a "
        "newer one. Run `python -m s3index repair`."
    )
    assert wire.puts() == []
    assert objects(s3, library.index) == before
    # Others of the team are not held up, and the hint is right.
    release(at(library, "1.0", "acme-other"), wheel(tmp_path, "acme-other", "1.0"))
    assert Bucket(library.index).run(repair(config)) == []
    release(at(library, "0.3.0"), wheel(tmp_path, version="0.3.0"))
    page = json.loads(objects(s3, library.index)[FOLDER])
    assert page["versions"] == ["0.1.0", "0.2.0", "0.3.0"]


def other_bytes(filename: str) -> str:
    return (
        "acme-common 0.1.0 is released and releases are immutable: "
        f"{filename} is in the bucket with other bytes. Bump the version."
    )


@pytest.mark.parametrize("cut_off", [False, True], ids=["released", "cut off after its files"])
@pytest.mark.parametrize("differs", [WHEEL, SDIST])
def test_other_bytes(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path, differs: str, cut_off: bool
) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    if cut_off:
        upload_only(library, *files)
    else:
        release(library, *files)
    before = objects(s3, library.index)
    wire.seen.clear()
    (wheel if differs == WHEEL else sdist)(tmp_path, body="x = 1")
    assert refusal(library, *files) == other_bytes(differs)
    assert wire.puts() == []
    assert objects(s3, library.index) == before


def test_other_bytes_beside_one_uploaded_file(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path
) -> None:
    upload_only(library, wheel(tmp_path))
    s3.delete_object(Bucket=library.index.bucket, Key=f"{FOLDER}{WHEEL}.metadata")
    before = objects(s3, library.index)
    wire.seen.clear()
    files = sdist(tmp_path), wheel(tmp_path, body="x = 1")
    assert refusal(library, *files) == other_bytes(WHEEL)
    assert wire.puts() == []
    assert objects(s3, library.index) == before


def upload_only(library: Library, *files: Path) -> None:
    """Do what a publish does that is cut off when its files are uploaded."""
    bucket = Bucket(library.index)
    protocol = publish(read_release(files, config.project, config.version), config, "tests")
    batch = next(protocol)
    while not any(isinstance(request, Put) for request in batch):
        batch = protocol.send([bucket.perform(request) for request in batch])
    assert all(bucket.perform(request) for request in batch)


def test_the_same_bytes_are_no_write(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path
) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    assert release(library, *files)
    before = objects(s3, library.index)
    wire.seen.clear()
    assert not release(library, *files)
    assert not release(library, files[1])
    assert wire.puts() == []
    assert objects(s3, library.index) == before


def test_pip_refuses_a_file_that_was_replaced(
    s3: "S3Client", library: Library, tmp_path: Path
) -> None:
    release(library, ours := wheel(tmp_path))
    (tmp_path / "other").mkdir()
    other = wheel(tmp_path / "other", body="x = 1").read_bytes()
    s3.put_object(Bucket=library.index.bucket, Key=FOLDER + WHEEL, Body=other)
    team = library.index.address(library.index.team_page)
    html = library.index.address(library.index.site("simple/"))
    constraints = library.index.address(library.index.constraints)
    empty = tmp_path / "empty"
    empty.mkdir()
    for source in (["--index-url", team], ["--index-url", html], ["--no-index", "-c", constraints]):
        command = python("pip", "download", "--no-deps", "--no-cache-dir", *source, "acme-common")
        with pytest.raises(AssertionError, match=f"Expected sha256 {digest(ours)}"):
            run(command, empty)
    assert list(empty.iterdir()) == []


COMMANDS: dict[str, tuple[Callable[["S3Client", Config, Path], Path], dict[str, str], str]] = {
    "a truncated wheel": (
        lambda _, __, folder: written(wheel(folder), wheel(folder).read_bytes()[:-9]),
        {},
        f"{WHEEL} is no intact wheel (File is not a zip file). Build it again.",
    ),
    "another project's wheel": (
        lambda _, __, folder: wheel(folder, "acme-other"),
        {},
        BAD_FILES["another project's wheel"][1],
    ),
    "no credentials": (
        lambda _, __, folder: wheel(folder),
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        "There are no AWS credentials. Sign in (`aws sso login`, or set AWS_PROFILE), then run it "
        "again.",
    ),
    "a page that is not JSON": (
        lambda s3, config, folder: with_page(s3, config, wheel(folder)),
        {},
        f"The page at {FOLDER} was not written by this publisher: it is not JSON of the simple "
        "repository API. Nothing was changed; look at it, then `python -m s3index repair` "
        "rebuilds it.",
    ),
    "other bytes": (
        lambda _, config, folder: released_with_other_bytes(library, folder),
        {},
        other_bytes(WHEEL),
    ),
}


def with_page(s3: "S3Client", library: Library, path: Path) -> Path:
    s3.put_object(Bucket=library.index.bucket, Key=FOLDER, Body=b"<html>")
    return path


def released_with_other_bytes(library: Library, folder: Path) -> Path:
    release(library, wheel(folder))
    return wheel(folder, body="x = 1")


@pytest.mark.parametrize("case", COMMANDS)
def test_the_command_says_it_in_a_line(
    s3: "S3Client", library: Library, tmp_path: Path, case: str
) -> None:
    make, env, message = COMMANDS[case]
    file = make(s3, config, tmp_path)
    before = objects(s3, library.index)
    root = repository(library, tmp_path / "root")
    assert s3index(root, "publish", file, env=env, exits=1) == f"Error: {message}\n"
    assert objects(s3, library.index) == before


def test_the_command_without_a_bucket(library: Library, tmp_path: Path) -> None:
    root = repository(replace(library, bucket="acme-nowhere"), tmp_path / "root")
    assert s3index(root, "publish", wheel(tmp_path), exits=1) == (
        "Error: There is no bucket acme-nowhere. Create it, or correct bucket in [tool.s3index].\n"
    )
