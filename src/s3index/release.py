"""A built release: its files, their digests and their core metadata."""

import gzip
import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from packaging.metadata import parse_email
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from s3index.config import Refused

LARGEST_PUT = 5 * 1024**3
"""Bytes that S3 takes in one PutObject; a conditional PUT cannot be larger."""


@dataclass(frozen=True)
class Distribution:
    """One wheel or sdist on disk, read and checked.

    `sha256` is hexadecimal, `size` in bytes; `metadata` is a wheel's METADATA as it stands in
    the archive (PEP 658), None for an sdist.
    """

    path: Path
    filename: str
    project: NormalizedName
    version: Version
    size: int
    sha256: str
    requires_python: str | None
    metadata: bytes | None


def read(path: Path) -> Distribution:
    """Read a wheel (PEP 427) or an sdist (PEP 625) and check it against its own name.

    Raises Refused if the file is no distribution, is damaged or too large for one PUT, or if
    its filename and its core metadata name another project or version.
    """
    if not path.is_file():
        raise Refused(f"{path} is not a file. Build first, or name the files in dist/.")
    project, version = parse_filename(path.name)
    size = path.stat().st_size
    if size > LARGEST_PUT:
        raise Refused(f"{path.name} has {size} bytes; S3 takes {LARGEST_PUT} in one PUT. Split it.")
    wheel = path.name.endswith(".whl")
    with path.open("rb") as file:
        if wheel:
            _check_members(file, path.name)
        metadata = (wheel_metadata if wheel else sdist_metadata)(file, path.name)
        fields, _ = parse_email(metadata)
        _agree(path.name, project, version, fields.get("name"), fields.get("version"))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Distribution(
        path=path,
        filename=path.name,
        project=project,
        version=version,
        size=size,
        sha256=digest,
        requires_python=fields.get("requires_python"),
        metadata=metadata if wheel else None,
    )


def read_release(paths: Sequence[Path], project: str, version: Version) -> list[Distribution]:
    """Read the files of one release, which must be `version` of `project`.

    Raises Refused as `read` does, or if there is no file, a filename comes twice, or a file
    belongs to another project or version than pyproject.toml says.
    """
    if not paths:
        raise Refused("There are no files to publish. Run `poetry build` first.")
    files = [read(path) for path in paths]
    for file in files:
        if (file.project, file.version) != (project, version):
            raise Refused(
                f"{file.filename} is {file.project} {file.version}, but pyproject.toml says "
                f"{project} {version}. Publish this repository's own release."
            )
    if len({file.filename for file in files}) < len(files):
        raise Refused("The same filename is given twice. Name each file once.")
    return files


def parse_filename(filename: str) -> tuple[NormalizedName, Version]:
    """Return the normalized project name and the version that a filename holds.

    Raises Refused if it is the filename of neither a wheel nor an sdist.
    """
    try:
        if filename.endswith(".whl"):
            project, version, _, _ = parse_wheel_filename(filename)
            return project, version
        if filename.endswith(".tar.gz"):
            return parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        raise Refused(f"{error}. Publish what `poetry build` wrote.") from None
    raise Refused(f"{filename} is neither a wheel (.whl) nor an sdist (.tar.gz).")


def wheel_metadata(file: BinaryIO, name: str) -> bytes:
    """Return METADATA of a wheel (PEP 427); `name` is for messages.

    Raises Refused if the archive is damaged or does not hold just one METADATA.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            found = [member for member in archive.namelist() if _is_metadata(member)]
            if len(found) != 1:
                raise Refused(f"{name} holds {len(found)} METADATA files; a wheel holds one.")
            return archive.read(found[0])
    except (zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        raise Refused(f"{name} is no intact wheel ({error}). Build it again.") from None


def sdist_metadata(file: BinaryIO, name: str) -> bytes:
    """Return PKG-INFO of an sdist (PEP 643), having read the archive to its end.

    Raises Refused if the archive is damaged or holds no PKG-INFO; `name` is for messages.
    """
    found = None
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            for member in archive:
                if member.isfile() and member.name.split("/")[1:] == ["PKG-INFO"]:
                    content = archive.extractfile(member)
                    found = content.read() if content else None
        # tarfile stops at the archive's end mark; gzip checks its digest only at its own end.
        file.seek(0)
        with gzip.open(file) as stream:
            while stream.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise Refused(f"{name} is no intact sdist ({error}). Build it again.") from None
    if found is None:
        raise Refused(f"{name} holds no PKG-INFO; it is no sdist. Build it with Poetry.")
    return found


def _check_members(file: BinaryIO, name: str) -> None:
    """Read every member of a wheel against its CRC; raise Refused if one is damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        raise Refused(f"{name} is no intact wheel ({error}). Build it again.") from None
    if damaged:
        raise Refused(f"{name} is damaged at {damaged}. Build it again.")


def _is_metadata(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder.endswith(".dist-info") and file == "METADATA"


def _agree(
    filename: str, project: str, version: Version, name: str | None, stated: str | None
) -> None:
    try:
        same = (canonicalize_name(name or ""), Version(stated or "")) == (project, version)
    except InvalidVersion:
        same = False
    if not same:
        raise Refused(
            f"{filename} says {name} {stated} in its core metadata, which is not what its "
            "filename says. Build it again; do not rename distributions."
        )
