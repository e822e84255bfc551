"""Every cell of docs/consumers.md's tables is true: each client, way and version of pip.

PyPI is hostile: it offers all our names at version 99, and its own from-pypi. acme-common of one
team depends on acme-frames of another; the tables need the other projects. The commands are the
page's; only the index's address is replaced, by the test server's.
"""

import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from s3index import install
from s3index.pages import CONTENT_TYPE
from s3index.publish import yank
from s3index.s3 import Bucket
from tests.clients.clients import Consumer, consumer
from tests.clients.hostile import Hostile, hostile
from tests.clients.pips import pip
from tests.clients.test_cooldown import older_than
from tests.distributions import core_metadata, wheel
from tests.docs.printed import blocks, part
from tests.template.baking import TEMPLATE
from tests.world import Library, at, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DOC = (TEMPLATE / "docs" / "consumers.md").read_text()
BASE = "https://acme-packages.s3.eu-central-1.amazonaws.com"
PLOT = "acme-extra ; extra == 'plot'"
RELEASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "acme-extra": ("data", ()),
    "acme-frames": ("data", ("from-pypi", "acme-extra ; extra == 'fast'")),
    "acme-common": ("devtools", ("acme-frames", "from-pypi", PLOT)),
    "acme-deep": ("devtools", ("acme-frames[fast]",)),
    "acme-wants": ("devtools", ("acme-frames>=2",)),
    "acme-build": ("devtools", ()),
}
NEW = "acme-new"
PRIVATE = (*RELEASES, "acme-source", "acme-mac", NEW)


@dataclass(frozen=True)
class Scene:
    """The organisation's index, a hostile PyPI, and a consumer between them."""

    library: Library
    s3: "S3Client"
    hostile: Hostile
    client: Consumer
    folder: Path

    def release(self, project: str, version: str) -> None:
        """Release a wheel of ours."""
        team, requires = RELEASES.get(project, ("devtools", ()))
        made = wheel(self.folder, project, version, requires=requires)
        release(at(self.library, version, project, team), made)

    def get(self, key: str) -> bytes:
        """Return an object of the bucket."""
        return self.s3.get_object(Bucket=self.library.index.bucket, Key=key)["Body"].read()

    def here(self, script: str) -> str:
        """Return a script of the page with the address of this index."""
        return script.replace(BASE, self.library.index.url)

    def outcome(self, script: str, pip: Path | None = None, says: str = "") -> str:
        """Run a script of the page; return the outcome in the page's word.

        `says` is what the client must print if it refuses.
        """
        result = "ours"
        try:
            self.client.shell(self.here(script), pip)
        except AssertionError as stopped:
            result, said = "refused", " ".join(str(stopped).split())
        if result == "refused":
            assert says, said
            assert says in said
            assert not set(PRIVATE) & set(self.client.installed())
        stranger = [path for path in self.hostile.downloads if "/from_pypi-" not in path]
        return "stranger" if stranger else result


@pytest.fixture(scope="module")
def kept() -> list[Library]:
    """Return a list for the bucket shared by ways that change nothing."""
    return []


@pytest.fixture
def way(request: pytest.FixtureRequest) -> "Way":
    """Return a cell's way by (table, name)."""
    ways, name = request.param
    return WAYS[ways][name]


@pytest.fixture
def scene(
    way: "Way",
    kept: list[Library],
    library: Library,
    s3: "S3Client",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    if way.changes or not kept:
        fill(library, tmp_path)
    if not way.changes:
        kept[:] = kept or [library]
        [library] = kept
    with hostile(tmp_path, *PRIVATE, "from-pypi") as stranger:
        for name, value in stranger.settings().items():
            monkeypatch.setenv(name, value)
        yield Scene(library, s3, stranger, consumer(tmp_path / "consumer"), tmp_path)


def fill(library: Library, folder: Path) -> None:
    """Release 1.0 of all our projects except NEW."""
    for project, (team, requires) in RELEASES.items():
        made = wheel(folder, project, "1.0", requires=requires)
        release(at(library, "1.0", project, team), made)
    release(at(library, "1.0", "acme-source"), source(folder, "acme-source", "acme-build"))
    mac = wheel(folder, "acme-mac", "1.0")
    renamed = mac.rename(mac.with_name(mac.name.replace("any", "macosx_11_0_arm64")))
    release(at(library, "1.0", "acme-mac", "data"), renamed, source(folder, "acme-mac"))


def source(folder: Path, project: str, requires: str = "") -> Path:
    """Write the sdist of a project's 1.0, whose build imports its build requirement."""
    name = project.replace("-", "_")
    backend = f"""
import os, zipfile
{requires and "import " + requires.replace("-", "_")}
INFO = "{name}-1.0.dist-info/"
def build_wheel(folder, *_, **__):
    name = "{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        archive.writestr(INFO + "METADATA", open("PKG-INFO").read())
        archive.writestr(INFO + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
                         "Tag: py3-none-any\\n")
        archive.writestr(INFO + "RECORD", "")
    return name
"""
    required = f'requires = ["{requires}"]' if requires else "requires = []"
    files = {
        "PKG-INFO": core_metadata(project, "1.0"),
        "pyproject.toml": f'[build-system]\n{required}\nbuild-backend = "backend"\n'
        'backend-path = ["."]\n',
        "backend.py": backend,
    }
    path = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{file}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def table(heading: str) -> list[tuple[str, str, str]]:
    """Return (way, column, cell) of the table below a heading."""
    rows = re.findall(r"^\| (.*) \|$", part(DOC, heading), re.MULTILINE)
    head, *body = [row.split(" | ") for row in rows]
    return [
        (way, column, cell)
        for way, *cells in body
        for column, cell in zip(head[1:], cells, strict=True)
    ]


def nothing(scene: Scene) -> None:
    """Change nothing."""


def stale(scene: Scene) -> None:
    """Copy the constraints, then release a project that the copy lacks."""
    copy = scene.get(scene.library.index.organization_constraints)
    (scene.client.folder / "constraints.txt").write_bytes(copy)
    scene.release(NEW, "1.0")


def yanked(project: str) -> Callable[[Scene], None]:
    """Yank every release of a project."""

    def before(scene: Scene) -> None:
        index = replace(scene.library.index, team=RELEASES[project][0])
        Bucket(index).run(yank(index, project, Version("1.0"), "it leaks"))

    return before


def young(project: str) -> Callable[[Scene], None]:
    """Make a project's releases too young for Poetry's minimum age."""

    def before(scene: Scene) -> None:
        index = scene.library.index
        key = index.organization_page(project)
        page = json.loads(scene.get(key))
        for file in page["files"]:
            file["upload-time"] = "2999-01-01T00:00:00Z"
        body = json.dumps(page).encode()
        scene.s3.put_object(Bucket=index.bucket, Key=key, Body=body, ContentType=CONTENT_TYPE)
        older_than(scene.client, "1")

    return before


@dataclass(frozen=True)
class Way:
    """A script, the projects it may install, and what happens before it."""

    script: str
    has: tuple[str, ...] = ("acme-common", "acme-frames")
    before: Callable[[Scene], None] = nothing
    then: str = ""
    """The script that upgrades."""
    says: str = ""
    """What the client prints if it refuses."""

    @property
    def changes(self) -> bool:
        """Tell whether the way changes the index."""
        return self.before is not nothing or bool(self.then)

    def outcome(self, scene: Scene, pip: Path | None = None) -> str:
        """Run the way to its end; return the outcome in the page's word."""
        self.before(scene)
        found = scene.outcome(self.script, pip, self.says)
        if found == "ours":
            self.check(scene, "1.0")
        if self.then:
            for project in self.has:
                scene.release(project, "1.1")
            found = scene.outcome(self.then, pip)
            self.check(scene, "1.1")
        return found

    def check(self, scene: Scene, version: str) -> None:
        """Assert that our projects are installed in this version."""
        installed = scene.client.installed()
        assert {name: installed.get(name) for name in self.has} == dict.fromkeys(self.has, version)


def sources(script: str) -> str:
    """Return the lines of a Poetry script that name the sources."""
    return "".join(re.findall("poetry source .*\n", script))


FRAMES = ("acme-frames", "acme-extra")
PLOTTED = ("acme-common", *FRAMES)
DEEP = ("acme-deep", *FRAMES)
SOURCE = ("acme-source",)

CONSTRAIN, UPGRADE, COPY, ADD_NEW, NOTICE, EXTRA, BUILD = blocks(DOC, "## pip")
[REQUIREMENTS] = blocks(DOC, "## pip", "text")
UV, UV_PIP, UV_CONSTRAIN = blocks(DOC, "## uv")
POETRY, TIE = blocks(DOC, "## Poetry")

ASSERTION = "AssertionError"
UNMATCHED = "Could not find a matching version of package"

PIP_WAYS = {
    "constraints": Way(CONSTRAIN),
    "constraints in requirements.txt": Way(
        f"cat > requirements.txt <<'END'\n{REQUIREMENTS}END\npip install -r requirements.txt"
    ),
    "upgrade": Way(CONSTRAIN, then=UPGRADE),
    "copy of the constraints": Way(COPY),
    "name that the copy lacks": Way(f"pip install -c constraints.txt {NEW}", (NEW,), stale),
    "name that was added to the copy": Way(
        f"{ADD_NEW}pip install -c constraints.txt {NEW}", (NEW,), stale
    ),
    "extra": Way(CONSTRAIN.replace("acme-common", "'acme-common[plot]'"), PLOTTED, says=ASSERTION),
    "extra by its line": Way(EXTRA, PLOTTED),
    "dependency with an extra": Way(
        CONSTRAIN.replace("acme-common", "acme-deep"), DEEP, says=ASSERTION
    ),
    "dependency with an extra by its line": Way(
        EXTRA.replace("acme-common", "acme-frames").replace("[plot]", "[fast]").rstrip()
        + " acme-deep",
        DEEP,
    ),
    "build requirement": Way(CONSTRAIN.replace("acme-common", "acme-source"), SOURCE),
    "build requirement, PIP_CONSTRAINT alone": Way(
        re.sub(".*PIP_BUILD_CONSTRAINT.*\n", "", BUILD), SOURCE
    ),
    "build requirement, both variables": Way(BUILD, SOURCE),
    "every release yanked": Way(CONSTRAIN, before=yanked("acme-frames"), says="acme-frames<0"),
    "wheel for another platform": Way(CONSTRAIN.replace("acme-common", "acme-mac"), ("acme-mac",)),
    "extra index, instead of constraints": Way(
        f"pip install --extra-index-url {BASE}/simple/ acme-common"
    ),
}
UV_WAYS = {
    "add": Way(UV),
    "add with an extra": Way(UV.replace("/ acme-common", "/ 'acme-common[plot]'"), PLOTTED),
    "dependency with an extra": Way(UV.replace("/ acme-common", "/ acme-deep"), DEEP),
    "pip install": Way(UV_PIP),
    "build requirement": Way(UV.replace("/ acme-common", "/ acme-source"), SOURCE),
    "no version fits": Way(
        UV.replace("/ acme-common", "/ acme-wants"), says="only acme-frames==1.0 is available"
    ),
    "every release yanked": Way(UV, before=yanked("acme-frames"), says="was yanked"),
    "wheel for another platform": Way(UV.replace("/ acme-common", "/ acme-mac"), ("acme-mac",)),
    "constraints": Way(f"uv {CONSTRAIN}"),
    "build requirement, constraints": Way(
        f"uv {CONSTRAIN}".replace("acme-common", "acme-source"), SOURCE
    ),
    "build requirement, build constraints": Way(UV_CONSTRAIN, SOURCE),
}
POETRY_WAYS = {
    "add": Way(POETRY),
    "add with an extra": Way(POETRY.replace(" acme-common", " 'acme-common[plot]'"), PLOTTED),
    "dependency with an extra": Way(POETRY.replace(" acme-common", " acme-deep"), DEEP),
    "build requirement": Way(POETRY.replace(" acme-common", " acme-source"), SOURCE),
    "no version fits": Way(
        POETRY.replace(" acme-common", " 'acme-common>=2'"), says=f"{UNMATCHED} acme-common"
    ),
    "every release yanked": Way(
        POETRY, before=yanked("acme-common"), says=f"{UNMATCHED} acme-common"
    ),
    "wheel for another platform": Way(POETRY.replace(" acme-common", " acme-mac"), ("acme-mac",)),
    "no version of a dependency fits": Way(POETRY.replace(" acme-common", " acme-wants")),
    "every release of a dependency yanked": Way(POETRY, before=yanked("acme-frames")),
    "dependency too young": Way(POETRY, before=young("acme-frames")),
    "every release of a dependency yanked, dependency tied": Way(
        sources(POETRY) + TIE, before=yanked("acme-frames"), says=f"{UNMATCHED} acme-frames"
    ),
    "dependency too young, dependency tied": Way(
        sources(POETRY) + TIE, before=young("acme-frames"), says=f"{UNMATCHED} acme-frames"
    ),
}


WAYS = {"## pip": PIP_WAYS, "## uv": UV_WAYS, "## Poetry": POETRY_WAYS}
MAIN = {
    ("## uv", "uv", "add"),
    ("## uv", "uv", "no version fits"),
    ("## uv", "uv", "build requirement"),
}
"""The cells that `make test` runs; each takes a second or more."""


def cells(heading: str) -> list[object]:
    """Return a table's cells as parameters; all but MAIN are for `.ci/run full`."""
    return [
        pytest.param(
            (heading, way),
            column,
            cell,
            marks=[] if (heading, column, way) in MAIN else pytest.mark.full,
            id=f"{column}: {way}",
        )
        for way, column, cell in table(heading)
    ]


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    """Return a pip's folder; request it before the scene, whose PyPI lacks pip."""
    return pip(request.param)


@pytest.mark.parametrize(("way", "folder", "cell"), cells("## pip"), indirect=["way", "folder"])
def test_pip(folder: Path, scene: Scene, way: Way, cell: str) -> None:
    assert way.outcome(scene, folder) == cell


@pytest.mark.parametrize(("way", "_", "cell"), cells("## uv"), indirect=["way"])
def test_uv(scene: Scene, way: Way, _: str, cell: str) -> None:
    assert way.outcome(scene) == cell


@pytest.mark.parametrize(("way", "_", "cell"), cells("## Poetry"), indirect=["way"])
def test_poetry(scene: Scene, way: Way, _: str, cell: str) -> None:
    assert way.outcome(scene) == cell


@pytest.mark.parametrize("heading", WAYS)
def test_each_way_is_in_its_table(heading: str) -> None:
    assert list(dict.fromkeys(way for way, _, _ in table(heading))) == list(WAYS[heading])


def test_the_page_has_the_publishers_commands() -> None:
    found = install.commands(BASE, "acme-packages", "acme-common")
    assert {client: f"{command}\n" for client, command in found.items()} == {
        "pip": CONSTRAIN,
        "uv": UV,
        "Poetry": POETRY,
    }


@pytest.mark.full
@pytest.mark.parametrize("folder", ["22.3", "newest"], indirect=True)
@pytest.mark.parametrize("way", [("## pip", "constraints")], indirect=True)
def test_the_strangers_are_noticed(folder: Path, scene: Scene, way: Way) -> None:
    assert way.outcome(scene, folder) == "ours"
    notice = scene.here(NOTICE)
    assert scene.client.shell(notice, folder) == ""
    scene.client.shell("pip install --upgrade --no-deps acme-frames", folder)
    assert scene.client.shell(notice, folder) == "acme-frames==99.0\n"
