"""The command line as a person meets it: what it prints, where, and how it exits."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.template.baking import TEMPLATE, bake
from tests.commands import S3INDEX, STUBS
from tests.distributions import sdist, wheel
from s3index.config import Config
from tests.world import objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def repository(config: Config) -> Config:
    """Make the smallest folder that s3index works in: pyproject.toml and built files."""
    settings = f'team = "devtools"\nbucket = "{config.bucket}"\nregion = "{config.region}"\n'
    (config.root / "pyproject.toml").write_text(
        f'[project]\nname = "acme-common"\nversion = "0.1.0"\n[tool.s3index]\n{settings}'
    )
    (config.root / "dist").mkdir()
    wheel(config.root / "dist")
    sdist(config.root / "dist")
    return config


def s3index(
    config: Config, *arguments: str, exits: int = 0, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m s3index` in the repository."""
    path = f"{STUBS}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "s3index", *arguments],
        cwd=config.root,
        env=os.environ
        | {"PYTHONPATH": str(S3INDEX), "PATH": path, "COLUMNS": "80"}
        | dict(env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exits, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def dist(config: Config) -> list[str]:
    return [str(path) for path in sorted((config.root / "dist").iterdir())]


def test_publish_ends_with_what_to_do_next(repository: Config) -> None:
    done = s3index(repository, "publish", *dist(repository))
    url = repository.url
    assert done.stdout == (
        "Published acme-common 0.1.0 (2 files).\n"
        "\n"
        f"Its page: {url}/dumb-pypi/devtools/index/simple/acme-common/index.html\n"
        "\n"
        "Install it with pip:\n"
        f"    pip install -c {url}/packages/devtools/constraints.txt acme-common\n"
        "Install it with uv:\n"
        f"    uv add --index devtools={url}/packages/devtools/ acme-common\n"
        "Install it with Poetry:\n"
        f"    poetry source add --priority=primary devtools {url}/packages/devtools/\n"
        "    poetry source add --priority=supplemental PyPI\n"
        "    poetry add --source devtools acme-common\n"
    )
    assert done.stderr == ""
    with urllib.request.urlopen(f"{url}/dumb-pypi/devtools/index/simple/acme-common/index.html"):
        pass
    again = s3index(repository, "publish", *dist(repository)).stdout.splitlines()[0]
    assert again == "Already published, nothing was changed: acme-common 0.1.0 (2 files)."


def test_dry_run_shows_every_key_and_writes_nothing(s3: "S3Client", repository: Config) -> None:
    # Not even credentials are needed: CI shows pull requests what a release would do.
    shown = s3index(
        repository, "publish", "--dry-run", *dist(repository), env={"AWS_ACCESS_KEY_ID": ""}
    ).stdout
    assert objects(s3, repository) == {}
    s3index(repository, "publish", *dist(repository))
    keys = set(re.findall(r"^  (\S+)", shown, re.MULTILINE))
    assert keys == set(objects(s3, repository))


def test_content_types_and_caching(s3: "S3Client", repository: Config) -> None:
    s3index(repository, "publish", *dist(repository))
    kinds = {
        "packages/devtools/": "application/vnd.pypi.simple.v1+json",
        "packages/devtools/acme-common/": "application/vnd.pypi.simple.v1+json",
        "packages/devtools/constraints.txt": "text/plain; charset=utf-8",
        "packages/devtools/acme-common/acme_common-0.1.0-py3-none-any.whl": "application/zip",
        "packages/devtools/acme-common/acme_common-0.1.0.tar.gz": "application/gzip",
        "dumb-pypi/devtools/index/simple/": "text/html; charset=utf-8",
        "dumb-pypi/devtools/index/index.html": "text/html; charset=utf-8",
        "dumb-pypi/devtools/index/pypi/acme-common/json": "application/json",
    }
    for key, kind in kinds.items():
        head = s3.head_object(Bucket=repository.bucket, Key=key)
        assert head["ContentType"] == kind
        caching = "immutable" if "acme_common-" in key else "no-cache"
        assert caching in head["CacheControl"]


def test_poetry_builds_into_a_folder_of_its_own(
    config: Config, s3: "S3Client", tmp_path: Path
) -> None:
    project = bake(tmp_path / "baked", starter="empty", bucket=config.bucket)
    (project / "dist").mkdir()
    (project / "dist" / "stale-9.tar.gz").write_bytes(b"")
    baked = Config(**{**config.__dict__, "root": project})
    assert "Published acme-common 0.1.0 (2 files)." in s3index(baked, "publish").stdout
    assert [path.name for path in (project / "dist").iterdir()] == ["stale-9.tar.gz"]
    page = json.loads(objects(s3, config)["packages/devtools/acme-common/"])
    assert [file["filename"] for file in page["files"]] == [
        "acme_common-0.1.0-py3-none-any.whl",
        "acme_common-0.1.0.tar.gz",
    ]


def test_a_build_that_fails_is_shown(repository: Config) -> None:
    done = s3index(repository, "publish", exits=1)
    assert "Error: `poetry build` failed; correct what it says, then run it again:" in done.stderr
    assert "build-system" in done.stderr or "poetry" in done.stderr


def test_without_poetry(repository: Config) -> None:
    done = s3index(repository, "publish", exits=1, env={"PATH": "/nowhere"})
    assert done.stderr == (
        "Error: Poetry is not installed, or not on PATH. Install it, or name built files.\n"
    )


def test_step_summary(repository: Config, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("what came before\n")
    s3index(repository, "publish", *dist(repository), env={"GITHUB_STEP_SUMMARY": str(summary)})
    text = summary.read_text()
    assert text.startswith("what came before\n## Published acme-common 0.1.0\n")
    assert f"pip install -c {repository.url}/packages/devtools/constraints.txt acme-common" in text


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"GITHUB_ACTOR": "octocat", "GITHUB_SHA": "0123456789abcdef"},
            "octocat (0123456789ab)",
        ),
        ({"GITHUB_ACTOR": "octocat", "GITHUB_SHA": "", "PATH": "/nowhere"}, "octocat"),
        ({"GITHUB_ACTOR": "", "GITHUB_SHA": "", "PATH": "/nowhere"}, None),
    ],
)
def test_who_uploaded(
    s3: "S3Client", repository: Config, variables: dict[str, str], said: str | None
) -> None:
    s3index(repository, "publish", *dist(repository), env=variables)
    page = json.loads(objects(s3, repository)["packages/devtools/acme-common/"])
    assert {file.get("_uploaded-by") for file in page["files"]} == {said}


def test_verbose_shows_each_request(repository: Config) -> None:
    lines = s3index(repository, "publish", "--verbose", *dist(repository)).stderr.splitlines()
    assert sum(line.startswith("Put ") for line in lines) == 13
    assert "Get packages/devtools/: none" in lines


def test_yank_and_verify(repository: Config) -> None:
    s3index(repository, "publish", *dist(repository))
    yank = ("yank", "0.1.0", "--reason", "it leaks")
    assert s3index(repository, *yank).stdout == "acme-common 0.1.0 is now yanked.\n"
    assert s3index(repository, *yank).stdout == "acme-common 0.1.0 is already yanked.\n"
    good = "The index of devtools is what the bucket holds.\n"
    assert s3index(repository, "verify").stdout == good
    assert s3index(repository, "unyank", "0.1.0").stdout == "acme-common 0.1.0 is now not yanked.\n"
    refused = s3index(repository, "yank", "0.3.0", exits=1)
    assert refused.stderr == ("Error: acme-common 0.3.0 is not released; the index has 0.1.0.\n")


def test_verify_and_repair_exit_codes(s3: "S3Client", repository: Config) -> None:
    s3index(repository, "publish", *dist(repository))
    s3.delete_object(Bucket=repository.bucket, Key="packages/devtools/")
    done = s3index(repository, "verify", exits=1)
    assert done.stdout.splitlines() == [
        "packages/devtools/: the page is missing",
        "1 finding. `python -m s3index repair` rebuilds the pages.",
    ]
    done = s3index(repository, "repair")
    assert done.stdout.splitlines() == [
        "Rebuilt the index of devtools.",
        "The index of devtools is what the bucket holds.",
    ]
    s3.delete_object(
        Bucket=repository.bucket, Key="packages/devtools/acme-common/acme_common-0.1.0.tar.gz"
    )
    assert "taken off the page" in s3index(repository, "repair", exits=1).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish", "--no-such-option"),
        ("no-such-command",),
        ("yank",),
        ("yank", "not a version"),
        ("verify", "extra"),
    ],
)
def test_wrong_usage_exits_with_2(repository: Config, arguments: tuple[str, ...]) -> None:
    assert "Usage: python -m s3index" in s3index(repository, *arguments, exits=2).stderr


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("", ""), "There is no pyproject.toml in"),
        (("[project]", "[project"), "pyproject.toml cannot be read"),
        (("[project]", "[projekt]"), "pyproject.toml has no [project] table. Restore it."),
        (("[tool.s3index]", "[tool.s3]"), "pyproject.toml has no [tool.s3index] table."),
        (('version = "0.1.0"', 'version = "one"'), "version = 'one' in pyproject.toml is no ver"),
        (('team = "devtools"', "team = 5"), "team = 5 in [tool.s3index] of pyproject.toml is not"),
        (('team = "devtools"', 'team = "a/b"'), "team = 'a/b' in [tool.s3index]"),
        (("bucket", "buckets"), "bucket = None in [tool.s3index]"),
    ],
)
def test_settings_that_cannot_be_used(repository: Config, edit: tuple[str, str], said: str) -> None:
    path = repository.root / "pyproject.toml"
    if edit[0]:
        path.write_text(path.read_text().replace(*edit))
    else:
        path.unlink()
    done = s3index(repository, "publish", "--dry-run", exits=1)
    assert done.stderr.startswith(f"Error: {said}")
    assert len(done.stderr.splitlines()) <= 2


def test_preview_serves_until_interrupted(repository: Config, tmp_path: Path) -> None:
    project = bake(tmp_path / "baked", starter="empty")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "s3index", "preview"],
        cwd=project,
        env=environment | {"PATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    printed = ""
    while "Ctrl-C" not in printed:
        line = process.stdout.readline()
        assert line, printed + (process.stderr.read() if process.stderr else "")
        printed += line
    address = re.search(r"Its page: (\S+)", printed)
    assert address
    with urllib.request.urlopen(address[1]) as page:
        assert b"acme_common-0.1.0-py3-none-any.whl" in page.read()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=20)
    assert rest == "Stopped; nothing is left behind.\n"
    assert (process.returncode, errors) == (0, "")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address[1])


def test_version_is_the_newest_in_the_changelog(repository: Config) -> None:
    changelog = (TEMPLATE / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)[0]
    assert s3index(repository, "--version").stdout == f"s3index {newest}\n"
