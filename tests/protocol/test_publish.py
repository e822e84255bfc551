"""Releases over HTTP write the documented keys; changes to them and taken names are refused."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3index.errors import Refused
from tests.distributions import digest, sdist, wheel
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_first_release_writes_the_documented_keys(
    s3: "S3Client", library: Library, tmp_path: Path
) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    assert release(library, *files)
    stored = objects(s3, library.index)
    folder = "packages/devtools/acme-common/"
    assert set(stored) == {
        "packages/devtools/",
        "packages/devtools/constraints.txt",
        folder,
        f"{folder}release-0.1.json",
        f"{folder}acme_common-0.1.0-py3-none-any.whl",
        f"{folder}acme_common-0.1.0-py3-none-any.whl.metadata",
        f"{folder}acme_common-0.1.0.tar.gz",
        "simple/",
        "simple/acme-common/",
        "simple/constraints.txt",
        "dumb-pypi/devtools/index/index.html",
        "dumb-pypi/devtools/index/feed.xml",
        "dumb-pypi/feed.xml",
        "dumb-pypi/index.html",
        "dumb-pypi/devtools/index/simple/acme-common/",
        "dumb-pypi/devtools/index/simple/acme-common/index.html",
    }
    page = json.loads(stored[folder])
    assert page["versions"] == ["0.1.0"]
    assert [file["hashes"]["sha256"] for file in page["files"]] == [digest(file) for file in files]
    for file in page["files"]:
        assert stored[folder + file["url"]] == (tmp_path / file["filename"]).read_bytes()
    claimed = json.loads(stored[f"{folder}release-0.1.json"])
    assert claimed["files"] == page["files"]
    said = {name: claimed[name] for name in ("name", "version", "uploaded-by", "commit", "time")}
    assert said == {
        "name": "acme-common",
        "version": "0.1.0",
        "uploaded-by": "tests",
        "commit": "0123456789abcdef",
        "time": "2026-01-02T03:04:05Z",
    }
    owned = json.loads(stored["simple/acme-common/"])
    assert owned["meta"]["_team"] == "devtools"
    assert [file["url"] for file in owned["files"]] == [
        f"../../{folder}{file['url']}" for file in page["files"]
    ]


def test_again_is_no_write(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    release(library, *files)
    before = objects(s3, library.index)
    assert not release(library, *files)
    assert objects(s3, library.index) == before


def test_other_bytes_are_refused(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    release(library, wheel(tmp_path), sdist(tmp_path))
    before = objects(s3, library.index)
    with pytest.raises(
        Refused, match=r"acme-common 0\.1\.0 cannot be published: .* with other bytes"
    ):
        release(library, wheel(tmp_path, body="x = 1"))
    assert objects(s3, library.index) == before


def test_two_projects_and_two_teams(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    release(library, wheel(tmp_path))
    release(at(library, "0.2.0"), wheel(tmp_path, version="0.2.0"))
    release(at(library, "1.0", "acme-other"), wheel(tmp_path, "acme-other", "1.0"))
    release(at(library, "1.0", "acme-frames", "data"), wheel(tmp_path, "acme-frames", "1.0"))
    stored = objects(s3, library.index)
    assert pins(stored["packages/devtools/constraints.txt"]) == ["acme-common", "acme-other"]
    assert pins(stored["packages/data/constraints.txt"]) == ["acme-frames"]
    assert pins(stored["simple/constraints.txt"]) == ["acme-common", "acme-frames", "acme-other"]
    assert b"/packages/data/acme-frames/acme_frames-1.0-" in stored["simple/constraints.txt"]
    assert b"acme_common-0.2.0-" in stored["simple/constraints.txt"]
    names = [said["name"] for said in json.loads(stored["packages/data/"])["projects"]]
    assert names == ["acme-frames"]
    teams = {said["name"]: said["_team"] for said in json.loads(stored["simple/"])["projects"]}
    assert teams == {"acme-common": "devtools", "acme-other": "devtools", "acme-frames": "data"}


def pins(constraints: bytes) -> list[str]:
    lines = constraints.decode().splitlines()
    return [line.split(" @ ")[0] for line in lines if " @ " in line]


def test_a_name_of_another_team(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    release(library, wheel(tmp_path))
    before = objects(s3, library.index)
    with pytest.raises(Refused, match=r"The name acme-common belongs to team devtools, which"):
        release(at(library, "9.0", team="data"), wheel(tmp_path, version="9.0"))
    assert objects(s3, library.index) == before


LATER = {
    "a build tag": ("0.1.0", "acme_common-0.1.0-1-py3-none-any.whl"),
    "an equal version": ("0.1", "acme_common-0.1-py3-none-any.whl"),
    "another platform": ("0.1.0", "acme_common-0.1.0-cp312-cp312-macosx_11_0_arm64.whl"),
}


@pytest.mark.parametrize("case", LATER)
def test_a_release_gets_no_further_files(
    s3: "S3Client", library: Library, tmp_path: Path, case: str
) -> None:
    """A later file is refused because pip would run its code for ==0.1.0."""
    release(library, wheel(tmp_path), sdist(tmp_path))
    before = objects(s3, library.index)
    (tmp_path / "later").mkdir()
    version, filename = LATER[case]
    later = wheel(tmp_path / "later", version=version, body="evil = 1").rename(tmp_path / filename)
    told = rf"acme-common {version} is released without {filename}, and a release gets no further"
    with pytest.raises(Refused, match=told):
        release(at(library, version), later, *([sdist(tmp_path)] if "macos" in filename else []))
    assert objects(s3, library.index) == before
