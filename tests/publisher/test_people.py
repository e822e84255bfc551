"""Pages and feeds show what core metadata, claims and lists say, and none of it becomes markup."""

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import feedparser
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.version import Version

from s3index import about, people
from s3index.about import About
from s3index.claims import Claim, new_claim
from s3index.distribution import read
from s3index.pages import ProjectPage, Record, add, join, mark, new_project, record
from s3index.people import RENDERER
from s3index.settings import CATALOGUE, FEED, Index
from tests.distributions import core_metadata, sdist, wheel
from tests.world import NOW, Library, at, release

URL = "https://packages.acme.example"
INDEX = Index("devtools", "acme-packages", "eu-central-1", URL)
METADATA = """\
Summary: Retries for every service
License-Expression: MIT
Author-email: "Platform, the team" <platform@example.com>, ops@example.com
Maintainer: Ann
Project-URL: Source, https://git.example.com/acme
Project-URL: Evil, javascript:alert(1)
Project-URL: Wheel, https://evil.example/acme_common-99-py3-none-any.whl
Requires-Dist: acme-core>=2
Requires-Dist: rich>=13 ; extra == 'cli'
Requires-Dist: tomli ; python_version < '3.11'
Requires-Dist: not a requirement
Description-Content-Type: text/markdown

# Usage
"""


def metadata(more: str = METADATA) -> bytes:
    text = core_metadata("acme-common", "0.1.0", about=more)
    return text.replace("Metadata-Version: 2.3", "Metadata-Version: 2.4").encode()


def page_of(*files: Path, by: str = "tests") -> ProjectPage:
    page = new_project("acme-common")
    for file in files:
        page = add(page, new_claim([read(file)], NOW, by, None).files)
    return page


def shown(page: ProjectPage, described: About | None = None, index: Index = INDEX) -> str:
    anchors = {file.filename: f'<a href="{file.url}">{file.filename}</a>' for file in page.files}
    return people.project(page, described, index, anchors).decode()


def records(*found: Record) -> dict[str, Record]:
    return join({}, found)


class Texts(HTMLParser):
    """The elements of a page and their texts."""

    def __init__(self, html: str) -> None:
        """Parse a page."""
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag and its attributes' names."""
        self.tags.append(" ".join([tag, *sorted(name for name, _ in attrs)]))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.texts.append(data.strip())


def test_core_metadata_is_read() -> None:
    found = about.read(metadata(), None)
    assert found.summary == "Retries for every service"
    assert found.licence == "MIT"
    assert found.authors[-2:] == ("ops@example.com", "Ann")
    assert found.links == (("Source", "https://git.example.com/acme"),)
    assert [each.text for each in found.dependencies] == [
        "acme-core>=2",
        'tomli; python_version < "3.11"',
    ]
    assert found.requires_python == ">=3.11"
    assert found.description == "# Usage"
    assert about.required(metadata()) == {"acme-core", "rich", "tomli"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("License: MIT\n", "MIT"),
        (f"License: {'long text ' * 100}\nClassifier: License :: OSI Approved :: X\n", "X"),
        ("Classifier: Typing :: Typed\n", None),
    ],
)
def test_licences(lines: str, said: str | None) -> None:
    assert about.read(metadata(lines), None).licence == said


HEADERS = [
    *("Summary", "Author-email", "Project-URL", "Requires-Dist", "Content-Type", "License"),
    *("Content-Transfer-Encoding", "Keywords", "Description-Content-Type"),
]
PARTS = [
    *("a", "multipart/mixed; boundary=x", "\n--x\n", "base64", "=?utf-8?q?=ff?=", '"', "<a@b>,"),
    *("acme-core", ">=", "9" * 5_000, " ; extra == 'x'", "text/markdown", "\xff", "http://[", ":"),
]


@given(st.lists(st.sampled_from([*(f"\n{name}: " for name in HEADERS), *PARTS, "\n\n"])))
@example(["\nContent-Type: ", "multipart/mixed; boundary=x", "\n\n", "\n--x\n", "\n\n", "a"])
@example(["\nRequires-Dist: ", "acme-core", "<2,>", "9" * 5_000])
@example(["\nRequires-Dist: ", "acme-core", ">=1, " * 200, "<2"])
def test_any_core_metadata_can_be_read(parts: list[str]) -> None:
    body = "".join(parts).lstrip().encode("latin-1")
    shown(new_project("acme-common"), about.read(body, None))
    about.required(body)


def test_a_long_requirement_is_cut_and_still_linked() -> None:
    wanted = ", ".join(f"!=2.{number}" for number in range(200))
    claim = Claim("a", "1", (), "2026-01-01T00:00:00Z", dependencies={"acme-core": "data"})
    found = about.read(metadata(f"Requires-Dist: acme-core {wanted}\n"), claim)
    [dependency] = found.dependencies
    assert len(dependency.text) <= 500
    assert dependency.team == "data"
    assert "data/index/simple/acme-core/" in shown(new_project("acme-common"), found)


def test_dependencies_of_the_organisation_are_links(tmp_path: Path) -> None:
    claim = Claim(
        "acme-common", "0.1.0", (), "2026-01-01T00:00:00Z", dependencies={"acme-core": "data"}
    )
    html = shown(page_of(wheel(tmp_path)), about.read(metadata(), claim))
    assert '<a href="../../../../data/index/simple/acme-core/">acme-core&gt;=2</a>' in html
    assert "<li>tomli; python_version" in html


def test_provenance_is_a_link(tmp_path: Path) -> None:
    where = "https://github.com/acme/acme-common/attestations/1"
    [found] = [read(wheel(tmp_path))]
    claim = new_claim([found], NOW, "tests", None, where)
    html = shown(page_of(found.path), about.read(metadata(), claim))
    assert (
        f'<a href="{where}" rel="nofollow noopener noreferrer">Attestation of this release' in html
    )


HOSTILE = "\"'><img src=x onerror=alert(1)></a></script></style></title>]]>&<!-- x -->"


def test_nothing_in_core_metadata_becomes_markup(tmp_path: Path) -> None:
    fields = ("Summary", "License", "Author", "Author-email", "Maintainer", "Home-page", "Keywords")

    def described(text: str) -> About:
        lines = [f"{field}: {text}" for field in fields]
        lines += [f"Project-URL: {text}, https://a.example/", f"Project-URL: Source, {text}"]
        lines += [f"Requires-Python: {text}", f"Requires-Dist: not {text}"]
        lines += [f"Requires-Dist: acme-core ; python_version == '{text.replace(chr(39), '')}'"]
        return about.read(metadata("\n".join(lines) + "\n"), None)

    page = page_of(wheel(tmp_path))
    hostile, tame = shown(page, described(HOSTILE)), shown(page, described("text"))
    assert Texts(hostile).tags == Texts(tame).tags
    assert HOSTILE in Texts(hostile).texts


def test_a_yank_is_marked_with_its_reason(tmp_path: Path) -> None:
    page = page_of(wheel(tmp_path), wheel(tmp_path, version="0.2.0"))
    page = mark(page, Version("0.1.0"), "loses <records>")
    assert "yanked: loses &lt;records&gt;" in shown(page)
    assert "No release to install." not in shown(page)
    gone = mark(page, Version("0.2.0"), True)
    assert "No release to install." in shown(gone)
    assert "pip install" not in shown(gone)


def test_files_have_size_date_digest_and_uploader(tmp_path: Path) -> None:
    [file] = page_of(wheel(tmp_path), by="ann <x>").files
    path = tmp_path / file.filename
    html = shown(page_of(path, by="ann <x>"))
    assert people._size(path.stat().st_size) in html
    assert f"sha256 {file.digest}" in html
    assert "Uploaded by ann &lt;x&gt;" in html
    assert '<time datetime="2026-01-02T03:04:05Z">2026-01-02</time>' in html


def test_a_page_is_about_its_newest_release(tmp_path: Path) -> None:
    page = page_of(wheel(tmp_path))
    later = new_claim([read(wheel(tmp_path, version="0.2.0"))], NOW + timedelta(1), "ann", None)
    html = shown(add(page, later.files), about.read(metadata(), None))
    assert 'Released <time datetime="2026-01-03T03:04:05Z">2026-01-03</time> by ann</p>' in html
    assert re.search(r"<h3[^>]*>.*Usage.*</h3>", html)


@pytest.mark.parametrize(
    ("size", "said"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (1_234_567, "1.23 MB")],
)
def test_sizes(size: int | None, said: str) -> None:
    assert people._size(size) == said


def test_every_page_has_a_policy_that_fits_it(tmp_path: Path) -> None:
    page = shown(page_of(wheel(tmp_path)))
    listed = people.catalogue({}, INDEX, None).decode()
    for html in (page, listed):
        [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
        policy = policy.replace("&#39;", "'")
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        for tag in ("style", "script"):
            [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
            assert people._source(text) in policy
    assert len(re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0].encode()) <= 8_000


def test_the_catalogue_has_every_team(tmp_path: Path) -> None:
    page = page_of(wheel(tmp_path))
    found = records(
        record(page, "devtools", "Retries & <more>"),
        replace_name(record(page, "data"), "acme-frames"),
    )
    html = people.catalogue(found, INDEX, None).decode()
    assert "<title>Packages</title>" in html
    assert 'href="devtools/index/simple/acme-common/"' in html
    assert 'href="data/index/simple/acme-frames/"' in html
    assert 'data-text="acme-common Retries &amp; &lt;more&gt; devtools"' in html
    assert '<a href="data/index/index.html">data</a>' in html
    assert '<time datetime="2026-01-02T03:04:05Z">2026-01-02</time>' in html


def test_an_organisation_of_one_team_has_that_teams_page(tmp_path: Path) -> None:
    found = records(record(page_of(wheel(tmp_path)), "devtools"))
    html = people.catalogue(found, INDEX, None).decode()
    assert "<title>Packages of devtools</title>" in html
    assert "Teams:" not in html
    assert "All packages" not in html
    assert (
        '<a href="../../index.html">All packages'
        in people.catalogue(found, INDEX, "devtools").decode()
    )


def replace_name(found: Record, name: str) -> Record:
    return Record(name, found.last_serial, found.latest, found.team, found.recent)


def entries(body: bytes) -> list[dict[str, str]]:
    """Check that feedparser finds nothing wrong with a feed; return its entries."""
    parsed = feedparser.parse(body)
    assert not parsed.bozo, parsed.bozo_exception
    assert parsed.version == "atom10"
    assert parsed.feed.id
    assert parsed.feed.updated_parsed
    assert all(each.updated_parsed and each.link and each.author for each in parsed.entries)
    return list(parsed.entries)


def test_a_feed_shows_a_release_once(tmp_path: Path) -> None:
    files = [wheel(tmp_path, version=version) for version in ("0.1.0", "0.2.0", "0.10.0")]
    page = page_of(*files, sdist(tmp_path, version="0.10.0"))
    found = records(record(page, "devtools", "Retries & <more> ￿"))
    body = people.feed(found, INDEX, FEED, CATALOGUE, "Acme")
    assert [each["title"] for each in entries(body)] == [
        "acme-common 0.2.0",
        "acme-common 0.10.0",
        "acme-common 0.1.0",
    ]
    ids = {each["id"] for each in entries(body)}
    assert len(ids) == 3
    assert entries(body)[1]["summary"].rstrip() == "Retries & <more>"
    assert entries(body)[0]["summary"] == "acme-common"
    # After the next release and a yank:
    page = mark(add(page, page_of(wheel(tmp_path, version="1.0")).files), Version("0.1.0"), True)
    later = entries(people.feed(records(record(page, "devtools")), INDEX, FEED, CATALOGUE, "Acme"))
    assert ids & {each["id"] for each in later} == ids - {f"{URL}/{PROJECT}#v0.1.0"}
    assert f"{URL}/{PROJECT}#v1.0" in {each["id"] for each in later}


PROJECT = "dumb-pypi/devtools/index/simple/acme-common/"


def test_an_empty_feed_is_valid() -> None:
    assert entries(people.feed({}, INDEX, FEED, CATALOGUE, "Acme")) == []


@pytest.fixture
def feeds(library: Library, tmp_path: Path) -> Library:
    release(library, wheel(tmp_path), sdist(tmp_path))
    release(at(library, "7.0", "acme-frames", "data"), wheel(tmp_path, "acme-frames", "7.0"))
    return library


def test_feeds_over_http(feeds: Library) -> None:
    """A reader can subscribe to the team's feed and to the organisation's."""
    ours = feedparser.parse(feeds.index.address(feeds.index.site("feed.xml")))
    assert ours.headers["content-type"].startswith("application/atom+xml")
    assert [each.title for each in ours.entries] == ["acme-common 0.1.0"]
    everybody = feedparser.parse(feeds.index.address(FEED))
    assert {each.title for each in everybody.entries} == {"acme-common 0.1.0", "acme-frames 7.0"}
    for each in everybody.entries:
        assert feedparser.parse(each.link).status == 200


def test_the_renderer_names_what_pages_depend_on() -> None:
    assert all(f"{part} " in RENDERER for part in people.PARTS)
    assert re.fullmatch(r"s3index [^ ,]+(, [\w-]+ [^ ,]+)+", RENDERER)


def test_with_an_edge_one_index_is_named_instead_of_pypis(tmp_path: Path) -> None:
    html = shown(page_of(wheel(tmp_path)), None, replace(INDEX, edge=True))
    assert f"pip install --index-url {URL}/simple/ acme-common" in html
    assert "instead of PyPI" in html
