"""Projects with any build backend can be released, whether the version is static or dynamic."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3index.build import uploader
from s3index.claims import new_claim
from s3index.distribution import read
from s3index.errors import Refused
from s3index.settings import load
from s3index.tag import refuse_tag
from tests.commands import s3index
from tests.distributions import sdist, wheel
from tests.publisher.test_tag import git
from tests.template.baking import TEMPLATE
from tests.world import NOW, Library, objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BACKEND = """
import shutil
from pathlib import Path


def _copy(pattern, folder):
    [file] = Path("made").glob(pattern)
    return Path(shutil.copy(file, folder)).name


def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _copy("*.whl", folder)


def build_sdist(folder, config_settings=None):
    return _copy("*.tar.gz", folder)
"""


def dynamic(library: Library, *more: str) -> Path:
    """Make a repository with a dynamic version and its own backend, which needs no index."""
    index = library.index
    text = (
        f'[project]\nname = "Acme_Common"\ndynamic = ["version"]\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[tool.s3index]\nteam = "{index.team}"\nbucket = "{index.bucket}"\n'
        f'region = "{index.region}"\nurl = "{index.url}"\n'
    )
    (library.root / "pyproject.toml").write_text(text)
    (library.root / "backend.py").write_text(BACKEND)
    # A build.py in the repository's root must not be run in place of build.
    (library.root / "build.py").write_text("raise SystemExit('not me')\n")
    (library.root / "made").mkdir()
    wheel(library.root / "made", version="1.2.0")
    # build makes the wheel from the sdist, so the sdist must contain what that needs.
    files = ["made/acme_common-1.2.0-py3-none-any.whl", "backend.py", "pyproject.toml"]
    path = sdist(library.root / "made", version="1.2.0")
    with tarfile.open(path) as archive:
        info = archive.extractfile("acme_common-1.2.0/PKG-INFO")
        assert info
        (library.root / "PKG-INFO").write_bytes(info.read())
    with tarfile.open(path, "w:gz") as archive:
        for file in [*files, "PKG-INFO"]:
            archive.add(library.root / file, f"acme_common-1.2.0/{file}")
    return library.root


def test_a_dynamic_version_is_built_and_released(s3: "S3Client", library: Library) -> None:
    s3index(dynamic(library), "publish")
    folder = "packages/devtools/acme-common"
    assert {key for key in objects(s3, library.index) if key.startswith(f"{folder}/")} == {
        f"{folder}/",
        f"{folder}/release-1.2.json",
        f"{folder}/acme_common-1.2.0-py3-none-any.whl",
        f"{folder}/acme_common-1.2.0-py3-none-any.whl.metadata",
        f"{folder}/acme_common-1.2.0.tar.gz",
    }


def test_files_that_disagree_are_refused(s3: "S3Client", library: Library) -> None:
    root = dynamic(library)
    said = s3index(root, "publish", wheel(root), sdist(root, version="0.2.0"), exits=1)
    assert said.startswith(
        "Error: acme_common-0.2.0.tar.gz is acme-common 0.2.0, but the version is dynamic, and "
        "acme_common-0.1.0-py3-none-any.whl is acme-common 0.1.0."
    )
    stranger = wheel(root, project="acme-other")
    said = s3index(root, "publish", stranger, exits=1)
    assert said.startswith("Error: acme_other-0.1.0-py3-none-any.whl is acme-other 0.1.0, but ")
    assert objects(s3, library.index) == {}


def test_the_tag_is_that_of_the_built_files(library: Library) -> None:
    root = dynamic(library)
    project = load(root)[1]
    with pytest.raises(Refused, match=r"dynamic.*Build, then name them"):
        refuse_tag(project, "refs/tags/v1.2.0")
    files = sorted((root / "made").iterdir())
    with pytest.raises(Refused, match=r"Tag v1\.2\.1 is not v1\.2\.0, the version of the built f"):
        refuse_tag(project, "refs/tags/v1.2.1", files)
    git(root, "init", "--quiet")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "Start")
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    refuse_tag(project, "refs/tags/v1.2.0", files)


def test_a_development_version_is_no_tag(library: Library, tmp_path: Path) -> None:
    root = dynamic(library)
    with pytest.raises(Refused, match="has a local part"):
        refuse_tag(load(root)[1], "refs/tags/v1", [wheel(tmp_path, version="1.0+g0123456")])


def test_a_commit_that_is_not_what_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path
    (root / "old.py").touch()
    for name in ("GITHUB_ACTOR", "GITHUB_SHA"):
        monkeypatch.delenv(name, raising=False)
    git(root, "init", "--quiet")
    assert uploader(root)[1] is None
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Start")
    commit = str(uploader(root)[1])
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (root / "dist").mkdir()
    (root / "dist" / "x.whl").touch()
    assert uploader(root)[1] == commit
    (root / "new.py").touch()
    assert uploader(root)[1] == f"{commit}-modified"
    monkeypatch.setenv("GITHUB_SHA", commit)
    assert uploader(root)[1] == commit


@pytest.mark.parametrize(
    ("who", "commit", "said"),
    [
        ("ann", "0123456789abcdef", "ann (0123456789ab)"),
        ("ann", "0123456789abcdef-modified", "ann (0123456789ab-modified)"),
        ("ann", None, "ann"),
        (None, "0123456789abcdef", "0123456789ab"),
        (None, None, None),
    ],
)
def test_who_released(
    tmp_path: Path, who: str | None, commit: str | None, said: str | None
) -> None:
    claim = new_claim([read(wheel(tmp_path))], NOW, who, commit)
    assert claim.files[0].uploaded_by == said


def test_without_build(library: Library) -> None:
    root = dynamic(library)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['build'] = None; sys.argv[1:] = ['publish']\n"
            "from s3index.__main__ import main; main()",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "Error: build is not installed. Pass the built files, or run: pipx install --force "
        f"'s3index[build,edge,import,init,preview] @ {TEMPLATE.as_uri()}'\n",
    )
