"""Each client picks the release that the specifications require.

PEP 592 (yanked releases), PEP 440 (pre-releases), PEP 345 (Requires-Python), PEP 503 (names), and
releases that have only a wheel or only an sdist.
"""

import io
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from s3index.publish import yank
from s3index.s3 import Bucket
from s3index.settings import LIST
from tests.clients.clients import Consumer, consumer
from tests.distributions import core_metadata, wheel
from tests.protocol.failing import fails
from tests.world import Library, at, release

pytestmark = pytest.mark.full

# Each requirement, and the version that must come.
PICKED = {
    "acme-yanked": "1.0",
    "acme-early": "1.0",
    "acme-only-early": "2.0rc1",
    "acme-source": "2.0",
    "acme-wheel": "2.0",
    "Acme.Dotted_Name": "2.0",
    "ACME_.-Spelled": "2.0",
}
PINNED = {"acme-yanked": "2.0", "acme-early": "2.0rc1", "acme-wheel": "1.0"}


@pytest.fixture
def client(tmp_path: Path) -> Consumer:
    return consumer(tmp_path / "consumer")


@pytest.fixture(scope="module")
def published() -> list[str]:
    """Return a list for the address of the first test's index; the others only read it."""
    return []


@pytest.fixture
def index(published: list[str], library: Library, tmp_path: Path) -> str:
    """Return the address of an index with every kind of library."""
    if not published:
        publish(library, tmp_path)
        published.append(library.index.address(LIST))
    return published[0]


def publish(library: Library, folder: Path) -> None:
    files = [
        wheel(folder, "acme-yanked", "1.0"),
        wheel(folder, "acme-yanked", "2.0"),
        wheel(folder, "acme-early", "1.0"),
        wheel(folder, "acme-early", "2.0rc1"),
        wheel(folder, "acme-only-early", "2.0rc1"),
        wheel(folder, "acme-modern", "1.0"),
        wheel(folder, "acme-modern", "2.0", requires_python=">=4"),
        wheel(folder, "acme-source", "1.0"),
        source(folder, "acme-source", "2.0"),
        source(folder, "acme-wheel", "1.0"),
        wheel(folder, "acme-wheel", "2.0"),
        wheel(folder, "acme-dotted-name", "2.0"),
        wheel(folder, "acme-spelled", "2.0"),
    ]
    for file in files:
        name, version = file.name.removesuffix(".tar.gz").split("-")[:2]
        release(at(library, version, canonicalize_name(name)), file)
    index = library.index
    Bucket(index).run(yank(index, "acme-yanked", Version("2.0"), "it leaks"))


def source(folder: Path, project: str, version: str) -> Path:
    """Write an sdist that builds itself (PEP 517), so installing it does not need PyPI."""
    built = wheel(folder, project, version)
    name = f"{project.replace('-', '_')}-{version}"
    backend = (
        "import shutil\ndef build_wheel(folder, *_):\n"
        f"    shutil.copy({built.name!r}, folder)\n    return {built.name!r}\n"
    )
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {
        "PKG-INFO": core_metadata(project, version).encode(),
        "pyproject.toml": system.encode(),
        "backend.py": backend.encode(),
        built.name: built.read_bytes(),
    }
    path = folder / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, body in files.items():
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return path


def pip(client: Consumer, index: str, *requirements: str) -> str:
    return client.pip("install", "--index-url", index, *requirements)


def pip_constraints(client: Consumer, index: str, *requirements: str) -> str:
    return client.pip("install", "-c", f"{index}constraints.txt", *requirements)


def uv_pip(client: Consumer, index: str, *requirements: str) -> str:
    return client.uv("pip", "install", "--index", index, *requirements)


def uv_constraints(client: Consumer, index: str, *requirements: str) -> str:
    return client.uv("pip", "install", "-c", f"{index}constraints.txt", *requirements)


def uv_add(client: Consumer, index: str, *requirements: str) -> str:
    return client.uv("add", "--index", f"devtools={index}", *requirements)


def poetry(client: Consumer, index: str, *requirements: str) -> str:
    client.poetry("source", "add", "--priority=primary", "devtools", index)
    return client.poetry("add", *requirements)


Way = Callable[..., str]
FROM_INDEX: list[Way] = [pip, uv_pip, uv_add, poetry]
FROM_CONSTRAINTS: list[Way] = [pip_constraints, uv_constraints]


def installed(client: Consumer, *names: str) -> dict[str, str]:
    """Import the projects; return {name: version}."""
    return {name: client.version(canonicalize_name(name).replace("-", "_")) for name in names}


@pytest.mark.parametrize("way", FROM_INDEX + FROM_CONSTRAINTS)
def test_newest_that_nobody_has_to_ask_for(index: str, client: Consumer, way: Way) -> None:
    way(client, index, *PICKED)
    assert installed(client, *PICKED) == PICKED


@pytest.mark.parametrize("way", FROM_INDEX)
def test_what_is_pinned(index: str, client: Consumer, way: Way) -> None:
    said = way(client, index, *(f"{name}=={version}" for name, version in PINNED.items()))
    assert installed(client, *PINNED) == PINNED
    assert "it leaks" in said


@pytest.mark.parametrize("way", [pip, uv_pip, uv_add])
def test_not_what_needs_a_newer_python(index: str, client: Consumer, way: Way) -> None:
    way(client, index, "acme-modern")
    assert installed(client, "acme-modern") == {"acme-modern": "1.0"}


def test_poetry_goes_by_the_pythons_that_the_project_supports(index: str, client: Consumer) -> None:
    # Without a version, Poetry picks the newest, and only then finds that it does not fit.
    said = fails(poetry, client, index, "acme-modern")
    assert "Using version ^2.0 for acme-modern" in said
    assert "acme-modern requires Python >=4, so it will not be installable" in said
    client.poetry("add", "acme-modern>=1")
    assert installed(client, "acme-modern") == {"acme-modern": "1.0"}


def test_constraints_do_not_ask_which_python_it_is(index: str, client: Consumer) -> None:
    running = ".".join(map(str, sys.version_info[:3]))
    said = fails(pip_constraints, client, index, "acme-modern")
    assert f"'acme-modern' requires a different Python: {running} not in '>=4'" in said
    said = fails(uv_constraints, client, index, "acme-modern")
    assert f"current Python version ({running}) does not satisfy Python>=4" in said
    assert "acme-modern==2.0 depends on Python>=4" in said


def test_constraints_leave_no_choice(index: str, client: Consumer) -> None:
    said = fails(pip_constraints, client, index, "acme-wheel==1.0")
    assert "The conflict is caused by: The user requested acme-wheel==1.0" in said
    assert "The user requested (constraint) acme-wheel (from " in said
    said = fails(uv_constraints, client, index, "acme-wheel==1.0")
    assert "there is no version of acme-wheel==1.0" in said
