"""Compare the objects in the bucket with the pages, both ways, trusting neither.

For each project of the team: every file in its claims and its page is stored with its digest, and
every stored file is in them; the lists and every derived object match the project pages. Digests
are the server's own where it has them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from s3index import audit, pages, site
from s3index.about import About
from s3index.audit import Observed
from s3index.pages import ProjectPage, Records
from s3index.refresh import Objects, Scope, scopes
from s3index.settings import Index
from s3index.steps import Listed, Steps, ask, gather, get_all

Described = tuple[ProjectPage, About | None]
"""A project page, and the description of its newest release."""


@dataclass
class Report:
    """Problems (`findings`) and harmless leftovers (`notes`), as lines."""

    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(index: Index, *, deep: bool = False, project: str | None = None) -> Steps[Report]:
    """Return the problems with the team's index, or with one project of it.

    `deep` downloads every file instead of asking the server for its digest. A concurrent publish
    can show up as an unfinished release.
    """
    report, both = Report(), scopes(index)
    lists, keys = yield from gather(
        get_all([key for scope in both for key in scope.keys]), listed_keys(index, project)
    )
    folders, foreign = audit.folders(keys, index)
    listed = {scope.key: records_of(scope, lists, report) for scope in both}
    if project:
        names = {project}
    else:
        report.notes += [f"{key}: not in a project's folder" for key in foreign]
        names = folders.keys() | listed_names(listed, index)
    read: dict[str, Described] = {}
    for chunk in audit.chunks(names, folders):
        for one in (yield from audit.observe(chunk, index, keys, deep=deep)):
            _judge(one, index, released=any(_released(one.name, listed[key]) for key in listed))
            read |= {one.name: (one.page, one.about)} if one.page else {}
            wrong = _differences(one.objects, one.rendered) if one.page else ()
            report.findings += [*one.findings, *one.lost, *wrong]
            report.notes += one.notes
    for scope in both:
        there = listed[scope.key]
        expected = expected_records(scope, there, read, names, index)
        report.findings += [
            f"{scope.key}: not what the page of {name} gives"
            for name in sorted(names & (there.keys() | expected.keys()))
            if lists[scope.key] and there.get(name) != expected.get(name)
        ]
        # For one project alone, the team's other pages were not read.
        records = there if project else expected
        derived = {key: lists[key] for key in scope.derived}
        if records:
            report.findings += _differences(derived, scope.render(records, index))
    return report


def listed_keys(index: Index, project: str | None = None) -> Steps[dict[str, Listed]]:
    """List the objects of a team and of the organisation's namespace, or of one project."""
    found: dict[str, Listed] = {}
    for keys in (yield from ask(audit.listing(index, project))):
        found |= keys
    return found


def records_of(scope: Scope, objects: Objects, report: Report) -> dict[str, pages.Record]:
    """Return the records of a list as read; report damaged ones as findings."""
    found = audit.read(
        objects[scope.key],
        lambda body: pages.parse_list(body, scope.key, scope.base),
        scope.key,
        report.findings,
    )
    records, damaged = found or ({}, [])
    report.findings += [f"{scope.key}: the record of {name} is damaged" for name in damaged]
    return records


def listed_names(listed: Mapping[str, Records], index: Index) -> set[str]:
    """Return the names that belong to this team according to the lists."""
    return {
        record.name
        for records in listed.values()
        for record in records.values()
        if record.team in (None, index.team)
    }


def expected_records(
    scope: Scope,
    listed: Records,
    read: Mapping[str, Described],
    names: set[str],
    index: Index,
) -> dict[str, pages.Record]:
    """Return the records that a list should have: those of the pages, and of taken names.

    Records of other teams' projects stay as they are.
    """
    expected = {}
    for name, record in listed.items():
        if name not in names or record.team not in (None, index.team):
            expected[name] = record
        elif name not in read:
            expected[name] = pages.Record(name, record.last_serial, None, record.team)
    ours = [scope.record(page, index, about) for page, about in read.values()]
    return {**{record.name: record for record in ours}, **expected}


def _released(name: str, records: Records) -> bool:
    record = records.get(name)
    return bool(record and record.latest)


def _judge(one: Observed, index: Index, *, released: bool) -> None:
    """Record what is wrong with a project; `released` tells whether a list has a release of it."""
    key = index.project_page(one.name)
    if one.owner not in (None, index.team) and (one.stored or one.claims):
        one.lost.append(f"{key}: the name {one.name} is team {one.owner}'s")
    files = audit.should_be(one, index)
    if one.missing and not files:
        if released:
            one.lost.append(f"{key}: missing, and no claim says what it listed; restore it")
        elif one.listed and not one.claims:
            one.notes.append(f"{key}: a folder that is not a project's")
        return
    if one.page and not one.findings and not one.lost and pages.in_order(files) != one.page.files:
        one.findings.append(f"{key}: not what the claims give")
    if one.page and (claims := audit.unclaimed(one, files, index)):
        one.notes.append(f"{key}: {len(claims)} releases without a claim, made by 0.2.0")


def _differences(objects: Objects, expected: Mapping[str, bytes]) -> Iterator[str]:
    for key, stored in objects.items():
        body = expected[key]
        if stored is None:
            yield f"{key}: missing"
        elif stored.body != body and not site.same_state(key, stored.body, body):
            yield f"{key}: not what the pages give"
