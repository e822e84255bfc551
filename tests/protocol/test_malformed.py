"""A malformed object is a finding of its own project and affects no other project.

Each case is written to a bucket in memory that has releases of two projects. The neighbour can
still publish, nothing is written outside the bucket, and repair mends what it can.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from s3index import pages
from s3index.errors import Refused, shown
from s3index.publish import yank
from s3index.repair import repair
from s3index.settings import LIST
from s3index.verify import Report, verify
from tests.clients.consumers import broken_links
from tests.distributions import sdist, wheel
from tests.protocol.memory import MemoryBucket
from tests.protocol.schedules import INDEX, Publish, Watch, cache_rendering, carry_out

COMMON, OTHER = INDEX.project_page("acme-common"), INDEX.project_page("acme-other")
CLAIM = INDEX.claim("acme-common", Version("0.1.0"))
COPY = INDEX.organization_page("acme-common")
WHEEL = f"{COMMON}acme_common-0.1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def quick_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    cache_rendering(monkeypatch)


@pytest.fixture
def bucket() -> MemoryBucket:
    """Return a bucket with a release of acme-common, and one of its neighbour acme-other."""
    made = MemoryBucket()
    for action in (Publish("0.1.0"), Publish("1.0", "acme-other")):
        carry_out(action.start(INDEX), made.perform)
    return made


def verified(bucket: MemoryBucket) -> Report:
    report = carry_out(verify(INDEX), bucket.perform)
    assert isinstance(report, Report)
    return report


def repaired(bucket: MemoryBucket) -> list[str]:
    left = carry_out(repair(INDEX), bucket.perform)
    assert isinstance(left, list)
    return left


def pins(bucket: MemoryBucket) -> dict[str, list[str]]:
    """Return {key: the lines without their links} for both constraints.txt."""
    return {
        key: [
            line.split(" @ ")[0].split("  #")[0]
            for line in bucket.objects[key].decode().splitlines()
            if not line.startswith("#")
        ]
        for key in (INDEX.constraints, INDEX.organization_constraints)
    }


def file(**changed: object) -> Callable[[dict[str, Any]], object]:
    return lambda page: page["files"][0].update(changed)


def deep(depth: int) -> bytes:
    return b'{"meta": {"api-version": "1.1"}, "files": ' + b"[" * depth + b"]" * depth + b"}"


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a name that is a path": lambda page: page.update(name="/tmp/acme-common"),
    "a name that leads upwards": lambda page: page.update(name="../../acme-common"),
    "another project's name": lambda page: page.update(name="acme-other"),
    "a name in another form": lambda page: page.update(name="Acme_Common"),
    "an upload time that is not one": file(**{"upload-time": "yesterday"}),
    "an upload time without a zone": file(**{"upload-time": "2026-01-01T00:00:00"}),
    "a day that does not exist": file(**{"upload-time": "2026-02-31T00:00:00Z"}),
    "an upload time in another century's digits": file(**{"upload-time": "٢٠٢٦-01-01T00:00:00Z"}),
    "an uploader that is an object": file(**{"_uploaded-by": {"name": "octocat"}}),
    "an uploader with a line break": file(**{"_uploaded-by": "octocat\n::error::"}),
    "a reason with an escape": file(yanked="\x1b[31m"),
    "a reason without end": file(yanked="x" * 501),
    "a lone surrogate": file(**{"_uploaded-by": "\udce9"}),
    "a digest that is not one": file(hashes={"sha256": "0" * 63 + "g"}),
    "a digest in capitals": file(hashes={"sha256": "A" * 64}),
    "no digest": file(hashes={}),
    "a size below nothing": file(size=-1),
    "a size that is text": file(size="12"),
    "another project's file": file(filename="acme_other-1.0.tar.gz"),
    "a link to elsewhere": file(url="https://evil.example/acme_common-0.1.0.tar.gz"),
    "a link upwards": file(url="../acme-other/acme_common-0.1.0.tar.gz"),
    "a file that is a path": file(filename="../acme_common-0.1.0.tar.gz"),
    "a filename with markup": file(filename="<img onerror=1>-1.0.tar.gz"),
    "a file twice": lambda page: page["files"].append(page["files"][0]),
    "no serial": lambda page: page["meta"].pop("_last-serial"),
    "a serial below nothing": lambda page: page["meta"].update({"_last-serial": -1}),
    "a serial without end": lambda page: page["meta"].update({"_last-serial": 10**30}),
    "a serial that is a fraction": lambda page: page["meta"].update({"_last-serial": 1.5}),
    "version 2 of the API": lambda page: page["meta"].update({"api-version": "2.0"}),
}
BODIES = {
    "a space": b" ",
    "not JSON": b"<html>",
    "not UTF-8": b'{"meta": {"api-version": "1.1"}, "name": "\xff"}',
    "two hundred thousand lists in each other": deep(200_000),
    "a number of a million digits": b'{"meta": ' + b"9" * 1_000_000 + b"}",
}


def malformed(old: bytes, case: str) -> bytes:
    if case in BODIES:
        return BODIES[case]
    page = json.loads(old)
    EDITS[case](page)
    return json.dumps(page).encode()


@pytest.mark.parametrize("case", [*EDITS, *BODIES])
def test_a_project_page(bucket: MemoryBucket, case: str) -> None:
    before = bucket.objects
    body = malformed(before[COMMON], case)
    bucket.overwrite(COMMON, body)
    assert_own_finding(bucket, COMMON)
    # Its own team gets a printable message that names the object.
    with pytest.raises(
        Refused, match=rf"^The object '{COMMON}' was not written by this pub"
    ) as told:
        carry_out(Publish("0.2.0").start(INDEX), bucket.perform)
    assert str(told.value).isprintable()
    assert bucket.objects[COMMON] == body
    # Claims and files are enough to rebuild any page.
    assert repaired(bucket) == []
    assert verified(bucket) == Report()
    assert json.loads(bucket.objects[COMMON])["files"] == json.loads(before[COMMON])["files"]
    carry_out(Publish("0.2.0").start(INDEX), bucket.perform)


@pytest.mark.parametrize(
    "case", [*(case for case in EDITS if "serial" not in case and "API" not in case), *BODIES]
)
def test_a_claim(bucket: MemoryBucket, case: str) -> None:
    bucket.overwrite(CLAIM, malformed(bucket.objects[CLAIM], case))
    assert_own_finding(bucket, CLAIM)
    unlisted = MemoryBucket({CLAIM: bucket.objects[CLAIM]})
    with pytest.raises(Refused, match=rf"^The object '{CLAIM}' was not written by this publisher"):
        carry_out(Publish("0.1.0").start(INDEX), unlisted.perform)
    # A release stays listed, whatever happened to its claim.
    before = bucket.objects
    repaired(bucket)
    assert json.loads(bucket.objects[COMMON])["files"] == json.loads(before[COMMON])["files"]


@pytest.mark.parametrize("case", [*(case for case in EDITS if case != "no serial"), *BODIES])
def test_the_copy_in_the_organisations_namespace(bucket: MemoryBucket, case: str) -> None:
    before = bucket.objects
    bucket.overwrite(COPY, malformed(before[COPY], case))
    assert_own_finding(bucket, COPY)
    repaired(bucket)
    assert verified(bucket) == Report()
    assert json.loads(bucket.objects[COPY])["files"] == json.loads(before[COPY])["files"]


@pytest.mark.parametrize("damage", ["lost", "replaced", "older"])
def test_what_is_derived(bucket: MemoryBucket, damage: str) -> None:
    """For each object alone: verify names it, and repair and the next publish restore it."""
    older = bucket.objects
    carry_out(Publish("0.2.0").start(INDEX), bucket.perform)
    carry_out(Publish("1.1", "acme-other").start(INDEX), bucket.perform)
    whole = bucket.objects
    watch = Watch(INDEX, bucket.perform)
    derived = [key for key in whole if watch._is_derived(key)]
    assert len(derived) == 14
    for key in derived:
        hurt = MemoryBucket(whole)
        hurt.delete(key)
        if damage != "lost":
            hurt.overwrite(key, b"x" if damage == "replaced" else older[key])
        if hurt.objects == whole:
            continue
        found = verified(hurt).findings
        assert any(line.startswith(f"{key}: ") for line in found), (key, found)
        mended = MemoryBucket(hurt.objects)
        assert repaired(mended) == []
        assert mended.objects == whole
        if damage != "replaced" or key.startswith("dumb-pypi/") or key.endswith(".txt"):
            # Foreign JSON stops the publishers that need it; a publish mends any other damage.
            for project in ("acme-common", "acme-other"):
                version = "0.2.0" if project == "acme-common" else "1.1"
                carry_out(Publish(version, project).start(INDEX), hurt.perform)
            assert hurt.objects == whole


RECORDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a release that is a number": lambda record: record.update(_latest=7),
    "no files": lambda record: record["_latest"].pop("files"),
    "files of another version": lambda record: record["_latest"].update(version="9.9"),
    "a version that is not one": lambda record: record["_latest"].update(version="<b>"),
    "a serial that is text": lambda record: record.update({"_last-serial": "9"}),
    "a serial that is null": lambda record: record.update({"_last-serial": None}),
    **{
        case: lambda record, edit=EDITS[case]: edit(record["_latest"])  # type: ignore[misc]
        for case in EDITS
        if "files" not in case
        and any(word in case for word in ("upload", "digest", "link", "size"))
    },
    "a name that is a path": lambda record: record.update(name="/tmp/acme-common"),
    "no name": lambda record: record.pop("name"),
}


@pytest.mark.parametrize("key", [INDEX.team_list, LIST])
@pytest.mark.parametrize("case", RECORDS)
def test_one_record_of_a_list(bucket: MemoryBucket, key: str, case: str) -> None:
    listed = json.loads(bucket.objects[key])
    RECORDS[case](listed["projects"][0])
    bucket.overwrite(key, json.dumps(listed).encode())
    assert_own_finding(bucket, key)
    repaired(bucket)
    assert verified(bucket) == Report()


def test_core_metadata_that_is_true_is_legal(bucket: MemoryBucket) -> None:
    """PEP 714 allows `true` without a digest: it is read, kept, and shown by the next publish."""
    for key in (COMMON, INDEX.team_list, LIST):
        body = bucket.objects[key].decode()
        document = json.loads(body)
        records = document.get("projects", [])
        for entry in document.get("files", []) + [
            entry for record in records for entry in record["_latest"]["files"]
        ]:
            if entry.get("core-metadata"):
                entry["core-metadata"] = True
        bucket.overwrite(key, json.dumps(document).encode())
    carry_out(Publish("1.1", "acme-other").start(INDEX), bucket.perform)
    carry_out(Publish("0.2.0").start(INDEX), bucket.perform)
    assert json.loads(bucket.objects[COMMON])["versions"] == ["0.1.0", "0.2.0"]
    repaired(bucket)
    assert verified(bucket) == Report()


def assert_own_finding(bucket: MemoryBucket, key: str) -> None:
    """Check that verify names an object but nothing of the neighbour, which can still publish."""
    found = verified(bucket).findings
    assert any(finding.startswith(f"{key}: ") for finding in found), found
    assert not [finding for finding in found if finding.startswith(OTHER)]
    assert all(map(str.isprintable, map(shown, found)))
    carry_out(Publish("1.1", "acme-other").start(INDEX), bucket.perform)
    assert b"acme_other-1.1-py3-none-any.whl#sha256=" in bucket.objects[INDEX.constraints]
    assert json.loads(bucket.objects[OTHER])["versions"] == ["1.0", "1.1"]


FOREIGN = [
    "New Folder/",
    "requests/readme.txt",
    "<img src=x onerror=alert(1)>/",
    "<img src=x onerror=alert(1)>/acme_common-1.0.tar.gz",
    "acme-new/",
    "ACME_New/acme_new-1.0.tar.gz",
    "..//x",
    "a\n::error::b/c",
    "notes.txt",
    "acme-other/folder/file.whl",
    "acme-other/\x1b[31m.whl",
    "acme-other/release-1.0\n.json",
    "acme-other/release-notaversion.json",
]


@pytest.mark.parametrize("path", FOREIGN)
def test_what_an_administrators_console_makes(bucket: MemoryBucket, path: str) -> None:
    """A folder is an empty object and never a project, whatever its name."""
    key = f"{INDEX.team_list}{path}"
    before, names = bucket.objects, pins(bucket)
    bucket.overwrite(key, b"" if path.endswith("/") else b"text")
    report = verified(bucket)
    assert all(line.startswith(key) for line in report.findings)
    assert repaired(bucket) == []
    assert bucket.objects == before | {key: bucket.objects[key]}
    assert pins(bucket) == names
    assert any(line.startswith(key) for line in [*report.notes, *report.findings])
    assert all(map(str.isprintable, map(shown, report.notes)))


def test_forged_serials_of_strange_names(bucket: MemoryBucket) -> None:
    """HTML and constraints record the projects they are made from; only valid names count."""
    strange = json.dumps({"<img src=x onerror=alert(1)>": 3, "New Folder": 2, "../up": 1})
    for key in (INDEX.constraints, INDEX.organization_constraints, INDEX.site("index.html")):
        bucket.overwrite(key, b"# serials " + strange.encode())
    before = pins(bucket)
    carry_out(Publish("1.1", "acme-other").start(INDEX), bucket.perform)
    repaired(bucket)
    assert verified(bucket) == Report()
    assert all(
        b"onerror" not in body and b"New Folder" not in body for body in bucket.objects.values()
    )
    assert pins(bucket) == {key: ["acme-common", "acme-other"] for key in before}


@pytest.mark.parametrize("serial", [7, pages.HIGHEST // 2, pages.HIGHEST - 1, pages.HIGHEST])
@pytest.mark.parametrize("where", ["page", "copy", "lists", "constraints"])
def test_forged_serials_of_ours(bucket: MemoryBucket, serial: int, where: str) -> None:
    """They stop only one project, and only until an administrator repairs it."""

    def forge(key: str, change: Callable[[Any], object]) -> None:
        document = json.loads(bucket.objects[key])
        change(document)
        bucket.overwrite(key, json.dumps(document).encode())

    if where in ("page", "copy"):
        key = COMMON if where == "page" else COPY
        forge(key, lambda page: page["meta"].update({"_last-serial": serial}))
    elif where == "lists":
        for key in (INDEX.team_list, LIST):
            forge(key, lambda page: page["projects"][0].update({"_last-serial": serial}))
    else:
        for key, path in (
            (INDEX.constraints, "acme-common"),
            (INDEX.organization_constraints, "devtools/acme-common"),
        ):
            bucket.overwrite(key, b'# serials {"%s": %d}\n' % (path.encode(), serial))
    carry_out(Publish("1.1", "acme-other").start(INDEX), bucket.perform)
    for n in range(2, 5):
        repaired(bucket)
        assert verified(bucket) == Report()
        carry_out(Publish(f"0.{n}").start(INDEX), bucket.perform)
        carry_out(yank(INDEX, "acme-common", Version(f"0.{n}"), True), bucket.perform)
        assert verified(bucket) == Report()


def test_a_folder_that_was_deleted_by_hand(bucket: MemoryBucket) -> None:
    for key in [key for key in bucket.objects if key.startswith(COMMON)]:
        bucket.delete(key)
    assert verified(bucket).findings
    for _ in range(2):
        repaired(bucket)
        names = [["acme-common <0", "acme-other"]] * 2
        assert list(pins(bucket).values()) == names
    # Even the lists may be lost: the objects made from them have the name.
    for key in (INDEX.team_list, LIST):
        bucket.delete(key)
    repaired(bucket)
    assert list(pins(bucket).values()) == names
    assert broken_links(bucket.objects, INDEX.url) == []
    # The name still belongs to the team, and only the team can release again.
    carry_out(Publish("0.2.0").start(INDEX), MemoryBucket(bucket.objects).perform)
    with pytest.raises(Refused, match="belongs to team devtools"):
        carry_out(Publish("9", team="data").start(INDEX), bucket.perform)


ABANDONED = ("acme_common-0.2.0-py3-none-any.whl", "acme_common-0.2.0.tar.gz")


@pytest.mark.parametrize("claimed", [True, False], ids=["claimed", "never claimed"])
@pytest.mark.parametrize("build", ["one file", "two builds"])
def test_uploads_that_were_abandoned(
    bucket: MemoryBucket, tmp_path: Path, claimed: bool, build: str
) -> None:
    """Repair does not release abandoned uploads, and verify reports them only in a note."""
    before = bucket.objects
    ours = Publish("0.2.0")
    if claimed:
        after = MemoryBucket(before)
        carry_out(ours.start(INDEX), after.perform)
        key = INDEX.claim("acme-common", Version("0.2.0"))
        bucket.overwrite(key, after.objects[key])
    bucket.overwrite(COMMON + ABANDONED[0], wheel(tmp_path, version="0.2.0").read_bytes())
    if build == "two builds":
        other = sdist(tmp_path, version="0.2.0", body="of another build")
        bucket.overwrite(COMMON + ABANDONED[1], other.read_bytes())
    start = bucket.objects
    report = verified(bucket)
    assert report.findings == []
    assert any("0.2" in note for note in report.notes)
    assert repaired(bucket) == []
    assert bucket.objects == start
    assert b"0.2.0" not in bucket.objects[INDEX.constraints]


def test_a_claimed_release_that_is_whole_is_listed(bucket: MemoryBucket) -> None:
    """If a publisher died after its files, repair lists the claimed files and their uploader."""
    whole = MemoryBucket(bucket.objects)
    carry_out(Publish("0.2.0", by="octocat").start(INDEX), whole.perform)
    for key, body in whole.objects.items():
        if key.startswith(f"{COMMON}acme_common-0.2.0") or key.endswith("release-0.2.json"):
            bucket.overwrite(key, body)
    assert repaired(bucket) == []
    assert bucket.objects == whole.objects
