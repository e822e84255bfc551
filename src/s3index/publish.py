"""The publishing protocol: files are created once, pages swapped, derived objects moved forward.

1. Look: read the project page, the team page, every derived object, and which of the release's
   files are stored. Everything that can be refused is refused here, before the first PUT.
2. Create the files. From here on they are in the bucket, so that a page may name them.
3. Swap the project page. This is the release.
4. Bring the team page and the derived objects forward to it.

Each step is one round trip when nobody interferes. A step that loses a swap reads that object
again and goes on. A publish that dies anywhere is finished by running it again.
"""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from hashlib import sha256

from packaging.version import Version

from s3index import page as pages
from s3index import site
from s3index.config import Config
from s3index.forward import (
    Objects,
    forward_project,
    forward_team,
    made_from,
    page_put,
    project_page,
    refuse_older,
    serial,
)
from s3index.page import Page
from s3index.release import Distribution
from s3index.steps import Get, List, Put, Stat, Steps, Stored, ask, get_all, together

IMMUTABLE = "public, max-age=31536000, immutable"


class Outcome(IntEnum):
    """What a publish did; false if nothing was left to do."""

    UNCHANGED = 0
    WRITTEN = 1
    FIRST = 2
    """The project had no page before: this is its first release."""


@dataclass(frozen=True)
class Look:
    """What the first round trip found: the project page, and every object that follows from it.

    `stored` is the page as it was read, None if there is none yet; `team` holds the team page
    and what is made from it, `project` what is made from the project page.
    """

    page: Page
    stored: Stored | None
    team: Objects
    project: Objects


def publish(
    files: Sequence[Distribution], config: Config, uploaded_by: str | None
) -> Steps[Outcome]:
    """Publish one release, or finish one that was cut off; returns what that took.

    `files` are distributions of one version of the project that `config` names; `uploaded_by`
    is shown with them. Raises Refused before the first PUT if the version is released with
    other bytes, or yanked, or if a page in the bucket is not one of ours.
    """
    stored_keys = [config.keys.file(config.project, file.filename) for file in files]
    found, stored = yield from together(
        look(config), ask([List(os.path.commonprefix(stored_keys))])
    )
    pages.refuse_yanked(found.page, files[0].version)
    listed = {file["filename"]: file["hashes"]["sha256"] for file in found.page["files"]}
    for file in files:
        if listed.get(file.filename, file.sha256) != file.sha256:
            raise pages.immutable(file.project, file.filename)
    new = [file for file in files if file.filename not in listed]
    dates = yield from _create(new, config, stored[0])
    entries = [pages.entry(file, dates[file.filename], uploaded_by) for file in new]
    written = yield from change(config, found, lambda page: pages.add(page, entries))
    return Outcome.FIRST if found.stored is None else Outcome(written)


def yank(config: Config, version: Version, yanked: bool | str) -> Steps[bool]:
    """Yank a version (True, or the reason) or take the yank back (False), as PEP 592 says.

    Returns whether anything was written. Raises Refused if the version is not released.
    """
    found = yield from look(config)
    return (yield from change(config, found, lambda page: pages.mark(page, version, yanked)))


def look(config: Config) -> Steps[Look]:
    """Read the project page and everything that follows from it, in one round trip.

    Raises Refused if a page is not one of ours, or if the project page is older than what was
    made from it, which only deleting or replacing it by hand brings about.
    """
    keys = config.keys
    key = keys.project_page(config.project)
    team_keys = [keys.team_page, *site.team_keys(keys)]
    project_keys = site.project_keys(keys, config.project)
    objects = yield from get_all([key, *team_keys, *project_keys])
    stored = objects.pop(key)
    page = project_page(stored, config, config.project)
    made = made_from(objects, config)
    if made.get(config.project, 0) > serial(page):
        # Perhaps another publisher finished between our reading of the page and of the rest.
        [stored] = yield [Get(key)]
        page = project_page(stored, config, config.project)
        refuse_older(page, made, config)
    return Look(
        page,
        stored,
        {key: objects[key] for key in team_keys},
        {key: objects[key] for key in project_keys},
    )


def change(config: Config, found: Look, next_state: Callable[[Page], Page]) -> Steps[bool]:
    """Swap the project page for its next state, then bring everything else forward to it.

    `next_state` is asked again of every page that a swap was lost to. Returns whether anything
    was written.
    """
    key = config.keys.project_page(config.project)
    page, stored = found.page, found.stored
    written = False
    while not written:
        changed = next_state(page)
        if changed is page:
            break
        [reply] = yield [page_put(key, changed, stored)]
        if reply:
            page, written = changed, True
        else:
            [stored] = yield [Get(key)]
            page = project_page(stored, config, config.project)
    forward = yield from together(
        forward_team(config, page, found.team), forward_project(config, page, found.project)
    )
    return written or any(forward)


def _create(
    files: Sequence[Distribution], config: Config, stored: Collection[str]
) -> Steps[dict[str, datetime]]:
    """Create the files that are not stored yet; returns the server's time of each upload.

    What is stored already (by a publish that was cut off, or by one that runs now) has to have
    the same bytes.
    """
    puts = {}
    for file in files:
        key = config.keys.file(config.project, file.filename)
        kind = "application/zip" if file.filename.endswith(".whl") else "application/gzip"
        puts[key] = Put(key, file.path, file.sha256, kind, IMMUTABLE)
        if file.metadata is not None:
            puts[f"{key}.metadata"] = metadata_put(f"{key}.metadata", file.metadata, None)
    dates: dict[str, datetime] = {}
    taken = [key for key in puts if key in stored]
    while len(dates) < len(puts):
        facts = yield from ask([Stat(key) for key in taken])
        for key, fact in zip(taken, facts, strict=True):
            if fact and fact.sha256 != puts[key].sha256:
                raise pages.immutable(config.project, key.split("/")[-1].removesuffix(".metadata"))
            if fact:
                dates[key] = fact.modified
        wanted = [key for key in puts if key not in dates]
        replies = yield from ask([puts[key] for key in wanted])
        dates |= {key: reply.date for key, reply in zip(wanted, replies, strict=True) if reply}
        taken = [key for key in puts if key not in dates]
    return {key.split("/")[-1]: date for key, date in dates.items()}


def metadata_put(key: str, body: bytes, stored: Stored | None) -> Put:
    """Return the request that stores a wheel's core metadata (PEP 658) beside it."""
    digest, etag = sha256(body).hexdigest(), stored.etag if stored else None
    return Put(key, body, digest, "text/plain; charset=utf-8", IMMUTABLE, etag)
