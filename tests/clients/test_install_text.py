"""The commands as printed: every block of the generated README, run by the real clients.

Nothing in a block is changed but the index's address, which is the test server's; each runs in
bash, in a clean project. PyPI is hostile: it offers our name, and the names of the libraries that
ours depends on, at version 99.
"""

import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

from s3index import install
from s3index.config import Config
from tests.clients.clients import Consumer, consumer
from tests.clients.hostile import hostile
from tests.distributions import wheel
from tests.docs.printed import blocks
from tests.template.baking import bake, pypi, run
from tests.world import at, release

BASE = "https://acme-packages.s3.eu-central-1.amazonaws.com"
CLIENTS = ("pip", "uv", "Poetry")
DEPEND = "### Depend on another library of the team"


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> str:
    return (bake(tmp_path_factory.mktemp("baked"), starter="empty") / "README.md").read_text()


def test_the_readme_has_the_publishers_text(readme: str, config: Config) -> None:
    text = install.text(config)
    assert text.replace(config.url, BASE) in readme
    assert "<!-- install -->" not in readme
    for client, command in install.commands(config).items():
        assert command.replace(config.url, BASE) + "\n" == blocks(readme, f"### {client}")[0]
    assert tuple(install.commands(config)) == CLIENTS


@pytest.mark.parametrize("client", [pytest.param("pip", marks=pytest.mark.full), "uv", "Poetry"])
def test_installing_as_the_readme_says(
    client: str, readme: str, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(at(config, "0.1.0", "acme-core"), wheel(tmp_path, "acme-core"))
    release(config, wheel(tmp_path, requires=("acme-core",)))
    with hostile(tmp_path, "acme-common", "acme-core") as stranger:
        for name, value in stranger.settings().items():
            monkeypatch.setenv(name, value)
        for number, block in enumerate(blocks(readme, f"### {client}")):
            person = consumer(tmp_path / f"consumer-{number}")
            sources = blocks(readme, "### Poetry")[0].splitlines(keepends=True)[:2]
            before = "".join(sources) if client == "Poetry" and number else ""
            person.shell((before + block).replace(BASE, config.url))
            assert (person.version(), person.version("acme_core")) == ("0.1.0", "0.1.0"), block
        stranger.silent()


@pytest.mark.full
def test_depending_on_another_library_as_the_readme_says(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = bake(tmp_path, starter="empty", bucket=config.bucket)
    text = (
        (project / "README.md")
        .read_text()
        .replace(BASE.replace("acme-packages", config.bucket), config.url)
    )
    [script] = blocks(text, DEPEND)
    release(at(config, "1.2.0", "other-library"), wheel(tmp_path, "other-library", "1.2.0"))
    # PyPI has nothing but strangers here, and no tools to develop with.
    settings = project / "pyproject.toml"
    groups = r"\[dependency-groups\].*(?=\[build-system\])"
    settings.write_text(re.sub(groups, "", settings.read_text(), flags=re.DOTALL))
    with hostile(tmp_path, "acme-common", "other-library") as stranger:
        for name, value in stranger.settings().items():
            monkeypatch.setenv(name, value)
        maintainer = Consumer(project)
        maintainer.uv("venv", "--quiet", ".venv")
        maintainer.shell(script)
        [shown] = blocks(text, DEPEND, "toml")
        assert includes(tomllib.loads(settings.read_text()), tomllib.loads(shown))
        assert maintainer.version("other_library") == "1.2.0"
        maintainer.poetry("build")
        release(config, *sorted((project / "dist").iterdir()))
        for client in CLIENTS:
            person = consumer(tmp_path / client)
            person.shell(blocks(text, f"### {client}")[0])
            if client == "Poetry":
                person.shell(script.splitlines()[-1])
            assert person.version("other_library") == "1.2.0"
            person.run(str(person.interpreter), "-c", "import acme_common")
        stranger.silent()


def includes(document: object, part: object) -> bool:
    """Tell whether all that one TOML document says is said in another."""
    if isinstance(document, dict) and isinstance(part, dict):
        return all(key in document and includes(document[key], part[key]) for key in part)
    return document == part


@pytest.mark.full
def test_developing_and_releasing_as_the_readme_says(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = bake(tmp_path, bucket=config.bucket)
    text = (project / "README.md").read_text()
    develop = blocks(text, "## Develop")[0]
    [set_up] = blocks("\n" + (project / "CONTRIBUTING.md").read_text(), "# Contributing")
    # Signing in opens a browser; here the credentials are in the environment.
    sign_in, publish = blocks(text, "## Release")[0].split("\n", 1)
    assert sign_in == "aws sso login"
    assert "poetry install" in develop
    settings = {
        "HOME": str(tmp_path),
        "POETRY_VIRTUALENVS_CREATE": "true",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # Some mirrors of PyPI have no JSON of the kind that Poetry asks PyPI itself for.
        "POETRY_PYPI_MIRROR_URL": pypi(),
    }
    said = run(["bash", "-euc", set_up + develop + publish], project, settings)
    assert "Published acme-common 0.1.0 (2 files)." in said
    # The first commit, poetry.lock included, passes the hooks that CONTRIBUTING.md installs.
    person = ["-c", "user.name=Developer Tools", "-c", "user.email=devtools@example.com"]
    run(["git", "add", "--all"], project)
    said = run(["git", *person, "commit", "--message", "Start"], project, settings)
    assert "mypy" in said
    assert "Failed" not in said
    assert "poetry.lock" in run(["git", "ls-files"], project)
