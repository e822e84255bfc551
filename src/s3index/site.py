"""What is derived from the pages: dumb-pypi's HTML and constraints.txt, as {key: bytes}.

Each derived object ends by saying which serials of which projects it was made from. A writer
compares them with what it knows, so that no object is ever replaced by an older one.
"""

import json
import re
import tempfile
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dumb_pypi.main import Package, Settings, build_repo
from packaging.version import Version

from s3index import __version__, install
from s3index.config import Config, Keys
from s3index.page import File, Page, serials, version_of

RENDERER = f"s3index {__version__}, dumb-pypi {version('dumb-pypi')}"
SERIALS = re.compile(rb"serials\W+({[^{}]*})")
RENDERED_BY = re.compile(rb"by (s3index [^ ,]+, dumb-pypi [^ \"]+)")
DIGEST = re.compile(rb"\b[0-9a-f]{64}\b")
HTML = "text/html; charset=utf-8"
PHONE = b'<head>\n        <meta name="viewport" content="width=device-width">'
CONTENT_TYPES = {".txt": "text/plain; charset=utf-8", "json": "application/json"}


def content_type(key: str) -> str:
    """Return the Content-Type of a derived object."""
    return CONTENT_TYPES.get(key[-4:], HTML)


def serials_of(body: bytes) -> dict[str, int]:
    """Return the serials that a derived object was made from, none if it does not say."""
    found = SERIALS.findall(body)
    try:
        said = json.loads(found[-1]) if found else {}
    except ValueError:
        return {}
    return {name: number for name, number in said.items() if isinstance(number, int)}


def same_state(body: bytes, other: bytes) -> bool:
    """Tell whether an object is what other versions of s3index or dumb-pypi make of `other`.

    A team's libraries need not all have the same version of the template.
    """
    by = RENDERED_BY.findall(body)
    return (
        bool(by)
        and by[-1] != RENDERER.encode()
        and serials_of(body) == serials_of(other)
        and set(DIGEST.findall(body)) == set(DIGEST.findall(other))
    )


def project_keys(keys: Keys, project: str) -> list[str]:
    """Return the keys of `project_site`."""
    paths = (f"simple/{project}/", f"simple/{project}/index.html", f"pypi/{project}/json")
    return [keys.site(path) for path in paths]


def team_keys(keys: Keys) -> list[str]:
    """Return the keys of `team_site`."""
    paths = ("index.html", "changelog/page1.html", "simple/", "simple/index.html")
    return [keys.constraints, *(keys.site(path) for path in paths)]


def project_site(page: Page, config: Config) -> dict[str, bytes]:
    """Render what depends on one project page: its HTML (twice) and PyPI's JSON of it."""
    name = page["name"]
    made = {name: page["meta"]["_last-serial"]}
    files = [_package(name, file) for file in page["files"]]
    if not files:
        return {}
    rendered = _dumb_pypi({name: set(files)}, "../" * 5, config, projects=True)
    # dumb-pypi's page of a project has the files; how to install it goes before their list.
    how = install.html(replace(config, project=name)).encode()
    html = rendered[f"simple/{name}/index.html"].replace(b"<ul>", how + b"<ul>", 1) + _comment(made)
    document = json.loads(rendered[f"pypi/{name}/json"])
    document |= {"rendered": f"by {RENDERER}", "serials": made}
    bodies = (html, html, json.dumps(document).encode() + b"\n")
    return dict(zip(project_keys(config.keys, name), bodies, strict=True))


def team_site(team: Page, config: Config) -> dict[str, bytes]:
    """Render what depends on the team page: the start page, both lists, and constraints.txt.

    The changelog and the start page show each project's newest release, so that a release costs
    the same however many files the team has.
    """
    made = serials(team)
    newest = {said["name"]: _newest(said) for said in team["projects"]}
    released = {name: files for name, files in newest.items() if files}
    rendered = _dumb_pypi(released, "../" * 4, config)
    # A project whose releases are all yanked has nothing to show, but stays on the list of names.
    withdrawn = {name: {_placeholder(name)} for name in newest.keys() - released.keys()}
    listed = _dumb_pypi(released | withdrawn, "", config) if withdrawn else rendered
    # A list of names was made from the first state of each page, whatever came after: so it does
    # not change with each release, and whoever lacks one of its names is still behind it.
    names = listed.get("simple/index.html", b"") + _comment(dict.fromkeys(made, 1))
    bodies = (
        constraints(team, config),
        rendered["index.html"] + _comment(made),
        rendered.get("changelog/page1.html", b"") + _comment(made),
        names,
        names,
    )
    return dict(zip(team_keys(config.keys), bodies, strict=True))


def constraints(team: Page, config: Config) -> bytes:
    """Return the newest release of each project as `name @ URL#sha256=…` (PEP 440, PEP 508).

    The file is a project's pure-Python wheel, else its sdist: one URL has to do for every
    platform. pip and uv read it with `-c`, and take each of these names from nowhere else; one
    whose releases are all yanked they do not take at all.
    """
    base = config.address(config.keys.team_page)
    lines = [f"# The newest release of each project of {config.team}, for pip install -c."]
    for said in team["projects"]:
        files = said.get("_latest", {"files": []})["files"]
        file = min(files, key=_platforms, default=None)
        if file is None:
            # Without a line the name would be free for PyPI: this lets no version be taken.
            lines.append(f"{said['name']} <0  # every release is yanked")
        else:
            digest = file["hashes"]["sha256"]
            lines.append(f"{said['name']} @ {base}{file['url']}#sha256={digest}")
    lines.append(f"# serials {json.dumps(serials(team))}")
    return "\n".join(lines).encode() + b"\n"


def _platforms(file: File) -> tuple[int, str]:
    name = file["filename"]
    rank = 0 if name.endswith("-none-any.whl") else 1 if name.endswith(".tar.gz") else 2
    return rank, name


class _Hosted(Package):
    """dumb-pypi's package, whose URL has the project's folder in it and is percent-encoded."""

    def url(self, base_url: str, *, include_hash: bool = True) -> str:
        fragment = f"#{self.hash}" if self.hash and include_hash else ""
        return f"{base_url}/{self.name}/{quote(self.filename)}{fragment}"


def _package(name: str, file: File) -> Package:
    version = version_of(file)
    uploaded = file.get("upload-time")
    core_metadata = file.get("core-metadata")
    yanked = file.get("yanked")
    return _Hosted(
        filename=file["filename"],
        name=name,
        version=str(version),
        parsed_version=version,
        hash=f"sha256={file['hashes']['sha256']}",
        requires_dist=None,
        requires_python=file.get("requires-python"),
        core_metadata=f"sha256={core_metadata['sha256']}" if core_metadata else None,
        upload_timestamp=_timestamp(uploaded) if uploaded else None,
        uploaded_by=file.get("_uploaded-by"),
        # dumb-pypi leaves data-yanked out for an empty reason, which PEP 592 allows.
        yanked_reason=(yanked if isinstance(yanked, str) and yanked else "yanked")
        if yanked
        else None,
    )


def _placeholder(name: str) -> Package:
    fields: dict[str, Any] = dict.fromkeys(Package._fields)
    return _Hosted(**{**fields, "filename": name, "name": name, "parsed_version": Version("0")})


def _timestamp(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _newest(said: dict[str, Any]) -> set[Package]:
    files = said.get("_latest", {"files": []})["files"]
    return {_package(said["name"], file) for file in files}


def _dumb_pypi(
    packages: dict[str, set[Package]], to_root: str, config: Config, *, projects: bool = False
) -> dict[str, bytes]:
    """Run dumb-pypi and return what it writes, as {path: bytes}: projects' pages, or the lists."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            output_dir=folder,
            packages_url=f"{to_root}packages/{config.team}",
            title=f"{config.team} packages",
            logo="",
            logo_width=0,
            generate_timestamp=False,
            disable_per_release_json=True,
        )
        # It leaves out the pages of projects that are the same as before, and the lists of names
        # if those are; so before, either the projects were empty or there was one more.
        before = {name: set() for name in packages} if projects else {**packages, "": set()}
        build_repo(packages, before, settings)
        return {
            path.relative_to(folder).as_posix(): path.read_bytes().replace(b"<head>", PHONE, 1)
            for path in Path(folder).rglob("*")
            if path.is_file()
        }


def _comment(made: dict[str, int]) -> bytes:
    return f"<!-- serials {json.dumps(made)} by {RENDERER} -->\n".encode()
