"""Commands print what a person needs, on the right stream, and exit with the right status."""

import json
import os
import re
import signal
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from s3index.__main__ import app
from tests import commands
from tests.distributions import sdist, wheel
from tests.protocol.standin import Answer, Seen, error, standing_in
from tests.template.baking import TEMPLATE
from tests.world import Library, at, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REPOSITORY = Path(__file__).parents[2]
WHEEL = "packages/devtools/acme-common/acme_common-0.1.0-py3-none-any.whl"
SDIST = "packages/devtools/acme-common/acme_common-0.1.0.tar.gz"
CLAIM = "packages/devtools/acme-common/release-0.1.json"
DERIVED = [
    "packages/devtools/acme-common/",
    "simple/acme-common/",
    "dumb-pypi/devtools/index/simple/acme-common/",
    "dumb-pypi/devtools/index/simple/acme-common/index.html",
    "packages/devtools/",
    "packages/devtools/constraints.txt",
    "dumb-pypi/devtools/index/index.html",
    "dumb-pypi/devtools/index/feed.xml",
    "simple/",
    "simple/constraints.txt",
    "dumb-pypi/index.html",
    "dumb-pypi/feed.xml",
]
PLAN = ["  " + key for key in (CLAIM, WHEEL, f"{WHEEL}.metadata", SDIST)]
FOLLOWS = ["and refresh:", *("  " + key for key in DERIVED)]


PATH = os.pathsep.join([str(commands.STUBS), str(Path(sys.executable).parent), os.environ["PATH"]])
"""Has Poetry, and a pip that knows no project."""


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """Return the lines on stdout."""
        return self.stdout.splitlines()


@pytest.fixture
def repository(library: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Make the smallest repository that s3index works in, with built files; change to it."""
    commands.repository(library, library.root)
    (library.root / "dist").mkdir()
    wheel(library.root / "dist")
    sdist(library.root / "dist")
    monkeypatch.chdir(library.root)
    monkeypatch.setenv("PATH", PATH)
    monkeypatch.setenv("GITHUB_ACTOR", "tests")
    monkeypatch.setenv("POETRY_VIRTUALENVS_CREATE", "false")
    return library


def s3index(*arguments: str, exits: int = 0, env: Mapping[str, str] = {}) -> Said:
    """Run `s3index` in the repository, in this process: a new one takes a second to start."""
    done = CliRunner().invoke(app, arguments, env=env)
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    said = Said(done.stdout, done.stderr)
    assert done.exit_code == exits, said
    return said


def dist(library: Library) -> list[str]:
    return [str(path.relative_to(library.root)) for path in sorted(library.root.glob("dist/*"))]


def publish(library: Library) -> bool:
    """Publish the files in dist/, in this process."""
    return release(library, *sorted(library.root.glob("dist/*")))


def buildable(library: Library) -> Path:
    """Give the repository what Poetry needs to build it; return its folder."""
    settings = library.root / "pyproject.toml"
    text = settings.read_text().replace("[project]", '[project]\nrequires-python = ">=3.11"')
    build = (
        '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
    )
    settings.write_text(text + build)
    (library.root / "acme_common.py").write_text("")
    return library.root


def page_of(s3: "S3Client", library: Library) -> Any:
    return json.loads(objects(s3, library.index)["packages/devtools/acme-common/"])


# publish


def test_publish_ends_with_what_to_do_next(repository: Library) -> None:
    said = s3index("publish", *dist(repository))
    url, bucket = repository.index.url, repository.index.bucket
    page = f"{url}/dumb-pypi/devtools/index/simple/acme-common/"
    assert said.stdout == (
        "Published acme-common 0.1.0 (2 files).\n"
        "\n"
        f"Its page: {page}\n"
        "\n"
        "Install it with pip:\n"
        f"    pip install -c {url}/simple/constraints.txt acme-common\n"
        "Install it with uv:\n"
        f"    uv add --index {bucket}={url}/simple/ acme-common\n"
        "Install it with Poetry:\n"
        f"    poetry source add --priority=primary {bucket} {url}/simple/\n"
        "    poetry source add --priority=supplemental PyPI\n"
        f"    poetry add --source {bucket} acme-common\n"
    )
    assert said.stderr == ""
    for address in (page, f"{page}index.html"):
        with urllib.request.urlopen(address) as shown:
            assert shown.headers["Content-Type"] == "text/html; charset=utf-8"
    again = s3index("publish", *dist(repository)).lines[0]
    assert again == "Already published, nothing changed: acme-common 0.1.0 (2 files)."


def test_content_types_and_caching(s3: "S3Client", repository: Library) -> None:
    publish(repository)
    kinds = {
        "packages/devtools/": "application/vnd.pypi.simple.v1+json",
        "packages/devtools/acme-common/": "application/vnd.pypi.simple.v1+json",
        "packages/devtools/constraints.txt": "text/plain; charset=utf-8",
        "simple/": "application/vnd.pypi.simple.v1+json",
        "simple/acme-common/": "application/vnd.pypi.simple.v1+json",
        "simple/constraints.txt": "text/plain; charset=utf-8",
        "dumb-pypi/devtools/index/index.html": "text/html; charset=utf-8",
        "dumb-pypi/devtools/index/simple/acme-common/": "text/html; charset=utf-8",
    }
    written_once = {
        WHEEL: "application/zip",
        f"{WHEEL}.metadata": "text/plain; charset=utf-8",
        SDIST: "application/gzip",
        CLAIM: "application/json",
    }
    for key, kind in {**kinds, **written_once}.items():
        head = s3.head_object(Bucket=repository.index.bucket, Key=key)
        assert head["ContentType"] == kind
        assert ("immutable" if key in written_once else "no-cache") in head["CacheControl"]


@pytest.mark.full
def test_poetry_builds_into_a_folder_of_its_own(s3: "S3Client", repository: Library) -> None:
    root = buildable(repository)
    for path in (root / "dist").iterdir():
        path.unlink()
    (root / "dist" / "acme_common-0.0.9.tar.gz").write_bytes(b"of the release before")
    said = s3index("publish")
    assert said.lines[:2] == [
        "Building acme-common 0.1.0.",
        "Published acme-common 0.1.0 (2 files).",
    ]
    assert dist(repository) == ["dist/acme_common-0.0.9.tar.gz"]
    assert [file["filename"] for file in page_of(s3, repository)["files"]] == [
        "acme_common-0.1.0-py3-none-any.whl",
        "acme_common-0.1.0.tar.gz",
    ]


def test_files_of_another_version_in_dist(s3: "S3Client", repository: Library) -> None:
    later = at(repository, "0.2.0")
    commands.repository(later, later.root)
    wheel(later.root / "dist", version="0.2.0")
    said = s3index("publish", *dist(later), exits=1)
    assert said.stderr == (
        "Error: acme_common-0.1.0-py3-none-any.whl is acme-common 0.1.0, but pyproject.toml says "
        "acme-common 0.2.0. Publish this repository's own release: without file names, `s3index "
        "publish` builds it into a folder of its own.\n"
    )
    assert objects(s3, repository.index) == {}


@pytest.mark.full
def test_a_build_that_fails_is_shown(repository: Library) -> None:
    (buildable(repository) / "acme_common.py").unlink()
    said = s3index("publish", exits=1)
    first, *rest = said.stderr.splitlines()
    assert first == "Error: `poetry build` failed. Fix what it reports, then run it again:"
    assert "No file/folder found for package acme-common" in " ".join(rest)


def test_without_poetry(repository: Library) -> None:
    buildable(repository)
    said = s3index("publish", exits=1, env={"PATH": "/nowhere"})
    assert said.stderr == (
        "Error: Poetry is not installed, or not on PATH. Install it, or pass the built files.\n"
    )


def test_step_summary(repository: Library, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("what came before\n")
    s3index("publish", *dist(repository), env={"GITHUB_STEP_SUMMARY": str(summary)})
    text = summary.read_text()
    assert text.startswith("what came before\n## Published acme-common 0.1.0\n")
    assert f"pip install -c {repository.index.url}/simple/constraints.txt acme-common" in text


def test_a_step_summary_that_cannot_be_written_is_a_warning(
    s3: "S3Client", repository: Library
) -> None:
    nowhere = {"GITHUB_STEP_SUMMARY": "/nowhere/summary.md"}
    said = s3index("publish", *dist(repository), env=nowhere)
    assert said.stderr.startswith("Warning: the step summary was not written: ")
    assert "Install it with pip:" in said.stdout


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
    s3: "S3Client", repository: Library, variables: dict[str, str], said: str | None
) -> None:
    s3index("publish", *dist(repository), env=variables)
    assert {file.get("_uploaded-by") for file in page_of(s3, repository)["files"]} == {said}
    claim = json.loads(objects(s3, repository.index)[CLAIM])
    assert claim.get("uploaded-by") == (variables["GITHUB_ACTOR"] or None)
    assert claim.get("commit") == (variables["GITHUB_SHA"] or None)


def test_verbose_shows_each_request(repository: Library) -> None:
    lines = s3index("publish", "--verbose", *dist(repository)).stderr.splitlines()
    puts = [line.split()[1].rstrip(":") for line in lines if re.match("Put .*: written", line)]
    # The page in the organisation's namespace is written twice: first empty, to own the name.
    assert sorted(puts) == sorted(
        [CLAIM, WHEEL, f"{WHEEL}.metadata", SDIST, *DERIVED, "simple/acme-common/"]
    )
    assert "Get packages/devtools/: none" in lines


# publish --dry-run


def test_a_dry_run_shows_every_key_and_writes_nothing(s3: "S3Client", repository: Library) -> None:
    shown = s3index("publish", "--dry-run", *dist(repository)).lines
    heading = f"Would create in s3://{repository.index.bucket}:"
    assert shown == [heading, *PLAN, *FOLLOWS]
    assert objects(s3, repository.index) == {}
    publish(repository)
    assert set(objects(s3, repository.index)) == {line.strip() for line in shown[1:]} - {
        "and refresh:"
    }


def test_a_dry_run_says_what_is_there_already(s3: "S3Client", repository: Library) -> None:
    publish(repository)
    for key in (*DERIVED, SDIST):
        s3.delete_object(Bucket=repository.index.bucket, Key=key)
    before = objects(s3, repository.index)
    shown = s3index("publish", "--dry-run", *dist(repository)).lines
    there = [f"{line}  (there already)" for line in PLAN[:3]]
    assert shown[1:] == [*there, PLAN[3], *FOLLOWS]
    assert objects(s3, repository.index) == before


def test_a_dry_run_of_what_is_released(s3: "S3Client", repository: Library) -> None:
    publish(repository)
    before = objects(s3, repository.index)
    shown = s3index("publish", "--dry-run", *dist(repository)).stdout
    assert shown == "Already released: publishing would not change any file.\n"
    assert objects(s3, repository.index) == before


def test_a_dry_run_refuses_what_a_publish_would(s3: "S3Client", repository: Library) -> None:
    publish(repository)
    before = objects(s3, repository.index)
    wheel(repository.root / "dist", body="# another build")
    dry, wet = (
        s3index("publish", *more, *dist(repository), exits=1) for more in (["--dry-run"], [])
    )
    assert dry == wet
    assert dry.stderr == (
        "Error: acme-common 0.1.0 cannot be published: acme_common-0.1.0-py3-none-any.whl is in "
        "the bucket with other bytes, and files never change. Bump the version.\n"
    )
    assert objects(s3, repository.index) == before
    theirs = at(repository, "0.1.0", team="data")
    commands.repository(theirs, theirs.root)
    said = s3index("publish", "--dry-run", *dist(theirs), exits=1)
    assert said.stderr.startswith("Error: The name acme-common belongs to team devtools, which ")


def test_a_dry_run_without_credentials_checks_the_files(repository: Library) -> None:
    # CI shows in pull requests what a release would do.
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    said = s3index("publish", "--dry-run", *dist(repository), env=nobody)
    first, heading, *rest = said.lines
    assert first.startswith(
        "The bucket was not read, only the files were checked: No AWS credentials found."
    )
    assert [heading, *rest] == [f"Would create in s3://{repository.index.bucket}:", *PLAN, *FOLLOWS]
    (repository.root / "dist" / "acme_common-0.1.0.tar.gz").write_bytes(b"damaged")
    said = s3index("publish", "--dry-run", *dist(repository), exits=1, env=nobody)
    assert said.stderr.startswith("Error: acme_common-0.1.0.tar.gz is not an intact sdist")
    (repository.root / "dist" / "acme_common-0.1.0.tar.gz").unlink()
    said = s3index("publish", *dist(repository), exits=1, env=nobody)
    assert said.stderr.startswith("Error: No AWS credentials found.")


@pytest.mark.parametrize(
    ("status", "code", "exits"),
    [(403, "AccessDenied", 0), (400, "ExpiredToken", 0), (404, "NoSuchBucket", 1)],
)
def test_a_dry_run_without_access(
    repository: Library, endpoint: str, status: int, code: str, exits: int
) -> None:
    def refuses(seen: Seen) -> Answer:
        return error(status, code, "Not you\n::error::and not so")

    with standing_in(refuses, endpoint) as server:
        env = {"AWS_ENDPOINT_URL_S3": server.url}
        said = s3index("publish", "--dry-run", *dist(repository), exits=exits, env=env)
        assert server.puts() == []
    checked = "The bucket was not read, only the files were checked: "
    assert said.stdout.startswith(checked) == (exits == 0)
    assert not [line for line in [*said.lines, *said.stderr.splitlines()] if line[:2] == "::"]


# yank, verify, repair


def test_yank_and_unyank_say_what_they_did(s3: "S3Client", repository: Library) -> None:
    publish(repository)
    yank = ("yank", "0.1.0", "--reason", "it leaks")
    assert s3index(*yank).stdout == "acme-common 0.1.0 is now yanked.\n"
    assert [file["yanked"] for file in page_of(s3, repository)["files"]] == ["it leaks"] * 2
    assert s3index(*yank).stdout == "acme-common 0.1.0 is already yanked.\n"
    assert s3index("yank", "0.1.0").stdout == "acme-common 0.1.0 is already yanked.\n"
    assert [file["yanked"] for file in page_of(s3, repository)["files"]] == ["it leaks"] * 2
    said = s3index("publish", *dist(repository), exits=1)
    assert said.stderr == "Error: acme-common 0.1.0 is yanked. Unyank it, or bump the version.\n"
    unyank = ("unyank", "0.1")
    assert s3index(*unyank).stdout == "acme-common 0.1 is no longer yanked.\n"
    assert s3index(*unyank).stdout == "acme-common 0.1 is not yanked.\n"
    assert not any(file.get("yanked") for file in page_of(s3, repository)["files"])
    s3index("yank", "0.1.0")
    assert [file["yanked"] for file in page_of(s3, repository)["files"]] == [True, True]
    said = s3index("yank", "0.3.0", exits=1)
    assert said.stderr == "Error: acme-common 0.3.0 is not released; the index has 0.1.0.\n"


def test_verify_prints_notes_and_exits_with_1_on_findings_alone(
    s3: "S3Client", repository: Library
) -> None:
    publish(repository)
    bucket = repository.index.bucket
    assert s3index("verify").stdout == "Index and bucket match.\n"
    left = "packages/devtools/acme-common/acme_common-0.2.0.tar.gz"
    s3.put_object(Bucket=bucket, Key=left, Body=b"an upload that was abandoned")
    assert s3index("verify", "--deep").lines == [
        f"Note: {left}: stored, but not part of a release",
        "Index and bucket match.",
    ]
    s3.delete_object(Bucket=bucket, Key="packages/devtools/constraints.txt")
    assert s3index("verify", exits=1).lines == [
        f"Note: {left}: stored, but not part of a release",
        "packages/devtools/constraints.txt: missing",
        "1 finding. Run `s3index repair` as an administrator to fix what can be fixed.",
    ]
    s3.delete_object(Bucket=bucket, Key="simple/acme-common/")
    assert s3index("verify", exits=1).lines[-1].startswith("2 findings. ")


def test_a_team_without_a_release_has_nothing_wrong(repository: Library) -> None:
    said = s3index("verify")
    assert said.stdout == "Index and bucket match.\n"
    publish(repository)
    path = repository.root / "pyproject.toml"
    path.write_text(path.read_text().replace('team = "devtools"', 'team = "data"'))
    assert s3index("verify").stdout == "Index and bucket match.\n"


def test_a_lost_team_is_not_one_without_a_release(s3: "S3Client", repository: Library) -> None:
    publish(repository)
    for key in objects(s3, repository.index):
        if "constraints" not in key:
            s3.delete_object(Bucket=repository.index.bucket, Key=key)
    assert {"packages/devtools/: missing", "simple/: missing"} <= set(
        s3index("verify", exits=1).lines
    )


def test_verify_of_this_repositorys_project_alone(s3: "S3Client", repository: Library) -> None:
    publish(repository)
    other = at(repository, "7.0", "acme-other")
    release(other, wheel(repository.root, "acme-other", "7.0"))
    s3.delete_object(
        Bucket=repository.index.bucket, Key="dumb-pypi/devtools/index/simple/acme-other/"
    )
    assert s3index("verify", "--project").stdout == "Index and bucket match.\n"
    s3index("verify", exits=1)


def test_repair_says_what_it_did_and_what_is_left(s3: "S3Client", repository: Library) -> None:
    publish(repository)
    bucket = repository.index.bucket
    s3.delete_object(Bucket=bucket, Key="packages/devtools/")
    s3.delete_object(Bucket=bucket, Key="packages/devtools/acme-common/")
    assert s3index("repair").lines == [
        "Rebuilt the index of devtools.",
        "Index and bucket match.",
    ]
    s3.delete_object(Bucket=bucket, Key=SDIST)
    assert s3index("repair", exits=1).lines[:2] == [
        f"{SDIST}: listed, but missing",
        "Rebuilt the index of devtools, except for the above.",
    ]


# preview


@pytest.mark.full
def test_preview_serves_until_interrupted(repository: Library) -> None:
    root = buildable(repository)
    # Whatever is set for AWS, the preview uses its own settings.
    environment = {"PATH": PATH, "PYTHONUNBUFFERED": "1"}
    environment |= {"AWS_PROFILE": "no-such-profile", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    with commands.start(root, "preview", env=environment) as process:
        try:
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
        finally:
            process.kill()
    assert rest == "Stopped; nothing is left behind.\n"
    assert (process.returncode, errors) == (0, "")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address[1])


def test_preview_without_moto_says_what_to_install(
    repository: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "s3index.preview", raising=False)
    monkeypatch.setitem(sys.modules, "moto.server", None)
    said = s3index("preview", exits=1)
    assert said.stderr == (
        "Error: preview needs moto, which is not installed. This installs an s3index with it: "
        f"pipx install --force 's3index[build,edge,import,init,preview] @ {TEMPLATE.as_uri()}'\n"
    )


# Settings, usage and the rest


def test_check_tag(repository: Library) -> None:
    said = s3index("check-tag", "refs/heads/main", exits=1)
    assert said.stderr.startswith(
        "Error: refs/heads/main is not a tag. Releases are made from tags"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish", "--no-such-option"),
        ("no-such-command",),
        ("yank",),
        ("yank", "not a version"),
        ("yank", "9" * 5_000),
        ("verify", "extra"),
        ("check-tag",),
        ("provision", "--bucket-only", "--role-only"),
    ],
)
def test_wrong_usage_exits_with_2(repository: Library, arguments: tuple[str, ...]) -> None:
    said = s3index(*arguments, exits=2)
    assert said.stderr.startswith("Usage: ")
    assert said.stdout == ""


NO_TABLE = (
    "pyproject.toml has no [tool.s3index] table. Restore it, or add it with `s3index init`.\n"
)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("", ""), "There is no pyproject.toml in"),
        (("[project]", "[project"), "pyproject.toml cannot be read"),
        (("[project]", "x = " + "[" * 5_000), "pyproject.toml cannot be read"),
        (("[project]", "[projekt]"), "pyproject.toml has no [project] table. Add it, "),
        (("[tool.s3index]", "[tool.s3]"), NO_TABLE),
        (("[tool.s3index]", "[tools.s3index]"), NO_TABLE),
        (('version = "0.1.0"', 'version = "one"'), "version = 'one' in pyproject.toml is not a v"),
        (('version = "0.1.0"', f'version = "{"9" * 5_000}"'), "version = '9999"),
        (('name = "acme-common"', 'name = "a/b"'), "name = 'a/b' in [project] of pyproject.toml "),
        (('team = "devtools"', "team = 5"), "team = 5 in [tool.s3index] of pyproject.toml must"),
        (('team = "devtools"', 'team = "a/b"'), "team = 'a/b' in [tool.s3index]"),
        (('team = "devtools"', 'team = "a\\n"'), "team = 'a\\n' in [tool.s3index]"),
        (("bucket", "buckets"), "bucket = None in [tool.s3index]"),
        (('region = "eu', 'region = "eu/'), "region = 'eu/-central-1' in [tool.s3index]"),
        (('url = "http', 'url = "ftp'), "url = 'ftp://127.0.0.1"),
        (('url = "http', 'url = "http://x/?<b>'), "url = 'http://x/?<b>"),
    ],
)
def test_settings_that_cannot_be_used(
    repository: Library, edit: tuple[str, str], said: str
) -> None:
    path = repository.root / "pyproject.toml"
    if edit[0]:
        path.write_text(path.read_text().replace(*edit))
    else:
        path.unlink()
    stderr = s3index("publish", "--dry-run", exits=1).stderr
    assert stderr.startswith(f"Error: {said}")
    assert len(stderr.splitlines()) <= 2


def test_an_index_on_other_servers(repository: Library) -> None:
    """Without `url`, addresses come from boto3's endpoint or, without one, from the region."""
    path = repository.root / "pyproject.toml"
    path.write_text(re.sub("(?m)^url = .*\n", "", path.read_text()))
    bucket, endpoint = repository.index.bucket, repository.index.endpoint
    said = s3index("publish", *dist(repository))
    assert f"pip install -c {endpoint}/{bucket}/simple/constraints.txt acme-common" in said.stdout


def test_an_endpoint_that_is_no_address(
    repository: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "localhost:9000")
    assert s3index("verify", exits=1).stderr == (
        "Error: AWS_ENDPOINT_URL_S3 = 'localhost:9000' must start with http:// or https://.\n"
    )


def test_version_is_the_newest_in_the_changelog(repository: Library) -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)[0]
    assert s3index("--version").stdout == f"s3index {newest}\n"


def test_what_a_terminal_cannot_show_is_escaped(s3: "S3Client", repository: Library) -> None:
    publish(repository)
    key = "packages/devtools/🚰"
    s3.put_object(Bucket=repository.index.bucket, Key=key, Body=b"")
    environment = {"PYTHONIOENCODING": "cp1252"}
    with commands.start(repository.root, "verify", env=environment) as process:
        stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    assert r"\U0001f6b0: not in a project's folder" in stdout
    assert f"Note: {key}: not" in s3index("verify").stdout
