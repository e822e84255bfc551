"""The commands of docs/operations.md run as printed, and its sums are right.

test_provision covers the commands that set up AWS and GitHub, test_nginx the web server's.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from tests.commands import STUBS
from tests.distributions import sdist, wheel
from tests.docs.printed import blocks, part, put_aws
from tests.protocol.failing import fails
from tests.protocol.standin import StandIn
from tests.template.baking import TEMPLATE, bake, run
from tests.world import Library, at, objects, release, verified

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client

TEXT = (TEMPLATE / "docs" / "operations.md").read_text(encoding="utf-8")
MOVE = "## Moving a library to another team"
LEAK = "## A leaked secret in a release"
YANK = "## A release that must not be used"
LOST = "## Lost or damaged pages"
STORE = "## Another S3-compatible server"
BY_HAND = "## Releasing by hand"
STOLEN = "## What a stolen role can still do"
SET_UP = "## First set-up of an organisation"
BLOCKS = {
    SET_UP: 2,
    "## What was reviewed is what is released": 0,
    "## A second repository, a second team": 1,
    "## Who may write what": 0,
    "## Coming from 0.2.0": 3,
    MOVE: 1,
    BY_HAND: 2,
    YANK: 1,
    LEAK: 2,
    LOST: 1,
    STOLEN: 1,
    "## What it costs": 0,
    STORE: 2,
    "## The same index on ordinary machines": 3,
}
FOLDER = "packages/devtools/acme-common/"
ROLE = "s3index.devtools.acme-common"


class Shell:
    """An operator's shell in the repository of acme-common, with the AWS CLI."""

    def __init__(self, library: Library, folder: Path) -> None:
        """Bake the repository, and put `aws` on PATH."""
        self._library = library
        self.repository = bake(folder, starter="empty", bucket=library.index.bucket)
        put_aws(folder)
        self._settings = {
            "PATH": f"{folder}:{STUBS}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_DEFAULT_REGION": library.index.region,
            # In the tests' environment, Poetry finds what a repository's own would have.
            "VIRTUAL_ENV": sys.prefix,
        }

    def run(self, script: str) -> str:
        """Run a script as printed, except for the bucket's name; return what it prints."""
        script = script.replace("acme-packages", self._library.index.bucket)
        return run(["bash", "-euo", "pipefail", "-c", script], self.repository, self._settings)


@pytest.fixture
def shell(library: Library, tmp_path: Path) -> Shell:
    return Shell(library, tmp_path)


def test_no_command_is_left_out() -> None:
    headings = re.findall(r"^## .*$", TEXT, re.MULTILINE)
    assert {heading: len(blocks(TEXT, heading)) for heading in headings} == BLOCKS


def test_a_tag_is_made_and_pushed(shell: Shell, tmp_path: Path) -> None:
    [script] = [found for found in blocks(TEXT, SET_UP) if "git" in found]
    run(["git", "init", "--quiet", "--bare", "origin.git"], tmp_path)
    author = "-c user.name=tests -c user.email=tests@example.com"
    shell.run(f"git {author} commit --quiet -m First\ngit remote add origin ../origin.git")
    shell.run(script)
    assert run(["git", "tag"], tmp_path / "origin.git") == "v0.1.0\n"


@pytest.mark.full
def test_releasing_by_hand_twice(shell: Shell) -> None:
    build_too, publish_only = blocks(TEXT, BY_HAND)
    login, rest = build_too.split("\n", 1)
    assert login == "aws sso login"
    # Each time, dist/ has files of another release.
    for version, script in (("0.1.0", rest), ("0.2.0", publish_only), ("0.3.0", rest)):
        shell.run(f"sed -i 's/^version = .*/version = \"{version}\"/' pyproject.toml")
        assert f"Published acme-common {version} (2 files)." in shell.run(script)
        shell.run("poetry build")


@pytest.fixture
def iam(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> "IAMClient":
    """Return an IAM client, with a role like provision's."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", endpoint)
    iam = boto3.client("iam", region_name="eu-central-1")
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=policy)
    iam.put_role_policy(RoleName=ROLE, PolicyName="s3index-publish", PolicyDocument=policy)
    return iam


@pytest.mark.full
def test_a_stolen_role_loses_its_rights(iam: "IAMClient", shell: Shell) -> None:
    shell.run(*blocks(TEXT, STOLEN))
    assert iam.list_role_policies(RoleName=ROLE)["PolicyNames"] == []
    iam.delete_role(RoleName=ROLE)


@pytest.mark.full
def test_the_old_role_is_deleted(iam: "IAMClient", shell: Shell) -> None:
    shell.run(*blocks(TEXT, MOVE))
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName=ROLE)


def keep_versions(s3: "S3Client", library: Library) -> None:
    """Turn versioning on, as provision does."""
    s3.put_bucket_versioning(
        Bucket=library.index.bucket, VersioningConfiguration={"Status": "Enabled"}
    )


@pytest.mark.full
def test_a_leaked_release_is_deleted_for_good(
    s3: "S3Client", library: Library, shell: Shell, tmp_path: Path
) -> None:
    keep_versions(s3, library)
    for version in ("0.1.0", "0.2.0", "0.2.0.post1"):
        files = [make(tmp_path, version=version) for make in (wheel, sdist)]
        release(at(library, version), *files)
    [yank] = blocks(TEXT, YANK)
    delete, repair = blocks(TEXT, LEAK)
    assert "acme-common 0.2.0 is" in shell.run(yank)
    shell.run(delete)
    leaked = {"acme_common-0.2.0-py3-none-any.whl", "acme_common-0.2.0.tar.gz"}
    leaked.add("acme_common-0.2.0-py3-none-any.whl.metadata")
    there = s3.list_object_versions(Bucket=library.index.bucket, Prefix=FOLDER)
    keys = {item["Key"].removeprefix(FOLDER) for item in there["Versions"]}
    assert not keys & leaked
    assert {"acme_common-0.2.0.post1.tar.gz", "acme_common-0.1.0.tar.gz"} <= keys
    said = shell.run(repair)
    assert all(name in said for name in leaked if not name.endswith(".metadata"))
    pages = [
        body for key, body in objects(s3, library.index).items() if key.endswith(("/", ".html"))
    ]
    assert not [body for body in pages if b"0.2.0-py3" in body or b"0.2.0.tar" in body]


@pytest.mark.full
def test_lost_pages_come_back_with_their_yanks(
    s3: "S3Client", library: Library, shell: Shell, tmp_path: Path
) -> None:
    keep_versions(s3, library)
    for version in ("0.1.0", "0.2.0"):
        release(at(library, version), wheel(tmp_path, version=version))
    shell.run(blocks(TEXT, YANK)[0])
    before = objects(s3, library.index)
    lost = [key for key in before if not key.endswith((".whl", ".metadata"))]
    for key in lost:
        s3.delete_object(Bucket=library.index.bucket, Key=key)
    [script] = blocks(TEXT, LOST)
    shell.run(script)
    assert objects(s3, library.index)[FOLDER] == before[FOLDER]
    assert verified(library).findings == []


@pytest.mark.full
def test_how_to_try_a_store(shell: Shell) -> None:
    create, swap = blocks(TEXT, STORE)
    first, second = create.splitlines()
    shell.run(first)
    assert "PreconditionFailed" in fails(shell.run, second)
    # The second swap requires the object that the first has replaced.
    *before, last = swap.splitlines()
    said = fails(shell.run, "\n".join([*before, "echo swapped", last]))
    assert re.search("swapped.*PreconditionFailed", said)


def test_the_requests_of_a_release(library: Library, wire: StandIn, tmp_path: Path) -> None:
    said = re.search(r"A release is (\d+) requests.*?: (\d+) PUT, (\d+) LIST, (\d+) GET", TEXT)
    assert said
    release(library, wheel(tmp_path), sdist(tmp_path))
    wire.seen.clear()
    files = [make(tmp_path, version="0.2.0") for make in (wheel, sdist)]
    release(at(library, "0.2.0"), *files)
    puts = [seen for seen in wire.seen if seen.method == "PUT"]
    gets = [seen for seen in wire.seen if seen.method == "GET" and seen.key]
    lists = [seen for seen in wire.seen if seen.method == "GET" and not seen.key]
    counted = [len(wire.seen), len(puts), len(lists), len(gets)]
    assert [int(number) for number in said.groups()] == counted


def test_the_sums_are_right() -> None:
    text = part(TEXT, "## What it costs")
    rows = [re.split(r" *\| *", line)[1:-1] for line in text.splitlines() if line[:2] == "| "]
    table = {row[0]: row[-3:] for row in rows[2:]}
    expected: dict[str, list[str]] = {}
    sums = []
    for libraries in (10, 100, 1_000):
        costs = {
            "storage": libraries * 2 * 36 * 1.1e6 / 1e9 * 0.023,
            "releases": libraries * 2 * (16 * 0.005 + 13 * 0.0004) / 1_000,
            "installations": libraries * 4_000 * 0.0004 / 1_000,
            "transfer": max(0, libraries * 0.5 - 100) * 0.09,
        }
        for name, cost in costs.items():
            expected.setdefault(name, []).append(f"{cost:.2f}")
        sums.append(f"{sum(costs.values()):.2f}")
    assert table == {**expected, "all": sums}
