"""The printed install commands work or stop where a store answers 403 for missing keys.

acme-common depends on acme-core, which is private, and on from-pypi, which only PyPI has. PyPI is
hostile: it offers our names too.

AWS answers a reader without s3:ListBucket with 403 AccessDenied where others get 404 NoSuchKey, so
that the reader does not learn which keys exist (Amazon S3 API Reference, GetObject, "Permissions").
moto always answers 404, so a stand-in between readers and moto changes its answers.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from s3index import install
from s3index.settings import LIST
from tests.clients.clients import Consumer, consumer
from tests.clients.hostile import Hostile, hostile
from tests.distributions import wheel
from tests.protocol.failing import fails
from tests.protocol.standin import Answer, Seen, error, forward, standing_in
from tests.world import Library, at, release

pytestmark = pytest.mark.full

STOPPED = "returned a 403 Forbidden error, but uv received a successful response from another"
REMEDY = "consider adding `ignore-error-codes = [403]` to the index's `[[tool.uv.index]]` entry"
NAME = "acme-packages"
AUTHORIZATION = f"Source ({NAME}): Authorization error accessing "


def listed(answer: Answer) -> Answer:
    """Answer a reader with s3:ListBucket: 404 for a missing key."""
    return answer


def unlisted(answer: Answer) -> Answer:
    """Answer a reader without s3:ListBucket: 403 for a missing key."""
    return denied(answer) if answer.status == 404 else answer


def denied(answer: Answer) -> Answer:
    """Answer a reader without any permission."""
    return error(403, "AccessDenied", "Access Denied")


@contextmanager
def readers(library: Library, answered: Callable[[Answer], Answer]) -> Iterator[Library]:
    """Change readers' answers until the block ends; yield the library as they see it."""
    index = library.index
    endpoint = index.endpoint or ""

    def rule(seen: Seen) -> Answer:
        return answered(forward(endpoint, f"/{index.bucket}/{quote(seen.key)}", seen))

    with standing_in(rule, endpoint) as stand_in:
        yield replace(library, index=replace(index, url=f"{stand_in.url}/{index.bucket}"))


@dataclass(frozen=True)
class Scene:
    """The index as some readers see it, PyPI, and a consumer between them."""

    library: Library
    pypi: Hostile
    client: Consumer

    @property
    def index(self) -> str:
        """Return the address of the index."""
        return self.library.index.address(LIST)

    def works(self) -> None:
        """Assert that each project is installed from the right index."""
        modules = ("acme_common", "acme_core", "from_pypi")
        assert [self.client.version(module) for module in modules] == ["1.0", "1.0", "99.0"]
        assert all("/from_pypi-" in path for path in self.pypi.downloads)


@pytest.fixture
def scene(
    request: pytest.FixtureRequest,
    library: Library,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    """Publish for the kind of reader that the test is parametrized with."""
    client = consumer(tmp_path / "consumer")
    with (
        readers(library, request.param) as read,
        hostile(tmp_path, "acme-common", "acme-core", "from-pypi") as pypi,
    ):
        release(at(read, "1.0", "acme-core"), wheel(tmp_path, "acme-core", "1.0"))
        requires = ("acme-core", "from-pypi")
        release(at(read, "1.0"), wheel(tmp_path, version="1.0", requires=requires))
        for name, value in pypi.settings().items():
            monkeypatch.setenv(name, value)
        # The clients that a person finds on PATH.
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        monkeypatch.setenv("PIP_PYTHON", str(client.interpreter))
        yield Scene(read, pypi, client)


def pip(scene: Scene) -> str:
    return printed(scene, "pip")


def uv_add(scene: Scene) -> str:
    return printed(scene, "uv")


def uv_pip(scene: Scene) -> str:
    return scene.client.uv("pip", "install", "--index", scene.index, "acme-common")


def poetry(scene: Scene) -> str:
    return printed(scene, "Poetry")


def printed(scene: Scene, client: str) -> str:
    """Run the commands that the publisher prints for a client."""
    index = scene.library.index
    commands = install.commands(index.url, NAME, scene.library.name)
    return scene.client.run("bash", "-euc", commands[client])


Way = Callable[[Scene], str]
WAYS: list[Way] = [pip, uv_add, uv_pip, poetry]


def to(answered: Callable[[Answer], Answer]) -> pytest.MarkDecorator:
    """Parametrize the scene with a kind of reader."""
    return pytest.mark.parametrize("scene", [answered], indirect=True)


def refused(scene: Scene, way: Way) -> str:
    """Install, which must fail before anything is downloaded from PyPI; return the message."""
    said = fails(lambda: way(scene))
    scene.pypi.silent()
    return said


@to(listed)
@pytest.mark.parametrize("way", WAYS)
def test_with_the_right_to_list(scene: Scene, way: Way) -> None:
    way(scene)
    scene.works()


@to(unlisted)
def test_pip_asks_the_store_for_nothing_that_is_not_there(scene: Scene) -> None:
    assert "403" not in pip(scene)
    scene.works()


@to(unlisted)
def test_poetry_warns_and_goes_on(scene: Scene) -> None:
    assert f"{AUTHORIZATION}{scene.index}from-pypi/" in " ".join(poetry(scene).split())
    scene.works()


@to(unlisted)
@pytest.mark.parametrize("way", [uv_add, uv_pip])
def test_uv_stops_and_says_what_to_do(scene: Scene, way: Way) -> None:
    said = refused(scene, way)
    assert "Because from-pypi was not found in the package registry" in said
    assert f"{scene.index}) {STOPPED}" in said
    assert REMEDY in said


@to(unlisted)
def test_uv_with_the_remedy(scene: Scene) -> None:
    project = scene.client.folder / "pyproject.toml"
    index = f'name = "{NAME}"\nurl = "{scene.index}"\nignore-error-codes = [403]\n'
    project.write_text(f"{project.read_text()}\n[[tool.uv.index]]\n{index}")
    scene.client.uv("add", "acme-common")
    scene.works()


@to(unlisted)
def test_a_name_that_is_nowhere_looks_like_a_missing_right(scene: Scene) -> None:
    said = fails(scene.client.uv, "add", "--index", f"{NAME}={scene.index}", "acme-comon")
    assert f"{scene.index}) returned a 403 Forbidden error. Check that the index URL" in said
    scene.client.poetry("source", "add", "--priority=primary", NAME, scene.index)
    said = fails(scene.client.poetry, "add", "--source", NAME, "acme-comon")
    assert f"{AUTHORIZATION}{scene.index}acme-comon/" in said


@to(denied)
@pytest.mark.parametrize(
    ("way", "message"),
    [
        (pip, "ERROR: 403 Client Error: Forbidden for url: "),
        (uv_add, "returned a 403 Forbidden error. Check that the index URL is correct"),
        (uv_pip, "returned a 403 Forbidden error. Check that the index URL is correct"),
        (poetry, AUTHORIZATION),
    ],
)
def test_off_the_network_nothing_is_installed(scene: Scene, way: Way, message: str) -> None:
    assert message in refused(scene, way)


@to(denied)
def test_the_control_takes_the_strangers_off_the_network(scene: Scene) -> None:
    # Without `--source`, Poetry goes on to PyPI; our commands tie the name to the index.
    scene.client.poetry("source", "add", "--priority=primary", NAME, scene.index)
    scene.client.poetry("source", "add", "--priority=supplemental", "PyPI")
    scene.client.poetry("add", "acme-common")
    assert scene.client.version() == "99.0"
