"""A generated library's workflows under act, from a pushed tag to what a stranger installs."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3index.config import Config
from tests.distributions import wheel
from tests.workflows.act import PYTHON, Library, Runner
from tests.world import at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full

TESTS = f"Tests on Python {PYTHON}"
CI = ("Lint and types", TESTS, "Build", "Required")
INSTALL = "Install as a stranger"
GREEN = dict.fromkeys([*CI, "Publish", INSTALL], "success")


@pytest.fixture
def runner(tmp_path: Path, cache: Path, index: str) -> Runner:
    """Return a machine with act."""
    return Runner(tmp_path / "machine", cache, index)


def test_a_tag_becomes_a_release_that_a_stranger_installs(
    s3: "S3Client", config: Config, runner: Runner, tmp_path: Path
) -> None:
    library = Library(tmp_path, config)
    ref = library.tag("v0.1.0")
    done = replace(runner, private=False).run(library, ref)
    assert done.results == GREEN, done.log
    assert "attested dist/acme_common-0.1.0-py3-none-any.whl" in done.log
    assert f"{config.keys.project_page('acme-common')}acme_common-0.1.0.tar.gz" in objects(
        s3, config
    )

    # Again, after a newer release: nothing changes, and it is the tag's version that is tried.
    newer = wheel(tmp_path, version="0.2.0", body='raise RuntimeError("not this one")')
    release(at(config, "0.2.0"), newer)
    before = objects(s3, config)
    again = runner.run(library, ref)
    assert again.results == GREEN, again.log
    assert "attested" not in again.log
    assert objects(s3, config) == before


def test_a_release_that_only_some_networks_may_read(
    s3: "S3Client", config: Config, runner: Runner, tmp_path: Path
) -> None:
    library = Library(tmp_path, config, access="network")
    s3.delete_bucket_policy(Bucket=config.bucket)
    done = runner.run(library, library.tag("v0.1.0"))
    assert done.results == dict.fromkeys([*CI, "Publish"], "success"), done.log
    assert "Publish: Not installed from the index: " in done.log


def _wrong_tag(library: Library) -> str:
    return library.tag("v0.2.0")


def _not_on_main(library: Library) -> str:
    library.git("switch", "--quiet", "--create", "side")
    library.change("CHANGELOG.md", "first", "very first")
    return library.tag("v0.1.0", main=False)


def _failing_test(library: Library) -> str:
    library.change("tests/test_package.py", "assert ", "assert not ")
    return library.tag("v0.1.0")


def _changing_build(library: Library) -> str:
    library.change(".gitignore", "dist/\n", "")
    return library.tag("v0.1.0")


@pytest.mark.parametrize(
    ("prepare", "failed", "said"),
    [
        (_wrong_tag, "Build", "Error: Tag v0.2.0 is not v0.1.0, the version in pyproject.toml."),
        (_not_on_main, "Build", "Error: The commit of v0.1.0 is not on main."),
        (_failing_test, TESTS, "1 failed"),
        (_changing_build, "Build", "?? dist/"),
    ],
)
def test_what_must_not_be_released_is_not(
    s3: "S3Client",
    config: Config,
    runner: Runner,
    tmp_path: Path,
    prepare: Callable[[Library], str],
    failed: str,
    said: str,
) -> None:
    library = Library(tmp_path, config)
    done = runner.run(library, prepare(library))
    bad = dict.fromkeys([failed, "Required"], "failure")
    assert done.results == dict.fromkeys(CI, "success") | bad, done.log
    assert said in done.log
    assert objects(s3, config) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"variables": {}}, "The environment release has no variable S3INDEX_ROLE."),
        ({"tampers": True}, "The job Build made other files than these: "),
    ],
    ids=["no role", "a replaced artifact"],
)
def test_the_publishing_job_refuses(
    s3: "S3Client",
    config: Config,
    runner: Runner,
    tmp_path: Path,
    change: dict[str, object],
    said: str,
) -> None:
    library = Library(tmp_path, config)
    done = replace(runner, **change).run(library, library.tag("v0.1.0"))  # type: ignore[arg-type]
    assert done.results == dict.fromkeys(CI, "success") | {"Publish": "failure"}, done.log
    assert said in done.log
    assert objects(s3, config) == {}


def test_two_tags_released_at_once(
    s3: "S3Client", config: Config, runner: Runner, tmp_path: Path
) -> None:
    library = Library(tmp_path, config)
    refs = [library.tag("v0.1.0")]
    library.version("0.2.0")
    refs.append(library.tag("v0.2.0"))

    def run(ref: str) -> dict[str, str]:
        folder = tmp_path / ref.rpartition("/")[2]
        clone = library.copy(folder / "clone", ref)
        return replace(runner, folder=folder).run(clone, ref).results

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(run, refs)) == [GREEN, GREEN]
    page = json.loads(objects(s3, config)[config.keys.project_page("acme-common")])
    assert page["versions"] == ["0.1.0", "0.2.0"]


def test_every_pull_request_is_checked(
    s3: "S3Client", config: Config, runner: Runner, tmp_path: Path
) -> None:
    library = Library(tmp_path, config)
    library.change("tests/test_package.py", ".__doc__", ".__doc__ != ''")
    library.git("push", "--quiet", "origin", "HEAD:refs/pull/1/merge")
    done = runner.run(library, "refs/pull/1/merge", "pull_request", "ci")
    bad = dict.fromkeys(["Lint and types", "Required"], "failure")
    assert done.results == dict.fromkeys(CI, "success") | bad, done.log
    assert objects(s3, config) == {}
