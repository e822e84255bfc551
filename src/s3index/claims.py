"""Claims, which define what a release consists of."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace
from packaging.version import Version

from s3index import changelog
from s3index.distribution import LONGEST_NAME, Distribution, new_md5
from s3index.pages import (
    CoreMetadata,
    Digests,
    File,
    Line,
    Name,
    Time,
    checked,
    decode,
    in_order,
    line,
    malformed,
)

Text = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]*\Z", max_length=changelog.LONGEST),
]


class Changelog(Struct, frozen=True, omit_defaults=True, rename={"content_type": "content-type"}):
    """A release's section of the changelog in its sdist, in Markdown or reStructuredText."""

    text: Text
    content_type: Literal["text/markdown", "text/x-rst"]


class Claim(Struct, frozen=True, omit_defaults=True, rename={"uploaded_by": "uploaded-by"}):
    """What a release consists of: created once, before its files, and never changed.

    `files` are the entries of the project page at the time of the release, `uploaded_by` is who
    made it, `commit` from which commit, `time` when, in UTC. `md5` has the hexadecimal MD5 of each
    object, core metadata included, which is what S3 lists for most. For people, `dependencies` are
    the organisation's projects that it requires, {project: team}, and `provenance` is the address
    of its files' attestation.
    """

    name: Name
    version: Annotated[str, Meta(max_length=LONGEST_NAME)]
    files: tuple[File, ...]
    time: Time
    uploaded_by: Line | None = None
    commit: Line | None = None
    md5: dict[str, str] = {}
    changelog: Changelog | None = None
    dependencies: dict[Name, Name] = {}
    provenance: Line | None = None

    @property
    def digests(self) -> dict[str, tuple[str, str | None]]:
        """Return {filename: digests of the file and of its core metadata}."""
        return {file.filename: (file.digest, file.metadata_digest) for file in self.files}


def parse_claim(body: bytes, key: str, name: str, version: Version) -> Claim:
    """Parse the claim of a release, found at `key`; raise Malformed if it is not one."""
    claim = decode(body, key, Claim)
    files = checked(claim.files, key, name, "")
    if claim.name != name or not files or any(file.version != version for file in files):
        raise malformed(key, "it is of another release")
    return replace(claim, files=files)


def dump_claim(claim: Claim) -> bytes:
    """Return a claim as the bytes to store."""
    return msgspec.json.encode(claim) + b"\n"


def new_claim(
    files: Sequence[Distribution],
    now: datetime,
    uploaded_by: str | None,
    commit: str | None,
    provenance: str | None = None,
) -> Claim:
    """Return the claim of a release made at `now`, by `uploaded_by`, from `commit`.

    `provenance` is the address of the files' attestation.
    """
    time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sha, modified, _ = (commit or "").partition("-modified")
    short = f"{sha[:12]}{modified}"
    said = line(f"{uploaded_by} ({short})" if uploaded_by and sha else uploaded_by or short)
    md5 = {file.filename: file.md5 for file in files}
    md5 |= {
        f"{file.filename}.metadata": new_md5(file.metadata).hexdigest()
        for file in files
        if file.metadata is not None
    }
    return Claim(
        name=files[0].project,
        version=str(files[0].version),
        files=in_order(_entry(file, time, said) for file in files),
        time=time,
        uploaded_by=line(uploaded_by),
        commit=line(commit),
        md5=md5,
        changelog=_changelog(files),
        provenance=line(provenance),
    )


def _changelog(files: Iterable[Distribution]) -> Changelog | None:
    for file in files:
        if file.changelog:
            text, kind = file.changelog
            text = "".join(char if char.isprintable() or char in "\n\t" else " " for char in text)
            return msgspec.convert({"text": text, "content-type": kind}, Changelog)
    return None


def _entry(file: Distribution, time: str, uploaded_by: str | None) -> File:
    metadata = file.metadata
    return File(
        filename=file.filename,
        url=quote(file.filename),
        hashes=Digests(file.sha256),
        size=file.size,
        upload_time=time,
        requires_python=file.requires_python,
        core_metadata=False if metadata is None else CoreMetadata(sha256(metadata).hexdigest()),
        uploaded_by=uploaded_by,
    )
