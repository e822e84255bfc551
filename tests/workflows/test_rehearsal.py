"""A generated library's workflows, under act, take a pushed tag to a release that installs.

These tests cover what only a whole run shows; test_steps covers single scripts.
"""

import subprocess
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.commands import s3index
from tests.distributions import wheel
from tests.moving.test_init import PIN
from tests.protocol.standin import Answer, Seen, forward, standing_in
from tests.template.baking import pypi
from tests.workflows.act import PYTHON, Clone, Runner
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full

TESTS = f"Tests on Python {PYTHON}"
CI = ("Lint and types", TESTS, "Build", "Required")
INSTALL = "Install as a consumer"
GREEN = dict.fromkeys([*CI, "Publish", INSTALL], "success")


@pytest.fixture
def runner(tmp_path: Path, cache: Path, index: str) -> Runner:
    """Return a machine with act."""
    return Runner(tmp_path / "machine", cache, index)


def test_a_tag_becomes_a_release_that_a_consumer_installs(
    s3: "S3Client", library: Library, runner: Runner, tmp_path: Path
) -> None:
    clone = Clone(library)
    ref = clone.tag("v0.1.0")
    done = replace(runner, private=False).run(clone, ref)
    assert done.results == GREEN, done.log
    assert "attested dist/acme_common-0.1.0-py3-none-any.whl" in done.log
    assert f"{library.index.project_page('acme-common')}acme_common-0.1.0.tar.gz" in objects(
        s3, library.index
    )

    # Again, after a newer release: nothing changes, and the tag's version is installed.
    newer = wheel(tmp_path, version="0.2.0", body='raise RuntimeError("not this one")')
    release(at(library, "0.2.0"), newer)
    before = objects(s3, library.index)
    again = runner.run(clone, ref)
    assert again.results == GREEN, again.log
    assert "attested" not in again.log
    assert objects(s3, library.index) == before


@pytest.mark.parametrize("access", ["network", "token"])
def test_a_release_that_githubs_machines_may_not_read(
    access: str, s3: "S3Client", library: Library, runner: Runner
) -> None:
    clone = Clone(library, access=access)
    s3.delete_bucket_policy(Bucket=library.index.bucket)
    # A private repository of an organisation whose plan includes attestations for those.
    runner = replace(runner, variables={**runner.variables, "S3INDEX_ATTEST": "true"})
    done = runner.run(clone, clone.tag("v0.1.0"))
    assert done.results == dict.fromkeys([*CI, "Publish"], "success"), done.log
    assert "attested dist/acme_common-0.1.0-py3-none-any.whl" in done.log
    assert "Publish: Index and bucket match." in done.log
    assert "Publish: Not installed from the index: " in done.log


def test_a_release_is_installed_with_a_readers_token(
    library: Library, endpoint: str, runner: Runner
) -> None:
    credentials = "Basic " + b64encode(b"token:ci.a-token-of-the-tests").decode()

    def edge(seen: Seen) -> Answer:
        """Require the token as an edge does, and do not forward it to the bucket."""
        if seen.headers.get("Authorization") != credentials:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="packages"'})
        headers = {name: value for name, value in seen.headers.items() if name != "Authorization"}
        return forward(endpoint, f"/{seen.bucket}/{seen.key}", replace(seen, headers=headers))

    runner = replace(runner, secrets={"S3INDEX_TOKEN": "ci.a-token-of-the-tests"})
    with standing_in(edge, endpoint) as stand_in:
        address = f"{stand_in.url}/{library.index.bucket}"
        clone = Clone(replace(library, index=replace(library.index, url=address)), access="token")
        done = runner.run(clone, clone.tag("v0.1.0"))
    assert done.results == GREEN, done.log
    assert {seen.key for seen in stand_in.seen} >= {"simple/acme-common/", "simple/constraints.txt"}
    assert "a-token-of-the-tests" not in done.log


PYPROJECT = """\
[build-system]
requires = ["flit_core==3.12.0"]
build-backend = "flit_core.buildapi"

[project]
name = "acme-common"
dynamic = ["version", "description"]
"""


def test_a_library_that_init_has_set_up(
    s3: "S3Client", library: Library, runner: Runner, tmp_path: Path
) -> None:
    """Its backend is flit, and its version is in its code."""
    root = tmp_path / "acme-common"
    (root / "src" / "acme_common").mkdir(parents=True)
    code = '"""What teams share."""\n\n__version__ = "0.1.0"\n'
    (root / "src" / "acme_common" / "__init__.py").write_text(code)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "README.md").write_text("# Common\n")
    (root / ".gitignore").write_text("dist/\n__pycache__/\n")
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=root, check=True)
    options = ["--team=devtools", "--access=public", "--repository=acme/acme-common"]
    options += [f"--bucket={library.index.bucket}", f"--region={library.index.region}"]
    s3index(root, "init", *options, f"--template={PIN}", "--yes")
    clone = Clone(library, baked=root)
    # PyPI, for the backend.
    done = replace(runner, index=pypi()).run(clone, clone.tag("v0.1.0"))
    assert done.results == dict.fromkeys(["Build", "Publish", INSTALL], "success"), done.log
    assert "v0.1.0 may be released." in done.log
    assert f"{library.index.project_page('acme-common')}acme_common-0.1.0.tar.gz" in objects(
        s3, library.index
    )


def _wrong_tag(clone: Clone) -> str:
    return clone.tag("v0.2.0")


def _failing_test(clone: Clone) -> str:
    clone.change("tests/test_package.py", "assert ", "assert not ")
    return clone.tag("v0.1.0")


@pytest.mark.parametrize(
    ("prepare", "failed", "said"),
    [
        (_wrong_tag, "Build", "Error: Tag v0.2.0 is not v0.1.0, the version in pyproject.toml."),
        (_failing_test, TESTS, "1 failed"),
    ],
    ids=["wrong tag", "failing test"],
)
def test_what_must_not_be_released_is_not(
    s3: "S3Client",
    library: Library,
    runner: Runner,
    prepare: Callable[[Clone], str],
    failed: str,
    said: str,
) -> None:
    clone = Clone(library)
    done = runner.run(clone, prepare(clone))
    bad = dict.fromkeys([failed, "Required"], "failure")
    assert done.results == dict.fromkeys(CI, "success") | bad, done.log
    assert said in done.log
    assert objects(s3, library.index) == {}


def test_a_replaced_artifact_is_not_published(
    s3: "S3Client", library: Library, runner: Runner
) -> None:
    clone = Clone(library)
    done = replace(runner, tampers=True).run(clone, clone.tag("v0.1.0"))
    assert done.results == dict.fromkeys(CI, "success") | {"Publish": "failure"}, done.log
    assert "These files differ from those of the job Build: " in done.log, done.log
    assert objects(s3, library.index) == {}
