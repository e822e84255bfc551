"""A team that has published for a while: the objects that each of the three ways has written."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version

from s3index import pages, refresh, site
from s3index.claims import dump_claim
from s3index.distribution import Distribution, new_md5
from s3index.pages import ProjectPage
from s3index.settings import Index
from s3index.steps import Stored
from tests.distributions import core_metadata
from tests.world import Library, claim

NAME = "devtools"
PROJECT = "acme-common"
OURS = "acme-s3index"
"""This publisher's bucket; the others have their own."""
REGION = "eu-central-1"
OWN_FILES = 10
"""Default number of files of the released project: five versions of a wheel and an sdist."""

Objects = dict[str, bytes]


@dataclass(frozen=True)
class Team:
    """A team's number of files, and of the projects that all but its `own` are spread over."""

    files: int
    others: int
    own: int = OWN_FILES

    def projects(self) -> dict[str, int]:
        """Return the number of files of each project."""
        shares = {PROJECT: self.own}
        for number in range(self.others):
            share = (self.files - self.own + 2 * number) // self.others // 2 * 2
            shares[f"acme-library-{number:03}"] = share
        return shares

    def filenames(self) -> list[str]:
        """Return the name of every file, for the list that the blog post's script keeps."""
        return [
            file.filename
            for name, count in self.projects().items()
            for file in distributions(name, count)
        ]


def library() -> Library:
    """Return the team's library that is about to be released."""
    index = Index(NAME, OURS, REGION, f"https://{OURS}.s3.{REGION}.amazonaws.com")
    return Library(index, Path(), PROJECT, "1.0.0")


def distributions(name: str, count: int) -> list[Distribution]:
    """Return the first `count` files of a project: 0.1.0, 0.2.0 and so on."""
    return [
        _distribution(name, f"0.{number + 1}.0", suffix)
        for number in range(count // 2)
        for suffix in ("-py3-none-any.whl", ".tar.gz")
    ]


def s3index_objects(team: Team) -> Objects:
    """Return the objects written by this publisher: files, project pages and derived objects."""
    index = library().index
    objects: Objects = {}
    found = []
    for name, count in team.projects().items():
        page = _page(name, count)
        found.append(page)
        objects[index.project_page(name)] = pages.dump(page)
        # A wheel and an sdist each, in the order of versions.
        files = distributions(name, count)
        for pair in zip(files[::2], files[1::2], strict=True):
            made = claim(pair, "octocat")
            objects[index.claim(name, pair[0].version)] = dump_claim(made)
        for file in files:
            key = index.file(name, file.filename)
            objects[key] = file.filename.encode()
            if file.metadata is not None:
                objects[f"{key}.metadata"] = file.metadata
    described = []
    for page in found:
        stored = {key: Stored(objects[key], "") for key in refresh.described_by(index, page)}
        described.append((page, refresh.describe(index, page, stored)))
    objects |= site.project_site(described, index)
    for scope in refresh.scopes(index):
        records = pages.join({}, [scope.record(page, index, about) for page, about in described])
        objects[scope.key] = pages.dump_list(records, scope.base)
        objects |= scope.render(records, index)
    return objects


def s3pypi_objects(team: Team) -> Objects:
    """Return the objects written by s3pypi: files, and an HTML index of each project."""
    objects: Objects = {}
    folder = library().index.team_list
    for name, count in team.projects().items():
        files = distributions(name, count)
        objects |= {f"{folder}{name}/{file.filename}": b"" for file in files}
        links = "<br>\n".join(
            f'    <a href="{file.filename}#sha256={file.sha256}">{file.filename}</a>'
            for file in files
        )
        objects[f"{folder}{name}/"] = f"<!DOCTYPE html>\n{links}\n".encode()
    return objects


def script_objects(team: Team) -> Objects:
    """Return the files uploaded by the blog post's script, which rewrites its site each time."""
    folder = library().index.team_list
    return {f"{folder}{filename}": b"" for filename in team.filenames()}


def _distribution(name: str, version: str, suffix: str) -> Distribution:
    filename = f"{name.replace('-', '_')}-{version}{suffix}"
    metadata = core_metadata(name, version).encode()
    return Distribution(
        path=Path(filename),
        filename=filename,
        project=NormalizedName(name),
        version=Version(version),
        size=len(filename),
        sha256=sha256(filename.encode()).hexdigest(),
        md5=new_md5(filename.encode()).hexdigest(),
        requires_python=">=3.11",
        metadata=metadata if suffix.endswith(".whl") else None,
    )


def _page(name: str, count: int) -> ProjectPage:
    files = claim(distributions(name, count), "octocat").files if count else ()
    return pages.with_files(pages.new_project(name), files, count // 2)
