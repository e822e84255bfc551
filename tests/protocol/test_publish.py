"""The publisher against an S3 server over HTTP: what is written, where, and what is refused."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.distributions import digest, sdist, wheel
from s3index.config import Config, Refused
from tests.world import at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_first_release_writes_the_documented_keys(
    s3: "S3Client", config: Config, tmp_path: Path
) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    assert release(config, *files)
    stored = objects(s3, config)
    folder = "packages/devtools/acme-common/"
    assert set(stored) == {
        "packages/devtools/",
        "packages/devtools/constraints.txt",
        folder,
        f"{folder}acme_common-0.1.0-py3-none-any.whl",
        f"{folder}acme_common-0.1.0-py3-none-any.whl.metadata",
        f"{folder}acme_common-0.1.0.tar.gz",
        "dumb-pypi/devtools/index/index.html",
        "dumb-pypi/devtools/index/changelog/page1.html",
        "dumb-pypi/devtools/index/simple/",
        "dumb-pypi/devtools/index/simple/index.html",
        "dumb-pypi/devtools/index/simple/acme-common/",
        "dumb-pypi/devtools/index/simple/acme-common/index.html",
        "dumb-pypi/devtools/index/pypi/acme-common/json",
    }
    page = json.loads(stored[folder])
    assert page["versions"] == ["0.1.0"]
    assert [file["hashes"]["sha256"] for file in page["files"]] == [digest(file) for file in files]
    for file in page["files"]:
        assert stored[folder + file["url"]] == (tmp_path / file["filename"]).read_bytes()


def test_again_is_no_write(s3: "S3Client", config: Config, tmp_path: Path) -> None:
    files = wheel(tmp_path), sdist(tmp_path)
    release(config, *files)
    before = objects(s3, config)
    assert not release(config, *files)
    assert objects(s3, config) == before


def test_other_bytes_are_refused(s3: "S3Client", config: Config, tmp_path: Path) -> None:
    release(config, wheel(tmp_path), sdist(tmp_path))
    before = objects(s3, config)
    with pytest.raises(Refused, match=r"0\.1\.0 is released and releases are immutable"):
        release(config, wheel(tmp_path, body="x = 1"))
    assert objects(s3, config) == before


def test_two_projects_and_two_teams(s3: "S3Client", config: Config, tmp_path: Path) -> None:
    release(config, wheel(tmp_path))
    release(at(config, "0.2.0"), wheel(tmp_path, version="0.2.0"))
    release(at(config, "1.0", "acme-other"), wheel(tmp_path, "acme-other", "1.0"))
    release(at(config, "1.0", "acme-other", "data"), wheel(tmp_path, "acme-other", "1.0"))
    stored = objects(s3, config)
    constraints = stored["packages/devtools/constraints.txt"].decode().splitlines()
    assert [line.split(" @ ")[0] for line in constraints if " @ " in line] == [
        "acme-common",
        "acme-other",
    ]
    assert "acme_common-0.2.0-" in constraints[1]
    names = [said["name"] for said in json.loads(stored["packages/data/"])["projects"]]
    assert names == ["acme-other"]
