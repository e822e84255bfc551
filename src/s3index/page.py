"""Project page and team page: the two documents that are the index's whole state.

Both are the JSON of the simple repository API (PEP 691, PEP 700). Keys of ours start with an
underscore, as PEP 691 asks. Every change of a project page raises its `_last-serial`; the team
page keeps, for each project, the serial and the newest release (`_latest`) of the page that it
was told of. Serials only grow, which is what makes it safe to write everything else later.
Functions here take and return plain JSON objects and never change their arguments.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from packaging.version import Version

from s3index.config import Refused
from s3index.release import Distribution, parse_filename

Page = dict[str, Any]
File = dict[str, Any]
Record = dict[str, Any]

CONTENT_TYPE = "application/vnd.pypi.simple.v1+json"
API_VERSION = "1.1"


def new_project(name: str) -> Page:
    """Return the page of a project without files; `name` is normalized (PEP 503)."""
    meta = {"api-version": API_VERSION, "_last-serial": 0}
    return {"meta": meta, "name": name, "versions": [], "files": []}


def new_team() -> Page:
    """Return a team page without projects."""
    return {"meta": {"api-version": API_VERSION}, "projects": []}


def parse_project(body: bytes, key: str) -> Page:
    """Read a project page; `key` is where it was found, for the message.

    Raises Refused if it is not JSON, of a newer major version of the API, or no project page.
    """
    page = _parse(body, key)
    files = page.get("files")
    if not isinstance(page.get("name"), str) or not isinstance(files, list):
        raise _unreadable(key, "it has no name or no files")
    if not isinstance(page["meta"].get("_last-serial"), int):
        raise _unreadable(key, "it has no _last-serial")
    for file in files:
        if not _is_file(file):
            raise _unreadable(key, f"it lists {json.dumps(file)[:80]}")
    return page


def parse_team(body: bytes, key: str) -> Page:
    """Read a team page; `key` is where it was found, for the message.

    Raises Refused if it is not JSON, of a newer major version of the API, or no project list.
    """
    page = _parse(body, key)
    projects = page.get("projects")
    if not isinstance(projects, list):
        raise _unreadable(key, "it has no projects")
    for said in projects:
        if not _is_record(said):
            raise _unreadable(key, f"it lists {json.dumps(said)[:80]}")
    return page


def dump(page: Page) -> bytes:
    """Return the bytes that are stored for a page."""
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def entry(release: Distribution, uploaded: datetime, uploaded_by: str | None) -> File:
    """Return a file's entry on its project page.

    `uploaded` is the server's time of the upload, in UTC; `uploaded_by` is free text.
    """
    file: File = {
        "filename": release.filename,
        "url": quote(release.filename),
        "hashes": {"sha256": release.sha256},
        "size": release.size,
        "upload-time": uploaded.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "yanked": False,
    }
    if release.requires_python:
        file["requires-python"] = release.requires_python
    if release.metadata is not None:
        file["core-metadata"] = {"sha256": sha256(release.metadata).hexdigest()}
    if uploaded_by:
        file["_uploaded-by"] = uploaded_by
    return file


def version_of(file: File) -> Version:
    """Return the version of a file that a page lists."""
    return parse_filename(file["filename"])[1]


def add(page: Page, entries: Iterable[File]) -> Page:
    """Return the page with `entries` listed; what it lists already stays as it is.

    Raises Refused if one is listed with another digest (releases are immutable), or if it would
    join a version that is yanked.
    """
    listed = {file["filename"]: file["hashes"]["sha256"] for file in page["files"]}
    new = []
    for file in entries:
        digest = listed.get(file["filename"])
        if digest is None:
            refuse_yanked(page, version_of(file))
            new.append(file)
        elif digest != file["hashes"]["sha256"]:
            raise immutable(page["name"], file["filename"])
    return _next(page, [*page["files"], *new]) if new else page


def immutable(project: str, filename: str) -> Refused:
    """Return the refusal of a file that is in the bucket with other bytes."""
    return Refused(
        f"{project} {parse_filename(filename)[1]} is released and releases are immutable: "
        f"{filename} is in the bucket with other bytes. Bump the version."
    )


def refuse_yanked(page: Page, version: Version) -> None:
    """Raise Refused if a version is yanked (PEP 592)."""
    if any(file.get("yanked") for file in page["files"] if version_of(file) == version):
        raise Refused(f"{page['name']} {version} is yanked. Unyank it, or bump the version.")


def mark(page: Page, version: Version, yank: bool | str) -> Page:
    """Return the page with a version yanked (True, or the reason) or not yanked (False).

    Raises Refused if the page does not list the version.
    """
    if not any(version_of(file) == version for file in page["files"]):
        known = ", ".join(page.get("versions", [])[-5:]) or "nothing"
        raise Refused(f"{page['name']} {version} is not released; the index has {known}.")
    files = [
        {**file, "yanked": yank} if version_of(file) == version else file for file in page["files"]
    ]
    return page if files == page["files"] else _next(page, files)


def newest(page: Page) -> Version | None:
    """Return the highest final version that is not yanked, else the highest pre-release."""
    versions = {version_of(file) for file in page["files"] if not file.get("yanked")}
    final = [version for version in versions if not version.is_prerelease]
    return max(final or versions, default=None)


def record(page: Page) -> Record:
    """Return what the team page says of a project."""
    said: Record = {"name": page["name"], "_last-serial": page["meta"]["_last-serial"]}
    version = newest(page)
    if version is not None:
        folder = quote(page["name"]) + "/"
        files = [
            {**file, "url": folder + file["url"]}
            for file in page["files"]
            if version_of(file) == version
        ]
        said["_latest"] = {"version": str(version), "files": files}
    return said


def join(team: Page, records: Iterable[Record]) -> Page:
    """Return the team page with, for each project, the record of the higher serial."""
    known = {said["name"]: said for said in team["projects"]}
    for said in records:
        old = known.get(said["name"])
        if old is None or said["_last-serial"] > old["_last-serial"]:
            known[said["name"]] = said
    projects = [known[name] for name in sorted(known)]
    return team if projects == team["projects"] else {**team, "projects": projects}


def serials(team: Page) -> dict[str, int]:
    """Return the serial of each project that a team page lists."""
    return {said["name"]: said["_last-serial"] for said in team["projects"]}


def with_files(page: Page, files: Iterable[File], serial: int) -> Page:
    """Return a state of the page with other files, their versions (PEP 700), and a serial."""
    files = in_order(files)
    versions = sorted({version_of(file) for file in files})
    return {
        **page,
        "meta": {**page["meta"], "_last-serial": serial},
        "versions": [str(version) for version in versions],
        "files": files,
    }


def in_order(files: Iterable[File]) -> list[File]:
    """Return files as a page lists them: by version, then by name."""
    return sorted(files, key=lambda file: (version_of(file), file["filename"]))


def _next(page: Page, files: Iterable[File]) -> Page:
    return with_files(page, files, page["meta"]["_last-serial"] + 1)


def _parse(body: bytes, key: str) -> Page:
    try:
        page = json.loads(body)
        major = int(page["meta"]["api-version"].split(".")[0])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _unreadable(key, "it is not JSON of the simple repository API") from None
    if major != 1:
        raise _unreadable(key, f"it has version {page['meta']['api-version']} of the API, not 1.x")
    return dict(page)


def _unreadable(key: str, why: str) -> Refused:
    return Refused(
        f"The page at {key} was not written by this publisher: {why}. "
        "Nothing was changed; look at it, then `python -m s3index repair` rebuilds it."
    )


def _is_file(file: Any) -> bool:
    try:
        return (
            bool(version_of(file))
            and isinstance(file["hashes"]["sha256"], str)
            and isinstance(file["url"], str)
        )
    except (Refused, KeyError, TypeError, AttributeError):
        return False


def _is_record(said: Any) -> bool:
    try:
        latest = said.get("_latest", {"version": "0", "files": []})
        return (
            isinstance(said["name"], str)
            and isinstance(said["_last-serial"], int)
            and isinstance(latest["version"], str)
            and isinstance(latest["files"], list)
            and all(map(_is_file, latest["files"]))
        )
    except (KeyError, TypeError, AttributeError):
        return False
