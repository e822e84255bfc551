"""A project's page shows the README of its newest release, and nothing that was not released."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from s3index.about import About
from s3index.publish import yank
from s3index.refresh import project_page, read_about
from s3index.repair import repair
from s3index.s3 import Bucket
from s3index.steps import get_all
from tests.distributions import sdist, wheel
from tests.world import Library, at, objects, release, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "packages/devtools/acme-common/"
HTML = "dumb-pypi/devtools/index/simple/acme-common/"
METADATA = f"{FOLDER}acme_common-1.0-py3-none-any.whl.metadata"
CLAIM = f"{FOLDER}release-1.json"


def published(library: Library, folder: Path, version: str) -> Library:
    made = at(library, version)
    log = f"# Changes\n\n## {version}\n\n- Change of {version}\n"
    about = f"Summary: Summary of {version}\n\nREADME of {version}\n"
    release(
        made,
        wheel(folder, version=version, about=about),
        sdist(folder, version=version, about=about, changelog=log),
    )
    return made


def html(s3: "S3Client", library: Library) -> str:
    return s3.get_object(Bucket=library.index.bucket, Key=HTML)["Body"].read().decode()


def about(library: Library) -> About | None:
    bucket = Bucket(library.index)
    key = library.index.project_page(library.name)
    page = project_page(bucket.run(get_all([key]))[key], library.index, library.name)
    return bucket.run(read_about(library.index, page))


def test_an_older_release_that_comes_later_leaves_the_readme(
    s3: "S3Client", library: Library, tmp_path: Path
) -> None:
    published(library, tmp_path, "1.0")
    published(library, tmp_path, "0.9.1")
    text = html(s3, library)
    assert "README of 1.0" in text
    assert "Change of 1.0" in text
    assert "README of 0.9.1" not in text
    assert 'id="v0.9.1"' in text
    assert verified(library).findings == []


def test_a_yank_shows_the_release_before(s3: "S3Client", library: Library, tmp_path: Path) -> None:
    published(library, tmp_path, "0.9.1")
    published(library, tmp_path, "1.0")
    assert Bucket(library.index).run(yank(library.index, library.name, Version("1.0"), "leaks"))
    text = html(s3, library)
    assert "README of 0.9.1" in text
    assert "README of 1.0" not in text
    catalogue = objects(s3, library.index)["dumb-pypi/devtools/index/index.html"].decode()
    assert "Summary of 0.9.1" in catalogue
    assert "Summary of 1.0" not in catalogue


@pytest.mark.parametrize(
    "body",
    [
        b"Summary: Not released\n\nNot released\n",
        *(pytest.param(body, marks=pytest.mark.full) for body in (b"", None)),
    ],
)
def test_core_metadata_that_nobody_released_is_not_shown(
    s3: "S3Client", library: Library, tmp_path: Path, body: bytes | None
) -> None:
    published(library, tmp_path, "1.0")
    before = objects(s3, library.index)
    s3.delete_object(Bucket=library.index.bucket, Key=METADATA)
    if body is not None:
        s3.put_object(Bucket=library.index.bucket, Key=METADATA, Body=body)
    assert about(library) is None
    published(library, tmp_path, "0.9.1")
    text = html(s3, library)
    assert "Not released" not in text
    assert "README of" not in text
    # repair restores lost core metadata from the wheel.
    assert Bucket(library.index).run(repair(library.index)) == []
    assert verified(library).findings == []
    assert objects(s3, library.index)[METADATA] == before[METADATA]
    assert "README of 1.0" in html(s3, library)


def test_a_claim_of_other_files_says_nothing(
    s3: "S3Client", library: Library, tmp_path: Path
) -> None:
    published(library, tmp_path, "1.0")
    claim = json.loads(objects(s3, library.index)[CLAIM])
    claim["changelog"]["text"] = "Not released"
    claim["files"][0]["hashes"]["sha256"] = "0" * 64
    s3.put_object(Bucket=library.index.bucket, Key=CLAIM, Body=json.dumps(claim).encode())
    found = about(library)
    assert found is not None
    assert found.summary == "Summary of 1.0"
    assert found.changelog is None


def test_what_a_claim_names_as_provenance_is_a_link_or_nothing(
    s3: "S3Client", library: Library, tmp_path: Path
) -> None:
    published(library, tmp_path, "1.0")
    claim = json.loads(objects(s3, library.index)[CLAIM])
    for address, shown in {
        "https://github.com/acme/attestations/1": "https://github.com/acme/attestations/1",
        "javascript:alert(1)": None,
        "https://evil.example/acme_common-99-py3-none-any.whl": None,
    }.items():
        body = json.dumps({**claim, "provenance": address}).encode()
        s3.put_object(Bucket=library.index.bucket, Key=CLAIM, Body=body)
        found = about(library)
        assert found is not None
        assert found.provenance == shown
