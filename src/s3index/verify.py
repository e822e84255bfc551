"""Compare the objects in the bucket with the pages, both ways, trusting neither.

For each project of the team: every file in its claims and its page is stored with its digest, and
every stored file is in them; the lists and every derived object match the project pages. Digests
are the server's own where it has them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from s3index import audit, pages, site
from s3index.audit import Described, Observed
from s3index.refresh import Objects, scopes
from s3index.settings import Index
from s3index.steps import Steps, gather, get_all


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
        get_all([key for scope in both for key in scope.keys]), audit.listed_keys(index, project)
    )
    folders, foreign = audit.folders(keys, index)
    listed = {scope.key: audit.records_of(scope, lists, report.findings) for scope in both}
    if project:
        names = {project}
    else:
        report.notes += [f"{key}: not in a project's folder" for key in foreign]
        names = folders.keys() | audit.listed_names(listed, index)
    read: dict[str, Described] = {}
    for chunk in audit.chunks(names, folders):
        for one in (yield from audit.observe(chunk, index, keys, deep=deep)):
            known = [records.get(one.name) for records in listed.values()]
            _judge(one, index, released=any(record and record.latest for record in known))
            read |= {one.name: (one.page, one.about)} if one.page else {}
            wrong = _differences(one.objects, one.rendered) if one.page else ()
            report.findings += [*one.findings, *one.lost, *wrong]
            report.notes += one.notes
    for scope in both:
        there = listed[scope.key]
        expected = audit.expected_records(scope, there, read, names, index)
        report.findings += [
            f"{scope.key}: not what the page of {name} gives"
            for name in sorted(names & (there.keys() | expected.keys()))
            if lists[scope.key] and there.get(name) != expected.get(name)
        ]
        derived = {key: lists[key] for key in scope.derived}
        if lists[scope.key] is None and (expected or any(derived.values())):
            report.findings.append(f"{scope.key}: missing")
        # For one project alone, the team's other pages were not read.
        records = there if project else expected
        if records:
            report.findings += _differences(derived, scope.render(records, index))
    return report


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
        one.notes.append(f"{key}: releases without a claim: {len(claims)} (0.2.0 made none)")


def _differences(objects: Objects, expected: Mapping[str, bytes]) -> Iterator[str]:
    for key, stored in objects.items():
        body = expected[key]
        if stored is None:
            yield f"{key}: missing"
        elif stored.body != body and not site.same_state(key, stored.body, body):
            yield f"{key}: not what the pages give"
