"""Without an edge, tools other than pip, uv and Poetry install ours as docs/consumers.md says."""

import sys
import zipfile
from pathlib import Path

import pytest

from tests.clients.clients import consumer
from tests.clients.hostile import hostile
from tests.clients.tools import path, tools
from tests.distributions import wheel
from tests.docs.printed import blocks
from tests.template.baking import TEMPLATE, run
from tests.world import Library, at, release

DOC = (TEMPLATE / "docs" / "consumers.md").read_text()
HEADING = "## Other tools, without an edge"
BASE = "https://acme-packages.s3.eu-central-1.amazonaws.com"
[PDM] = blocks(DOC, HEADING, "toml")
PIP_TOOLS, TOX, UV_TOOL = blocks(DOC, HEADING)
SYNC = "uv pip sync -q requirements.txt"
SETTINGS = """cat > tox.ini <<'END'
[testenv]
skip_install = true
env_dir = {tox_root}/.venv
deps = acme-common
END
"""
TOOLS = {
    "PDM": f"cat >> pyproject.toml <<'END'\n[tool.pdm]\ndistribution = false\n{PDM}END\n"
    "pdm add -q acme-common",
    "pip-tools": PIP_TOOLS + SYNC,
    "tox": SETTINGS + TOX,
    "uv tool": UV_TOOL,
    "PDM, by order alone": "cat >> pyproject.toml <<'END'\n[tool.pdm]\ndistribution = false\n"
    + "".join(line for line in PDM.splitlines(keepends=True) if "clude_packages" not in line)
    + "END\npdm add -q acme-common",
}


@pytest.mark.full
@pytest.mark.parametrize("tool", TOOLS)
def test_ours_and_never_the_strangers(tool: str, library: Library, tmp_path: Path) -> None:
    release(at(library, "0.1.0", "acme-core", "data"), wheel(tmp_path, "acme-core"))
    made = wheel(tmp_path, requires=("acme-core", "from-pypi"))
    with zipfile.ZipFile(made, "a") as archive:
        entry = "[console_scripts]\nacme-common = acme_common:print\n"
        archive.writestr("acme_common-0.1.0.dist-info/entry_points.txt", entry)
    release(library, made)
    person = consumer(tmp_path / "person")
    with hostile(tmp_path, "acme-common", "acme-core", honest=("from-pypi",)) as stranger:
        script = TOOLS[tool].replace(BASE, library.index.url).replace("PYPI", stranger.url)
        settings = {
            **person.settings(),
            **stranger.settings(),
            "PATH": path(tools(), Path(sys.executable).parent),
            "UV_TOOL_DIR": str(person.folder / "tools"),
            "UV_TOOL_BIN_DIR": str(person.folder / "bin"),
            "XDG_CONFIG_HOME": str(person.folder / "config"),
        }
        run(["bash", "-euc", script], person.folder, settings)
        code = (
            "from importlib.metadata import *\n"
            "for d in distributions(): print(d.name.replace('-', '_'), d.version)"
        )
        python = ".venv/bin/python" if tool != "uv tool" else "tools/acme-common/bin/python"
        found = dict(
            line.split()
            for line in run([person.folder / python, "-c", code], tmp_path).splitlines()
        )
        if tool == "PDM, by order alone":
            assert found["acme_common"] == "99.0"
            return
        ours = {name: found[name] for name in ("acme_common", "acme_core", "from_pypi")}
        assert ours == {"acme_common": "0.1.0", "acme_core": "0.1.0", "from_pypi": "1.0"}
        stranger.silent()
