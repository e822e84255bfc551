"""Compare what is in the bucket with what the pages say, both ways, trusting neither.

For each project of the team: every listed file is there with its size and digest, its
`.metadata` is what the distribution holds, every stored file is listed; the team page and every
derived object are what the project pages give. Digests are the server's own where it holds them.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

from s3index import page as pages
from s3index import site
from s3index.config import Config, Refused
from s3index.forward import Objects
from s3index.page import File, Page
from s3index.steps import CoreMetadata, Get, List, Request, Stat, Steps, Stored, ask, get_all


def verify(config: Config, *, deep: bool = False) -> Steps[list[str]]:
    """Return what is wrong with the team's index, a line for each finding.

    `deep` downloads every file instead of asking the server for its digest. A publish that runs
    at the same time can show as files that are stored and not listed yet.
    """
    keys = config.keys
    team_keys = [keys.team_page, *site.team_keys(keys)]
    [stored] = yield [List(keys.team_page)]
    team_objects = yield from get_all(team_keys)
    findings: list[str] = []
    team = _read(team_objects[keys.team_page], pages.parse_team, keys.team_page, findings)
    listed = [said["name"] for said in team["projects"]] if team else []
    names = sorted({*listed, *projects_in(stored, config)})
    read: list[Page] = []
    for name in names:
        page = yield from _verify_project(name, config, stored, findings, deep=deep)
        read += [page] if page else []
    findings += _team_findings(team_objects, team, read, config)
    return findings


def projects_in(stored: Iterable[str], config: Config) -> set[str]:
    """Return the projects that have a folder among the team's stored keys."""
    paths = (key.removeprefix(config.keys.team_page) for key in stored)
    return {path.split("/")[0] for path in paths if "/" in path}


def _verify_project(
    name: str, config: Config, stored: list[str], findings: list[str], *, deep: bool
) -> Steps[Page | None]:
    key = config.keys.project_page(name)
    objects = yield from get_all([key, *site.project_keys(config.keys, name)])
    page = _read(objects.pop(key), pages.parse_project, key, findings)
    files = page["files"] if page else []
    known = {key}
    for file in files:
        path = config.keys.file(name, file["filename"])
        known |= {path, f"{path}.metadata"} if "core-metadata" in file else {path}
    folder = [path for path in stored if path.startswith(key)]
    findings += [f"{path}: stored, but not listed" for path in folder if path not in known]
    findings += yield from _verify_files(name, files, config, deep=deep)
    if page:
        findings += _differences(objects, site.project_site(page, config))
    return page


def _verify_files(name: str, files: list[File], config: Config, *, deep: bool) -> Steps[list[str]]:
    requests: list[Request] = []
    for file in files:
        key = config.keys.file(name, file["filename"])
        requests.append(Stat(key, deep))
        if "core-metadata" in file:
            requests += [Get(f"{key}.metadata"), CoreMetadata(key, file.get("size", 0))]
    replies = iter((yield from ask(requests)))
    findings = []
    for file in files:
        key = config.keys.file(name, file["filename"])
        facts = next(replies)
        if facts is None:
            findings.append(f"{key}: listed, but missing")
        elif facts.sha256 != file["hashes"]["sha256"]:
            findings.append(
                f"{key}: listed with SHA-256 {file['hashes']['sha256']}, stored is {facts.sha256}"
            )
        elif facts.size != file.get("size"):
            findings.append(f"{key}: listed with {file.get('size')} bytes, stored is {facts.size}")
        if "core-metadata" in file:
            findings += _metadata_findings(key, file, next(replies), next(replies))
    return findings


def _metadata_findings(
    key: str, file: File, metadata: Stored | None, held: bytes | None
) -> Iterator[str]:
    if metadata is None:
        yield f"{key}.metadata: listed, but missing"
        return
    if sha256(metadata.body).hexdigest() != file["core-metadata"].get("sha256"):
        yield f"{key}.metadata: stored with another SHA-256 than listed"
    if held is not None and held != metadata.body:
        yield f"{key}.metadata: not what the distribution holds"


def _team_findings(
    objects: Objects, team: Page | None, read: list[Page], config: Config
) -> Iterator[str]:
    key = config.keys.team_page
    expected = pages.join(pages.new_team(), [pages.record(page) for page in read])
    said = {record["name"]: record for record in team["projects"]} if team else {}
    wanted = {record["name"]: record for record in expected["projects"]}
    for name in sorted(said.keys() | wanted.keys()):
        if said.get(name) != wanted.get(name) and team:
            yield f"{key}: not what the page of {name} gives"
    derived = {path: stored for path, stored in objects.items() if path != key}
    if team or read:
        yield from _differences(derived, site.team_site(expected, config))


def _differences(objects: Objects, expected: dict[str, bytes]) -> Iterator[str]:
    for key, body in expected.items():
        stored = objects[key]
        if stored is None:
            yield f"{key}: missing"
        elif stored.body != body and not site.same_state(stored.body, body):
            yield f"{key}: not what the pages give"


def _read(
    stored: Stored | None, parse: Callable[[bytes, str], Page], key: str, findings: list[str]
) -> Page | None:
    if stored is None:
        findings.append(f"{key}: the page is missing")
        return None
    try:
        return parse(stored.body, key)
    except Refused:
        findings.append(f"{key}: not a page of the simple repository API, version 1")
        return None
