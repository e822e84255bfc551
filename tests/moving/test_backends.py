"""Repositories of four build backends, made by their own tools, can release to the index."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.commands import s3index
from tests.moving.test_init import PIN
from tests.publisher.test_tag import git
from tests.template.baking import run
from tests.world import Library, objects, verified

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BIN = Path(sys.executable).parent
MAKING = {
    "setuptools": ["uv", "init", "--lib", "--build-backend", "setuptools", "acme-common"],
    "hatchling": ["uv", "init", "--lib", "--build-backend", "hatch", "acme-common"],
    "uv_build": ["uv", "init", "--lib", "--build-backend", "uv", "acme-common"],
    "poetry": ["poetry", "new", "acme-common"],
}
IGNORED = "dist/\nbuild/\n*.egg-info/\n__pycache__/\n"


@pytest.mark.full
@pytest.mark.parametrize("backend", MAKING)
def test_through_init_commit_and_release(
    s3: "S3Client", library: Library, tmp_path: Path, backend: str
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    tool, *arguments = MAKING[backend]
    run([str(BIN / tool), *arguments], work)
    root = work / "acme-common"
    # An index may have the newest uv before the newest uv_build.
    settings = root / "pyproject.toml"
    settings.write_text(re.sub(r"uv_build>=[\d.]+", "uv_build>=0.12", settings.read_text()))
    made = tomllib.loads(settings.read_text())
    assert backend in made["build-system"]["build-backend"]
    (root / ".gitignore").write_text(IGNORED)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Start")

    bucket, region = f"--bucket={library.index.bucket}", f"--region={library.index.region}"
    options = [
        "--team=devtools",
        bucket,
        region,
        "--access=public",
        "--repository=acme/acme-common",
    ]
    s3index(root, "init", *options, f"--template={PIN}", "--yes")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Release to the index")

    # Use this environment's build tools, as under pipx.
    path = {"PATH": f"{BIN}:{os.environ['PATH']}"}
    s3index(root, "publish", env=path)
    assert git_status(root) == ""
    before = objects(s3, library.index)
    s3index(root, "init", *options, f"--template={PIN}", "--yes")
    s3index(root, "init", "--yes")
    assert git_status(root) == ""

    stored = [key for key in before if key.startswith("packages/devtools/acme-common/acme_common-")]
    assert len(stored) == 3, stored
    assert verified(library).findings == []
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "there")]
    index = f"{library.index.url}/simple/"
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("PIP_")
    } | {"PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, *install, "--index-url", index, "acme-common"]
    subprocess.run(command, check=True, env=environment)
    assert (tmp_path / "there" / "acme_common" / "__init__.py").is_file()


def git_status(root: Path) -> str:
    command = ["git", "status", "--porcelain"]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return done.stdout
