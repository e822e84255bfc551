"""The command blocks of the generated README work as printed, with the real clients.

Only the index's address is replaced, by the test server's; each block runs in bash, in a clean
project. For those that install, PyPI is hostile: it offers our name and our dependency's at
version 99.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3index import install
from tests.clients.clients import Consumer, consumer
from tests.clients.hostile import Hostile, hostile
from tests.commands import repository, s3index
from tests.distributions import wheel
from tests.docs.printed import blocks
from tests.template.baking import bake, pypi, run
from tests.world import Library, at, release

BASE = "https://acme-packages.s3.eu-central-1.amazonaws.com"
CLIENTS = ("pip", "uv", "Poetry")


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> str:
    return (bake(tmp_path_factory.mktemp("baked"), starter="empty") / "README.md").read_text()


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    with hostile(tmp_path, "acme-common", "acme-core") as found:
        for name, value in found.settings().items():
            monkeypatch.setenv(name, value)
        yield found


def test_the_readme_has_the_publishers_commands(readme: str) -> None:
    found = {client: blocks(readme, f"### {client}") for client in CLIENTS}
    assert found == {
        client: [f"{command}\n"]
        for client, command in install.commands(BASE, "acme-packages", "acme-common").items()
    }


def test_with_an_edge_too(tmp_path: Path) -> None:
    edge = "https://packages.acme.example"
    readme = (bake(tmp_path, starter="empty", access="token", edge=edge) / "README.md").read_text()
    assert install.EDGE in " ".join(readme.split())
    assert {client: blocks(readme, f"### {client}") for client in CLIENTS} == {
        client: [f"{command}\n"]
        for client, command in install.commands(
            edge, "acme-packages", "acme-common", edge=True
        ).items()
    }


def test_each_block_is_run_by_a_test(readme: str) -> None:
    run_here = [block for client in CLIENTS for block in blocks(readme, f"### {client}")]
    run_here += blocks(readme, "## Develop")
    preview, yank = blocks(readme, "## Release")
    assert "publish.py preview" in preview  # tests/publisher/test_cli.py
    assert re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) == [*run_here, preview, yank]


@pytest.mark.parametrize("client", ["pip", "uv", pytest.param("Poetry", marks=pytest.mark.full)])
def test_installing_as_the_readme_says(
    client: str, readme: str, library: Library, stranger: Hostile, tmp_path: Path
) -> None:
    release(at(library, "0.1.0", "acme-core"), wheel(tmp_path, "acme-core"))
    release(library, wheel(tmp_path, requires=("acme-core",)))
    person = consumer(tmp_path / "consumer")
    person.shell(here(blocks(readme, f"### {client}")[0], library))
    assert (person.version(), person.version("acme_core")) == ("0.1.0", "0.1.0")
    stranger.silent()


def here(script: str, library: Library) -> str:
    """Return a printed script with the test server's address."""
    return script.replace(BASE, library.index.url)


@pytest.mark.full
def test_depending_on_another_library_as_the_readme_says(
    readme: str, library: Library, stranger: Hostile, tmp_path: Path
) -> None:
    assert "run the three Poetry lines above" in " ".join(readme.split())
    project = bake(tmp_path, starter="empty")
    release(at(library, "1.2.0", "acme-core"), wheel(tmp_path, "acme-core", "1.2.0"))
    # PyPI has only strangers here, and no development tools.
    settings = project / "pyproject.toml"
    groups = r"\[dependency-groups\].*(?=\[build-system\])"
    settings.write_text(re.sub(groups, "", settings.read_text(), flags=re.DOTALL))
    maintainer = Consumer(project)
    maintainer.uv("venv", "--quiet", ".venv")
    script = blocks(readme, "### Poetry")[0]
    maintainer.shell(here(re.sub("acme-common$", "acme-core", script, flags=re.MULTILINE), library))
    assert maintainer.version("acme_core") == "1.2.0"
    maintainer.poetry("build")
    release(library, *sorted((project / "dist").iterdir()))
    for client in CLIENTS:
        person = consumer(tmp_path / client)
        person.shell(here(blocks(readme, f"### {client}")[0], library))
        assert person.version("acme_core") == "1.2.0"
        person.run(str(person.interpreter), "-c", "import acme_common")
    stranger.silent()


def test_yanking_as_the_readme_says(readme: str, library: Library, tmp_path: Path) -> None:
    release(library, wheel(tmp_path))
    _, block = blocks(readme, "## Release")
    found = re.fullmatch('pipx run publish.py yank 0.1.0 --reason "(.*)"\n', block)
    assert found
    root = repository(library, tmp_path / "repository")
    s3index(root, "yank", "0.1.0", "--reason", found[1])
    person = consumer(tmp_path / "consumer")
    said = person.uv(
        "pip", "install", "--index", f"{library.index.url}/simple/", "acme-common==0.1.0"
    )
    assert found[1] in said


@pytest.mark.full
def test_developing_as_the_readme_says(tmp_path: Path) -> None:
    project = bake(tmp_path)
    develop = blocks((project / "README.md").read_text(), "## Develop")[0]
    [set_up] = blocks("\n" + (project / "CONTRIBUTING.md").read_text(), "# Contributing")
    assert "poetry install" in develop
    settings = {
        "HOME": str(tmp_path),
        "POETRY_VIRTUALENVS_CREATE": "true",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # Some mirrors of PyPI lack the JSON API that Poetry requests from PyPI itself.
        "POETRY_PYPI_MIRROR_URL": pypi(),
    }
    run(["bash", "-euc", set_up + develop], project, settings)
    # The first commit, poetry.lock included, passes the hooks that CONTRIBUTING.md installs.
    person = ["-c", "user.name=Developer Tools", "-c", "user.email=devtools@example.com"]
    run(["git", "add", "--all"], project)
    said = run(["git", *person, "commit", "--message", "Start"], project, settings)
    assert "mypy" in said
    assert "Failed" not in said
    assert "poetry.lock" in run(["git", "ls-files"], project)
