"""An invalid release is refused with a message before anything is written."""

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from s3index.distribution import read, read_release
from s3index.errors import Refused
from s3index.publish import publish, yank
from s3index.repair import repair
from s3index.s3 import Bucket
from s3index.settings import LIST, Index
from s3index.steps import Put
from tests.commands import repository, s3index
from tests.distributions import digest, sdist, wheel
from tests.protocol.standin import StandIn
from tests.template.baking import python, run
from tests.world import Library, at, claim, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "packages/devtools/acme-common/"
WHEEL = "acme_common-0.1.0-py3-none-any.whl"
SDIST = "acme_common-0.1.0.tar.gz"


def refusal(library: Library, *files: Path) -> str:
    """Publish files that must be refused; return the message."""
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


def archived(folder: Path, members: Mapping[str, str | bytes], name: str = WHEEL) -> Path:
    """Write a wheel of these members."""
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return folder / name


def saying(*lines: str) -> str:
    """Return core metadata with additional lines."""
    return "\n".join(["Metadata-Version: 2.3", "Name: acme-common", "Version: 0.1.0", *lines])


def encrypted(path: Path) -> Path:
    """Set the encryption flag of METADATA in a wheel's central directory."""
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"acme_common-0.1.0.dist-info/METADATA") - 46
    content[entry + 8] |= 1
    return written(path, bytes(content))


def compressed(path: Path, method: int) -> Path:
    """Give METADATA a compression method that installers need not support."""
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"acme_common-0.1.0.dist-info/METADATA") - 46
    content[entry + 10] = method
    return written(path, bytes(content))


def twice(folder: Path) -> list[Path]:
    (folder / "copy").mkdir()
    return [wheel(folder), Path(shutil.copy(wheel(folder), folder / "copy"))]


OURS = (
    "but pyproject.toml says acme-common 0.1.0. Publish this repository's own release: without "
    "file names, `s3index publish` builds it into a folder of its own."
)
REBUILD = "which does not match its filename. Build it again; do not rename distributions."
MACOS = "cp312-cp312-macosx_11_0_arm64"
ONE_METADATA = (
    "a wheel has one, in the .dist-info folder of its own project and version. Build it again."
)
BAD_FILES: dict[str, tuple[Callable[[Path], Path | list[Path]], str]] = {
    "no files": (lambda _: [], "No files to publish. Build first."),
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
        "Invalid wheel filename (wrong number of parts): 'acme_common'. Publish the "
        "built file under its own name.",
    ),
    "text under a wheel's name": (
        lambda folder: written(folder / WHEEL, b"notes"),
        f"{WHEEL} is not an intact wheel (File is not a zip file). Build it again.",
    ),
    "a damaged wheel": (
        lambda folder: damaged(wheel(folder)),
        f"{WHEEL} is damaged at 'acme_common/__init__.py'. Build it again.",
    ),
    "a wheel without METADATA": (
        lambda folder: archived(folder, {"acme_common/__init__.py": ""}),
        f"{WHEEL} has its METADATA in no folder; {ONE_METADATA}",
    ),
    "text under an sdist's name": (
        lambda folder: written(folder / SDIST, b"notes"),
        f"{SDIST} is not an intact sdist (Not a gzipped file (b'no')). Build it again.",
    ),
    "a renamed wheel of another project": (
        lambda folder: renamed(wheel(folder, "acme-other"), WHEEL),
        f"{WHEEL} has its METADATA in acme_other-0.1.0.dist-info/METADATA; {ONE_METADATA}",
    ),
    "a renamed sdist of another version": (
        lambda folder: renamed(sdist(folder, version="0.2.0"), SDIST),
        f"{SDIST} has core metadata of acme-common 0.2.0, {REBUILD}",
    ),
    "another project's wheel": (
        lambda folder: wheel(folder, "acme-other"),
        f"acme_other-0.1.0-py3-none-any.whl is acme-other 0.1.0, {OURS}",
    ),
    "another version": (
        lambda folder: [wheel(folder), sdist(folder, version="0.2.0")],
        f"acme_common-0.2.0.tar.gz is acme-common 0.2.0, {OURS}",
    ),
    "wheels for one platform alone": (
        lambda folder: renamed(wheel(folder), f"acme_common-0.1.0-{MACOS}.whl"),
        f"acme_common-0.1.0-{MACOS}.whl installs on one platform only. Publish the sdist with it: "
        "constraints.txt names one file of a release, and it must install everywhere.",
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


INFO = "acme_common-0.1.0.dist-info/METADATA"
UNINSTALLABLE: dict[str, tuple[Mapping[str, str | bytes], str]] = {
    "a requirement that is not one": (
        {INFO: saying("Requires-Dist: requests >=2,,<3 !")},
        "has core metadata that installers refuse: .*requests",
    ),
    "a Python that is not one": (
        {INFO: saying("Requires-Python: three")},
        "has core metadata that installers refuse: .*three",
    ),
    "a requirement that nests without end": (
        {INFO: saying("Requires-Dist: requests; " + "(" * 100_000)},
        "has core metadata that installers refuse: ",
    ),
    "a version with more digits than Python reads": (
        {INFO: saying().replace("0.1.0", "9" * 5_000)},
        "has core metadata that installers refuse: ",
    ),
    "more versions of Python than a page can say": (
        {INFO: saying("Requires-Python: >=3.11" + "".join(f",!=3.12.{n}" for n in range(99)))},
        "has a Requires-Python of over 500 characters",
    ),
    "core metadata that is not UTF-8": (
        {INFO: saying("Summary: caf").encode() + b"\xe9"},
        "has core metadata that is not UTF-8",
    ),
    "core metadata of another project beside its own": (
        {INFO: saying(), "acme_other-0.1.0.dist-info/METADATA": saying()},
        "has its METADATA in acme_common-0.1.0.dist-info/METADATA, acme_other-0.1.0.dist-info",
    ),
    "core metadata of another version": (
        {"acme_common-0.2.0.dist-info/METADATA": saying()},
        "has its METADATA in acme_common-0.2.0.dist-info/METADATA; a wheel has one",
    ),
    "core metadata twice": (
        {INFO: saying(), "Acme.common-0.1.dist-info/METADATA": saying()},
        "has its METADATA in acme_common-0.1.0.dist-info/METADATA, Acme.common-0.1.dist-info",
    ),
    "ten megabytes of core metadata": (
        {INFO: saying("Summary: " + "x" * 10_000_000)},
        "has more than 2097152 bytes of core metadata",
    ),
}


@pytest.mark.parametrize("case", UNINSTALLABLE)
def test_what_no_client_could_install(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path, case: str
) -> None:
    members, message = UNINSTALLABLE[case]
    assert re.match(f"{re.escape(WHEEL)} {message}", refusal(library, archived(tmp_path, members)))
    assert wire.seen == []


def test_platforms_with_an_sdist(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    release(library, renamed(wheel(tmp_path), f"acme_common-0.1.0-{MACOS}.whl"), sdist(tmp_path))
    for key in (library.index.constraints, library.index.organization_constraints):
        assert f"/{SDIST}#sha256=" in objects(s3, library.index)[key].decode()


def test_archives_that_installers_cannot_read(tmp_path: Path) -> None:
    for path in (encrypted(wheel(tmp_path)), *(compressed(wheel(tmp_path), n) for n in (14, 77))):
        with pytest.raises(Refused, match=f"^{re.escape(WHEEL)} is not an intact wheel"):
            read(path)


@pytest.mark.parametrize("build", [wheel, sdist])
def test_files_cut_off_anywhere(build: Callable[[Path], Path], tmp_path: Path) -> None:
    path = build(tmp_path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(
            Refused, match=r"is not an intact (wheel|sdist) \(.*\). Build it again\."
        ):
            read(path)


def test_a_file_that_changes_after_it_was_read(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path
) -> None:
    # The server verifies the digest that was computed when the file was checked.
    [found] = read_release([wheel(tmp_path)], library.name, Version("0.1.0"))
    wheel(tmp_path, body="x = 1")
    with pytest.raises(Refused) as caught:
        Bucket(library.index).run(publish([found], library.index, claim([found])))
    assert str(caught.value) == (
        f"PutObject on bucket {library.index.bucket} failed: BadDigest The SHA256 you "
        "specified did not match what we received."
    )
    assert FOLDER + WHEEL in wire.puts()
    assert objects(s3, library.index).keys() <= {
        f"{FOLDER}release-0.1.json",
        "simple/acme-common/",
        f"{FOLDER}{WHEEL}.metadata",
    }


def test_a_yanked_version(s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    release(library, *files)
    Bucket(library.index).run(yank(library.index, library.name, Version("0.1.0"), "it leaks"))
    before = objects(s3, library.index)
    wire.seen.clear()
    for some in (files[:1], files):
        message = "acme-common 0.1.0 is yanked. Unyank it, or bump the version."
        assert refusal(library, *some) == message
    assert wire.puts() == []
    assert objects(s3, library.index) == before


NOT_OURS = [
    b" ",
    b"<html></html>",
    b"[]",
    b"{}",
    b'{"meta": {"api-version": 1}}',
    b'{"meta": {"api-version": "2.0"}, "name": "acme-common", "versions": [], "files": []}',
    b'{"meta": {"api-version": "1.1"}}',
    b'{"meta": {"api-version": "1.1"}, "name": "acme-common"}',
    b'{"meta": {"api-version": "1.1"}, "name": "acme-common", "versions": [], "files": []}',
]


@pytest.mark.parametrize(
    ("key", "body"),
    [
        pytest.param(
            key,
            body,
            # The same code reads all three: two bodies are enough for two of them.
            marks=[] if key == FOLDER or body in (NOT_OURS[1], NOT_OURS[-1]) else pytest.mark.full,
            id=f"{body!r}-{key}",
        )
        for key in (FOLDER, "packages/devtools/", "simple/")
        for body in NOT_OURS
    ],
)
def test_pages_that_are_not_ours(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path, key: str, body: bytes
) -> None:
    s3.put_object(Bucket=library.index.bucket, Key=key, Body=body)
    said = (
        f"The object '{key}' was not written by this publisher: .+ Nothing was changed. Inspect "
        "it, then run `s3index repair` as an administrator to rebuild it."
    )
    assert re.fullmatch(said, refusal(library, wheel(tmp_path)))
    with pytest.raises(Refused, match=said):
        Bucket(library.index).run(yank(library.index, library.name, Version("0.1.0"), True))
    assert wire.puts() == []
    assert objects(s3, library.index) == {key: body}


@pytest.mark.full
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
        f"The page at {FOLDER} was lost or reverted to an older state: other objects refer "
        "to a newer one. Run `s3index repair` as an administrator to rebuild it."
    )
    assert wire.puts() == []
    assert objects(s3, library.index) == before
    # The team's other projects can publish, and the message's advice works.
    release(at(library, "1.0", "acme-other"), wheel(tmp_path, "acme-other", "1.0"))
    assert Bucket(library.index).run(repair(library.index)) == []
    release(at(library, "0.3.0"), wheel(tmp_path, version="0.3.0"))
    page = json.loads(objects(s3, library.index)[FOLDER])
    assert page["versions"] == ["0.1.0", "0.2.0", "0.3.0"]


def other_bytes(filename: str) -> str:
    return (
        f"acme-common 0.1.0 cannot be published: {filename} is in the bucket with other bytes, and "
        "files never change. Bump the version."
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
    said = refusal(library, *files)
    if cut_off:
        assert said.startswith(
            "acme-common 0.1.0 was claimed by tests from commit 0123456789abcdef at "
            "2026-01-02T03:04:05Z for other files, and a release never changes:\n"
        )
        for name in (WHEEL, SDIST):
            assert f"\n  {name} {hashlib.sha256(before[FOLDER + name]).hexdigest()}\n" in said
    else:
        assert said == other_bytes(differs)
    assert wire.puts() == []
    assert objects(s3, library.index) == before


def test_other_bytes_that_were_uploaded_without_a_claim(
    s3: "S3Client", library: Library, wire: StandIn, tmp_path: Path
) -> None:
    """0.2.0 made no claims, but the files of its interrupted releases still block other bytes."""
    key = FOLDER + WHEEL
    s3.put_object(Bucket=library.index.bucket, Key=key, Body=wheel(tmp_path).read_bytes())
    before = objects(s3, library.index)
    files = sdist(tmp_path), wheel(tmp_path, body="x = 1")
    assert refusal(library, *files) == other_bytes(WHEEL)
    assert wire.puts() == []
    assert objects(s3, library.index) == before
    assert release(library, sdist(tmp_path), wheel(tmp_path))


def upload_only(library: Library, *files: Path) -> None:
    """Do what a publish does if it is cut off after uploading its files."""
    bucket = Bucket(library.index)
    found = read_release(files, library.name, Version(library.version))
    protocol = publish(found, library.index, claim(found))
    batch = next(protocol)
    while not any(isinstance(request, Put) and request.body == files[0] for request in batch):
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


LISTS: dict[str, Callable[[Index], list[str]]] = {
    "organisation": lambda index: ["--index-url", index.address(LIST)],
    "team": lambda index: ["--index-url", index.address(index.team_list)],
    "HTML": lambda index: ["--index-url", index.address(index.site("simple/"))],
    "constraints": lambda index: [
        *("--no-index", "-c", index.address(index.organization_constraints))
    ],
    "team's constraints": lambda index: ["--no-index", "-c", index.address(index.constraints)],
}


@pytest.mark.parametrize(
    "source",
    [
        *("organisation", "constraints"),
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in ("team", "HTML", "team's constraints")
        ),
    ],
)
def test_pip_refuses_a_file_that_was_replaced(
    s3: "S3Client", library: Library, tmp_path: Path, source: str
) -> None:
    release(library, ours := wheel(tmp_path))
    (tmp_path / "other").mkdir()
    other = wheel(tmp_path / "other", body="x = 1").read_bytes()
    s3.put_object(Bucket=library.index.bucket, Key=FOLDER + WHEEL, Body=other)
    empty = tmp_path / "empty"
    empty.mkdir()
    options = ["--no-deps", "--no-cache-dir", *LISTS[source](library.index)]
    with pytest.raises(AssertionError, match=f"Expected sha256 {digest(ours)}"):
        run(python("pip", "download", *options, "acme-common"), empty)
    assert list(empty.iterdir()) == []


COMMANDS: dict[str, tuple[Callable[["S3Client", Library, Path], Path], dict[str, str], str]] = {
    "a truncated wheel": (
        lambda _, __, folder: written(wheel(folder), wheel(folder).read_bytes()[:-9]),
        {},
        f"{WHEEL} is not an intact wheel (File is not a zip file). Build it again.",
    ),
    "another project's wheel": (
        lambda _, __, folder: wheel(folder, "acme-other"),
        {},
        BAD_FILES["another project's wheel"][1],
    ),
    "no credentials": (
        lambda _, __, folder: wheel(folder),
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        "No AWS credentials found. Sign in (`aws sso login`, or set AWS_PROFILE), then run it "
        "again.",
    ),
    "a page that is not JSON": (
        lambda s3, library, folder: with_page(s3, library, wheel(folder)),
        {},
        f"The object '{FOLDER}' was not written by this publisher: JSON is malformed: invalid "
        "character (byte 0). Nothing was changed. Inspect it, then run `s3index repair` "
        "as an administrator to rebuild it.",
    ),
    "other bytes": (
        lambda _, library, folder: released_with_other_bytes(library, folder),
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
    file = make(s3, library, tmp_path)
    before = objects(s3, library.index)
    root = repository(library, tmp_path / "root")
    assert s3index(root, "publish", file, env=env, exits=1) == f"Error: {message}\n"
    assert objects(s3, library.index) == before


def test_the_command_without_a_bucket(library: Library, tmp_path: Path) -> None:
    root = repository(
        replace(library, index=replace(library.index, bucket="acme-nowhere")), tmp_path / "root"
    )
    assert s3index(root, "publish", wheel(tmp_path), exits=1) == (
        "Error: There is no bucket acme-nowhere. Create it with `s3index provision`, or correct "
        "bucket in [tool.s3index].\n"
    )
