"""A bucket filled by 0.2.0, without claims or an organisation's index, can be used and upgraded."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from packaging.version import Version

from s3index import pages, site
from s3index.errors import Refused
from s3index.publish import Outcome, yank
from s3index.refresh import refresh_project
from s3index.repair import repair
from s3index.settings import LIST
from s3index.steps import Put, Request
from s3index.verify import Report, verify
from tests.clients.consumers import broken_links
from tests.protocol.memory import MemoryBucket
from tests.protocol.schedules import INDEX, Publish, Watch, cache_rendering, carry_out, round_trips

OLD = Publish("0.1.0")
PAGE = INDEX.project_page("acme-common")
SITE = "dumb-pypi/devtools/index/"


@pytest.fixture(autouse=True)
def quick_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    cache_rendering(monkeypatch)


def dump(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@pytest.fixture
def bucket() -> MemoryBucket:
    """Return what 0.2.0 writes for a first release and for a second, yanked one."""
    made = MemoryBucket()
    files: list[dict[str, Any]] = []
    for release, yanked in ((OLD, False), (Publish("0.1.1"), "it leaks")):
        for file in sorted(release.files(), key=lambda file: file.filename):
            entry: dict[str, Any] = {
                "filename": file.filename,
                "url": file.filename,
                "hashes": {"sha256": file.sha256},
                "size": file.size,
                "upload-time": "2025-01-02T03:04:05Z",
                "yanked": yanked,
                "requires-python": ">=3.11",
            }
            made.overwrite(PAGE + file.filename, file.path.read_bytes())
            if file.metadata:
                entry["core-metadata"] = {"sha256": sha256(file.metadata).hexdigest()}
                made.overwrite(f"{PAGE}{file.filename}.metadata", file.metadata)
            entry["_uploaded-by"] = "octocat (0123456789ab)"
            files.append(entry)
    meta = {"api-version": "1.1", "_last-serial": 3}
    made.overwrite(
        PAGE,
        dump(
            {
                "meta": meta,
                "name": "acme-common",
                "versions": ["0.1.0", "0.1.1"],
                "files": files,
            }
        ),
    )
    latest = [{**file, "url": f"acme-common/{file['url']}"} for file in files[:2]]
    record = {"name": "acme-common", "_last-serial": 3}
    record |= {"_latest": {"version": "0.1.0", "files": latest}}
    made.overwrite(INDEX.team_list, dump({"meta": {"api-version": "1.1"}, "projects": [record]}))
    link = f"{INDEX.address(PAGE)}{files[0]['url']}#sha256={files[0]['hashes']['sha256']}"
    serials = '{"acme-common": 3}'
    made.overwrite(
        INDEX.constraints,
        f"# The newest releases.\nacme-common @ {link}\n# serials {serials}\n".encode(),
    )
    made_by = f"<!-- serials {serials} by s3index 0.2.0, dumb-pypi 1.15.0 -->\n"
    for path in ("simple/", "simple/index.html", "index.html", "changelog/page1.html"):
        made.overwrite(SITE + path, f"<p>acme-common\n{made_by}".encode())
    for path in ("simple/acme-common/", "simple/acme-common/index.html"):
        made.overwrite(SITE + path, f"<p>acme-common\n{made_by}".encode())
    document = {"urls": [], "serials": {"acme-common": 3}}
    made.overwrite(f"{SITE}pypi/acme-common/json", dump(document))
    return made


def files(bucket: MemoryBucket) -> dict[str, bytes]:
    return {key: body for key, body in bucket.objects.items() if ".whl" in key or ".tar.gz" in key}


def test_it_is_sound_but_for_what_is_new(bucket: MemoryBucket) -> None:
    before = bucket.objects
    report = carry_out(verify(INDEX), bucket.perform)
    assert f"{PAGE}: releases without a claim: 2 (0.2.0 made none)" in report.notes
    assert bucket.objects == before


def test_the_next_release(bucket: MemoryBucket) -> None:
    before = bucket.objects
    watch = Watch(INDEX, bucket.perform)

    def perform(request: Request) -> Any:
        reply = bucket.perform(request)
        watch.saw(request)
        return reply

    assert len(round_trips(Publish("0.2.0").start(INDEX), perform)) == 5
    page, copy = (json.loads(bucket.objects[key]) for key in (PAGE, "simple/acme-common/"))
    old = json.loads(before[PAGE])
    for listed in (page, copy):
        assert listed["versions"] == ["0.1.0", "0.1.1", "0.2.0"]
        assert listed["meta"]["_last-serial"] == 4
        for file in old["files"]:
            [now] = [new for new in listed["files"] if new["filename"] == file["filename"]]
            assert (now["hashes"], now.get("yanked", False)) == (file["hashes"], file["yanked"])
    assert "octocat (0123456789ab)" in {file.get("_uploaded-by") for file in page["files"]}
    assert b"acme_common-0.2.0-py3" in bucket.objects[INDEX.organization_constraints]
    assert files(bucket).items() >= files(MemoryBucket(before)).items()
    assert broken_links(bucket.objects, INDEX.url) == []


def test_an_old_release_once_more(bucket: MemoryBucket) -> None:
    before = bucket.objects
    carry_out(OLD.start(INDEX), bucket.perform)
    assert bucket.objects[PAGE] == before[PAGE]
    assert files(bucket) == files(MemoryBucket(before))
    after = bucket.objects
    assert carry_out(OLD.start(INDEX), bucket.perform) is Outcome.UNCHANGED
    assert bucket.objects == after
    with pytest.raises(Refused, match="in the bucket with other bytes"):
        carry_out(Publish("0.1.0", body="x = 1").start(INDEX), bucket.perform)
    with pytest.raises(Refused, match=r"0\.1\.1 is yanked"):
        carry_out(Publish("0.1.1").start(INDEX), bucket.perform)
    with pytest.raises(Refused, match="belongs to team devtools"):
        carry_out(Publish("9", team="data").start(INDEX), bucket.perform)


@pytest.mark.parametrize("released", [False, True], ids=["at once", "after a release"])
def test_repair_makes_its_claims(bucket: MemoryBucket, released: bool) -> None:
    if released:
        carry_out(Publish("0.2.0").start(INDEX), bucket.perform)
    before = bucket.objects
    assert carry_out(repair(INDEX), bucket.perform) == []
    assert carry_out(verify(INDEX), bucket.perform) == Report()
    claim = json.loads(bucket.objects[INDEX.claim("acme-common", Version("0.1.1"))])
    assert (claim["version"], claim["time"]) == ("0.1.1", "2025-01-02T03:04:05Z")
    assert claim["uploaded-by"] == "octocat (0123456789ab)"
    assert all("yanked" not in file for file in claim["files"])
    assert files(bucket) == files(MemoryBucket(before))
    # Lost pages can now be rebuilt: yanks from the copy, everything else from the claims.
    page = json.loads(bucket.objects[PAGE])
    for key in (PAGE, INDEX.team_list, LIST, INDEX.constraints):
        bucket.delete(key)
    assert carry_out(repair(INDEX), bucket.perform) == []
    assert carry_out(verify(INDEX), bucket.perform) == Report()
    assert json.loads(bucket.objects[PAGE])["files"] == page["files"]


def test_a_page_that_cannot_be_read_is_not_emptied(bucket: MemoryBucket) -> None:
    """Without claims, only an earlier version of the page shows what it listed."""
    body = bucket.objects[PAGE].replace(b'"it leaks"', b'"it\\nleaks"')
    bucket.overwrite(PAGE, body)
    left = carry_out(repair(INDEX), bucket.perform)
    assert left == [f"{PAGE}: no claim says what it listed; restore its earlier version"]
    assert bucket.objects[PAGE] == body
    assert b"acme-common <0" in bucket.objects[INDEX.constraints]


def test_yank_and_unyank(bucket: MemoryBucket) -> None:
    for state in (True, False):
        carry_out(yank(INDEX, "acme-common", Version("0.1.0"), state), bucket.perform)
        constraints = bucket.objects[INDEX.organization_constraints]
        assert (b"acme_common-0.1.0" in constraints) is not state
    puts = [request for request in next(OLD.start(INDEX)) if isinstance(request, Put)]
    assert puts == []
    assert site.serials_of(constraints) == {"devtools/acme-common": 5}


def test_a_name_that_another_team_takes_meanwhile_stays_its_own(bucket: MemoryBucket) -> None:
    """A release by 0.2.0 is published again just as another team takes the name first."""
    theirs = replace(INDEX, team="data")
    key = INDEX.organization_page("acme-common")
    taken = site.organization_page(pages.new_project("acme-common"), theirs)
    bucket.overwrite(key, taken)
    page = pages.parse_project(bucket.objects[PAGE], PAGE, "acme-common")
    carry_out(refresh_project(INDEX, page, None, {key: None}), bucket.perform)
    assert bucket.objects[key] == taken
