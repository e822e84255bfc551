"""Objects derived from the pages tell clients and people what the pages say."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import msgspec
import pypi_simple
import pytest
from packaging.version import Version

from s3index import pages, people, site
from s3index.claims import new_claim
from s3index.distribution import read
from s3index.pages import ProjectPage, Record
from s3index.settings import Index
from tests.distributions import sdist, wheel

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
URL = "https://acme-packages.s3.eu-central-1.amazonaws.com"
INDEX = Index("devtools", "acme-packages", "eu-central-1", URL)
SITE = "dumb-pypi/devtools/index/"
HTML = f"{SITE}simple/acme-common/"
CONSTRAINTS = "packages/devtools/constraints.txt"


def project(*files: Path, yanked: str = "", reason: bool | str = True) -> ProjectPage:
    """Return a project page with these files; `yanked` is the version that is yanked, if any."""
    found = [read(file) for file in files]
    page = pages.new_project(found[0].project)
    page = pages.add(page, new_claim(found, NOON, "the CI", None).files)
    return pages.mark(page, Version(yanked), reason) if yanked else page


def listing(*found: ProjectPage, team: str | None = None) -> dict[str, Record]:
    return pages.join({}, [pages.record(page, team) for page in found])


def rendered(*found: ProjectPage, index: Index = INDEX) -> dict[str, bytes]:
    """Render the objects of single projects from their pages alone."""
    return site.project_site([(page, None) for page in found], index)


def links(html: str) -> dict[str, str]:
    """Return {text: address} of a page's links."""
    found = re.findall(r'<a\s[^>]*href="([^"]*)"[^>]*>([^<]*)<', html)
    return {text.strip(): unescape(address) for address, text in found}


def test_html_says_what_json_says(tmp_path: Path) -> None:
    page = project(
        wheel(tmp_path), sdist(tmp_path), wheel(tmp_path, version="1.0+a"), yanked="0.1.0"
    )
    html = rendered(page)[HTML].decode()
    shown = pypi_simple.ProjectPage.from_html("acme-common", html, base_url=f"{URL}/{HTML}")
    told = pypi_simple.ProjectPage.from_json_data(
        msgspec.to_builtins(page), base_url=f"{URL}/packages/devtools/acme-common/"
    )
    by_name = {package.filename: package for package in told.packages}
    # Links to other pages have no version, so no client takes them for files.
    packages = [package for package in shown.packages if package.version]
    assert len(packages) == 3
    for package in packages:
        same = by_name[package.filename]
        assert package.url == same.url
        assert package.digests == same.digests
        assert package.requires_python == same.requires_python
        assert package.is_yanked == bool(same.is_yanked)
        assert package.metadata_digests == same.metadata_digests


def test_the_copy_in_the_organisations_namespace_says_the_same(tmp_path: Path) -> None:
    page = project(wheel(tmp_path), sdist(tmp_path), yanked="0.1.0", reason="it leaks")
    body = rendered(page)["simple/acme-common/"]
    assert pages.owner(body, "simple/acme-common/") == "devtools"
    base = "../../packages/devtools/acme-common/"
    copy = pages.parse_project(body, "simple/acme-common/", "acme-common", base)
    # Only the team's page says who uploaded a file.
    files = tuple(msgspec.structs.replace(file, uploaded_by=None) for file in page.files)
    assert (copy.files, copy.serial, copy.versions) == (files, page.serial, page.versions)
    told = pypi_simple.ProjectPage.from_json_data(
        msgspec.json.decode(body), base_url=f"{URL}/simple/acme-common/"
    )
    for package in told.packages:
        assert package.url == f"{URL}/packages/devtools/acme-common/{package.filename}"


def test_the_page_at_the_old_address_leads_to_the_new_one(tmp_path: Path) -> None:
    moved = rendered(project(wheel(tmp_path)))[f"{HTML}index.html"].decode()
    assert '<meta http-equiv="refresh" content="0; url=./">' in moved
    assert links(moved) == {"The project's page": "./"}


def test_a_page_says_how_to_install_before_its_files(tmp_path: Path) -> None:
    html = rendered(project(wheel(tmp_path)))[HTML].decode()
    before, _, after = html.partition('<h2 id="releases">')
    assert f"pip install -c {URL}/simple/constraints.txt acme-common" in before
    assert "acme_common-0.1.0-py3-none-any.whl" in after


def test_html_lists_the_newest_releases_and_leads_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "SHOWN", 2)
    two = project(wheel(tmp_path, version="0.9"), wheel(tmp_path, version="0.10"))
    three = project(*(wheel(tmp_path, version=version) for version in ("0.9", "0.10", "0.11")))
    all_of_them = rendered(two)[HTML].decode()
    assert "All of them (JSON)" not in all_of_them
    assert "acme_common-0.9-" in all_of_them
    newest = rendered(three)
    html = newest[HTML].decode()
    assert "acme_common-0.9-" not in html
    assert "acme_common-0.10-" in html
    assert "The newest 2 releases." in html
    everything = urljoin(f"{URL}/{HTML}", links(html)["All of them (JSON)"])
    assert everything == f"{URL}/packages/devtools/acme-common/"
    assert b"acme_common-0.9-" in newest["simple/acme-common/"]


def test_the_start_page_links_to_projects_where_they_are(tmp_path: Path) -> None:
    records = listing(project(wheel(tmp_path)), project(wheel(tmp_path, "acme-other", "7.0")))
    objects = site.list_site(records, INDEX, INDEX.team)
    start = objects[f"{SITE}index.html"].decode()
    for name in ("acme-common", "acme-other"):
        assert f"{SITE}simple/{name}/" in site.project_keys(INDEX, name)
        assert f'href="simple/{name}/"' in start
    assert '<span class="version">7.0</span>' in start


class Tags(HTMLParser):
    """The tags and comments of a page."""

    def __init__(self, html: str) -> None:
        """Parse a page."""
        super().__init__()
        self.seen: list[str] = []
        self.comments: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag and the names of its attributes."""
        self.seen.append(" ".join([tag, *sorted(name for name, _ in attrs)]))

    def handle_comment(self, data: str) -> None:
        """Keep a comment."""
        self.comments.append(data)


HOSTILE = '"\'><img src=x onerror=alert(1)></a></script><!-- serials {"acme-common": 9} --> ]]>&'


@pytest.mark.parametrize("field", ["yanked", "uploaded_by", "requires_python"])
def test_texts_of_others_stay_texts(tmp_path: Path, field: str) -> None:
    plain = project(wheel(tmp_path), yanked="0.1.0", reason="text")
    [file] = plain.files
    tame, hostile = (
        pages.with_files(plain, [msgspec.structs.replace(file, **{field: text})], 2)
        for text in ("text", HOSTILE)
    )
    objects = rendered(hostile) | site.list_site(listing(hostile), INDEX, INDEX.team)
    expected = rendered(tame) | site.list_site(listing(tame), INDEX, INDEX.team)
    for key, body in objects.items():
        # Nothing rendered from the text can be mistaken for a serial.
        assert site.serials_of(body) == site.serials_of(expected[key])
        if site.content_type(key) == site.HTML:
            shown, same = Tags(body.decode()), Tags(expected[key].decode())
            assert shown.seen == same.seen
            assert shown.comments == same.comments


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["-py3-none-any.whl", ".tar.gz"], "-py3-none-any.whl"),
        (["-cp311-cp311-win_amd64.whl", ".tar.gz"], ".tar.gz"),
        (
            ["-cp312-cp312-win_amd64.whl", "-cp311-cp311-win_amd64.whl"],
            "-cp311-cp311-win_amd64.whl",
        ),
        (["-cp312-cp312-win_amd64.whl", "-py2.py3-none-any.whl"], "-py2.py3-none-any.whl"),
    ],
)
def test_constraints_name_one_file_for_every_platform(files: list[str], chosen: str) -> None:
    names = [f"acme_common-0.1.0{suffix}" for suffix in files]
    entries = [
        pages.File(name, name, pages.Digests(f"{number}" * 64)) for number, name in enumerate(names)
    ]
    page = pages.add(pages.new_project("acme-common"), entries)
    lines = site.constraints(listing(page), INDEX, "team devtools").decode().splitlines()
    digest = f"{files.index(chosen)}" * 64
    assert lines[1:-1] == [
        f"acme-common @ {URL}/packages/devtools/acme-common/acme_common-0.1.0{chosen}"
        f"#sha256={digest}"
    ]


def test_a_project_whose_releases_are_all_yanked(tmp_path: Path) -> None:
    other = project(wheel(tmp_path, "acme-other", "7.0"))
    records = listing(project(wheel(tmp_path), yanked="0.1.0"), other)
    objects = site.list_site(records, INDEX, INDEX.team)
    constraints = objects[CONSTRAINTS].decode().splitlines()
    assert "acme-common <0  # no release to install" in constraints
    assert not [line for line in constraints if line.startswith("acme-common @")]
    start = objects[f"{SITE}index.html"].decode()
    assert 'acme-common</a> <span class="yanked">no release to install</span>' in start
    for body in objects.values():
        assert site.serials_of(body) == {"acme-common": 2, "acme-other": 1}


def test_the_organisations_constraints_name_every_teams_projects(tmp_path: Path) -> None:
    ours = listing(project(wheel(tmp_path)), team="devtools")
    theirs = listing(project(wheel(tmp_path, "acme-frames", "7.0+a")), team="data")
    gone = {"acme-gone": Record("acme-gone", 5, None, "web")}
    objects = site.list_site({**ours, **theirs, **gone}, INDEX, None)
    body = objects["simple/constraints.txt"]
    first, *lines, last = body.decode().splitlines()
    assert first == "# The newest release of each project of the organisation, for pip install -c."
    assert [line.partition("#")[0].rstrip() for line in lines] == [
        f"acme-common @ {URL}/packages/devtools/acme-common/acme_common-0.1.0-py3-none-any.whl",
        f"acme-frames @ {URL}/packages/data/acme-frames/acme_frames-7.0%2Ba-py3-none-any.whl",
        "acme-gone <0",
    ]
    assert last.startswith("# serials {")
    assert site.serials_of(body) == {
        "devtools/acme-common": 1,
        "data/acme-frames": 1,
        "web/acme-gone": 5,
    }


def test_every_rendering_is_the_same(tmp_path: Path) -> None:
    page = project(wheel(tmp_path), sdist(tmp_path))
    assert rendered(page) == rendered(page)
    once, again = (site.list_site(listing(page), INDEX, INDEX.team) for _ in range(2))
    assert once == again


def test_projects_are_rendered_together_as_alone(tmp_path: Path) -> None:
    one, other = project(wheel(tmp_path)), project(wheel(tmp_path, "acme-other", "7.0"))
    alone = rendered(one) | rendered(other)
    assert rendered(one, other) == alone


def test_keys_are_what_is_rendered(tmp_path: Path) -> None:
    index = replace(INDEX, team="data")
    page = project(wheel(tmp_path))
    records = listing(page)
    assert list(rendered(page, index=index)) == site.project_keys(index, "acme-common")
    for team in (index.team, None):
        assert list(site.list_site(records, index, team)) == site.list_keys(index, team)
    # A project with nothing to install keeps its pages.
    empty = rendered(pages.new_project("acme-common"), index=index)
    assert list(empty) == site.project_keys(index, "acme-common")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"<!-- serials {x} -->",
        b'<!-- serials {"a": "b"} -->',
        b'<!-- serials {"a": -1} -->',
        b'<!-- serials {"a": 4503599627370497} -->',
        b'<!-- serials {"../a": 1} -->',
        b'<!-- serials {"a\\n": 1} -->',
        b'<!-- serials {"t/a/b": 1} -->',
        b'<!-- serials {"<img>": 1} -->',
        b'<!-- serials {"\xff": 1} -->',
    ],
)
def test_serials_that_nobody_believes(body: bytes) -> None:
    assert site.serials_of(body) == {}


def test_serials_are_those_of_the_end() -> None:
    body = b'serials {"a": 9} <!-- serials {"a":2,"t/b":3} by s3index 1, dumb-pypi 2 -->\n'
    assert site.serials_of(body) == {"a": 2, "t/b": 3}


def test_what_another_version_rendered_is_the_same_state(tmp_path: Path) -> None:
    page = project(wheel(tmp_path))
    ours = rendered(page)[HTML]
    other = re.sub(rb"by s3index [^,]+,", b"by s3index 9.9.9,", ours)
    assert site.same_state(HTML, other.replace(b"<title>", b"<title>New "), ours)
    # With this version's name, the same difference means that somebody changed the page.
    assert not site.same_state(HTML, ours.replace(b"<title>", b"<title>New "), ours)
    assert not site.same_state(HTML, other.replace(b'"acme-common":1', b'"acme-common":2'), ours)
    assert not site.same_state(HTML, other.replace(page.files[0].digest.encode(), b"0" * 64), ours)
    assert not site.same_state(HTML, b"", ours)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("packages/t/constraints.txt", "text/plain; charset=utf-8"),
        ("simple/constraints.txt", "text/plain; charset=utf-8"),
        ("simple/", "application/vnd.pypi.simple.v1+json"),
        ("simple/p/", "application/vnd.pypi.simple.v1+json"),
        ("dumb-pypi/t/index/simple/p/", "text/html; charset=utf-8"),
        ("dumb-pypi/t/index/index.html", "text/html; charset=utf-8"),
        ("dumb-pypi/t/index/feed.xml", "application/atom+xml; charset=utf-8"),
    ],
)
def test_content_types(key: str, kind: str) -> None:
    assert site.content_type(key) == kind
