"""A team's libraries may have different versions of the publisher: today's and 0.2.0."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3index.repair import repair
from s3index.s3 import Bucket
from tests.commands import STUBS, repository
from tests.distributions import sdist, wheel
from tests.template.baking import TEMPLATE
from tests.template.test_updates import commit_of
from tests.world import Library, at, objects, release, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full

VENDORED = ("{{cookiecutter.project_slug}}/s3index", "{{cookiecutter.project_slug}}/infra")


@pytest.fixture
def old(library: Library, tmp_path: Path) -> Path:
    """Return a repository of the team with 0.2.0's copy of the publisher."""
    archive = subprocess.run(
        ["git", "archive", commit_of("0.2.0"), *VENDORED],
        cwd=TEMPLATE,
        check=True,
        capture_output=True,
    )
    root = tmp_path / "old"
    root.mkdir()
    subprocess.run(
        ["tar", "-x", "--strip-components=1"], input=archive.stdout, cwd=root, check=True
    )
    return root


def run_old(root: Path, library: Library, *arguments: str | Path) -> str:
    """Run 0.2.0's command line for a library in its repository; return what it prints."""
    repository(library, root)
    done = subprocess.run(
        # -m finds the folder's own s3index first; today's is installed in this environment.
        [sys.executable, "-m", "s3index", *map(str, arguments)],
        cwd=root,
        env=os.environ | {"GITHUB_ACTOR": "tests", "PATH": f"{STUBS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def built(folder: Path, library: Library) -> list[Path]:
    """Build a library's release."""
    folder.mkdir()
    return [kind(folder, library.name, library.version) for kind in (wheel, sdist)]


def test_releases_take_turns(s3: "S3Client", library: Library, old: Path, tmp_path: Path) -> None:
    assert "0.2.0" in run_old(old, library, "--version")
    released: list[Path] = []
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        theirs, ours = at(library, version), at(library, version, "acme-orders")
        files = {
            each.name: built(tmp_path / f"{each.name}-{version}", each) for each in (theirs, ours)
        }
        run_old(old, theirs, "publish", *files[theirs.name])
        release(ours, *files[ours.name])
        released += [*files[theirs.name], *files[ours.name]]
    stored = objects(s3, library.index)
    assert {key.rpartition("/")[2] for key in stored} >= {path.name for path in released}
    for project in ("acme-common", "acme-orders"):
        page = json.loads(stored[library.index.project_page(project)])
        assert page["versions"] == ["1.0.0", "1.1.0", "1.2.0"]
    pins = stored[library.index.constraints].decode()
    assert "acme_common-1.2.0-py3" in pins
    assert "acme_orders-1.2.0-py3" in pins

    # 0.2.0 makes no claims and no pages in the organisation's namespace: repair adds them.
    assert Bucket(library.index).run(repair(library.index)) == []
    assert verified(library).findings == []
    theirs = at(library, "1.3.0")
    run_old(old, theirs, "publish", *built(tmp_path / "1.3.0", theirs))
    stored = objects(s3, library.index)
    assert b"acme_common-1.3.0-py3" in stored[library.index.constraints]
