"""The commands of docs/edge.md run as printed, with real clients; its sums are right."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.clients.clients import consumer
from tests.clients.hostile import hostile
from tests.clients.tools import path, tools
from tests.clients.web import certificate
from tests.distributions import wheel
from tests.docs.printed import blocks, part
from tests.edge.cloudfront import cloudfront
from tests.edge.store import Store
from tests.edge.test_requests import digest_of
from tests.template.baking import TEMPLATE, run
from tests.world import Library, at, release

TEXT = (TEMPLATE / "docs" / "edge.md").read_text(encoding="utf-8")
PLACES = "### Where readers put a token"
TOKEN = "alice-laptop.a-token-of-the-tests"
NETRC, EXPORT, POETRY = blocks(TEXT, PLACES)
PDM, PIPENV = blocks(TEXT, PLACES, "toml")
INSTALL = {
    "pip": (NETRC + EXPORT, "", "pip install -q acme-common"),
    "uv": (NETRC + EXPORT, "", "uv add -q acme-common"),
    "Poetry": (POETRY, "", "poetry add -q acme-common"),
    "PDM": (NETRC, PDM, "pdm add -q acme-common"),
    "Pipenv": ("", PIPENV, "unset VIRTUAL_ENV\npipenv install -q acme-common"),
    "uv, variables": (
        "export UV_INDEX_ACME_PACKAGES_USERNAME=token UV_INDEX_ACME_PACKAGES_PASSWORD=$TOKEN\n",
        "",
        "uv add -q --default-index acme-packages=https://packages.acme.example/simple/ acme-common",
    ),
    "Poetry, variables": (
        POETRY.splitlines()[0] + "\nexport POETRY_HTTP_BASIC_ACME_PACKAGES_USERNAME=token"
        " POETRY_HTTP_BASIC_ACME_PACKAGES_PASSWORD=$TOKEN\n",
        "",
        "poetry add -q acme-common",
    ),
    "PDM, variables": (
        "export PDM_PYPI_USERNAME=token PDM_PYPI_PASSWORD=$TOKEN\n",
        PDM,
        "pdm add -q acme-common",
    ),
}


@pytest.mark.full
@pytest.mark.parametrize("client", INSTALL)
def test_clients_with_a_token_at_cloudfront(
    client: str, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(at(library, "0.1.0", "acme-core", "data"), wheel(tmp_path, "acme-core"))
    release(library, wheel(tmp_path, requires=("acme-core", "from-pypi")))
    tls = certificate(tmp_path)
    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tls))
    store = Store(tmp_path / "store.json")
    store.write({"alice-laptop": f"{digest_of(TOKEN)} 0"})
    person = consumer(tmp_path / "person")
    before, file, command = INSTALL[client]
    with (
        hostile(tmp_path, "acme-common", "acme-core", honest=("from-pypi",)) as stranger,
        cloudfront(tmp_path / "edge", tls, library.index.url, stranger.url, store, "token") as edge,
    ):

        def here(text: str) -> str:
            text = text.replace("machine packages.acme.example", "machine localhost")
            return text.replace("packages.acme.example", f"localhost:{edge.port}")

        name = "Pipfile" if client == "Pipenv" else "pyproject.toml"
        with (person.folder / name).open("a") as opened:
            opened.write("[tool.pdm]\ndistribution = false\n" if file == PDM else "")
            opened.write(here(file))
        settings = {
            **person.settings(),
            "PATH": path(tools(), Path(sys.executable).parent),
            "TOKEN": TOKEN,
            "PIP_PYTHON": str(person.interpreter),
            "PIPENV_VENV_IN_PROJECT": "1",
            "POETRY_NO_INTERACTION": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "XDG_CONFIG_HOME": str(person.folder / "config"),
        }
        if client == "Pipenv":
            del settings["PIP_PYTHON"]
        run(["bash", "-euc", here(before + command)], person.folder, settings)
        found = person.installed()
        assert {name: found[name] for name in ("acme-common", "acme-core", "from-pypi")} == {
            "acme-common": "0.1.0",
            "acme-core": "0.1.0",
            "from-pypi": "1.0",
        }
        stranger.silent()
        assert not [each for each in stranger.asked if "acme" in each]
        for lock in person.folder.glob("*lock*"):
            if lock.is_file() and client != "Pipenv":
                assert TOKEN not in lock.read_text(), lock


def test_pypis_host_comes_from_pip(tmp_path: Path) -> None:
    sites = [blocks(TEXT, heading)[0] for heading in ("## AWS", "## nginx")]
    [ask, *_] = sites[0].splitlines()
    assert sites[1].startswith(ask)
    env = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    host = run(["bash", "-euc", f'{ask}\necho "$pypi"'], tmp_path, env).strip()
    assert re.fullmatch(r"[a-z0-9.-]+", host)
    conf = tmp_path / "packages.conf"
    conf.write_text((TEMPLATE / "docs" / "examples" / "nginx.conf").read_text())
    run(
        ["bash", "-euc", sites[1].replace("/etc/nginx/conf.d/packages.conf", str(conf))],
        tmp_path,
        env,
    )
    assert f"set $pypi {host};" in conf.read_text()


def test_the_stack_gets_the_parameters_that_it_has(tmp_path: Path) -> None:
    template = (TEMPLATE / "docs" / "examples" / "edge.yaml").read_text()
    given = re.findall(r"(\w+)=[\w\"$.-]+", blocks(TEXT, "## AWS")[0].split("overrides")[1])
    given += ["DomainName", "Certificate", "Readers"]
    assert set(given) == set(
        re.findall(
            r"^  (\w+):$", template.split("Parameters:")[1].split("\nRules:")[0], re.MULTILINE
        )
    )


def test_the_sums() -> None:
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]]
        for row in part(TEXT, "## What it costs").splitlines()
        if row.startswith("| ")
    ][2:]
    *parts, whole = rows
    one = 0.0
    for name, formula, *cells in parts:
        terms = re.sub(r"(?<=\d),(?=\d{3})| GB", "", formula).replace("\u00d7", "*")
        assert re.fullmatch(r"[\d.*/+() ]+", terms), name
        cost = eval(terms)
        one += cost
        assert cells == [f"{cost * many:.2f}" for many in (10, 100, 1000)], name
    assert whole[2:] == [f"{one * many:.2f}" for many in (10, 100, 1000)]
