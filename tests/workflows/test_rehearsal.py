"""The workflows as they stand, run from a pushed tag to a release that a stranger has installed."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.template.baking import TEMPLATE, bake, pypi, python, run
from tests.clients.clients import consumer
from tests.distributions import wheel
from tests.workflows.expressions import condition
from tests.clients.hostile import hostile
from tests.workflows.image import Image
from tests.workflows.machine import git
from s3index.config import Config
from tests.workflows.workflows import GitHub
from tests.world import at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROLE = "arn:aws:iam::123456789012:role/s3index-devtools-acme-common"
JOBS = ("check", "ci / settings", "ci / lint", "ci / test", "ci / build", "ci")


class Library:
    """A generated library in a maintainer's clone, and its origin."""

    def __init__(self, folder: Path, config: Config, **answers: str) -> None:
        """Bake it, commit what was baked, push main."""
        self.clone = bake(folder, starter="empty", bucket=config.bucket, **answers)
        self.origin = folder / "origin.git"
        run(["git", "init", "--quiet", "--bare", self.origin], folder)
        self.git("remote", "add", "origin", self.origin.as_uri())
        self.commit()
        self.git("push", "--quiet", "origin", "main")

    def git(self, *arguments: str) -> str:
        """Run git in the clone, as its maintainer."""
        who = ("-c", "user.name=Developer Tools", "-c", "user.email=devtools@example.com")
        return git(self.clone, *who, *arguments)

    def commit(self) -> None:
        """Commit all that was changed."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Change the library")

    def change(self, path: str, old: str, new: str) -> None:
        """Change one file, which holds `old`, and commit it."""
        text = (self.clone / path).read_text()
        assert old in text
        (self.clone / path).write_text(text.replace(old, new))
        self.commit()

    def version(self, version: str) -> None:
        """Set the version and commit that."""
        self.change("pyproject.toml", 'version = "0.1.0"', f'version = "{version}"')

    def tag(self, tag: str, *, main: bool = True) -> str:
        """Tag the newest commit and push the tag, and main too; return the tag's ref."""
        self.git("tag", tag)
        self.git("push", "--quiet", "origin", tag, *(["main"] if main else []))
        return f"refs/tags/{tag}"


@pytest.fixture
def github(config: Config, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitHub:
    """Return a place for origin.git, and machines that reach the store; ref is to be set."""
    # A run of mypy without a cache takes longer than everything else together.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    image = Image(
        tmp_path / "machines",
        extra={
            "AWS_ENDPOINT_URL_S3": str(config.endpoint),
            "MYPY_CACHE_DIR": str(TEMPLATE / ".mypy_cache" / f"rehearsal-{worker}"),
            "TMPDIR": str(tmp_path),
        },
    )
    return GitHub(tmp_path / "origin.git", image, "", variables={"release": {"S3INDEX_ROLE": ROLE}})


def test_a_tag_becomes_a_release_that_a_stranger_installs(
    s3: "S3Client", config: Config, github: GitHub, tmp_path: Path
) -> None:
    github.ref, github.private = Library(tmp_path, config).tag("v0.1.0"), False
    with hostile(tmp_path, "acme-common") as stranger:
        github.image.extra.update(stranger.settings())
        done = github.run("release.yml")
        assert done.results == dict.fromkeys([*JOBS, "publish", "install"], "success"), done.log
        assert (done.group, done.cancels) == ("release-refs/tags/v0.1.0", False)
        assert "## Published acme-common 0.1.0" in done.summary
        person = consumer(tmp_path / "person")
        constraints = config.address(config.keys.constraints)
        person.pip("install", "--no-index", "-c", constraints, "acme-common")
        assert person.run(str(person.interpreter), "-c", "import acme_common") == ""

        # Again, after a newer release: nothing changes, and it is the tag's version that is tried.
        newer = wheel(tmp_path, version="0.2.0", body='raise RuntimeError("not this one")')
        release(at(config, "0.2.0"), newer)
        before = objects(s3, config)
        again = github.run("release.yml")
        assert set(again.results.values()) == {"success"}, again.log
        assert "Already published" in again.summary
        stranger.silent()
    assert objects(s3, config) == before


def test_a_release_that_only_some_networks_may_read(
    s3: "S3Client", config: Config, github: GitHub, tmp_path: Path
) -> None:
    github.ref = Library(tmp_path, config, access="network").tag("v0.1.0")
    s3.delete_bucket_policy(Bucket=config.bucket)
    done = github.run("release.yml")
    jobs = dict.fromkeys([*JOBS, "publish"], "success")
    assert done.results == jobs | {"install": "skipped"}, done.log
    assert "The index of devtools is what the bucket holds." in done.log
    for said in (done.log, done.summary):
        assert "\nNot installed from the index: " in said
    assert f"{config.keys.project_page('acme-common')}acme_common-0.1.0.tar.gz" in objects(
        s3, config
    )


def _wrong_tag(library: Library) -> str:
    return library.tag("v0.2.0")


def _by_hand(library: Library) -> str:
    return "refs/heads/main"


def _not_on_main(library: Library) -> str:
    library.git("switch", "--quiet", "--create", "side")
    library.change("CHANGELOG.md", "first", "very first")
    return library.tag("v0.1.0", main=False)


def _local_version(library: Library) -> str:
    library.version("0.1.0+dirty")
    return library.tag("v0.1.0+dirty")


def _not_normalised(library: Library) -> str:
    library.version("1.0.0-rc1")
    return library.tag("v1.0.0-rc1")


def _failing_test(library: Library) -> str:
    library.change("tests/test_package.py", "assert ", "assert not ")
    return library.tag("v0.1.0")


def _changing_build(library: Library) -> str:
    library.change(".gitignore", "dist/\n", "")
    return library.tag("v0.1.0")


@pytest.mark.parametrize(
    ("prepare", "failed", "said"),
    [
        (_wrong_tag, "check", "Error: Tag v0.2.0 is not v0.1.0, the version in pyproject.toml."),
        (_by_hand, "check", "Error: refs/heads/main is no tag."),
        (_not_on_main, "check", "Error: The commit of v0.1.0 is not on main."),
        (_local_version, "check", "Error: version = '0.1.0+dirty' in pyproject.toml is a local"),
        (_not_normalised, "check", "Error: version = '1.0.0-rc1' in pyproject.toml is written"),
        (_failing_test, "ci / test", "1 failed"),
        (_changing_build, "ci / build", "?? dist/"),
    ],
)
def test_what_must_not_be_released_is_not(
    s3: "S3Client",
    config: Config,
    github: GitHub,
    tmp_path: Path,
    prepare: Callable[[Library], str],
    failed: str,
    said: str,
) -> None:
    github.ref = prepare(Library(tmp_path, config))
    github.event = "push" if github.ref.startswith("refs/tags/") else "workflow_dispatch"
    done = github.run("release.yml")
    assert done.results[failed] == "failure"
    assert {name for name, result in done.results.items() if result == "failure"} <= {failed, "ci"}
    assert done.results["publish"] == done.results["install"] == "skipped"
    assert said in done.log
    assert "Traceback" not in done.log or failed == "ci / test"
    assert objects(s3, config) == {}


def test_without_a_role_nothing_is_published(
    s3: "S3Client", config: Config, github: GitHub, tmp_path: Path
) -> None:
    github.variables = {"": {"S3INDEX_ROLE": ""}}
    github.ref = Library(tmp_path, config).tag("v0.1.0")
    done = github.run("release.yml")
    assert done.results["publish"] == "failure"
    assert "::error::The environment release has no variable S3INDEX_ROLE." in done.log
    assert objects(s3, config) == {}


@pytest.mark.parametrize(
    ("private", "variable", "attested"),
    [(False, "", True), (True, "", False), (True, "true", True)],
)
def test_provenance_is_attested_where_github_does_it(
    config: Config, github: GitHub, tmp_path: Path, private: bool, variable: str, attested: bool
) -> None:
    github.ref = Library(tmp_path, config).tag("v0.1.0")
    github.private = private
    github.variables = {"": {"S3INDEX_ATTEST": variable}, "release": {"S3INDEX_ROLE": ROLE}}
    job = github.read("release.yml")["jobs"]["publish"]
    [step] = [step for step in job["steps"] if "attest" in step.get("uses", "")]
    assert condition(step["if"], github.contexts("release")) == attested


@pytest.mark.full
def test_a_release_with_poetrys_own_environments(
    s3: "S3Client", config: Config, github: GitHub, tmp_path: Path
) -> None:
    settings = {
        "POETRY_CACHE_DIR": str(tmp_path / "poetry-cache"),
        "POETRY_PYPI_MIRROR_URL": pypi(),
        "POETRY_VIRTUALENVS_CREATE": "true",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
    }
    library = Library(tmp_path, config)
    # The owner commits the lock file that `poetry install` wrote.
    run(python("poetry", "lock"), library.clone, settings)
    library.commit()
    github.ref = library.tag("v0.1.0")
    github.image = replace(github.image, real_poetry=True, extra=github.image.extra | settings)
    done = github.run("release.yml")
    assert set(done.results.values()) == {"success"}, done.log
    assert "Installing boto3-stubs" in done.log
    publishing = done.log.split("== publish: ")
    assert "Installing boto3 " in "".join(publishing)
    assert "Installing pytest" not in "".join(publishing[1:])


@pytest.mark.full
def test_two_tags_released_at_once(
    s3: "S3Client", config: Config, github: GitHub, tmp_path: Path
) -> None:
    library = Library(tmp_path, config)
    first = library.tag("v0.1.0")
    library.version("0.2.0")
    second = library.tag("v0.2.0")
    runs = []
    for ref in (first, second):
        folder = tmp_path / ref.rpartition("/")[2]
        extra = github.image.extra | {"MYPY_CACHE_DIR": str(folder / "mypy")}
        runs.append(
            replace(github, ref=ref, image=replace(github.image, folder=folder, extra=extra))
        )
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda one: one.run("release.yml"), runs))
    for one in done:
        assert set(one.results.values()) == {"success"}, one.log
    assert done[0].group != done[1].group
    page = json.loads(objects(s3, config)[config.keys.project_page("acme-common")])
    assert page["versions"] == ["0.1.0", "0.2.0"]


def test_every_pull_request_is_checked(
    s3: "S3Client", config: Config, github: GitHub, tmp_path: Path
) -> None:
    library = Library(tmp_path, config)
    library.change("tests/test_package.py", ".__doc__", ".__doc__ != ''")
    library.git("push", "--quiet", "origin", "HEAD:refs/pull/1/merge")
    github.event, github.ref = "pull_request", "refs/pull/1/merge"
    done = github.run("ci.yml")
    assert done.results == {
        "settings": "success",
        "lint": "failure",
        "test": "success",
        "build": "success",
    }, done.log
    assert (done.group, done.cancels) == ("ci-refs/pull/1/merge", True)
    assert objects(s3, config) == {}


@pytest.mark.parametrize("age", ["unknown", "current", "behind"])
def test_the_weekly_comparison_with_the_template(
    config: Config, github: GitHub, tmp_path: Path, age: str
) -> None:
    library = Library(tmp_path, config)
    template = tmp_path / "template"
    template.mkdir()
    run(["git", "init", "--quiet"], template)
    for number in range(2):
        (template / "cookiecutter.json").write_text(json.dumps({"number": number}))
        library.git("-C", str(template), "add", "cookiecutter.json")
        library.git("-C", str(template), "commit", "--message", "Change it")
    if age != "unknown":
        commit = git(template, "rev-parse", "HEAD" if age == "current" else "HEAD~")
        cruft = {
            "template": str(template),
            "commit": commit.strip(),
            "context": {"cookiecutter": {}},
        }
        (library.clone / ".cruft.json").write_text(json.dumps(cruft))
        library.commit()
        library.git("push", "--quiet", "origin", "main")
    github.event, github.ref = "schedule", "refs/heads/main"
    done = github.run("template-update.yml")
    assert done.results == {"check": "failure" if age == "behind" else "success"}, done.log
    explained = {"unknown": "no .cruft.json", "current": "up to date", "behind": "`cruft update`"}
    assert explained[age] in done.log
