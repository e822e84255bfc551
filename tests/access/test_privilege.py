"""Under moto's IAM, the publishing role may do what a project's commands need, and no more.

moto checks signatures and the role's own policy. The evaluator in judge.py covers the rest:
conditions of the bucket's policy, and web identity tokens.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from s3index import policies
from tests.access.administrator import (
    BUCKET,
    REGION,
    ROLE,
    enforce,
    provision,
    repository,
    signed_in,
    user,
    variables,
)
from tests.access.judge import Request, applies, guarding, verdict
from tests.commands import s3index
from tests.distributions import sdist, wheel
from tests.protocol.standin import standing_in
from tests.world import Library

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.full

FOLDER = "packages/devtools/acme-common/"
WHEEL = f"{FOLDER}acme_common-0.1.0-py3-none-any.whl"
CLAIM = f"{FOLDER}release-0.1.json"
SITE = "dumb-pypi/devtools/index"
SHARED = [
    "packages/devtools/",
    "packages/devtools/constraints.txt",
    "simple/",
    "simple/constraints.txt",
    f"{SITE}/index.html",
    f"{SITE}/feed.xml",
    "dumb-pypi/index.html",
    "dumb-pypi/feed.xml",
]
"""Lists of the team and the organisation that every release refreshes."""
NEIGHBOURS = [
    ("devtools", "acme"),
    ("devtools", "acme-common-extra"),
    ("devtools", "other"),
    ("devtools2", "acme-common"),
    ("platform", "acme-common"),
    ("platform", "acme"),
]


@dataclass
class Session:
    """A session of the role, an administrator beside it, and every request so far."""

    library: Library
    env: dict[str, str]
    s3: "S3Client"
    administrator: "S3Client"
    administrators_env: dict[str, str]
    requests: list[Request]

    def written(self) -> set[str]:
        """Return the keys of the objects that were written."""
        prefix = f"arn:aws:s3:::{BUCKET}/"
        puts = [one for one in self.requests if one.action == "s3:PutObject"]
        return {one.resource.removeprefix(prefix) for one in puts}


@pytest.fixture
def session(account: str, tmp_path: Path) -> Iterator[Session]:
    """Provision two buckets, sign in as the publisher of one, and enforce policies."""
    library = repository(tmp_path)
    provision(repository(tmp_path, {"bucket": "acme-others"}), "--bucket-only")
    provision(repository(tmp_path))
    administrator = user("*")
    root = signed_in(administrator)
    policy = json.loads(root.get_bucket_policy(Bucket=BUCKET)["Policy"])
    # moto would always apply its conditional denials.
    for bucket in (BUCKET, "acme-others"):
        root.delete_bucket_policy(Bucket=bucket)
    for bucket, key in OUTSIDE:
        root.put_object(Bucket=bucket, Key=key, Body=b"{}")
    sts = boto3.client("sts", region_name=REGION)
    # moto takes any token; test_trust covers which ones AWS would.
    credentials = sts.assume_role_with_web_identity(
        RoleArn=f"arn:aws:iam::123456789012:role/{ROLE}",
        RoleSessionName="release",
        WebIdentityToken="token",
    )["Credentials"]
    env = variables(credentials)
    requests: list[Request] = []
    rule = guarding(policy, requests, aws_SecureTransport="true", aws_SourceIp="192.0.2.1")
    with standing_in(rule, account) as stand_in:
        enforce(account)
        client = signed_in(env, stand_in.url)
        address = {"AWS_ENDPOINT_URL_S3": stand_in.url}
        yield Session(library, env | address, client, root, administrator | address, requests)


def built(library: Library, version: str) -> list[Path]:
    text = (library.root / "pyproject.toml").read_text()
    (library.root / "pyproject.toml").write_text(
        text.replace(f'version = "{library.version}"', f'version = "{version}"')
    )
    shutil.rmtree(library.root / "dist", ignore_errors=True)
    (library.root / "dist").mkdir()
    return [
        wheel(library.root / "dist", version=version),
        sdist(library.root / "dist", version=version),
    ]


def test_every_command_is_allowed_and_no_allowed_action_is_unused(session: Session) -> None:
    library, env = session.library, session.env
    s3index(library.root, "publish", *built(library, "0.1.0"), env=env)
    files = built(library, "0.2.0")
    s3index(library.root, "publish", *files, env=env)
    s3index(library.root, "publish", *files, env=env)
    s3index(library.root, "yank", "0.1.0", "--reason", "it leaks", env=env)
    s3index(library.root, "unyank", "0.1.0", env=env)
    s3index(library.root, "verify", "--project", env=env)
    s3index(library.root, "verify", "--deep", env=env)

    policy = policies.publisher_policy(library.index, library.name)
    assert [one for one in session.requests if verdict(policy, one) != "Allow"] == []
    granted = [
        {"Effect": "Allow", "Action": statement["Action"], "Resource": resource}
        for statement in policy["Statement"]
        for resource in _list(statement["Resource"])
    ]
    assert len(granted) == 18
    unused = [one for one in granted if not any(applies(one, ask) for ask in session.requests)]
    # Only 0.3.0 writes it: a role that is provisioned now must not stop its releases.
    assert [str(one).count("changelog/page1.html") for one in unused] == [1]


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def put(s3: "S3Client", key: str, bucket: str = BUCKET, **condition: Any) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"stranger", **condition)


@contextmanager
def denied(what: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, what


def taken_over(keys: set[str]) -> set[str]:
    """Return the keys that a neighbour's same commands would write and ours do not."""
    theirs = {
        key.replace("devtools", team)
        .replace("acme-common", project)
        .replace("acme_common", project.replace("-", "_"))
        for team, project in NEIGHBOURS
        for key in keys
    }
    return theirs - keys


def test_neighbours_cannot_be_taken_over(session: Session) -> None:
    library = session.library
    s3index(library.root, "publish", *built(library, "0.1.0"), env=session.env)
    ours = session.written()
    theirs = taken_over(ours)
    assert {
        "packages/devtools/acme/",
        "packages/devtools/acme/release-0.1.json",
        "packages/devtools/acme-common-extra/acme_common_extra-0.1.0-py3-none-any.whl",
        "packages/platform/acme-common/",
        "packages/platform/constraints.txt",
        "simple/acme/",
        "simple/acme-common-extra/",
        f"{SITE}/simple/acme/",
        "dumb-pypi/platform/index/index.html",
    } <= theirs
    assert {key for key in ours if "acme" not in key} == set(SHARED)
    # Half of them exist already, half would be created.
    for key in sorted(theirs)[::2]:
        session.administrator.put_object(Bucket=BUCKET, Key=key, Body=b"theirs")
    everything = _objects(session)
    for key in sorted(theirs):
        with denied(key):
            put(session.s3, key)
        with denied(key):
            put(session.s3, key, IfNoneMatch="*")
        if key in everything:
            with denied(key):
                put(session.s3, key, IfMatch=everything[key])
    for key in everything:
        with denied(key):
            session.s3.delete_object(Bucket=BUCKET, Key=key)
    assert _objects(session) == everything


OUTSIDE = [
    (BUCKET, "dumb-pypi/platform/index/index.html"),
    (BUCKET, "private/notes.txt"),
    ("acme-others", "packages/devtools/"),
]
"""Objects that the role may not read."""
Denied = Callable[["S3Client"], object]
DENIED: dict[str, Denied] = {
    "write beside the prefixes": lambda s3: put(s3, "index.html"),
    "write into the team's folder": lambda s3: put(s3, "packages/devtools/acme_common-9.txt"),
    "write into the organisation's folder": lambda s3: put(s3, "simple/index.html"),
    "write beside the project's page": lambda s3: put(s3, "simple/acme-common/index.html"),
    "write another page of the site": lambda s3: put(s3, f"{SITE}/changelog/page2.html"),
    "delete a version": lambda s3: s3.delete_object(Bucket=BUCKET, Key=WHEEL, VersionId="null"),
    "read an earlier version": lambda s3: s3.get_object(Bucket=BUCKET, Key=WHEEL, VersionId="null"),
    "change the bucket's policy": lambda s3: s3.put_bucket_policy(Bucket=BUCKET, Policy="{}"),
    "take the bucket's policy away": lambda s3: s3.delete_bucket_policy(Bucket=BUCKET),
    "read the bucket's policy": lambda s3: s3.get_bucket_policy(Bucket=BUCKET),
    "change an object's ACL": lambda s3: s3.put_object_acl(
        Bucket=BUCKET, Key=WHEEL, ACL="public-read-write"
    ),
    "list another bucket": lambda s3: s3.list_objects_v2(Bucket="acme-others"),
    "write to another bucket": lambda s3: put(s3, "packages/devtools/", "acme-others"),
    "add a wheel without a condition": lambda s3: put(s3, f"{FOLDER}acme_common-9.whl"),
    "add a zip without a condition": lambda s3: put(s3, f"{FOLDER}acme_common-9.zip"),
    "add a claim without a condition": lambda s3: put(s3, f"{FOLDER}release-9.json"),
    "replace a wheel in parts": lambda s3: s3.create_multipart_upload(Bucket=BUCKET, Key=WHEEL),
} | {
    f"read {key} in {bucket}": lambda s3, bucket=bucket, key=key: s3.get_object(
        Bucket=bucket, Key=key
    )
    for bucket, key in OUTSIDE
}


def test_the_role_may_do_nothing_else(session: Session) -> None:
    library = session.library
    s3index(library.root, "publish", *built(library, "0.1.0"), env=session.env)
    everything = _objects(session)
    for what, attempt in DENIED.items():
        with denied(what):
            attempt(session.s3)
    # Not even its own project can replace a release's files and claim.
    once = {key for key in everything if key.endswith((".whl", ".tar.gz")) or "/release-" in key}
    assert {WHEEL, CLAIM} < once
    for key in once:
        with denied(key):
            put(session.s3, key)
        with denied(key):
            put(session.s3, key, IfMatch=everything[key])
        with pytest.raises(ClientError, match="PreconditionFailed"):
            put(session.s3, key, IfNoneMatch="*")
    assert _objects(session) == everything
    put(session.s3, f"{FOLDER}acme_common-9-py3-none-any.whl", IfNoneMatch="*")


def _objects(session: Session) -> dict[str, str]:
    found = session.administrator.list_objects_v2(Bucket=BUCKET)["Contents"]
    return {item["Key"]: item["ETag"] for item in found}
