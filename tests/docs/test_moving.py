"""The commands of docs/moving.md run as printed, in its order, where possible.

CodeArtifact needs an AWS account, so its commands are only read. tests/moving/test_servers.py
runs s3pypi and devpi themselves; here the old index is a small one of our own.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.clients import consumer
from tests.commands import STUBS
from tests.distributions import sdist, wheel
from tests.docs.printed import blocks, put_aws
from tests.moving.indexes import OldIndex, serving
from tests.moving.test_import import made
from tests.publisher.test_tag import git
from tests.template.baking import TEMPLATE, run
from tests.world import Library, objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TEXT = (TEMPLATE / "docs" / "moving.md").read_text(encoding="utf-8")
SET_UP, IMPORTING = "## Setting the repository up", "## Importing"
BOTH, BACK = "## Both at once", "## Going back"
S3PYPI, DEVPI = "## From s3pypi", "## From devpi"
FOLDER, GIT = "## From a folder behind a web server", "## From git URLs in requirements"
BLOCKS = {
    "## The order": 0,
    SET_UP: 3,
    IMPORTING: 2,
    BOTH: 2,
    BACK: 1,
    S3PYPI: 2,
    DEVPI: 1,
    "## From CodeArtifact or Artifactory": 1,
    FOLDER: 1,
    GIT: 1,
}
PAGE = "packages/data/acme-common/"


class Move:
    """A repository of acme-common that is being moved, its old index, and a shell in it."""

    def __init__(self, library: Library, old: OldIndex, folder: Path) -> None:
        """Create the repository, still without the index's settings."""
        self.library, self.old, self.folder = library, old, folder
        self.root = folder / "repository"
        (self.root / "acme_common").mkdir(parents=True)
        (self.root / "acme_common" / "__init__.py").touch()
        (self.root / "pyproject.toml").write_text(
            '[project]\nname = "acme-common"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
            '[build-system]\nrequires = ["poetry-core"]\n'
            'build-backend = "poetry.core.masonry.api"\n'
        )
        (self.root / "README.md").write_text("# Common\n")
        git(self.root, "init", "--quiet")
        git(self.root, "remote", "add", "origin", "git@github.com:acme/acme-common.git")
        put_aws(folder)

    def run(self, script: str, **settings: str) -> str:
        """Run a script as printed, except for names and addresses; return what it prints."""
        script = re.sub(r"https://acme-packages\.s3\.[a-z0-9.-]+", self.library.index.url, script)
        script = script.replace("acme-packages", self.library.index.bucket)
        script = script.replace("acme-s3pypi", f"{self.library.index.bucket}-old")
        script = script.replace("https://devpi.acme.example/acme/dev/+simple/", self.old.url)
        script = script.replace("https://old.acme.example/simple/", self.old.url)
        script = script.replace("https://old.acme.example/", self.old.url)
        script = script.replace("/srv/packages/", f"{self.folder}/")
        path = f"{self.folder}:{STUBS}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "AWS_DEFAULT_REGION": self.library.index.region, **settings}
        return run(["bash", "-euo", "pipefail", "-c", script], self.root, environment)

    def set_up(self) -> None:
        """Set the repository up for the index, as the guide says."""
        self.run(blocks(TEXT, SET_UP)[2])

    def listed(self, s3: "S3Client") -> set[str]:
        """Return the filenames that the project page lists."""
        page = json.loads(objects(s3, self.library.index)[PAGE])
        return {file["filename"] for file in page["files"]}


@pytest.fixture
def move(library: Library, tmp_path: Path) -> Iterator[Move]:
    with serving(OldIndex()) as old:
        yield Move(library, old, tmp_path)


def test_no_command_is_left_out() -> None:
    headings = re.findall(r"^## .*$", TEXT, re.MULTILINE)
    found = {heading: len(blocks(TEXT, heading)) for heading in headings}
    assert found == BLOCKS


@pytest.mark.full
def test_setting_up_and_importing(s3: "S3Client", move: Move, tmp_path: Path) -> None:
    before = (move.root / "pyproject.toml").read_bytes()
    _, asks, shows_and_writes = blocks(TEXT, SET_UP)
    assert asks == "s3index init\n"
    dry, _ = shows_and_writes.splitlines()
    move.run(dry)
    assert (move.root / "pyproject.toml").read_bytes() == before
    move.set_up()
    files = made(tmp_path / "made", "0.1.0", "0.2.0")
    (move.root / "old").mkdir()
    for path in files[:2]:
        (move.root / "old" / path.name).write_bytes(path.read_bytes())
    from_files, from_index = blocks(TEXT, IMPORTING)
    move.run(from_files)
    assert move.listed(s3) == {path.name for path in files[:2]}
    move.old.add("acme-common", {path: {} for path in files}, json=False)
    move.run(from_index)
    assert move.listed(s3) == {path.name for path in files}


@pytest.mark.full
@pytest.mark.parametrize("heading", [S3PYPI, DEVPI])
def test_an_old_index(s3: "S3Client", move: Move, tmp_path: Path, heading: str) -> None:
    move.set_up()
    files = made(tmp_path / "made", "0.1.0")
    move.old.add("acme-common", {path: {} for path in files}, json=False)
    move.run(blocks(TEXT, heading)[0])
    assert move.listed(s3) == {path.name for path in files}


@pytest.mark.full
def test_a_folder(s3: "S3Client", move: Move) -> None:
    move.set_up()
    files = [wheel(move.folder), sdist(move.folder)]
    (move.folder / "acme_common-0.0.1-py2.7.egg").touch()
    (move.folder / "acme-common-0.0.2.zip").touch()
    said = move.run(blocks(TEXT, FOLDER)[0].replace("acme-common*", "acme?common*"))
    assert said.count("Skipped: ") == 2
    assert move.listed(s3) == {path.name for path in files}


@pytest.mark.full
def test_git_tags(s3: "S3Client", move: Move) -> None:
    for version in ("1.0", "1.1"):
        settings = move.root / "pyproject.toml"
        settings.write_text(
            settings.read_text().replace('version = "1.0"', f'version = "{version}"')
        )
        git(move.root, "add", "--all")
        git(move.root, "commit", "--quiet", "--allow-empty", "--message", version)
        git(move.root, "tag", f"v{version}")
    move.set_up()
    move.run(*blocks(TEXT, GIT))
    assert len(move.listed(s3)) == 4


@pytest.mark.full
def test_from_a_bucket_and_back(s3: "S3Client", move: Move, tmp_path: Path) -> None:
    move.set_up()
    old = f"{move.library.index.bucket}-old"
    s3.create_bucket(Bucket=old, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    files = made(tmp_path / "made", "1.2")
    for path in files:
        s3.put_object(Bucket=old, Key=f"acme-common/{path.name}", Body=path.read_bytes())
    s3.put_object(Bucket=old, Key="acme-common/", Body=b"<html>")
    move.run(blocks(TEXT, S3PYPI)[1])
    assert move.listed(s3) == {path.name for path in files}
    back, _ = blocks(TEXT, BACK)[0].splitlines()
    move.run(back)
    assert {path.name: path.read_bytes() for path in (move.root / "back").iterdir()} == {
        path.name: path.read_bytes() for path in files
    }


@pytest.fixture
def hostile() -> Iterator[OldIndex]:
    """Serve a "PyPI" where strangers own the names."""
    with serving(OldIndex()) as index:
        yield index


@pytest.mark.full
def test_both_at_once(s3: "S3Client", move: Move, tmp_path: Path, hostile: OldIndex) -> None:
    move.set_up()
    files = made(tmp_path / "made", "0.1.0")
    move.old.add("acme-common", {path: {} for path in files}, json=False)
    move.old.add("acme-legacy", {wheel(tmp_path, "acme-legacy", "3.0"): {}}, json=False)
    move.run(blocks(TEXT, IMPORTING)[1])
    hostile.add("acme-common", {wheel(tmp_path, version="99.0"): {}}, json=True)
    pip, uv = (re.sub(r"^  ", "", block, flags=re.MULTILINE) for block in blocks(TEXT, BOTH))
    settings: dict[str, Any] = {"PIP_INDEX_URL": hostile.url, "UV_DEFAULT_INDEX": hostile.url}
    settings |= {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}
    for name, script in (("pip", pip), ("uv", uv)):
        client = consumer(tmp_path / name)
        stubs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": stubs, "VIRTUAL_ENV": str(client.folder / ".venv")}
        own["PIP_PYTHON"] = str(client.interpreter)
        move.run(f"export PATH={stubs}\n{script}", **settings, **own)
        assert (client.version(), client.version("acme_legacy")) == ("0.1.0", "3.0")


@pytest.mark.full
def test_an_index_that_is_switched_off_leaves_the_name_to_strangers(
    move: Move, tmp_path: Path, hostile: OldIndex
) -> None:
    # This is why step 6 says to search for its address first.
    hostile.add("acme-legacy", {wheel(tmp_path, "acme-legacy", "99.0"): {}}, json=True)
    client = consumer(tmp_path / "client")
    gone = "http://127.0.0.1:9/simple/"
    indexes = ("--index-url", hostile.url, "--extra-index-url", gone, "--retries", "0")
    client.pip("install", "--isolated", *indexes, "acme-legacy")
    assert client.version("acme_legacy") == "99.0"
