"""The right package: a stranger's project of the same name on PyPI is never taken.

The hostile index of `hostile` is PyPI for every client here. acme-app, acme-common and acme-core
are private and depend on each other in that order; each has a stranger at version 99.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients import Consumer, consumer
from distributions import wheel
from hostile import Hostile, hostile
from s3index.config import Config
from world import at, release

PRIVATE = ("acme-app", "acme-common", "acme-core")


@dataclass(frozen=True)
class Scene:
    """A team's index with three libraries, a hostile PyPI, and a consumer between them."""

    config: Config
    hostile: Hostile
    client: Consumer
    folder: Path

    @property
    def index(self) -> str:
        """Return the address of the team's index."""
        return self.config.address(self.config.keys.team_page)

    def publish(self, version: str) -> None:
        """Release one version of all three."""
        needs = {"acme-app": ("acme-common",), "acme-common": ("acme-core",)}
        for project in PRIVATE:
            file = wheel(self.folder, project, version, requires=needs.get(project, ()))
            release(at(self.config, version, project), file)

    def versions(self) -> list[str]:
        """Import all three in the consumer's environment; return their versions."""
        return [self.client.version(project.replace("-", "_")) for project in PRIVATE]


@pytest.fixture
def scene(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with hostile(tmp_path, *PRIVATE) as stranger:
        for name, value in stranger.settings().items():
            monkeypatch.setenv(name, value)
        made = Scene(config, stranger, consumer(tmp_path / "consumer"), tmp_path)
        made.publish("1.0")
        yield made


def pip(scene: Scene) -> None:
    scene.client.pip("install", "-c", f"{scene.index}constraints.txt", "acme-app")


def pip_upgrade(scene: Scene) -> None:
    scene.client.pip("install", "--upgrade", "-c", f"{scene.index}constraints.txt", *PRIVATE)


def pip_requirements(scene: Scene) -> None:
    text = f"-c {scene.index}constraints.txt\nacme-app\n"
    (scene.client.folder / "requirements.txt").write_text(text)
    scene.client.pip("install", "-r", "requirements.txt")


def uv_pip(scene: Scene) -> None:
    scene.client.uv("pip", "install", "--index", scene.index, "acme-app")


def uv_pip_upgrade(scene: Scene) -> None:
    scene.client.uv("pip", "install", "--upgrade", "--index", scene.index, "acme-app")


def uv_add(scene: Scene) -> None:
    scene.client.uv("add", "--index", f"devtools={scene.index}", "acme-app")


def uv_upgrade(scene: Scene) -> None:
    scene.client.uv("lock", "--upgrade")
    scene.client.uv("sync")


def poetry(scene: Scene) -> None:
    scene.client.poetry("source", "add", "--priority=primary", "devtools", scene.index)
    scene.client.poetry("source", "add", "--priority=supplemental", "PyPI")
    scene.client.poetry("add", "acme-app")


def poetry_update(scene: Scene) -> None:
    scene.client.poetry("lock")
    scene.client.poetry("update")


def nothing(scene: Scene) -> None:
    pass


WAYS: list[tuple[Callable[[Scene], None], Callable[[Scene], None]]] = [
    (pip, pip_upgrade),
    (pip_requirements, pip_upgrade),
    (uv_pip, uv_pip_upgrade),
    (uv_add, uv_upgrade),
    (poetry, poetry_update),
]


@pytest.mark.parametrize(("install", "upgrade"), WAYS, ids=lambda way: way.__name__)
def test_ours_and_never_the_strangers(
    scene: Scene, install: Callable[[Scene], None], upgrade: Callable[[Scene], None]
) -> None:
    install(scene)
    assert scene.versions() == ["1.0"] * 3
    scene.publish("1.1")
    upgrade(scene)
    assert scene.versions() == ["1.1"] * 3
    scene.hostile.silent()


def test_the_control_falls_for_it(scene: Scene) -> None:
    scene.client.pip("install", "--extra-index-url", scene.index, "acme-common")
    assert scene.client.version() == "99.0"
    assert scene.hostile.downloads
    assert scene.hostile.canary.exists()
