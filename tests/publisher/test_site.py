"""What is rendered from the pages, read back as a client or a person would."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from packaging.version import Version
from pypi_simple import ProjectPage

from tests.distributions import sdist, wheel
from s3index import page as pages
from s3index import site
from s3index.config import Config
from s3index.release import read

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
URL = "https://acme-packages.s3.eu-central-1.amazonaws.com"
CONFIG = Config(
    root=Path(),
    project="acme-common",
    version=Version("0.1.0"),
    team="devtools",
    bucket="acme-packages",
    region="eu-central-1",
    url=URL,
)
SITE = "dumb-pypi/devtools/index/"


def project(*files: Path, yanked: str = "", reason: bool | str = True) -> pages.Page:
    entries = [pages.entry(read(file), NOON, "the CI") for file in files]
    page = pages.add(pages.new_project(str(read(files[0]).project)), entries)
    return pages.mark(page, Version(yanked), reason) if yanked else page


def team(*found: pages.Page) -> pages.Page:
    return pages.join(pages.new_team(), [pages.record(page) for page in found])


@pytest.mark.parametrize("key", ["simple/acme-common/", "simple/acme-common/index.html"])
def test_html_says_what_json_says(tmp_path: Path, key: str) -> None:
    page = project(
        wheel(tmp_path), sdist(tmp_path), wheel(tmp_path, version="1.0+a"), yanked="0.1.0"
    )
    html = site.project_site(page, CONFIG)[SITE + key].decode()
    base = f"{URL}/{SITE}simple/acme-common/"
    shown = ProjectPage.from_html("acme-common", html, base_url=base)
    told = ProjectPage.from_json_data(page, base_url=f"{URL}/packages/devtools/acme-common/")
    by_name = {package.filename: package for package in told.packages}
    assert len(shown.packages) == 3
    for package in shown.packages:
        same = by_name[package.filename]
        assert package.url == same.url
        assert package.digests == same.digests
        assert package.requires_python == same.requires_python
        assert package.is_yanked == same.is_yanked
        assert package.metadata_digests == same.metadata_digests


def test_the_reason_of_a_yank_is_shown_as_text(tmp_path: Path) -> None:
    page = project(wheel(tmp_path), yanked="0.1.0", reason='serials {"acme-common": 9} <b>')
    objects = site.project_site(page, CONFIG)
    html = objects[f"{SITE}simple/acme-common/"].decode()
    assert "<b>" not in html
    for body in objects.values():
        assert site.serials_of(body) == {"acme-common": 2}


def test_pypi_json(tmp_path: Path) -> None:
    page = project(wheel(tmp_path), sdist(tmp_path))
    document = json.loads(site.project_site(page, CONFIG)[f"{SITE}pypi/acme-common/json"])
    assert document["info"]["version"] == "0.1.0"
    assert {file["packagetype"] for file in document["urls"]} == {"bdist_wheel", "sdist"}


def test_the_team_site_links_to_files_in_their_folders(tmp_path: Path) -> None:
    page = team(project(wheel(tmp_path)), project(wheel(tmp_path, "acme-other", "7.0")))
    objects = site.team_site(page, CONFIG)
    changelog = objects[f"{SITE}changelog/page1.html"].decode()
    assert 'href="../../../../packages/devtools/acme-other/acme_other-7.0-' in changelog
    start = objects[f"{SITE}index.html"].decode()
    assert 'href="simple/acme-other/index.html"' in start
    assert "(latest version: 7.0)" in start


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
    listed = [
        {
            "filename": f"acme_common-0.1.0{suffix}",
            "url": f"acme_common-0.1.0{suffix}",
            "hashes": {"sha256": f"digest of {suffix}"},
        }
        for suffix in files
    ]
    page = pages.add(pages.new_project("acme-common"), listed)
    lines = site.constraints(team(page), CONFIG).decode().splitlines()
    assert lines[1:-1] == [
        f"acme-common @ {URL}/packages/devtools/acme-common/acme_common-0.1.0{chosen}"
        f"#sha256=digest of {chosen}"
    ]


def test_a_project_whose_releases_are_all_yanked(tmp_path: Path) -> None:
    other = project(wheel(tmp_path, "acme-other", "7.0"))
    page = team(project(wheel(tmp_path), yanked="0.1.0"), other)
    objects = site.team_site(page, CONFIG)
    constraints = objects["packages/devtools/constraints.txt"].decode()
    assert "acme-common <0  # every release is yanked" in constraints
    assert "acme-common @" not in constraints
    assert ">acme-common</a>" in objects[f"{SITE}simple/"].decode()
    assert "acme-common<" not in objects[f"{SITE}index.html"].decode()
    for key, body in objects.items():
        serial = 1 if "/simple/" in key else 2
        assert site.serials_of(body)["acme-common"] == serial


def test_every_rendering_is_the_same(tmp_path: Path) -> None:
    page = project(wheel(tmp_path), sdist(tmp_path))
    assert site.project_site(page, CONFIG) == site.project_site(page, CONFIG)
    assert site.team_site(team(page), CONFIG) == site.team_site(team(page), CONFIG)


def test_keys_are_what_is_rendered(tmp_path: Path) -> None:
    config = replace(CONFIG, team="data")
    page = project(wheel(tmp_path))
    assert list(site.project_site(page, config)) == site.project_keys(config.keys, "acme-common")
    assert list(site.team_site(team(page), config)) == site.team_keys(config.keys)
    assert site.project_site(pages.new_project("acme-common"), config) == {}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"<!-- serials {x} -->", b'<!-- serials {"a": "b"} -->']
)
def test_serials_of_what_is_not_ours(body: bytes) -> None:
    assert site.serials_of(body) == {}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("packages/t/constraints.txt", "text/plain; charset=utf-8"),
        ("dumb-pypi/t/index/pypi/p/json", "application/json"),
        ("dumb-pypi/t/index/simple/", "text/html; charset=utf-8"),
        ("dumb-pypi/t/index/index.html", "text/html; charset=utf-8"),
    ],
)
def test_content_types(key: str, kind: str) -> None:
    assert site.content_type(key) == kind
