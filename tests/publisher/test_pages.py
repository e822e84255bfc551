"""Project pages, claims and lists merge, yank and round-trip correctly, or are refused.

The bucket's objects are untrusted: each rule of the parser has a document that breaks only it.
"""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.version import Version

from s3index import pages
from s3index.claims import dump_claim, new_claim, parse_claim
from s3index.distribution import read
from s3index.errors import Refused
from s3index.pages import File, Malformed, ProjectPage, Record
from tests.distributions import digest, sdist, wheel

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
KEY = "packages/devtools/acme-common/"


def files_of(*paths: Path, by: str | None = "the CI", now: datetime = NOON) -> tuple[File, ...]:
    """Return the project page entries of a release."""
    return new_claim([read(path) for path in paths], now, by, None).files


def page_with(folder: Path, *versions: str) -> ProjectPage:
    """Return a page with a wheel of each version, released one after another."""
    page = pages.new_project("acme-common")
    for version in versions:
        page = pages.add(page, files_of(wheel(folder, version=version)))
    return page


def yanks(page: ProjectPage) -> list[bool | str]:
    return [file.yanked for file in page.files]


# What pages say


def test_an_entry_says_what_the_specifications_ask(tmp_path: Path) -> None:
    east = NOON.astimezone(timezone(timedelta(hours=2)))
    path, source = wheel(tmp_path), sdist(tmp_path)
    plain, entry = msgspec.to_builtins(files_of(source, path, now=east))[::-1]
    assert entry.pop("core-metadata").keys() == {"sha256"}
    assert entry == {
        "filename": path.name,
        "url": path.name,
        "hashes": {"sha256": digest(path)},
        "size": path.stat().st_size,
        "upload-time": "2026-11-22T12:00:00Z",
        "requires-python": ">=3.11",
        "_uploaded-by": "the CI",
    }
    assert plain["filename"] == source.name
    assert "core-metadata" not in plain
    [unsigned] = files_of(path, by=None)
    assert "_uploaded-by" not in msgspec.to_builtins(unsigned)


def test_a_url_is_percent_encoded(tmp_path: Path) -> None:
    # S3 reads a plus sign in a path as a space.
    [file] = files_of(wheel(tmp_path, version="1.0+local.1"))
    assert file.url == "acme_common-1.0%2Blocal.1-py3-none-any.whl"


def test_versions_are_sorted_as_versions(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.10.0", "0.9.0", "1.0rc1")
    assert page.versions == ("0.9.0", "0.10.0", "1.0rc1")
    document = json.loads(pages.dump(page))
    assert document["meta"] == {"api-version": "1.1", "_last-serial": 3}


def test_adding_again_changes_nothing(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.1.0")
    later = files_of(wheel(tmp_path), by="somebody else", now=NOON + timedelta(days=1))
    assert pages.add(page, later) is page


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.1.0")
    with pytest.raises(Refused, match=r"acme-common 0\.1\.0 cannot be published: .*Bump the ver"):
        pages.add(page, files_of(wheel(tmp_path, body="# another build")))


def test_nothing_joins_a_yanked_version(tmp_path: Path) -> None:
    page = pages.mark(page_with(tmp_path, "0.1.0"), Version("0.1.0"), "it leaks")
    with pytest.raises(Refused, match=r"acme-common 0\.1\.0 is yanked\. Unyank it, or bump"):
        pages.add(page, files_of(sdist(tmp_path)))


def test_a_yank_holds_for_its_version_alone(tmp_path: Path) -> None:
    page = pages.mark(page_with(tmp_path, "0.1.0", "0.2.0", "0.3.0"), Version("0.2.0"), True)
    assert yanks(page) == [False, True, False]


def test_yank_and_back(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.1.0", "0.2.0")
    yanked = pages.mark(page, Version("0.1"), "it leaks")
    assert yanks(yanked) == ["it leaks", False]
    assert pages.mark(yanked, Version("0.1.0"), "it leaks") is yanked
    back = pages.mark(yanked, Version("0.1.0"), False)
    assert back.files == page.files
    # Only the serial distinguishes the two states: their content is the same.
    assert back.serial == page.serial + 2


def test_a_yank_of_what_is_not_there_names_the_last_five_versions(tmp_path: Path) -> None:
    page = page_with(tmp_path, *(f"{number}.0" for number in range(1, 8)))
    with pytest.raises(Refused, match=r"acme-common 0\.1 is not .*has 3\.0, 4\.0, 5\.0, 6\.0, 7"):
        pages.mark(page, Version("0.1"), True)
    with pytest.raises(Refused, match=r"the index has no release\.$"):
        pages.mark(pages.new_project("acme-common"), Version("0.3.0"), True)


def test_arguments_are_not_changed(tmp_path: Path) -> None:
    page = page_with(tmp_path, "0.1.0")
    before = pages.dump(page)
    pages.mark(page, Version("0.1.0"), True)
    pages.add(page, files_of(wheel(tmp_path, version="2")))
    assert pages.dump(page) == before


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
    assert (record.latest.version if record.latest else None) == newest
    assert record.last_serial == len(versions) + len(yanked)
    files = record.latest.files if record.latest else ()
    assert files == (page.release(Version(newest)) if newest else ())


def test_join_takes_the_higher_serial() -> None:
    def records(team: str | None = None, **serials: int) -> list[Record]:
        return [Record(name, serial, None, team) for name, serial in serials.items()]

    def joined(one: list[Record], other: list[Record]) -> dict[str, tuple[str | None, int]]:
        both = pages.join(pages.join({}, one), other)
        return {name: (record.team, record.last_serial) for name, record in both.items()}

    assert joined(records(a=2), records(a=1, b=1)) == {"a": (None, 2), "b": (None, 1)}
    assert joined(records(a=1), records(a=2)) == {"a": (None, 2)}
    # A name stays with the team that has it.
    assert joined(records("data", a=1), records("devtools", a=9)) == {"a": ("data", 1)}


def test_of_equal_serials_the_one_that_is_there_stays() -> None:
    told = Record("a", 1, pages.Latest("1", ()))
    assert pages.join({"a": told}, [Record("a", 1)]) == {"a": told}


def test_documents_survive_the_round_trip(tmp_path: Path) -> None:
    page = pages.mark(page_with(tmp_path, "0.1.0", "0.2.0"), Version("0.1.0"), "läuft über 🚰")
    body = pages.dump(page)
    assert pages.parse_project(body, KEY, "acme-common") == page
    assert "läuft über 🚰".encode() in body
    claim = new_claim([read(wheel(tmp_path))], NOON, "the CI", "0123456789abcdef")
    key = f"{KEY}release-0.1.json"
    assert parse_claim(dump_claim(claim), key, claim.name, Version("0.1.0")) == claim
    for team, base in ((None, ""), ("devtools", "../packages/")):
        records = {"acme-common": pages.record(page, team)}
        listed = pages.dump_list(records, base)
        assert pages.parse_list(listed, "simple/", base) == (records, [])
        assert f'"url":"{base}{records["acme-common"].path}/acme_common-0.2.0-'.encode() in listed


def test_a_copy_in_the_organisations_namespace_links_to_the_same_files(tmp_path: Path) -> None:
    page, base = page_with(tmp_path, "0.1.0"), "../../packages/devtools/acme-common/"
    body = pages.dump(page, base)
    assert [file["url"] for file in json.loads(body)["files"]] == [base + page.files[0].url]
    assert pages.parse_project(body, "simple/acme-common/", "acme-common", base) == page
    with pytest.raises(Malformed, match=r"it lists acme_common-0\.1\.0-py3-none-any\.whl at"):
        pages.parse_project(body, KEY, "acme-common")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (None, None),
        ("", None),
        ("\t\r\n\x00", None),
        ("octocat", "octocat"),
        ("octo\n::error::cat", "octo ::error::cat"),
        ("\x1b[31mred\u2028\u202egreen", "[31mred green"),
        ("M\udcfcller", "M ller"),
        ("Müller 🚰", "Müller 🚰"),
        ("a" * 600, "a" * 500),
    ],
)
def test_texts_of_the_environment_become_one_line(text: str | None, kept: str | None) -> None:
    assert pages.line(text) == kept


def test_a_claim_can_be_read_whoever_made_it(tmp_path: Path) -> None:
    found = [read(wheel(tmp_path))]
    for who in ("\udcff" * 3, "x" * 600, "a\x9bb", "\ufffe"):
        claim = new_claim(found, NOON, who, who)
        body = dump_claim(claim)
        assert parse_claim(body, "k", "acme-common", Version("0.1.0")) == claim
        page = pages.add(pages.new_project("acme-common"), claim.files)
        assert pages.parse_project(pages.dump(page), KEY, "acme-common") == page


# What is not ours

FILE: dict[str, Any] = {
    "filename": "a-1.tar.gz",
    "url": "a-1.tar.gz",
    "hashes": {"sha256": "0" * 64},
    "size": 1,
    "upload-time": "2026-11-22T12:00:00Z",
    "requires-python": ">=3.11",
    "core-metadata": {"sha256": "1" * 64},
    "_uploaded-by": "the CI",
    "yanked": "it leaks",
}
META: dict[str, Any] = {"api-version": "1.1", "_last-serial": 1}
PAGE: dict[str, Any] = {"meta": META, "name": "a", "versions": ["1"], "files": [FILE]}
CLAIM: dict[str, Any] = {
    "name": "a",
    "version": "1",
    "files": [FILE],
    "time": "2026-11-22T12:00:00Z",
    "uploaded-by": "the CI",
    "commit": "0123",
}
RECORD: dict[str, Any] = {
    "name": "a",
    "_last-serial": 3,
    "_latest": {"version": "1", "files": [{**FILE, "url": "a/a-1.tar.gz"}]},
}


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def with_file(**changes: object) -> bytes:
    """Return PAGE with changed values in its file; None removes one."""
    file = {**FILE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    file["_uploaded-by"] = file.pop("by", FILE["_uploaded-by"])
    kept = {name: value for name, value in file.items() if value is not None}
    return encoded({**PAGE, "files": [kept]})


def test_the_documents_that_are_damaged_below_are_ours() -> None:
    page = pages.parse_project(encoded(PAGE), KEY, "a")
    assert (page.serial, page.versions, len(page.files)) == (1, ("1",), 1)
    assert parse_claim(encoded(CLAIM), KEY, "a", Version("1.0")).commit == "0123"
    body = encoded({"meta": META, "projects": [RECORD]})
    assert pages.parse_list(body, KEY)[1] == []


LONG = "x" * 501
PAGES: dict[str, tuple[bytes, str]] = {
    "HTML": (b"<html>", "JSON is malformed"),
    "nothing": (b"", "truncated"),
    "no UTF-8": (b'{"meta":{"api-version":"\xff"}}', ""),
    "half a surrogate": (encoded(PAGE).replace(b"it leaks", rb"\ud800"), ""),
    "the other half": (encoded(PAGE).replace(b"it leaks", rb"\udc00"), ""),
    "deep nesting": (b'{"more":' + b"[" * 200_000 + b"]" * 200_000 + b"}", ""),
    "an array": (b"[]", "Expected `object`"),
    "no meta": (b"{}", "missing required field `meta`"),
    "a number as version": (encoded({**PAGE, "meta": {"api-version": 1}}), "Expected `str`"),
    "version 2.0": (encoded({**PAGE, "meta": {**META, "api-version": "2.0"}}), "version 2.0 of"),
    "version 0.9": (encoded({**PAGE, "meta": {**META, "api-version": "0.9"}}), "version 0.9 of"),
    "version 10.0": (encoded({**PAGE, "meta": {**META, "api-version": "10.0"}}), "version 10.0"),
    "a version and a line break": (
        encoded({**PAGE, "meta": {**META, "api-version": "1.1\n"}}),
        "regex",
    ),
    "no serial": (encoded({**PAGE, "meta": {"api-version": "1.1"}}), "it has no _last-serial"),
    "serial -1": (encoded({**PAGE, "meta": {**META, "_last-serial": -1}}), "_last-serial"),
    "serial 2**52+1": (
        encoded({**PAGE, "meta": {**META, "_last-serial": 2**52 + 1}}),
        "_last-serial",
    ),
    "serial 1.5": (encoded({**PAGE, "meta": {**META, "_last-serial": 1.5}}), "_last-serial"),
    "a team that is none": (encoded({**PAGE, "meta": {**META, "_team": "../x"}}), "_team"),
    "another name": (encoded({**PAGE, "name": "b"}), "it names b"),
    "a path as name": (encoded({**PAGE, "name": "/etc/cron.d"}), "regex"),
    "a name that is not normalized": (encoded({**PAGE, "name": "A"}), "regex"),
    "no name": (encoded({key: PAGE[key] for key in PAGE if key != "name"}), "field `name`"),
    "no files": (encoded({key: PAGE[key] for key in PAGE if key != "files"}), "field `files`"),
    "no versions": (encoded({k: PAGE[k] for k in PAGE if k != "versions"}), "field `versions`"),
    "files as object": (encoded({**PAGE, "files": {}}), "Expected `array`"),
    "a string as file": (encoded({**PAGE, "files": ["a-1.tar.gz"]}), "Expected `object`"),
    "a file twice": (encoded({**PAGE, "files": [FILE, FILE]}), "it lists a-1.tar.gz at"),
    "another project's file": (
        with_file(filename="b-1.tar.gz", url="b-1.tar.gz"),
        "it lists b-1.tar.gz at",
    ),
    "no distribution": (with_file(filename="notes.txt", url="notes.txt"), "not the filename|nei"),
    "a filename with a slash": (
        with_file(filename="../a-1.tar.gz", url="../a-1.tar.gz"),
        "not the filename",
    ),
    "a filename with a line break": (
        with_file(filename="a-1\n.tar.gz", url="a-1%0A.tar.gz"),
        "not the filename",
    ),
    "a long filename": (with_file(filename=f"a-1{'0' * 250}.tar.gz"), "length <= 255"),
    "a link elsewhere": (with_file(url="https://evil.example.com/a-1.tar.gz"), "at 'https://evil"),
    "a link up": (with_file(url="../b/a-1.tar.gz"), "at '../b/a"),
    "no link": (with_file(url=None), "field `url`"),
    "no hashes": (with_file(hashes={}), "field `sha256`"),
    "a short digest": (with_file(hashes={"sha256": "0" * 63}), "regex"),
    "a digest in capitals": (with_file(hashes={"sha256": "A" * 64}), "regex"),
    "a digest and a line break": (with_file(hashes={"sha256": "0" * 64 + "\n"}), "regex"),
    "a negative size": (with_file(size=-1), "size"),
    "a size as text": (with_file(size="1"), "size"),
    "a size beyond all": (with_file(size=2**53 + 1), "size"),
    "no time": (with_file(upload_time="noon"), "upload-time"),
    "a time with a zone": (with_file(upload_time="2026-11-22T12:00:00+02:00"), "upload-time"),
    "the 30th of February": (with_file(upload_time="2026-02-30T12:00:00Z"), "day"),
    "25 o'clock": (with_file(upload_time="2026-02-03T25:00:00Z"), "hour"),
    "a long requires-python": (with_file(requires_python=LONG), "length <= 500"),
    "requires-python of two lines": (with_file(requires_python=">=3\n"), "requires-python"),
    "a long uploader": (with_file(by=LONG), "length <= 500"),
    "an uploader with an escape": (with_file(by="\x1b[2J"), "_uploaded-by"),
    "an uploader that is an object": (with_file(by={}), "_uploaded-by"),
    "a long reason": (with_file(yanked=LONG), "length <= 500"),
    "a reason of two lines": (with_file(yanked="a\u2028b"), "yanked"),
    "a number as yank": (with_file(yanked=1), "yanked"),
    "core metadata of another digest": (
        with_file(core_metadata={"sha256": "0"}),
        "core-metadata",
    ),
    "core metadata as text": (with_file(core_metadata="yes"), "core-metadata"),
}


@pytest.mark.parametrize("case", PAGES)
def test_a_project_page_that_is_not_ours(case: str) -> None:
    body, why = PAGES[case]
    with pytest.raises(Malformed, match=f"The object '{KEY}' was not written .*: .*({why})"):
        pages.parse_project(body, KEY, "a")


def test_a_page_that_is_too_large_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LARGEST", 1_000)
    with pytest.raises(Malformed, match="it has more than 1000 bytes"):
        pages.parse_project(encoded(PAGE) + b" " * 1_000, KEY, "a")


def test_what_is_wrong_is_one_printable_line() -> None:
    wrong = encoded({**PAGE, "files": [{**FILE, "url": "\x1b[31m\n::error::\u202e" * 90}]})
    with pytest.raises(Malformed) as caught:
        pages.parse_project(wrong, "packages/\n::error::/\x1b[2J/", "a")
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 600
    assert "repair` as an administrator to rebuild it" in text


@pytest.mark.parametrize("value", [True, False, {"sha256": "1" * 64}, {}])
def test_core_metadata_may_be_as_the_specification_says(value: object) -> None:
    # PEP 714 allows true: clients then fetch core metadata without knowing its digest.
    [file] = pages.parse_project(with_file(core_metadata=value), KEY, "a").files
    assert file.metadata_digest == ("1" * 64 if value == {"sha256": "1" * 64} else None)


def test_what_other_publishers_add_does_no_harm() -> None:
    document = deepcopy(PAGE)
    document["meta"]["api-version"] = "1.4"
    document |= {"project-status": {"status": "active"}, "versions": ["7"]}
    document["files"][0] |= {"gpg-sig": False, "provenance": None}
    page = pages.parse_project(encoded(document), KEY, "a")
    assert page.meta.api_version == "1.4"
    # The files determine which versions there are.
    assert page.versions == ("1",)


CLAIMS: dict[str, dict[str, object]] = {
    "another project's": {**CLAIM, "name": "b"},
    "of another version": {**CLAIM, "files": [{**FILE, "filename": "a-2.tar.gz",
                                               "url": "a-2.tar.gz"}]},
    "of no files": {**CLAIM, "files": []},
    "without a time": {**CLAIM, "time": None},
    "of an odd time": {**CLAIM, "time": "now"},
    "by an object": {**CLAIM, "uploaded-by": {}},
    "from a commit of two lines": {**CLAIM, "commit": "a\nb"},
    "of a file elsewhere": {**CLAIM, "files": [{**FILE, "url": "../a-1.tar.gz"}]},
    "of a file twice": {**CLAIM, "files": [FILE, FILE]},
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS)
def test_a_claim_that_is_not_ours(case: str) -> None:
    with pytest.raises(Malformed, match="The object 'some/key' was not written"):
        parse_claim(encoded(CLAIMS[case]), "some/key", "a", Version("1"))


@pytest.mark.parametrize(
    ("meta", "why"),
    [
        (META, "it names no team"),
        ({**META, "_team": ""}, "_team"),
        ({**META, "_team": "Data"}, "_team"),
        ({**META, "_team": 1}, "_team"),
    ],
)
def test_a_page_without_an_owner(meta: dict[str, object], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        pages.owner(encoded({**PAGE, "meta": meta}), "simple/a/")
    assert pages.owner(encoded({"meta": {**META, "_team": "data"}}), "simple/a/") == "data"


def latest(**changes: object) -> dict[str, object]:
    return {**RECORD, "_latest": {**RECORD["_latest"], **changes}}


RECORDS: dict[str, dict[str, object]] = {
    "no serial that is a number": {**RECORD, "_last-serial": "3"},
    "a serial that nobody believes": {**RECORD, "_last-serial": 2**60},
    "a negative serial": {**RECORD, "_last-serial": -3},
    "an array as release": {**RECORD, "_latest": []},
    "a release without files": {**RECORD, "_latest": {"version": "1"}},
    "a release without a version": {**RECORD, "_latest": {"files": []}},
    "no version": latest(version="one"),
    "another version than its files": latest(version="2"),
    "a file that is none": latest(files=[{}]),
    "a link elsewhere": latest(files=[{**FILE, "url": "https://evil.example.com/a-1.tar.gz"}]),
    "a file twice": latest(files=RECORD["_latest"]["files"] * 2),
    "core metadata that is a number": latest(files=[{**FILE, "core-metadata": 1}]),
    "a team in a team's list": {**RECORD, "_team": "data"},
}


@pytest.mark.parametrize("case", RECORDS)
def test_a_damaged_record_is_damaged_alone(case: str) -> None:
    body = encoded({"meta": META, "projects": [RECORDS[case], {"name": "b", "_last-serial": 7}]})
    records, damaged = pages.parse_list(body, "some/key/")
    assert damaged == ["a"]
    # The project stays listed, so its name stays taken and its page is read again.
    assert records == {"a": Record("a"), "b": Record("b", 7)}


@pytest.mark.parametrize("project", ["a", 5, None, [], {}, {"_last-serial": 1}, {"name": "../a"}])
def test_a_record_without_a_name_is_left_out(project: object) -> None:
    body = encoded({"meta": META, "projects": [project, RECORD]})
    records, damaged = pages.parse_list(body, "some/key/")
    assert (list(records), damaged) == (["a"], ["a project without a name"])


def test_a_record_without_a_team_is_damaged_in_the_organisations_list() -> None:
    body = encoded({"meta": META, "projects": [RECORD]})
    assert pages.parse_list(body, "simple/", "../packages/")[1] == ["a"]


def test_of_two_records_of_a_name_the_first_holds() -> None:
    body = encoded({"meta": META, "projects": [RECORD, {**RECORD, "_last-serial": 9}]})
    assert pages.parse_list(body, "some/key/")[0]["a"].last_serial == 3


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        encoded({"meta": META}),
        encoded({"meta": META, "projects": None}),
        encoded({"projects": []}),
        encoded({"meta": {"api-version": "2.0"}, "projects": []}),
    ],
)
def test_a_list_that_is_not_ours(body: bytes) -> None:
    with pytest.raises(Malformed, match="The object 'some/key/' was not written"):
        pages.parse_list(body, "some/key/")
