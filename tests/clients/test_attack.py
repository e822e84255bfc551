"""Upgrading and relocking never install a stranger's project.

PyPI is hostile here (`tests.clients.hostile`). Our acme-app depends on our acme-common, which
depends on our acme-core; each has a stranger at version 99. The tables of docs/consumers.md
(test_matrix) show what each client does with a single command.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from s3index import install
from s3index.settings import LIST
from tests.clients.clients import Consumer, consumer
from tests.clients.hostile import Hostile, hostile
from tests.distributions import wheel
from tests.docs.printed import commands
from tests.template.baking import TEMPLATE
from tests.world import Library, at, release

OURS = ("acme-app", "acme-common", "acme-core")
README = (TEMPLATE / "{{cookiecutter.project_slug}}" / "README.md").read_text(encoding="utf-8")
SYNC = {"uv": "\nuv sync", "Poetry": ""}
RELOCK = {"uv": "uv lock --upgrade\nuv sync", "Poetry": "poetry update"}


@dataclass(frozen=True)
class Scene:
    """An index with three libraries, a hostile PyPI, and a consumer between them."""

    library: Library
    hostile: Hostile
    client: Consumer
    folder: Path

    def publish(self, version: str) -> None:
        """Release one version of all three."""
        needs = {"acme-app": ("acme-common",), "acme-common": ("acme-core",)}
        for project in OURS:
            file = wheel(self.folder, project, version, requires=needs.get(project, ()))
            release(at(self.library, version, project), file)

    def versions(self) -> list[str]:
        """Import all three in the consumer's environment; return their versions."""
        return [self.client.version(project.replace("-", "_")) for project in OURS]


@pytest.fixture
def scene(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with hostile(tmp_path, *OURS) as stranger:
        for name, value in stranger.settings().items():
            monkeypatch.setenv(name, value)
        made = Scene(library, stranger, consumer(tmp_path / "consumer"), tmp_path)
        made.publish("1.0")
        yield made


@pytest.mark.parametrize("name", ["uv", pytest.param("Poetry", marks=pytest.mark.full)])
def test_ours_and_never_the_strangers(scene: Scene, name: str) -> None:
    index = scene.library.index
    [upgrade] = commands(README, f"### {name}")
    scene.client.shell(install.commands(index.url, index.bucket, "acme-app")[name])
    assert scene.versions() == ["1.0"] * 3
    scene.publish("1.1")
    # The lock keeps what the new release still accepts.
    scene.client.shell(upgrade.replace("{{ name }}", "acme-app") + SYNC[name])
    assert scene.versions() == ["1.1", "1.0", "1.0"]
    scene.client.shell(RELOCK[name])
    assert scene.versions() == ["1.1"] * 3
    scene.hostile.silent()


@pytest.mark.full
def test_the_control_falls_for_it(scene: Scene) -> None:
    index = scene.library.index.address(LIST)
    scene.client.pip("install", "--extra-index-url", index, "acme-common")
    assert scene.client.version() == "99.0"
    assert scene.hostile.downloads
    assert scene.hostile.canary.exists()
