"""verify and repair against an S3 server over HTTP: every kind of damage, named and mended."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from tests.distributions import sdist, wheel
from s3index import site
from s3index.s3 import Bucket
from s3index.publish import yank
from s3index.repair import repair
from s3index.verify import verify
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "packages/devtools/acme-common/"
WHEEL = f"{FOLDER}acme_common-0.1.0-py3-none-any.whl"
SDIST = f"{FOLDER}acme_common-0.1.0.tar.gz"
SITE = "dumb-pypi/devtools/index/"
OTHER = "packages/devtools/acme-other/"


@pytest.fixture
def published(library: Library, tmp_path: Path) -> Config:
    """Publish two versions of one project, of which the newer is yanked, and one of another."""
    release(library, wheel(tmp_path), sdist(tmp_path))
    release(at(library, "0.2.0"), wheel(tmp_path, version="0.2.0"))
    release(at(library, "1.0", "acme-other"), wheel(tmp_path, "acme-other", "1.0"))
    assert Bucket(library.index).run(yank(library, Version("0.2.0"), "it leaks"))
    return config


def findings(library: Library, *, deep: bool = False) -> list[str]:
    return Bucket(library.index).run(verify(library, deep=deep))


def test_a_sound_index(s3: "S3Client", published: Config) -> None:
    before = objects(s3, published)
    assert findings(published) == []
    assert findings(published, deep=True) == []
    assert Bucket(published).run(repair(published)) == []
    assert objects(s3, published) == before


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

MENDED: dict[str, tuple[Damage, list[str]]] = {
    "no project page": (
        deleted(FOLDER),
        [f"{FOLDER}: the page is missing", f"{WHEEL}: stored, but not listed"],
    ),
    "a project page that is not JSON": (
        replaced(FOLDER),
        [f"{FOLDER}: not a page of the simple repository API, version 1"],
    ),
    "no team page": (deleted("packages/devtools/"), ["packages/devtools/: the page is missing"]),
    "a team page that is not JSON": (
        replaced("packages/devtools/"),
        ["packages/devtools/: not a page of the simple repository API, version 1"],
    ),
    "a team page without a project": (
        edited("packages/devtools/", lambda page: page.update(projects=[])),
        ["packages/devtools/: not what the page of acme-other gives"],
    ),
    "a team page with a project that does not exist": (
        edited(
            "packages/devtools/",
            lambda page: page["projects"].append({"name": "ghost", "_last-serial": 3}),  # type: ignore[attr-defined]
        ),
        ["packages/devtools/ghost/: the page is missing"],
    ),
    "no constraints": (
        deleted("packages/devtools/constraints.txt"),
        ["packages/devtools/constraints.txt: missing"],
    ),
    "stale HTML": (
        replaced(f"{SITE}simple/acme-common/index.html"),
        [f"{SITE}simple/acme-common/index.html: not what the pages give"],
    ),
    "no start page": (deleted(f"{SITE}index.html"), [f"{SITE}index.html: missing"]),
    "no core metadata": (deleted(f"{WHEEL}.metadata"), [f"{WHEEL}.metadata: listed, but missing"]),
    "other core metadata": (
        replaced(f"{WHEEL}.metadata"),
        [
            f"{WHEEL}.metadata: stored with another SHA-256 than listed",
            f"{WHEEL}.metadata: not what the distribution holds",
        ],
    ),
    "a file that is not listed": (
        edited(OTHER, lambda page: page.update(files=[], versions=[])),
        [f"{OTHER}acme_other-1.0-py3-none-any.whl: stored, but not listed"],
    ),
    "a wrong size": (
        edited(OTHER, lambda page: page["files"][0].update(size=5)),  # type: ignore[index]
        [f"{OTHER}acme_other-1.0-py3-none-any.whl: listed with 5 bytes, stored is"],
    ),
    "every page": (
        deleted("packages/devtools/", FOLDER, OTHER),
        [f"{OTHER}: the page is missing"],
    ),
    "everything but the files": (
        deleted(
            "packages/devtools/", FOLDER, OTHER, f"{WHEEL}.metadata", f"{SITE}index.html",
            "packages/devtools/constraints.txt", f"{SITE}changelog/page1.html",
            f"{SITE}simple/", f"{SITE}simple/index.html", f"{SITE}simple/acme-common/",
            f"{SITE}simple/acme-common/index.html", f"{SITE}pypi/acme-common/json",
        ),
        [f"{OTHER}: the page is missing"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MENDED)
def test_damage_is_named_and_mended(s3: "S3Client", published: Config, name: str) -> None:
    damage, expected = MENDED[name]
    before = objects(s3, published)
    damage(s3, published.bucket)
    found = findings(published)
    for line in expected:
        assert any(one.startswith(line) for one in found), found
    problems = Bucket(published).run(repair(published))
    assert findings(published) == []
    assert [problem for problem in problems if "ghost" not in problem] == []
    after = objects(s3, published)
    assert set(after) == set(before)
    lost_yanks = name in ("no project page", "every page", "everything but the files")
    lost_yanks = lost_yanks or name == "a project page that is not JSON"
    for key in (FOLDER, OTHER):
        assert plain(after[key], yanks=not lost_yanks) == plain(before[key], yanks=not lost_yanks)


def plain(body: bytes, *, yanks: bool) -> list[dict[str, object]]:
    """Return a page's files without what only the lost page knew."""
    files: list[dict[str, object]] = json.loads(body)["files"]
    for file in files:
        file.pop("_uploaded-by", None)
        # The server dates an object a moment before it dates the answer.
        file["upload-time"] = datetime.fromisoformat(str(file["upload-time"])).date()
        if not yanks:
            file["yanked"] = False
    return files


def test_a_file_replaced_behind_our_back(s3: "S3Client", published: Config, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    replaced(WHEEL, wheel(tmp_path / "other", body="evil = 1").read_bytes())(s3, published.bucket)
    [line, *_] = findings(published)
    assert line.startswith(f"{WHEEL}: listed with SHA-256 ")
    [problem] = Bucket(published).run(repair(published))
    assert problem.startswith(f"{WHEEL}: not the bytes that were released; restore")
    # It stays listed with the digest that was released, so that clients refuse it.
    assert findings(published)[0] == line


def test_a_file_deleted_behind_our_back(s3: "S3Client", published: Config) -> None:
    deleted(SDIST)(s3, published.bucket)
    assert findings(published) == [f"{SDIST}: listed, but missing"]
    assert Bucket(published).run(repair(published)) == [
        f"{SDIST}: listed, but missing; taken off the page"
    ]
    assert findings(published) == []


def test_what_is_no_distribution(s3: "S3Client", published: Config) -> None:
    replaced(f"{FOLDER}notes.txt")(s3, published.bucket)
    replaced(f"{FOLDER}acme_common-0.3.0.tar.gz")(s3, published.bucket)
    assert findings(published) == [
        f"{FOLDER}acme_common-0.3.0.tar.gz: stored, but not listed",
        f"{FOLDER}notes.txt: stored, but not listed",
    ]
    assert Bucket(published).run(repair(published)) == [
        f"{FOLDER}notes.txt: no distribution of acme-common, left out",
        f"{FOLDER}acme_common-0.3.0.tar.gz: damaged, left out; it is no distribution",
    ]


def test_deep_does_not_trust_the_servers_digest(s3: "S3Client", published: Config) -> None:
    assert findings(published, deep=True) == []
    s3.put_object(Bucket=published.bucket, Key=SDIST, Body=b"without a checksum of the server")
    assert findings(published)[0].startswith(f"{SDIST}: listed with SHA-256")


def test_publish_refuses_what_repair_mends(
    s3: "S3Client", published: Config, tmp_path: Path
) -> None:
    deleted(FOLDER)(s3, published.bucket)
    Bucket(published).run(repair(published))
    newer = at(published, "0.3.0")
    assert release(newer, wheel(tmp_path, version="0.3.0"))
    assert json.loads(objects(s3, published)[FOLDER])["versions"] == ["0.1.0", "0.2.0", "0.3.0"]
    assert findings(published) == []


def older(body: bytes) -> bytes:
    """Return an object as another version of the template may have written it."""
    assert site.RENDERER.encode() in body
    return body.replace(site.RENDERER.encode(), b"s3index 0.0.9, dumb-pypi 1.14.0", 1) + b" "


@pytest.mark.parametrize(
    "path", ["index.html", "simple/index.html", "simple/acme-other/", "pypi/acme-other/json"]
)
def test_a_neighbours_other_version_of_the_template_is_no_finding(
    s3: "S3Client", published: Config, path: str
) -> None:
    key = f"{SITE}{path}"
    body = objects(s3, published)[key]
    replaced(key, older(body))(s3, published.bucket)
    assert findings(published) == []
    replaced(key, body + b" ")(s3, published.bucket)
    assert findings(published) == [f"{key}: not what the pages give"]


@pytest.mark.parametrize("changed", ["digest", "serial"])
def test_an_older_version_hides_no_other_file_and_no_older_state(
    s3: "S3Client", published: Config, changed: str
) -> None:
    key = f"{SITE}simple/acme-other/"
    body = older(objects(s3, published)[key])
    digest = re.findall(rb"sha256=[0-9a-f]{8}", body)[0]
    before, after = (digest, b"sha256=00000000") if changed == "digest" else (b": 1}", b": 0}")
    assert before in body
    replaced(key, body.replace(before, after))(s3, published.bucket)
    assert findings(published) == [f"{key}: not what the pages give"]
