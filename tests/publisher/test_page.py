"""Project page and team page as plain data: what a merge, a yank and a newest release are."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from tests.distributions import sdist, wheel
from s3index import page as pages
from s3index.config import Refused
from s3index.release import read

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def page_with(folder: Path, *versions: str) -> pages.Page:
    page = pages.new_project("acme-common")
    for version in versions:
        file = read(wheel(folder, version=version))
        page = pages.add(page, [pages.entry(file, NOON, "the CI")])
    return page


def test_an_entry_says_what_the_specifications_ask(tmp_path: Path) -> None:
    east = NOON.astimezone(timezone(timedelta(hours=2)))
    path = wheel(tmp_path)
    entry = pages.entry(read(path), east, "the CI")
    assert entry["filename"] == entry["url"] == path.name
    assert entry["size"] == path.stat().st_size
    assert entry["upload-time"] == "2026-11-22T12:00:00Z"
    assert entry["requires-python"] == ">=3.11"
    assert set(entry["hashes"]) == set(entry["core-metadata"]) == {"sha256"}
    assert (entry["yanked"], entry["_uploaded-by"]) == (False, "the CI")
    plain = pages.entry(read(sdist(tmp_path)), NOON, None)
    assert not {"core-metadata", "_uploaded-by"} & set(plain)


def test_a_url_is_percent_encoded(tmp_path: Path) -> None:
    # S3 reads a plus sign in a path as a space.
    entry = pages.entry(read(wheel(tmp_path, version="1.0+local.1")), NOON, None)
    assert entry["url"] == "acme_common-1.0%2Blocal.1-py3-none-any.whl"


def test_versions_are_sorted_as_versions(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.10.0", "0.9.0", "1.0rc1")
    assert page["versions"] == ["0.9.0", "0.10.0", "1.0rc1"]
    assert page["meta"] == {"api-version": "1.1", "_last-serial": 3}


def test_adding_again_changes_nothing(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.1.0")
    later = pages.entry(read(wheel(tmp_path)), NOON + timedelta(days=1), "somebody else")
    assert pages.add(page, [later]) is page


@pytest.mark.parametrize("digest", ["0" * 64, "f" * 64])
def test_other_bytes_are_refused(tmp_path: Path, digest: str) -> None:
    page = page_with(tmp_path, "0.1.0")
    other = {**page["files"][0], "hashes": {"sha256": digest}}
    with pytest.raises(
        Refused, match=r"acme-common 0\.1\.0 is released and releases are immutable"
    ):
        pages.add(page, [other])


def test_nothing_joins_a_yanked_version(tmp_path: Path) -> None:
    page = pages.mark(page_with(tmp_path, "0.1.0"), Version("0.1.0"), "it leaks")
    with pytest.raises(Refused, match=r"acme-common 0\.1\.0 is yanked"):
        pages.add(page, [pages.entry(read(sdist(tmp_path)), NOON, None)])


def test_a_yank_holds_for_its_version_alone(tmp_path: Path) -> None:
    page = pages.mark(page_with(tmp_path, "0.1.0", "0.2.0", "0.3.0"), Version("0.2.0"), True)
    assert [file["yanked"] for file in page["files"]] == [False, True, False]
    for version in ("0.1.0", "0.3.0"):
        page = pages.add(page, [pages.entry(read(sdist(tmp_path, version=version)), NOON, None)])
    assert len(page["files"]) == 5


def test_arguments_are_not_changed(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.1.0")
    before = json.dumps(page)
    pages.mark(page, Version("0.1.0"), True)
    pages.add(page, [pages.entry(read(wheel(tmp_path, version="2")), NOON, None)])
    assert json.dumps(page) == before


@pytest.mark.parametrize(
    ("versions", "yanked", "newest"),
    [
        (["0.1.0", "0.2.0"], [], "0.2.0"),
        (["0.2.0", "0.1.0"], [], "0.2.0"),
        (["0.1.0", "0.2.0"], ["0.2.0"], "0.1.0"),
        (["0.1.0", "0.2.0rc1"], [], "0.1.0"),
        (["0.2.0rc1", "0.2.0.dev1"], [], "0.2.0rc1"),
        (["0.1.0", "0.2.0rc1"], ["0.1.0"], "0.2.0rc1"),
        (["0.1.0", "0.1.0.post1"], [], "0.1.0.post1"),
        (["0.1.0"], ["0.1.0"], None),
        ([], [], None),
    ],
)
def test_newest(tmp_path: Path, versions: list[str], yanked: list[str], newest: str | None) -> None:
    page = page_with(tmp_path, *versions)
    for version in yanked:
        page = pages.mark(page, Version(version), True)
    record = pages.record(page)
    assert record.get("_latest", {}).get("version") == newest
    assert record["_last-serial"] == len(versions) + len(yanked)
    urls = [file["url"] for file in record.get("_latest", {"files": []})["files"]]
    assert urls == ([f"acme-common/acme_common-{newest}-py3-none-any.whl"] if newest else [])


def test_yank_and_back(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.1.0", "0.2.0")
    yanked = pages.mark(page, Version("0.1"), "it leaks")
    assert [file["yanked"] for file in yanked["files"]] == ["it leaks", False]
    assert pages.mark(yanked, Version("0.1.0"), "it leaks") is yanked
    back = pages.mark(yanked, Version("0.1.0"), False)
    assert back["files"] == page["files"]
    # The serial tells the two states apart, though their content is the same.
    assert back["meta"]["_last-serial"] == page["meta"]["_last-serial"] + 2


def test_a_yank_of_what_is_not_there_names_the_last_five_versions(tmp_path: Path) -> None:
    page = page_with(tmp_path, *(f"{number}.0" for number in range(1, 8)))
    for missing in ("0.1", "9.0"):
        with pytest.raises(Refused, match=r"the index has 3\.0, 4\.0, 5\.0, 6\.0, 7\.0\.$"):
            pages.mark(page, Version(missing), True)


def test_yanking_what_is_not_there(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.1.0")
    with pytest.raises(
        Refused, match=r"acme-common 0\.3\.0 is not released; the index has 0\.1\.0"
    ):
        pages.mark(page, Version("0.3.0"), True)
    with pytest.raises(Refused, match="the index has nothing"):
        pages.mark(pages.new_project("acme-common"), Version("0.3.0"), True)


def test_join_takes_the_higher_serial() -> None:
    def team(**serials: int) -> pages.Page:
        records = [{"name": name, "_last-serial": serial} for name, serial in serials.items()]
        return pages.join(pages.new_team(), records)

    assert pages.serials(team(b=1, a=2)) == {"a": 2, "b": 1}
    assert list(pages.serials(team(b=1, a=2))) == ["a", "b"]
    assert pages.serials(pages.join(team(a=2), team(a=1, b=1)["projects"])) == {"a": 2, "b": 1}
    assert pages.serials(pages.join(team(a=1), team(a=2)["projects"])) == {"a": 2}
    told = {"name": "a", "_last-serial": 1, "_latest": {"version": "1", "files": []}}
    first = pages.join(pages.new_team(), [told])
    assert pages.join(first, team(a=1)["projects"]) is first
    same = team(a=1)
    assert pages.join(same, team(a=1)["projects"]) is same


def test_a_page_survives_the_round_trip(tmp_path: Path) -> None:
    page = pages.mark(page_with(tmp_path, "0.1.0"), Version("0.1.0"), "läuft über 🚰")
    body = pages.dump(page)
    assert pages.dump(pages.parse_project(body, "k")) == body
    assert "läuft über 🚰".encode() in body


def test_what_newer_publishers_wrote_is_kept(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.1.0")
    page = {**page, "project-status": {"status": "active"}}
    page["meta"] = {**page["meta"], "api-version": "1.4"}
    read_back = pages.parse_project(pages.dump(page), "k")
    after = pages.mark(read_back, Version("0.1.0"), True)
    assert after["project-status"] == {"status": "active"}
    assert after["meta"]["api-version"] == "1.4"


META = {"api-version": "1.1", "_last-serial": 1}
FILE = {"filename": "a-1.tar.gz", "url": "a-1.tar.gz", "hashes": {"sha256": "0"}}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "it is not JSON of the simple repository API"),
        (b"\xff", "it is not JSON of the simple repository API"),
        (b"[]", "it is not JSON of the simple repository API"),
        (b"{}", "it is not JSON of the simple repository API"),
        ({"meta": {"api-version": 1}}, "it is not JSON of the simple repository API"),
        ({"meta": {"api-version": "2.0"}}, r"it has version 2\.0 of the API, not 1\.x"),
        ({"meta": {"api-version": "0.9"}}, r"it has version 0\.9 of the API, not 1\.x"),
        ({"meta": META, "name": "a"}, "it has no name or no files"),
        ({"meta": META, "files": []}, "it has no name or no files"),
        ({"meta": {"api-version": "1.1"}, "name": "a", "files": []}, "it has no _last-serial"),
        ({"meta": META, "name": "a", "files": [{}]}, r"it lists \{\}"),
        ({"meta": META, "name": "a", "files": ["a-1.tar.gz"]}, 'it lists "a-1.tar.gz"'),
        ({"meta": META, "name": "a", "files": [FILE | {"url": None}]}, "it lists"),
        ({"meta": META, "name": "a", "files": [FILE | {"hashes": {}}]}, "it lists"),
        ({"meta": META, "name": "a", "files": [FILE | {"filename": "notes.txt"}]}, "it lists"),
    ],
)
def test_a_project_page_that_is_not_ours(body: bytes | dict[str, Any], why: str) -> None:
    stored = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refused, match=f"The page at some/key/ was not written .*: {why}"):
        pages.parse_project(stored, "some/key/")


@pytest.mark.parametrize(
    "projects",
    [
        None,
        ["a"],
        [{"name": "a"}],
        [{"_last-serial": 1}],
        [{"name": "a", "_last-serial": 1, "_latest": []}],
        [{"name": "a", "_last-serial": 1, "_latest": {"version": "1"}}],
        [{"name": "a", "_last-serial": 1, "_latest": {"version": "1", "files": [{}]}}],
    ],
)
def test_a_team_page_that_is_not_ours(projects: object) -> None:
    body = json.dumps({"meta": META, "projects": projects}).encode()
    with pytest.raises(Refused, match="The page at some/key/ was not written"):
        pages.parse_team(body, "some/key/")
