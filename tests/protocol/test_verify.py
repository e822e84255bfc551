"""Against an S3 server over HTTP, verify names every kind of damage, and repair mends it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from s3index.people import RENDERER
from s3index.publish import yank
from s3index.repair import repair
from s3index.s3 import Bucket
from s3index.settings import Index
from s3index.steps import Request
from s3index.verify import Report, verify
from tests.distributions import digest, sdist, wheel
from tests.protocol import memory
from tests.protocol.schedules import carry_out
from tests.world import Library, at, objects, release, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "packages/devtools/acme-common/"
WHEEL = f"{FOLDER}acme_common-0.1.0-py3-none-any.whl"
SDIST = f"{FOLDER}acme_common-0.1.0.tar.gz"
SITE = "dumb-pypi/devtools/index/"
OTHER = "packages/devtools/acme-other/"


@dataclass(frozen=True)
class Kept:
    """A snapshot of a bucket, to restore it: publishing again is half of a test's time."""

    index: Index
    objects: dict[str, tuple[str, bytes, str]]
    """{key: (ETag, body, Content-Type)}."""

    @classmethod
    def of(cls, s3: "S3Client", index: Index) -> "Kept":
        """Return a snapshot of an index's bucket."""
        found = {}
        for key in etags(s3, index):
            answer = s3.get_object(Bucket=index.bucket, Key=key)
            found[key] = answer["ETag"], answer["Body"].read(), answer["ContentType"]
        return cls(index, found)

    def put_back(self, s3: "S3Client") -> None:
        """Undo what a test did to the bucket."""
        there = etags(s3, self.index)
        for key, (etag, body, kind) in self.objects.items():
            if there.pop(key, None) != etag:
                s3.put_object(
                    Bucket=self.index.bucket,
                    Key=key,
                    Body=body,
                    ContentType=kind,
                    ChecksumAlgorithm="SHA256",
                )
        for key in there:
            s3.delete_object(Bucket=self.index.bucket, Key=key)


def etags(s3: "S3Client", index: Index) -> dict[str, str]:
    """Return the ETag of each object in an index's bucket."""
    listed = s3.list_objects_v2(Bucket=index.bucket).get("Contents", [])
    return {item["Key"]: item["ETag"] for item in listed}


kept: list[Kept] = []
"""The snapshot after the first of these tests published, in each process."""


@pytest.fixture
def published(s3: "S3Client", library: Library, tmp_path: Path) -> Library:
    """Publish two versions of one project, the newer one yanked, and one version of another."""
    if kept:
        kept[0].put_back(s3)
        return replace(library, index=kept[0].index)
    release(library, wheel(tmp_path), sdist(tmp_path))
    release(at(library, "0.2.0"), wheel(tmp_path, version="0.2.0"))
    release(at(library, "1.0", "acme-other"), wheel(tmp_path, "acme-other", "1.0"))
    index = library.index
    assert Bucket(index).run(yank(index, library.name, Version("0.2.0"), "it leaks"))
    kept.append(Kept.of(s3, index))
    return library


def findings(library: Library, *, deep: bool = False) -> list[str]:
    return Bucket(library.index).run(verify(library.index, deep=deep)).findings


def notes(library: Library) -> list[str]:
    return verified(library).notes


def repaired(library: Library) -> list[str]:
    return Bucket(library.index).run(repair(library.index))


def test_a_sound_index(s3: "S3Client", published: Library) -> None:
    before = objects(s3, published.index)
    assert findings(published) == []
    assert findings(published, deep=True) == []
    assert notes(published) == []
    assert repaired(published) == []
    assert objects(s3, published.index) == before


def edited(key: str, change: Callable[[dict[str, object]], object]) -> "Damage":
    def damage(s3: "S3Client", bucket: str) -> None:
        page = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        change(page)
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(page).encode())

    return damage


def replaced(key: str, body: bytes = b"x") -> "Damage":
    def damage(s3: "S3Client", bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256")

    return damage


def deleted(*keys: str) -> "Damage":
    def damage(s3: "S3Client", bucket: str) -> None:
        for key in keys:
            s3.delete_object(Bucket=bucket, Key=key)

    return damage


Damage = Callable[["S3Client", str], None]

UNREAD = "not what this publisher writes"
STALE = "not what the pages give"
LISTS = ["packages/devtools/", "packages/devtools/constraints.txt", "simple/"]
LISTS += ["simple/constraints.txt", f"{SITE}index.html"]
PROJECTS = [f"{SITE}simple/acme-common/", f"{SITE}simple/acme-common/index.html"]
PROJECTS += ["simple/acme-common/", "simple/acme-other/"]

MENDED: dict[str, tuple[Damage, list[str]]] = {
    "no project page": (deleted(FOLDER), [f"{FOLDER}: missing"]),
    "a project page that is not JSON": (replaced(FOLDER), [f"{FOLDER}: {UNREAD}"]),
    "a file that was taken off a page": (
        edited(FOLDER, lambda page: page["files"].pop(0)),  # type: ignore[attr-defined]
        [f"{FOLDER}: not what the claims give"],
    ),
    "a release that was taken off a page": (
        edited(OTHER, lambda page: page.update(files=[], versions=[])),
        [f"{OTHER}release-1.json: the release is complete, but not listed"],
    ),
    "a wrong size": (
        edited(OTHER, lambda page: page["files"][0].update(size=5)),  # type: ignore[index]
        [f"{OTHER}: not what the claims give"],
    ),
    "every page": (deleted("packages/devtools/", FOLDER, OTHER), [f"{OTHER}: missing"]),
    "everything but files and claims": (
        deleted(*LISTS, *PROJECTS, FOLDER, OTHER, f"{WHEEL}.metadata"),
        [f"{FOLDER}: missing", f"{OTHER}: missing"],
    ),
    "no core metadata": (deleted(f"{WHEEL}.metadata"), [f"{WHEEL}.metadata: missing"]),
    "other core metadata": (
        replaced(f"{WHEEL}.metadata"),
        [f"{WHEEL}.metadata: stored with another SHA-256 than listed"],
    ),
    "a list without a project": (
        edited("packages/devtools/", lambda page: page.update(projects=[])),
        ["packages/devtools/: not what the page of acme-other gives"],
    ),
    "a list of the organisation without a project": (
        edited("simple/", lambda page: page.update(projects=[])),
        ["simple/: not what the page of acme-other gives"],
    ),
    "a damaged record": (
        edited("simple/", lambda page: page["projects"][0].update(_latest=7)),  # type: ignore[index]
        ["simple/: the record of acme-common is damaged"],
    ),
    "an older state of the organisation's page": (
        edited("simple/acme-common/", lambda page: page.update(files=[], versions=[])),
        [f"simple/acme-common/: {STALE}"],
    ),
}


SLOW = ("a wrong size", "every page", "a project page that is not JSON", "a damaged record")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.full] if name in SLOW else []) for name in MENDED],
)
def test_damage_is_named_and_mended(s3: "S3Client", published: Library, name: str) -> None:
    damage, expected = MENDED[name]
    before = objects(s3, published.index)
    damage(s3, published.index.bucket)
    found = findings(published)
    for line in expected:
        assert any(one.startswith(line) for one in found), found
    assert repaired(published) == []
    assert findings(published) == []
    after = objects(s3, published.index)
    assert set(after) == set(before)
    for key in (FOLDER, OTHER):
        files = json.loads(after[key])["files"]
        # Yanks are in the page and its copy; claims have everything else.
        if name == "everything but files and claims":
            files = [
                {**file, "yanked": "it leaks"} if "0.2.0" in file["url"] else file for file in files
            ]
        assert files == json.loads(before[key])["files"]


def test_a_project_alone(s3: "S3Client", published: Library) -> None:
    def alone() -> list[str]:
        index = published.index
        return Bucket(index).run(verify(index, project=published.name)).findings

    assert alone() == []
    deleted(OTHER, "simple/acme-other/")(s3, published.index.bucket)
    assert alone() == []
    assert findings(published) != []
    deleted(FOLDER)(s3, published.index.bucket)
    assert f"{FOLDER}: missing" in alone()
    replaced("simple/constraints.txt")(s3, published.index.bucket)
    assert f"simple/constraints.txt: {STALE}" in alone()


def test_a_name_that_another_team_has(s3: "S3Client", published: Library) -> None:
    edited("simple/acme-other/", lambda page: page["meta"].update(_team="data"))(  # type: ignore[attr-defined]
        s3, published.index.bucket
    )
    line = f"{OTHER}: the name acme-other is team data's"
    assert line in findings(published)
    before = objects(s3, published.index)["simple/acme-other/"]
    assert line in repaired(published)
    assert objects(s3, published.index)["simple/acme-other/"] == before


def test_a_file_replaced_behind_our_back(
    s3: "S3Client", published: Library, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = wheel(tmp_path / "other", body="evil = 1")
    replaced(WHEEL, other.read_bytes())(s3, published.index.bucket)
    [line] = findings(published)
    assert line.startswith(f"{WHEEL}: released with SHA-256 ")
    assert line.endswith(f"stored with {digest(other)}; restore the object's earlier version")
    assert repaired(published) == [line]
    # The file stays listed with its released digest, so clients refuse it.
    assert findings(published) == [line]
    replaced(WHEEL, wheel(tmp_path).read_bytes())(s3, published.index.bucket)
    assert findings(published) == []


def test_a_file_deleted_behind_our_back(s3: "S3Client", published: Library) -> None:
    deleted(SDIST)(s3, published.index.bucket)
    assert findings(published) == [f"{SDIST}: listed, but missing"]
    assert repaired(published) == [f"{SDIST}: listed, but missing"]
    assert findings(published) == []
    assert notes(published) == []


def test_what_is_not_a_release(s3: "S3Client", published: Library) -> None:
    replaced(f"{FOLDER}notes.txt")(s3, published.index.bucket)
    replaced(f"{FOLDER}acme_common-0.3.0.tar.gz")(s3, published.index.bucket)
    expected = [
        f"{FOLDER}notes.txt: not managed by s3index",
        f"{FOLDER}acme_common-0.3.0.tar.gz: stored, but not part of a release",
    ]
    before = objects(s3, published.index)
    for _ in range(2):
        assert findings(published) == []
        assert notes(published) == expected
        assert repaired(published) == []
    assert objects(s3, published.index) == before


def test_deep_does_not_trust_the_servers_digest(s3: "S3Client", published: Library) -> None:
    assert findings(published, deep=True) == []
    body = b"without a checksum of the server"
    s3.put_object(Bucket=published.index.bucket, Key=SDIST, Body=body)
    assert findings(published)[0].startswith(f"{SDIST}: released with SHA-256")


@pytest.mark.parametrize("encrypted", [False, True], ids=["MD5 as ETag", "encrypted with KMS"])
def test_what_the_listing_shows_is_not_asked_for(
    s3: "S3Client", published: Library, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    if encrypted:
        monkeypatch.setattr(memory, "_etag", lambda body: md5(b"salt" + body).hexdigest())
    bucket = memory.MemoryBucket(objects(s3, published.index))
    asked: list[str] = []

    def perform(request: Request) -> object:
        asked.append(getattr(request, "key", ""))
        return bucket.perform(request)

    def found() -> list[str]:
        report: Report = carry_out(verify(published.index), perform)
        return report.findings

    assert found() == []
    files = {key for key in asked if key.endswith((".whl", ".tar.gz", ".metadata"))}
    # Pages for people show the core metadata of each project's newest release.
    assert len(files) == (7 if encrypted else 2)
    assert (f"{SITE}simple/acme-other/" in asked) == encrypted
    body = bucket.objects[WHEEL]
    bucket.overwrite(WHEEL, body[:-1] + b"x")
    bucket.overwrite("simple/acme-other/", b"{}")
    assert {line.split(": ")[0] for line in found()} == {WHEEL, "simple/acme-other/"}


def test_publish_after_repair(s3: "S3Client", published: Library, tmp_path: Path) -> None:
    deleted(FOLDER)(s3, published.index.bucket)
    repaired(published)
    newer = at(published, "0.3.0")
    assert release(newer, wheel(tmp_path, version="0.3.0"))
    versions = json.loads(objects(s3, published.index)[FOLDER])["versions"]
    assert versions == ["0.1.0", "0.2.0", "0.3.0"]
    assert findings(published) == []


def older(body: bytes) -> bytes:
    """Return an object as another version of the template might have written it."""
    assert RENDERER.encode() in body
    return body.replace(RENDERER.encode(), b"s3index 0.0.9, dumb-pypi 1.14.0", 1) + b" "


@pytest.mark.parametrize("path", ["index.html", "simple/acme-other/"])
def test_a_neighbours_other_version_of_the_template_is_no_finding(
    s3: "S3Client", published: Library, path: str
) -> None:
    key = f"{SITE}{path}"
    body = objects(s3, published.index)[key]
    replaced(key, older(body))(s3, published.index.bucket)
    assert findings(published) == []
    replaced(key, body + b" ")(s3, published.index.bucket)
    assert findings(published) == [f"{key}: not what the pages give"]


@pytest.mark.parametrize("changed", ["digest", "serial"])
def test_an_older_version_hides_no_other_file_and_no_older_state(
    s3: "S3Client", published: Library, changed: str
) -> None:
    key = f"{SITE}simple/acme-other/"
    body = older(objects(s3, published.index)[key])
    digest = re.findall(rb"sha256=[0-9a-f]{8}", body)[0]
    before, after = (digest, b"sha256=00000000") if changed == "digest" else (b":1}", b":0}")
    assert before in body
    replaced(key, body.replace(before, after))(s3, published.index.bucket)
    assert findings(published) == [f"{key}: not what the pages give"]
