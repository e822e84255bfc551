"""The right package: a stranger's project of the same name on PyPI is never taken.

The hostile index of `hostile` is PyPI for every client here. acme-app, acme-common and acme-core
are private and depend on each other in that order; each has a stranger at version 99. Installing,
upgrading and locking anew are done with the commands that our text prints, letter by letter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from s3index import install
from s3index.publish import yank
from s3index.s3 import Bucket
from tests.clients.clients import Consumer, consumer
from tests.clients.hostile import Hostile, hostile
from tests.distributions import wheel
from tests.docs.printed import blocks, commands
from tests.protocol.failing import fails
from tests.world import Library, at, release

PRIVATE = ("acme-app", "acme-common", "acme-core")


@dataclass(frozen=True)
class Scene:
    """A team's index with three libraries, a hostile PyPI, and a consumer between them."""

    library: Library
    hostile: Hostile
    client: Consumer
    folder: Path

    @property
    def text(self) -> str:
        """Return what we print on installing acme-app."""
        return install.text(at(self.library, "1.0", "acme-app"))

    def publish(self, version: str) -> None:
        """Release one version of all three."""
        needs = {"acme-app": ("acme-common",), "acme-common": ("acme-core",)}
        for project in PRIVATE:
            file = wheel(self.folder, project, version, requires=needs.get(project, ()))
            release(at(self.library, version, project), file)

    def versions(self) -> list[str]:
        """Import all three in the consumer's environment; return their versions."""
        return [self.client.version(project.replace("-", "_")) for project in PRIVATE]


@pytest.fixture
def scene(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with hostile(tmp_path, *PRIVATE) as stranger:
        for name, value in stranger.settings().items():
            monkeypatch.setenv(name, value)
        made = Scene(library, stranger, consumer(tmp_path / "consumer"), tmp_path)
        made.publish("1.0")
        yield made


@dataclass(frozen=True)
class Way:
    """A way to install that we print, the way to upgrade, and the one to lock all anew, if any."""

    install: str
    upgrade: str
    relock: str = ""


def ways(text: str) -> dict[str, Way]:
    """Return every way to install that `text` shows, as scripts."""
    pip, upgrade_pip, copy = blocks(text, "### pip")
    [requirements] = blocks(text, "### pip", "text")
    write = f"cat > requirements.txt <<'END'\n{requirements}END\n"
    uv, uv_pip = blocks(text, "### uv")
    lock_app, lock_all, uv_sync = commands(text, "### uv")
    poetry, file = blocks(text, "### Poetry")
    update_app, update_all, poetry_sync = commands(text, "### Poetry")
    sources = "".join(poetry.splitlines(keepends=True)[:2])
    return {
        "pip": Way(pip, upgrade_pip),
        "pip, requirements.txt": Way(
            f"{write}pip install -r requirements.txt", "pip install --upgrade -r requirements.txt"
        ),
        "pip, a copy": Way(copy, copy),
        "uv": Way(uv, f"{lock_app}\n{uv_sync}", f"{lock_all}\n{uv_sync}"),
        "uv pip": Way(uv_pip, uv_pip.replace("install", "install --upgrade")),
        "Poetry": Way(poetry, f"{update_app}\n{poetry_sync}", f"{update_all}\n{poetry_sync}"),
        "Poetry, a file": Way(
            sources + file, file.replace("1.0", "1.1"), f"{update_all}\n{poetry_sync}"
        ),
    }


WAYS = tuple(ways(install.TEXT.read_text(encoding="utf-8")))
FULL = ("pip, a copy", "Poetry, a file")
"""These need curl, or half a minute."""


@pytest.mark.parametrize(
    "name", [pytest.param(way, marks=[pytest.mark.full] * (way in FULL)) for way in WAYS]
)
def test_ours_and_never_the_strangers(scene: Scene, name: str) -> None:
    way = ways(scene.text)[name]
    scene.client.shell(way.install)
    assert scene.versions() == ["1.0"] * 3
    scene.publish("1.1")
    scene.client.shell(way.upgrade)
    # The locks of uv and Poetry keep what the new release can still use.
    assert scene.versions() == (["1.1", "1.0", "1.0"] if way.relock else ["1.1"] * 3)
    if way.relock:
        scene.client.shell(way.relock)
        assert scene.versions() == ["1.1"] * 3
    scene.hostile.silent()


# Not Poetry's for what acme-app needs: the text says to tie such names to the index, too.
@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("pip", "acme-app"),
        ("pip", "acme-core"),
        ("pip, requirements.txt", "acme-common"),
        ("uv", "acme-app"),
        ("uv pip", "acme-core"),
        ("Poetry", "acme-app"),
    ],
)
def test_not_even_if_every_release_of_ours_is_yanked(scene: Scene, name: str, gone: str) -> None:
    settings = at(scene.library, "1.0", gone)
    Bucket(settings).run(yank(settings, settings.version, "it leaks"))
    said = fails(scene.client.shell, ways(scene.text)[name].install)
    assert (f"{gone}<0" in said) == name.startswith("pip")
    scene.hostile.silent()


def test_the_control_falls_for_it(scene: Scene) -> None:
    index = scene.library.address(scene.library.keys.team_page)
    scene.client.pip("install", "--extra-index-url", index, "acme-common")
    assert scene.client.version() == "99.0"
    assert scene.hostile.downloads
    assert scene.hostile.canary.exists()
