"""The documents that hold the index's state: project pages and project lists.

Pages and lists are the JSON of the simple repository API (PEP 691, PEP 700); our own keys start
with an underscore, as PEP 691 requires. Every change to a project page raises its `_last-serial`.
A list records, for each project, the serial and the newest release (`_latest`) of the page that it
was made from. Serials only grow, which makes it safe to write everything else later.

Documents in the bucket are untrusted input. They are validated here, in full, so that other
modules can trust the values. Functions never change their arguments.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace
from packaging.version import InvalidVersion, Version

from s3index.distribution import LONGEST_NAME, parse_filename
from s3index.distribution import LONGEST_TEXT as LONGEST_TEXT
from s3index.errors import Refused
from s3index.settings import NAME

CONTENT_TYPE = "application/vnd.pypi.simple.v1+json"
API_VERSION = "1.1"
LARGEST = 64 * 1024**2
"""Maximum bytes of a document: some hundred thousand files."""
HIGHEST = 2**52
"""The highest valid serial; no project has a billion releases."""
RECENT = 3
"""Recent releases of a project in a list, so that a feed shows two in quick succession."""
FORGED = HIGHEST // 2
"""Serials from here on are forged. repair does not continue from them, so that there is always room
above a serial that it writes."""

Name = Annotated[str, Meta(pattern=rf"^{NAME}\Z", max_length=LONGEST_NAME)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Serial = Annotated[int, Meta(ge=0, le=HIGHEST)]
Line = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*\Z", max_length=LONGEST_TEXT),
]
Time = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z\Z", max_length=27)
]


class Malformed(Refused):
    """A document in the bucket is not what this publisher writes."""


class Digests(Struct, frozen=True):
    """Hexadecimal digests of a file."""

    sha256: Sha256


class CoreMetadata(Struct, frozen=True, omit_defaults=True):
    """Digest of a wheel's `.metadata` (PEP 658, PEP 714)."""

    sha256: Sha256 | None = None


class File(
    Struct,
    frozen=True,
    omit_defaults=True,
    rename={
        "upload_time": "upload-time",
        "requires_python": "requires-python",
        "core_metadata": "core-metadata",
        "uploaded_by": "_uploaded-by",
    },
):
    """A file of a release; `url` is relative to its project page, `size` in bytes."""

    filename: Annotated[str, Meta(max_length=255)]
    url: Annotated[str, Meta(max_length=2_000)]
    hashes: Digests
    size: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    upload_time: Time | None = None
    requires_python: Line | None = None
    core_metadata: bool | CoreMetadata = False
    uploaded_by: Line | None = None
    yanked: bool | Line = False

    @property
    def version(self) -> Version:
        """Return the version in the filename."""
        return parse_filename(self.filename)[1]

    @property
    def digest(self) -> str:
        """Return the hexadecimal SHA-256."""
        return self.hashes.sha256

    @property
    def metadata_digest(self) -> str | None:
        """Return the hexadecimal SHA-256 of `.metadata`, None if it is missing or unknown."""
        return self.core_metadata.sha256 if isinstance(self.core_metadata, CoreMetadata) else None

    @property
    def uploaded(self) -> datetime | None:
        """Return the upload time in UTC."""
        return datetime.fromisoformat(self.upload_time) if self.upload_time else None


class PageMeta(
    Struct,
    frozen=True,
    omit_defaults=True,
    rename={"api_version": "api-version", "last_serial": "_last-serial", "team": "_team"},
):
    """`meta` of a page; `team` is set only in the organisation's namespace."""

    api_version: Annotated[str, Meta(pattern=r"^\d{1,9}\.\d{1,9}\Z")] = msgspec.field(
        default_factory=lambda: API_VERSION
    )
    last_serial: Serial | None = None
    team: Name | None = None


class ProjectPage(Struct, frozen=True):
    """A project page: every file of every release."""

    meta: PageMeta
    name: Name
    versions: tuple[str, ...]
    files: tuple[File, ...]

    @property
    def serial(self) -> int:
        """Return the page's serial, which every change raises."""
        return self.meta.last_serial or 0

    def release(self, version: Version) -> tuple[File, ...]:
        """Return the files of a version."""
        return tuple(file for file in self.files if file.version == version)


class Latest(Struct, frozen=True, omit_defaults=True):
    """A project's newest release, with the summary from its core metadata."""

    version: Annotated[str, Meta(max_length=LONGEST_NAME)]
    files: tuple[File, ...]
    summary: Line | None = None


class Upload(Struct, frozen=True):
    """A released version, and its upload time in UTC."""

    version: Line
    time: Time


class Record(
    Struct,
    frozen=True,
    omit_defaults=True,
    rename={
        "last_serial": "_last-serial",
        "latest": "_latest",
        "recent": "_recent",
        "team": "_team",
    },
):
    """A project's entry in a list; `team` is set only in the organisation's list.

    `recent` are its last few releases by time, without yanked ones, for the feeds.
    """

    name: Name
    last_serial: Serial = msgspec.field(default_factory=lambda: 0)
    latest: Latest | None = None
    team: Name | None = None
    recent: tuple[Upload, ...] = ()

    @property
    def released(self) -> str | None:
        """Return the time of the newest release, in UTC."""
        files = self.latest.files if self.latest else ()
        return max((file.upload_time for file in files if file.upload_time), default=None)

    @property
    def path(self) -> str:
        """Return the project's unique name within its list, as used in keys and serials."""
        return f"{self.team}/{self.name}" if self.team else self.name


Records = Mapping[str, Record]


class _Owned(Struct, frozen=True):
    meta: PageMeta


class _List(Struct, frozen=True):
    meta: PageMeta
    projects: tuple[msgspec.Raw, ...]


class _Named(Struct, frozen=True, rename={"team": "_team"}):
    name: Name
    team: Name | None = None


T = TypeVar("T")


def new_project(name: str) -> ProjectPage:
    """Return the page of a project without files; `name` is normalized (PEP 503)."""
    return ProjectPage(PageMeta(last_serial=0), name, (), ())


def parse_project(body: bytes, key: str, name: str, base: str = "") -> ProjectPage:
    """Parse the page of project `name`, found at `key`; `base` is the prefix of its links.

    Raise Malformed if any of it is not what this publisher writes.
    """
    page = decode(body, key, ProjectPage)
    if page.name != name:
        raise malformed(key, f"it names {page.name}")
    if page.meta.last_serial is None:
        raise malformed(key, "it has no _last-serial")
    files = checked(page.files, key, name, base)
    return with_files(page, files, page.serial)


def owner(body: bytes, key: str) -> str:
    """Return the team named by a page in the organisation's namespace.

    Raise Malformed if it names none.
    """
    team = decode(body, key, _Owned).meta.team
    if team is None:
        raise malformed(key, "it names no team")
    return team


def parse_list(body: bytes, key: str, base: str = "") -> tuple[dict[str, Record], list[str]]:
    """Parse a project list, found at `key`; `base` is the prefix of its links to projects.

    Return each project's record, and the names of projects whose record is damaged: they stay
    listed, without a release and with serial 0, so that their pages are read again. Raise
    Malformed if it is not a list at all.
    """
    records: dict[str, Record] = {}
    damaged = []
    for raw in decode(body, key, _List).projects:
        try:
            record = msgspec.json.decode(raw, type=Record)
            if bool(record.team) != bool(base):
                raise malformed(key, f"{record.name} has no team, or one too many")
            if record.latest:
                folder = f"{base}{record.path}/"
                files = checked(record.latest.files, key, record.name, folder)
                _same_version(record.latest.version, files, key)
                record = replace(record, latest=replace(record.latest, files=files))
        except (msgspec.DecodeError, ValueError, RecursionError, Malformed):
            try:
                known = msgspec.json.decode(raw, type=_Named)
            except (msgspec.DecodeError, ValueError, RecursionError):
                damaged.append("a project without a name")
                continue
            damaged.append(known.name)
            record = Record(known.name, team=known.team if base else None)
        records.setdefault(record.name, record)
    return records, damaged


def dump(page: ProjectPage, base: str = "") -> bytes:
    """Return a page as the bytes to store; `base` is prepended to its links."""
    files = _linked(page.files, base) if base else page.files
    return msgspec.json.encode(replace(page, files=files)) + b"\n"


def dump_list(records: Records, base: str = "") -> bytes:
    """Return a project list as the bytes to store."""
    projects = [
        replace(
            record,
            latest=record.latest
            and replace(record.latest, files=_linked(record.latest.files, f"{base}{record.path}/")),
        )
        for _, record in sorted(records.items())
    ]
    return msgspec.json.encode({"meta": PageMeta(), "projects": projects}) + b"\n"


def line(text: str | None) -> str | None:
    """Return untrusted text as one printable line, cut to fit a page, or None if it is empty."""
    if not text:
        return None
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:LONGEST_TEXT] or None


def add(page: ProjectPage, files: Iterable[File]) -> ProjectPage:
    """Return the page with `files` added; existing entries stay as they are.

    Raise Refused if a file is listed with another digest (releases are immutable), or would be
    added to a yanked version.
    """
    listed = {file.filename: file for file in page.files}
    new = []
    for file in files:
        there = listed.get(file.filename)
        if there is None:
            refuse_yanked(page, file.version)
            new.append(file)
        elif there.digest != file.digest:
            raise immutable(page.name, file.filename)
    return _next(page, [*page.files, *new]) if new else page


def immutable(project: str, filename: str) -> Refused:
    """Return the refusal for a file that is in the bucket with other bytes."""
    return Refused(
        f"{project} {parse_filename(filename)[1]} cannot be published: {filename} is in the bucket "
        "with other bytes, and files never change. Bump the version."
    )


def refuse_yanked(page: ProjectPage, version: Version) -> None:
    """Raise Refused if a version is yanked (PEP 592)."""
    if any(file.yanked for file in page.release(version)):
        raise Refused(f"{page.name} {version} is yanked. Unyank it, or bump the version.")


def mark(page: ProjectPage, version: Version, yank: bool | str) -> ProjectPage:
    """Return the page with a version yanked (True, or the reason) or not yanked (False).

    Without a new reason, a yanked version keeps its old one. Raise Refused if the page does not
    list the version.
    """
    if not page.release(version):
        known = ", ".join(page.versions[-5:]) or "no release"
        raise Refused(f"{page.name} {version} is not released; the index has {known}.")
    files = tuple(
        replace(file, yanked=file.yanked or True if yank is True else yank)
        if file.version == version
        else file
        for file in page.files
    )
    return page if files == page.files else _next(page, files)


def newest(page: ProjectPage) -> Version | None:
    """Return the highest final version that is not yanked, else the highest pre-release."""
    versions = {file.version for file in page.files if not file.yanked}
    final = [version for version in versions if not version.is_prerelease]
    return max(final or versions, default=None)


def record(page: ProjectPage, team: str | None = None, summary: str | None = None) -> Record:
    """Return a project's record for a list; `team` is for the organisation's list.

    `summary` comes from its newest release's core metadata.
    """
    version = newest(page)
    latest = Latest(str(version), page.release(version), summary) if version else None
    return Record(page.name, page.serial, latest, team, _recent(page))


def _recent(page: ProjectPage) -> tuple[Upload, ...]:
    times: dict[Version, str] = {}
    for file in page.files:
        if file.upload_time and not file.yanked:
            times[file.version] = max(file.upload_time, times.get(file.version, ""))
    ordered = sorted((time, version) for version, time in times.items())[-RECENT:]
    return tuple(Upload(str(version), time) for time, version in ordered)


def join(records: Records, others: Iterable[Record]) -> dict[str, Record]:
    """Merge records, keeping for each project the one with the higher serial.

    A name belongs to the team that has it: another team's record changes nothing.
    """
    known = dict(records)
    for other in others:
        there = known.setdefault(other.name, other)
        if there.team in (None, other.team) and other.last_serial > there.last_serial:
            known[other.name] = other
    return known


def with_files(page: ProjectPage, files: Iterable[File], serial: int) -> ProjectPage:
    """Return the page with other files, their versions (PEP 700), and another serial."""
    files = in_order(files)
    versions = tuple(str(version) for version in sorted({file.version for file in files}))
    return replace(
        page, meta=replace(page.meta, last_serial=serial), versions=versions, files=files
    )


def in_order(files: Iterable[File]) -> tuple[File, ...]:
    """Return files as a page lists them: by version, then by name."""
    return tuple(sorted(files, key=lambda file: (file.version, file.filename)))


def _next(page: ProjectPage, files: Iterable[File]) -> ProjectPage:
    return with_files(page, files, page.serial + 1)


def _linked(files: Iterable[File], base: str) -> tuple[File, ...]:
    return tuple(replace(file, url=base + file.url) for file in files)


def decode(body: bytes, key: str, kind: type[T]) -> T:
    """Parse a document of a kind, found at `key`; raise Malformed if it is not one."""
    if len(body) > LARGEST:
        raise malformed(key, f"it has more than {LARGEST} bytes")
    try:
        document = msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(key, str(error)) from None
    meta = getattr(document, "meta", None)
    if meta and not meta.api_version.startswith("1."):
        raise malformed(key, f"it has version {meta.api_version} of the API, not 1.x")
    return document


def checked(files: Iterable[File], key: str, name: str, base: str) -> tuple[File, ...]:
    """Return files with links relative to their project page.

    Raise Malformed if a file belongs to another project or is elsewhere.
    """
    checked: dict[str, File] = {}
    for file in files:
        try:
            project, _ = parse_filename(file.filename)
            _ = file.uploaded
        except (Refused, ValueError) as error:
            raise malformed(key, str(error)) from None
        url = quote(file.filename)
        # 0.2.0 writes the same links.
        if project != name or file.url != base + url or file.filename in checked:
            raise malformed(key, f"it lists {file.filename} at {file.url!r:.200}")
        checked[file.filename] = file if not base else replace(file, url=url)
    return tuple(checked.values())


def _same_version(version: str, files: Iterable[File], key: str) -> None:
    try:
        parsed = Version(version)
    except InvalidVersion:
        raise malformed(key, f"{version!r} is not a version") from None
    if any(file.version != parsed for file in files):
        raise malformed(key, f"it lists files of other versions than {version}")


def malformed(key: str, why: str) -> Malformed:
    """Return the error for an object that this publisher did not write."""
    printable = re.sub(r"[^ -~]", "?", why)
    return Malformed(
        f"The object {key!r} was not written by this publisher: {printable:.300}. Nothing was "
        "changed. Inspect it, then run `s3index repair` as an administrator to rebuild it."
    )
