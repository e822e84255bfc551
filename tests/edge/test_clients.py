"""With one index URL, every client takes our projects from the edge, never a stranger's.

Real nginx with docs/examples/nginx.conf, moto as the bucket, and behind it a PyPI that offers
every private name at 99.0 with a canary, and from-pypi honestly. acme-common of devtools needs
acme-frames of data and from-pypi; its extra needs acme-extra of data.
"""

import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.version import Version

from s3index.publish import yank
from s3index.s3 import Bucket
from tests.clients.clients import Consumer, consumer
from tests.clients.hostile import Hostile, hostile
from tests.clients.pips import pip
from tests.clients.tools import path, tools
from tests.clients.web import Machine, certificate
from tests.distributions import wheel
from tests.edge.nginx import nginx, token_line
from tests.template.baking import run
from tests.world import Library, at, release

pytestmark = pytest.mark.full
TOKEN = "a-token-of-the-tests"
RELEASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "acme-extra": ("data", ()),
    "acme-frames": ("data", ("from-pypi",)),
    "acme-common": ("devtools", ("acme-frames", "from-pypi", "acme-extra ; extra == 'plot'")),
}
OTHERS = ("acme-gone", "acme-late", "acme-early", "acme-needs-gone")
OURS = {"acme_common", "acme_frames", "acme_extra"}


@dataclass(frozen=True)
class Scene:
    """The organisation's index and a hostile PyPI behind an edge, and a consumer."""

    library: Library
    edge: Machine
    index: str
    stranger: Hostile
    client: Consumer
    tls: Path
    folder: Path

    def release(self, version: str) -> None:
        """Release a version of all our projects."""
        for project, (team, requires) in RELEASES.items():
            made = wheel(self.folder, project, version, requires=requires)
            if project == "acme-common":
                _add_command(made)
            release(at(self.library, version, project, team), made)

    def awkward(self) -> None:
        """Release projects that cannot be installed or only on request, and a dependent."""
        for project, version, python in (
            ("acme-gone", "1.0", ">=3.9"),
            ("acme-late", "1.0", ">=3.99"),
            ("acme-early", "2.0rc1", ">=3.9"),
        ):
            made = wheel(self.folder, project, version, requires_python=python)
            release(at(self.library, version, project), made)
        needs = wheel(self.folder, "acme-needs-gone", "1.0", requires=("acme-gone",))
        release(at(self.library, "1.0", "acme-needs-gone", "data"), needs)
        index = self.library.index
        Bucket(index).run(yank(index, "acme-gone", Version("1.0"), "it leaks"))

    def shell(self, script: str, pip: Path | None = None) -> str:
        """Run a script as a consumer whose clients know one index URL."""
        if pip:
            return self.client.shell(script, pip)
        settings = {
            **self.client.settings(),
            "PATH": path(tools(), Path(sys.executable).parent),
            "INDEX": self.index,
            "PIP_PYTHON": "",
            "POETRY_NO_INTERACTION": "1",
            "XDG_DATA_HOME": str(self.client.folder / "share"),
            "XDG_CACHE_HOME": str(self.client.folder / "cache"),
            "XDG_CONFIG_HOME": str(self.client.folder / "config"),
        }
        unset = "unset PIP_PYTHON PIP_EXTRA_INDEX_URL\n"
        return run(["bash", "-euc", unset + script], self.client.folder, settings)


def _add_command(made: Path) -> None:
    """Add a command to a wheel: without one, pipx installs nothing."""
    name = "-".join(made.name.split("-")[:2])
    with zipfile.ZipFile(made, "a") as archive:
        entry = "[console_scripts]\nacme-common = acme_common:print\n"
        archive.writestr(zipfile.ZipInfo(f"{name}.dist-info/entry_points.txt"), entry)


@pytest.fixture(params=["token"])
def scene(
    request: pytest.FixtureRequest,
    library: Library,
    endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    tls = certificate(tmp_path)
    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tls))
    private = (*RELEASES, *OTHERS)
    tokens = [token_line(tmp_path, "reader", TOKEN)] if request.param == "token" else None
    with (
        hostile(tmp_path, *private, honest=("from-pypi",)) as stranger,
        nginx(tmp_path / "edge", tls, library.index.url, stranger.url, tokens) as edge,
    ):
        login = f"reader:{TOKEN}@" if tokens else ""
        index = f"https://{login}localhost:{edge.port}/simple/"
        yield Scene(library, edge, index, stranger, consumer(tmp_path / "person"), tls, tmp_path)


PIP = "export PIP_INDEX_URL=$INDEX\n"
UV = "export UV_DEFAULT_INDEX=$INDEX\n"
POETRY = "poetry source add --priority=primary acme $INDEX\n"
PDM = """
export PDM_CHECK_UPDATE=0 PDM_CACHE_DIR=$HOME/pdm
grep -q tool.pdm pyproject.toml || cat >> pyproject.toml <<END
[tool.pdm]
distribution = false
[[tool.pdm.source]]
name = "pypi"
url = "$INDEX"
END
"""
PIPENV = """
export PIPENV_VENV_IN_PROJECT=1 PIPENV_NOSPIN=1 PIPENV_CUSTOM_VENV_NAME= PIPENV_VERBOSITY=-1
unset VIRTUAL_ENV
[ -e Pipfile ] || cat > Pipfile <<END
[[source]]
name = "pypi"
url = "$INDEX"
verify_ssl = true
END
"""
HATCH = """
export PIP_INDEX_URL=$INDEX HATCH_DATA_DIR=$HOME/hatch HATCH_CACHE_DIR=$HOME/hatch-cache
rm -rf .venv
cat > hatch.toml <<END
[envs.default]
skip-install = true
path = ".venv"
dependencies = ["{wanted}"]
END
"""
TOX = """
export PIP_INDEX_URL=$INDEX
cat > tox.ini <<END
[testenv]
skip_install = true
env_dir = {{tox_root}}/.venv
deps = {wanted}
commands = python -c "import acme_common"
END
tox run -q {options}
"""
PIPX = "export PIPX_HOME=$HOME/share/pipx PIPX_DISABLE_SHARED_LIBS_AUTO_UPGRADE=1\n"
REQUIREMENTS = "printf '%s\\n' {wanted} > requirements.in\n"


@dataclass(frozen=True)
class Client:
    """A client's scripts that install, and that upgrade everything installed."""

    install: str
    upgrade: str
    python: str = ".venv/bin/python"


WANTED = "'Acme__Common[plot]'"
CLIENTS = {
    "pip": Client(
        f"{PIP}pip --python .venv/bin/python install -q {{wanted}}",
        f"{PIP}pip --python .venv/bin/python install -q -U --upgrade-strategy eager {{wanted}}",
    ),
    "uv": Client(
        f"{UV}uv add -q {{wanted}}", f"{UV}uv lock -q --upgrade\nuv sync -q\nuv lock -q --check"
    ),
    "uv pip": Client(f"{UV}uv pip install -q {{wanted}}", f"{UV}uv pip install -q -U {{wanted}}"),
    "Poetry": Client(
        f"{POETRY}poetry add -q {{wanted}}", "poetry update -q\npoetry lock -q --regenerate"
    ),
    "PDM": Client(f"{PDM}pdm add -q {{wanted}}", f"{PDM}rm pdm.lock\npdm install -q"),
    "Pipenv": Client(
        f"{PIPENV}pipenv install -q {{wanted}}", f"{PIPENV}pipenv update -q\npipenv lock -q"
    ),
    "Hatch": Client(f"{HATCH}hatch env create", f"{HATCH}hatch env prune\nhatch env create"),
    "Hatch with uv": Client(
        f"{UV}{HATCH}echo 'installer = \"uv\"' >> hatch.toml\nhatch env create",
        f"{UV}{HATCH}echo 'installer = \"uv\"' >> hatch.toml\nhatch env create",
    ),
    "pip-tools": Client(
        f"{PIP}{REQUIREMENTS}pip-compile -q --generate-hashes requirements.in\n"
        "uv pip sync -q --require-hashes --default-index $INDEX requirements.txt",
        f"{PIP}pip-compile -q --generate-hashes --upgrade requirements.in\n"
        "uv pip sync -q --require-hashes --default-index $INDEX requirements.txt",
    ),
    "tox": Client(TOX.replace("{options}", ""), TOX.replace("{options}", "-r")),
    "pipx": Client(
        f"{PIPX}{PIP}pipx install -q --backend pip {{wanted}}",
        f"{PIPX}{PIP}pipx upgrade -q --pip-args='--upgrade-strategy eager' acme-common",
        "share/pipx/venvs/acme-common/bin/python",
    ),
    # The default if uv is installed.
    "pipx with uv": Client(
        f"{PIPX}{UV}pipx install -q --backend uv {{wanted}}",
        f"{PIPX}{UV}pipx upgrade -q acme-common",
        "share/pipx/venvs/acme-common/bin/python",
    ),
}

AWKWARD = [name for name in CLIENTS if name != "tox" and not name.startswith("pipx")]
"""Clients that also try projects without an installable release."""


def filled(script: str, wanted: str) -> str:
    """Return a script that installs a requirement."""
    bare = wanted.strip("'")
    quoted = script.startswith((HATCH[:40], f"{UV}{HATCH}"[:40], TOX[:20]))
    text = script.replace("{wanted}", bare if quoted else wanted)
    return text.replace("{{", "{").replace("}}", "}")


def versions(scene: Scene, client: Client) -> dict[str, str]:
    """Return {project: version} that a client has installed, of ours and from-pypi."""
    code = (
        "from importlib.metadata import *\n"
        "for d in distributions(): print(d.name.replace('-', '_'), d.version)"
    )
    python = scene.client.folder / client.python
    if not python.exists():
        return {}
    lines = run([python, "-c", code], scene.client.folder).splitlines()
    found = dict(line.split() for line in lines)
    return {name: found[name] for name in found if name.startswith(("acme", "from_pypi"))}


@pytest.mark.parametrize(
    ("name", "scene"),
    [*((name, "token") for name in CLIENTS), *((name, "open") for name in ("pip", "uv", "Poetry"))],
    indirect=["scene"],
)
def test_one_url_and_nothing_else(name: str, scene: Scene) -> None:
    client = CLIENTS[name]
    scene.release("1.0")
    scene.shell(filled(client.install, WANTED))
    assert versions(scene, client) == dict.fromkeys(OURS | {"from_pypi"}, "1.0")
    scene.release("1.1")
    scene.shell(filled(client.upgrade, WANTED))
    assert versions(scene, client) == {**dict.fromkeys(OURS, "1.1"), "from_pypi": "1.0"}
    if name in AWKWARD:
        scene.awkward()
        for project in ("acme-gone", "acme-late"):
            with suppress(AssertionError):
                scene.shell(filled(client.install, project))
            # A client may fall back to our yanked release, but not to a stranger's.
            assert versions(scene, client).get(project.replace("-", "_")) in (None, "1.0")
    scene.stranger.silent()
    assert not [path for path in scene.stranger.asked if "acme" in path]


@pytest.mark.parametrize("version", ["22.3", "23.2", "24.0", "25.0", "newest"])
def test_every_pip(version: str, scene: Scene) -> None:
    scene.release("1.0")
    scene.awkward()
    one = f"export PIP_INDEX_URL={scene.index}\npip {{}} "
    old = pip(version)
    scene.shell(one.format("install -q") + WANTED, old)
    scene.release("1.1")
    scene.shell(one.format("download -q --no-deps -d files") + "acme_common", old)
    assert [each.name for each in (scene.client.folder / "files").iterdir()] == [
        "acme_common-1.1-py3-none-any.whl"
    ]
    upgrade = one.format("install -q -U --upgrade-strategy eager")
    scene.shell(upgrade + WANTED, old)
    scene.shell(upgrade + "--pre ACME.early", old)
    assert versions(scene, CLIENTS["pip"]) == {
        **dict.fromkeys(OURS, "1.1"),
        "acme_early": "2.0rc1",
        "from_pypi": "1.0",
    }
    for project in ("acme-gone", "acme-needs-gone", "acme-late"):
        with pytest.raises(AssertionError, match="No matching distribution"):
            scene.shell(upgrade + project, old)
    scene.stranger.silent()
