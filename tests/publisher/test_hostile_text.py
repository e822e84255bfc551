"""Hostile text does no harm in git and CI names, reasons, and the bucket's keys and objects.

Whatever the text, commands end with a result or a one-line error, and print neither commands for
GitHub's runner (`::error`) nor escape sequences for a terminal.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends
from typer.testing import CliRunner

from s3index import build
from s3index.__main__ import app
from tests import commands
from tests.access.administrator import ACCOUNT
from tests.distributions import sdist, wheel
from tests.world import Library, objects, release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ESCAPES = "\x1b]0;title\x07\x1b[31mred\n::error::no\r\n::set-output name=a::b\u2028\u202e"
PAGE = "packages/devtools/acme-common/"
CLAIM = f"{PAGE}release-0.1.json"


@pytest.fixture
def repository(library: Library) -> Library:
    """Make a repository with a wheel and an sdist."""
    commands.repository(library, library.root)
    wheel(library.root)
    sdist(library.root)
    return library


def files(library: Library) -> list[Path]:
    return sorted([*library.root.glob("*.whl"), *library.root.glob("*.tar.gz")])


def s3index(
    library: Library, *arguments: bytes, exits: int = 0, env: Mapping[bytes, bytes] = {}
) -> str:
    """Run `python -m s3index` with bytes as a shell passes them; return its output."""
    environment = {**os.environb, b"PATH": os.fsencode(f"{commands.STUBS}:{os.environ['PATH']}")}
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"s3index", *arguments],
        cwd=library.root,
        env=environment | {b"GITHUB_ACTOR": b"tests", **env},
        capture_output=True,
        check=False,
    )
    printed = (done.stdout + done.stderr).decode()
    assert done.returncode == exits, printed
    harmless(printed)
    return printed


def harmless(printed: str) -> None:
    """Assert that output has no command for a terminal or GitHub's runner, and no traceback."""
    assert "Traceback" not in printed
    assert all(char.isprintable() or char == "\n" for char in printed)
    assert not [line for line in printed.splitlines() if line.lstrip().startswith("::")]


def claimed(s3: "S3Client", library: Library) -> Any:
    return json.loads(objects(s3, library.index)[CLAIM])


@pytest.mark.full
@pytest.mark.parametrize(
    ("actor", "kept"),
    [
        (b"M\xfcller", "M ller"),
        (b"\xff\xfe\xfd", None),
        (ESCAPES.encode(), "]0;title [31mred ::error::no ::set-output name=a::b"),
        (b"a" * 5_000, "a" * 500),
        ("Zoë 🚰".encode(), "Zoë 🚰"),
    ],
)
def test_the_name_that_ci_gives(
    s3: "S3Client", repository: Library, actor: bytes, kept: str | None
) -> None:
    who = {b"GITHUB_ACTOR": actor, b"GITHUB_SHA": b"\xff01\n23"}
    s3index(repository, b"publish", *map(os.fsencode, files(repository)), env=who)
    claim = claimed(s3, repository)
    assert claim.get("uploaded-by") == kept
    assert claim["commit"] == "01 23"
    assert s3index(repository, b"verify") == "Index and bucket match.\n"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"M\xfcller", "M\ufffdller"),
        (b"M\xc3\xbcller", "Müller"),
        (rb'"a\n::error::b\tc"', "a\n::error::b\tc"),
        (b"\x1b[31mred", "\x1b[31mred"),
        (b"", None),
    ],
)
def test_the_name_that_git_gives(
    name: bytes, kept: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTOR", raising=False)
    monkeypatch.setenv("GITHUB_SHA", "0123")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    with (tmp_path / ".git" / "config").open("ab") as file:
        file.write(b"[user]\n\tname = " + name + b"\n")
    # test_pages tests how pages store the name.
    assert build.uploader(tmp_path) == (kept, "0123")


def test_a_latin_1_name_of_git_is_published(s3: "S3Client", repository: Library) -> None:
    subprocess.run(["git", "init", "-q", repository.root], check=True)
    with (repository.root / ".git" / "config").open("ab") as file:
        file.write(b"[user]\n\tname = M\xfcller\n")
    nobody = {b"GITHUB_ACTOR": b"", b"GITHUB_SHA": b""}
    s3index(repository, b"publish", *map(os.fsencode, files(repository)), env=nobody)
    assert claimed(s3, repository)["uploaded-by"] == "M\ufffdller"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (b"l\xe4uft \xfcber", "is not valid Unicode"),
        (b"a" * 501, "it has 501 characters; 500 are allowed"),
    ],
)
def test_a_reason_that_is_refused(
    s3: "S3Client", repository: Library, reason: bytes, said: str
) -> None:
    release(repository, *files(repository))
    before = objects(s3, repository.index)
    printed = s3index(repository, b"yank", b"0.1.0", b"--reason", reason, exits=2)
    assert said in " ".join(printed.replace("│", " ").split())
    assert objects(s3, repository.index) == before


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (ESCAPES, "]0;title [31mred ::error::no ::set-output name=a::b"),
        ("\n\t ", True),
        ("ä" * 500, "ä" * 500),
        ("</a><script>", "</a><script>"),
    ],
)
def test_a_reason_becomes_one_line(
    s3: "S3Client",
    repository: Library,
    reason: str,
    kept: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release(repository, *files(repository))
    monkeypatch.chdir(repository.root)
    done = CliRunner().invoke(app, ["yank", "0.1.0", "--reason", reason])
    assert done.exit_code == 0, done.output
    page = json.loads(objects(s3, repository.index)[PAGE])
    assert {file["yanked"] for file in page["files"]} == {kept}
    assert CliRunner().invoke(app, ["verify"]).stdout == "Index and bucket match.\n"


HOSTILE_KEYS = [
    f"packages/devtools/{ESCAPES}",
    f"packages/devtools/{ESCAPES}/readme.txt",
    "packages/devtools/New Folder/",
    "packages/devtools/<img src=x onerror=alert(1)>/a-1.tar.gz",
    f"packages/devtools/requests/{ESCAPES}",
    f"packages/devtools/requests/release-1{ESCAPES}.json",
    f"{PAGE}acme_common-0.1.0-py3-none-any.whl\n::error::x.metadata",
    f"{PAGE}release-\u0661.json",
    f"{PAGE}..\\..\\evil",
    "packages/devtools//",
    "simple/\n::error::/",
    "simple/\x1b[2J/",
]


@pytest.mark.parametrize("command", ["verify", "repair"])
def test_keys_are_printed_escaped(
    s3: "S3Client", repository: Library, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(repository, *files(repository))
    before = objects(s3, repository.index)
    for key in HOSTILE_KEYS:
        # moto's server has no route to keys with line breaks; S3 accepts them.
        s3_backends[ACCOUNT]["aws"].put_object(repository.index.bucket, key, ESCAPES.encode())
    monkeypatch.chdir(repository.root)
    done = CliRunner().invoke(app, [command, "--verbose"])
    assert isinstance(done.exception, SystemExit | None), done.output
    assert r"\n::error::no\r\n" in done.stdout
    harmless(done.stdout + done.stderr)
    # These keys create no projects and change nothing that others read.
    for key, body in before.items():
        assert s3.get_object(Bucket=repository.index.bucket, Key=key)["Body"].read() == body


full = [pytest.param(field, marks=pytest.mark.full) for field in ("_uploaded-by", "url")]


@pytest.mark.parametrize("field", ["yanked", "filename", *full])
def test_what_pages_say_is_printed_escaped(
    s3: "S3Client", repository: Library, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(repository, *files(repository))
    page = json.loads(objects(s3, repository.index)[PAGE])
    page["files"][0][field] = ESCAPES
    body = json.dumps(page).encode()
    s3.put_object(Bucket=repository.index.bucket, Key=PAGE, Body=body)
    before = objects(s3, repository.index)
    monkeypatch.chdir(repository.root)
    for command in (["publish", *map(str, files(repository))], ["yank", "0.1.0"], ["verify"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 1, done.output
        assert isinstance(done.exception, SystemExit)
        harmless(done.stdout + done.stderr)
    assert objects(s3, repository.index) == before


@pytest.mark.parametrize(
    "arguments",
    [
        (b"publish", b"dist/\xff\x1b[31m.whl"),
        (b"yank", b"\xff1.0"),
        (b"check-tag", b"refs/heads/\xff\x1b[31m"),
        (b"\xff",),
    ],
)
def test_arguments_are_printed_escaped(repository: Library, arguments: tuple[bytes, ...]) -> None:
    usage = arguments[0] in (b"yank", b"\xff")
    s3index(repository, *arguments, exits=2 if usage else 1)
