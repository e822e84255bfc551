"""Rebuild the team's index from the files in the bucket.

Names, digests, sizes and metadata come from the files, dates from the server; from an old page,
where it still says so, come yanks, who uploaded, and when. An attempt reads the team's objects
first, then each project page, then what is stored; so a publisher that comes between is noticed
by a lost swap, and the attempt starts over. Nothing that somebody has released gets lost.
"""

from collections.abc import Mapping
from pathlib import Path

from packaging.metadata import parse_email

from s3index import page as pages
from s3index import site
from s3index.config import Config, Refused
from s3index.forward import Objects, derived_put, differs, made_from, page_put, serial
from s3index.page import File, Page
from s3index.publish import metadata_put
from s3index.release import Distribution, parse_filename
from s3index.steps import CoreMetadata, Facts, List, Put, Stat, Steps, Stored, ask, get_all
from s3index.verify import projects_in


def repair(config: Config) -> Steps[list[str]]:
    """Bring pages and derived objects to what the files give; return what could not be mended.

    A file whose bytes are not those that its page lists stays listed as it was, so that clients
    refuse it by its digest: put it back from the bucket's version history.
    """
    while True:
        problems: list[str] = []
        if (yield from _attempt(config, problems)):
            return problems


def _attempt(config: Config, problems: list[str]) -> Steps[bool]:
    """Repair once; return False if another publisher won a swap."""
    keys = config.keys
    team_objects = yield from get_all([keys.team_page, *site.team_keys(keys)])
    [stored] = yield [List(keys.team_page)]
    made = _made_from(team_objects, config)
    read: list[Page] = []
    for name in sorted(projects_in(stored, config)):
        page = yield from _repair_project(name, config, made, problems)
        if page is None:
            return False
        read.append(page)
    team = pages.join(pages.new_team(), [pages.record(page) for page in read])
    bodies = site.team_site(team, config)
    puts = [page_put(keys.team_page, team, team_objects[keys.team_page])]
    puts += [derived_put(key, bodies[key], team_objects[key]) for key in site.team_keys(keys)]
    return (yield from _write(puts, team_objects))


def _repair_project(
    name: str, config: Config, made: Mapping[str, int], problems: list[str]
) -> Steps[Page | None]:
    """Mend one project; return its page, or None if another publisher won a swap."""
    key = config.keys.project_page(name)
    objects = yield from get_all([key, *site.project_keys(config.keys, name)])
    stored = objects.pop(key)
    old = _old_page(stored, key, name)
    files = yield from _files(name, config, old, problems)
    if files is None:
        return None
    least = max(made.get(name, 0), made_from(objects, config).get(name, 0))
    page = old
    if pages.in_order(files) != old["files"] or serial(old) < least or serial(old) == 0:
        page = pages.with_files(old, files, max(serial(old), least) + 1)
    if not (yield from _write([page_put(key, page, stored)], {key: stored})):
        return None
    bodies = site.project_site(page, config)
    puts = [derived_put(path, body, objects[path]) for path, body in bodies.items()]
    return page if (yield from _write(puts, objects)) else None


def _files(name: str, config: Config, old: Page, problems: list[str]) -> Steps[list[File] | None]:
    """Return the entries of what is stored for a project, None if a swap was lost."""
    folder = config.keys.project_page(name)
    [stored] = yield [List(folder)]
    names = [key.removeprefix(folder) for key in stored if key != folder]
    filenames = [filename for filename in names if _belongs(filename, name, problems, folder)]
    keys = [folder + filename for filename in filenames]
    facts = yield from ask([Stat(key) for key in keys])
    sizes = [fact.size if fact else 0 for fact in facts]
    requests = [CoreMetadata(key, size) for key, size in zip(keys, sizes, strict=True)]
    metadata = yield from ask(requests)
    listed = {file["filename"]: file for file in old["files"]}
    entries = []
    for filename, fact, body in zip(filenames, facts, metadata, strict=True):
        entry = _entry(filename, fact, body, listed.get(filename))
        if entry is None:
            problems.append(f"{folder}{filename}: damaged, left out; it is no distribution")
            continue
        if fact and entry["hashes"]["sha256"] != fact.sha256:
            problems.append(
                f"{folder}{filename}: not the bytes that were released; restore the object's "
                "earlier version"
            )
        entries.append(entry)
    problems += [
        f"{folder}{filename}: listed, but missing; taken off the page"
        for filename in listed
        if filename not in filenames
    ]
    wheels = {
        f"{key}.metadata": body
        for key, body in zip(keys, metadata, strict=True)
        if body is not None and key.endswith(".whl")
    }
    return entries if (yield from _mend_metadata(wheels)) else None


def _belongs(filename: str, name: str, problems: list[str], folder: str) -> bool:
    """Tell whether a stored name is a distribution of the project; note what is neither."""
    if filename.endswith(".metadata"):
        return False
    try:
        project, _ = parse_filename(filename)
    except Refused:
        project = None
    if project != name:
        problems.append(f"{folder}{filename}: no distribution of {name}, left out")
    return project == name


def _entry(
    filename: str, facts: Facts | None, metadata: bytes | None, listed: File | None
) -> File | None:
    """Return a file's entry: facts from the file, the rest from where it was listed."""
    if facts is None or metadata is None:
        return None
    if listed and listed["hashes"]["sha256"] != facts.sha256:
        return listed
    project, version = parse_filename(filename)
    fields, _ = parse_email(metadata)
    release = Distribution(
        path=Path(filename),
        filename=filename,
        project=project,
        version=version,
        size=facts.size,
        sha256=facts.sha256,
        requires_python=fields.get("requires_python"),
        metadata=metadata if filename.endswith(".whl") else None,
    )
    kept = ("upload-time", "yanked", "_uploaded-by")
    entry = pages.entry(release, facts.modified, None)
    return entry | {key: listed[key] for key in kept if listed and key in listed}


def _mend_metadata(wheels: Mapping[str, bytes]) -> Steps[bool]:
    """Store the core metadata of wheels (PEP 658) where it is missing or differs."""
    objects = yield from get_all(list(wheels))
    puts = [metadata_put(key, body, objects[key]) for key, body in wheels.items()]
    return (yield from _write(puts, objects))


def _write(puts: list[Put], objects: Objects) -> Steps[bool]:
    """Write what differs; return whether every swap was won."""
    return all((yield from ask([put for put in puts if differs(objects[put.key], put)])))


def _old_page(stored: Stored | None, key: str, name: str) -> Page:
    try:
        return pages.parse_project(stored.body, key) if stored else pages.new_project(name)
    except Refused:
        return pages.new_project(name)


def _made_from(objects: Objects, config: Config) -> dict[str, int]:
    """Return what `forward.made_from` does, also where the team page is damaged."""
    try:
        return made_from(objects, config)
    except Refused:
        rest = {key: stored for key, stored in objects.items() if key != config.keys.team_page}
        return made_from(rest, config)
