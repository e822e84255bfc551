"""Read and check a built release: wheels and sdists, their digests and their core metadata."""

import gzip
import hashlib
import io
import re
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

from packaging.metadata import InvalidMetadata, Metadata
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from s3index import changelog
from s3index.errors import Refused

LARGEST_PUT = 5 * 1024**3
"""Maximum bytes of one PutObject to S3; a conditional PUT cannot be larger."""
LARGEST_METADATA = 2 * 1024**2
"""Maximum bytes of core metadata to read; a few lines in an archive can inflate to gigabytes."""
LONGEST_NAME = 200
"""Maximum length of a name or a version, in characters."""
LONGEST_TEXT = 500
"""Maximum length of free text, such as Requires-Python or a yank's reason, in characters."""
INSTALLERS_READ = ("name", "version", "requires-python", "requires-dist", "provides-extra")
"""Core metadata fields that decide whether and how a distribution is installed. Metadata-Version
does not: for years wheel wrote 2.0, which never became a standard."""
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # encrypted; NotImplementedError, a subclass: unsupported compression
    ValueError,
)
"""Raised by zipfile and tarfile for archives that are damaged or malicious."""


@dataclass(frozen=True)
class Distribution:
    """One wheel or sdist on disk, read and checked.

    `sha256` and `md5` are hexadecimal, `size` is in bytes; `metadata` is a wheel's METADATA exactly
    as in the archive (PEP 658), None for an sdist. `changelog` is the version's section of an
    sdist's changelog and its content type; None if there is none.
    """

    path: Path
    filename: str
    project: NormalizedName
    version: Version
    size: int
    sha256: str
    md5: str
    requires_python: str | None
    metadata: bytes | None
    changelog: tuple[str, str] | None = None

    @property
    def is_pure(self) -> bool:
        """Return whether every platform can install it: a pure-Python wheel, or an sdist."""
        return self.filename.endswith(("-none-any.whl", ".tar.gz"))


new_md5 = partial(hashlib.md5, usedforsecurity=False)
"""MD5, S3's usual ETag; anything that has to be right is checked by its SHA-256."""


def read(path: Path, *, old: bool = False) -> Distribution:
    """Read a wheel (PEP 427) or an sdist (PEP 625) and check it against its filename.

    Raise Refused if the file is not a distribution, is damaged or too large for one PUT, if its
    filename and its core metadata differ in project or version, or if its core metadata is
    invalid; in an `old` one, only the fields that installers read have to be valid.
    """
    if not path.is_file():
        raise Refused(f"{path} is not a file. Build first, or name the files in dist/.")
    project, version = parse_filename(path.name)
    size = path.stat().st_size
    if size > LARGEST_PUT:
        raise Refused(f"{path.name} has {size} bytes; S3 takes {LARGEST_PUT} in one PUT. Split it.")
    wheel = path.name.endswith(".whl")
    with path.open("rb") as file:
        content, changes = (
            (wheel_metadata(file, path.name), None) if wheel else _sdist_texts(file, path.name)
        )
        metadata = _validated(content, path.name, old=old)
        if (canonicalize_name(metadata.name), metadata.version) != (project, version):
            raise Refused(
                f"{path.name} has core metadata of {metadata.name} {metadata.version}, which does "
                "not match its filename. Build it again; do not rename distributions."
            )
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        etag = hashlib.file_digest(file, new_md5).hexdigest()
    requires_python = None if metadata.requires_python is None else str(metadata.requires_python)
    _refuse_long(path.name, (project, str(version)), requires_python)
    return Distribution(
        path=path,
        filename=path.name,
        project=project,
        version=version,
        size=size,
        sha256=digest,
        md5=etag,
        requires_python=requires_python,
        metadata=content if wheel else None,
        changelog=changes,
    )


def _refuse_long(filename: str, names: Sequence[str], requires_python: str | None) -> None:
    """Raise Refused for values that could be written to a page but not read from it."""
    if max(map(len, names)) > LONGEST_NAME:
        raise Refused(f"{filename:.99}… has a name or a version of over {LONGEST_NAME} characters.")
    if requires_python is not None and len(requires_python) > LONGEST_TEXT:
        raise Refused(f"{filename} has a Requires-Python of over {LONGEST_TEXT} characters.")


def read_release(
    paths: Sequence[Path], project: str, version: Version | None
) -> list[Distribution]:
    """Read the files of one release of `project`: of `version`, or if None, of the files' own.

    Raise Refused as `read` does, and if there are no files, a filename is repeated, a file belongs
    to another project or version than in pyproject.toml, or no file fits every platform.
    """
    if not paths:
        raise Refused("No files to publish. Build first.")
    return _one_release([read(path) for path in paths], project, version)


def read_old(paths: Sequence[Path], project: str) -> tuple[list[list[Distribution]], list[str]]:
    """Read files of any number of old releases of `project`.

    Return the files of each release, and the message of each refusal, as raised by `read` and
    `read_release`. Core metadata only has to be usable by installers: nobody can correct it now.
    """
    found: defaultdict[Version, list[Distribution]] = defaultdict(list)
    releases, refused = [], []
    for path in paths:
        try:
            file = read(path, old=True)
        except Refused as refusal:
            refused.append(str(refusal))
            continue
        if file.project == project:
            found[file.version].append(file)
        else:
            refused.append(f"{file.filename} belongs to {file.project}, not to {project}.")
    for version, files in sorted(found.items()):
        try:
            releases.append(_one_release(files, project, version))
        except Refused as refusal:
            refused.append(str(refusal))
    return releases, refused


def _one_release(
    files: list[Distribution], project: str, version: Version | None
) -> list[Distribution]:
    dynamic = f"the version is dynamic, and {files[0].filename} is"
    said = "pyproject.toml says" if version else dynamic
    version = version or files[0].version
    for file in files:
        if (file.project, file.version) != (project, version):
            raise Refused(
                f"{file.filename} is {file.project} {file.version}, but {said} "
                f"{project} {version}. Publish this repository's own release: without file names, "
                "`s3index publish` builds it into a folder of its own."
            )
    if len({file.filename for file in files}) < len(files):
        raise Refused("The same filename is given twice. Name each file once.")
    if not any(file.is_pure for file in files):
        raise Refused(
            f"{files[0].filename} installs on one platform only. Publish the sdist with it: "
            "constraints.txt names one file of a release, and it must install everywhere."
        )
    return files


@lru_cache(1 << 16)
def parse_filename(filename: str) -> tuple[NormalizedName, Version]:
    """Return the normalized project name and the version in a filename.

    Raise Refused if it is not the filename of a wheel or an sdist.
    """
    try:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", filename, re.ASCII):
            raise Refused(f"{filename!r} is not the filename of a wheel or sdist.")
        if filename.endswith(".whl"):
            project, version, _, _ = parse_wheel_filename(filename)
            return project, version
        if filename.endswith(".tar.gz"):
            return parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        raise Refused(f"{error}. Publish the built file under its own name.") from None
    raise Refused(f"{filename} is neither a wheel (.whl) nor an sdist (.tar.gz).")


def wheel_metadata(file: BinaryIO, name: str) -> bytes:
    """Return METADATA of a wheel (PEP 427), after checking the CRC of every member.

    Raise Refused if the archive is damaged, or does not have exactly one METADATA, in the
    .dist-info folder of the project and version in its filename, `name`.
    """
    with _intact(name, "wheel"), zipfile.ZipFile(file) as archive:
        methods = {member.compress_type for member in archive.infolist()}
        if methods - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            # LZMA's header sets how much memory to allocate; few installers support the others.
            raise zipfile.BadZipFile("its members must be stored or deflated")
        found = [member for member in archive.namelist() if _is_metadata(member)]
        if len(found) != 1 or not _belongs(found[0], name):
            raise Refused(
                f"{name} has its METADATA in {', '.join(found)[:200] or 'no folder'}; a wheel has "
                "one, in the .dist-info folder of its own project and version. Build it again."
            )
        with archive.open(found[0]) as member:
            content = member.read(LARGEST_METADATA + 1)
        damaged = archive.testzip()
    if damaged:
        raise Refused(f"{name} is damaged at {damaged!r:.200}. Build it again.")
    return content


def _sdist_texts(file: BinaryIO, name: str) -> tuple[bytes, tuple[str, str] | None]:
    """Return PKG-INFO of an sdist (PEP 643), after reading the archive to its end.

    Also return the version's section of its changelog, with its content type.
    """
    found = []
    changes = None
    with _intact(name, "sdist"), gzip.open(file) as stream:
        with tarfile.open(fileobj=_Careful(stream), mode="r:") as archive:
            for member in archive:
                path = member.name.split("/")[1:]
                if len(path) != 1 or not member.isfile():
                    continue
                named = changelog.FILENAME.fullmatch(path[0])
                if path == ["PKG-INFO"] or named:
                    content = archive.extractfile(member)
                    text = content.read(LARGEST_METADATA + 1) if content else b""
                    if path == ["PKG-INFO"]:
                        found.append(text)
                    elif named:
                        changes = changes or _changes(text, named[2], name)
        # tarfile stops at the end-of-archive marker; gzip checks its CRC only at its own end.
        while stream.read(1 << 20):
            pass
    if len(found) != 1:
        raise Refused(f"{name} has {len(found)} PKG-INFO files; an sdist has one. Build it again.")
    return found[0], changes


def _changes(content: bytes, suffix: str, name: str) -> tuple[str, str] | None:
    kind = changelog.CONTENT_TYPES[suffix.lower()]
    _, version = parse_filename(name)
    section = changelog.section(content.decode(errors="replace"), kind, version)
    return (section, kind) if section else None


class _Careful(io.RawIOBase):
    """A stream with limited reads: tarfile reads an extended header whole, however large."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= LARGEST_METADATA + 1:
            raise tarfile.ReadError("a header that is too large")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


@contextmanager
def _intact(name: str, kind: str) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise Refused(f"{name} is not an intact {kind} ({error}). Build it again.") from None


def _is_metadata(member: str) -> bool:
    folder, _, file = member.partition("/")
    return folder.endswith(".dist-info") and file == "METADATA"


def _belongs(member: str, filename: str) -> bool:
    name, _, version = member.partition(".dist-info/")[0].partition("-")
    try:
        return (canonicalize_name(name), Version(version)) == parse_filename(filename)
    except ValueError:  # not a version, or one with more digits than int accepts
        return False


def _validated(content: bytes, name: str, *, old: bool) -> Metadata:
    """Return core metadata as valid as PyPI requires of uploads; raise Refused if it is not.

    In an `old` distribution, only the fields that installers read have to be.
    """
    if len(content) > LARGEST_METADATA:
        raise Refused(f"{name} has more than {LARGEST_METADATA} bytes of core metadata.")
    try:
        content.decode()
        return Metadata.from_email(content, validate=True)
    except UnicodeDecodeError:
        raise Refused(
            f"{name} has core metadata that is not UTF-8. Correct it and build again."
        ) from None
    except ExceptionGroup as group:
        # setuptools wrote License-File years before core metadata 2.4 had it; PyPI accepts it.
        found = [each for each in group.exceptions if not _harmless(each, old=old)]
        if not found:
            return Metadata.from_email(content, validate=False)
        wrong = "; ".join(str(error) for error in found)
        raise Refused(
            f"{name} has core metadata that installers refuse: {wrong:.500}. Correct it in "
            "pyproject.toml and build again."
        ) from None
    except (ValueError, RecursionError) as error:
        # More digits or parentheses than Python can parse.
        raise Refused(
            f"{name} has core metadata that installers refuse: {error!s:.500}. Correct it and "
            "build again."
        ) from None


def _harmless(error: Exception, *, old: bool) -> bool:
    """Return whether all installers ignore an error in core metadata."""
    if not isinstance(error, InvalidMetadata):
        return False
    return error.field == "license-file" or (old and error.field not in INSTALLERS_READ)
