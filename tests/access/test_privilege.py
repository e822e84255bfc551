"""The publishing role, under moto's IAM: all that the commands need, and nothing else.

moto checks signatures and the role's own policy. What it does not judge (conditions of the
bucket's policy, a web identity's token) the judge in judge.py does.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from s3index import policies
from s3index.config import Config
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

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "packages/devtools/acme-common/"
WHEEL = f"{FOLDER}acme_common-0.1.0-py3-none-any.whl"
SDIST = f"{FOLDER}acme_common-0.1.0.tar.gz"


@dataclass
class Session:
    """A session of the role: its credentials as variables, a client, and what has been asked."""

    config: Config
    env: dict[str, str]
    s3: "S3Client"
    administrator: "S3Client"
    requests: list[Request]


@pytest.fixture
def session(account: str, tmp_path: Path) -> Iterator[Session]:
    """Provision two buckets, sign in as the publisher of one, and hold everybody to policies."""
    config = repository(tmp_path)
    provision(repository(tmp_path, {"bucket": "acme-others"}), "--bucket-only")
    provision(repository(tmp_path))
    root = signed_in(user("*"))
    policy = json.loads(root.get_bucket_policy(Bucket=BUCKET)["Policy"])
    # moto would take its denials on condition for denials.
    for bucket in (BUCKET, "acme-others"):
        root.delete_bucket_policy(Bucket=bucket)
    root.put_object(Bucket=BUCKET, Key="packages/platform/acme-core/", Body=b"{}")
    root.put_object(Bucket="acme-others", Key="packages/devtools/", Body=b"{}")
    sts = boto3.client("sts", region_name=REGION)
    # moto takes any token; test_trust has whose AWS would take.
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
        yield Session(config, env | {"AWS_ENDPOINT_URL_S3": stand_in.url}, client, root, requests)


def built(config: Config, version: str) -> list[Path]:
    text = (config.root / "pyproject.toml").read_text()
    (config.root / "pyproject.toml").write_text(
        text.replace(f'version = "{config.version}"', f'version = "{version}"')
    )
    shutil.rmtree(config.root / "dist", ignore_errors=True)
    (config.root / "dist").mkdir()
    return [
        wheel(config.root / "dist", version=version),
        sdist(config.root / "dist", version=version),
    ]


def test_every_command_is_allowed_and_no_allowed_action_is_unused(session: Session) -> None:
    config, env = session.config, session.env
    s3index(config.root, "publish", *built(config, "0.1.0"), env=env)
    s3index(config.root, "publish", *built(config, "0.2.0"), env=env)
    s3index(config.root, "yank", "0.1.0", "--reason", "it leaks", env=env)
    s3index(config.root, "unyank", "0.1.0", env=env)
    s3index(config.root, "verify", env=env)
    s3index(config.root, "verify", "--deep", env=env)
    for key in (f"{FOLDER}", f"{WHEEL}.metadata", "dumb-pypi/devtools/index/index.html"):
        session.administrator.put_object(Bucket=BUCKET, Key=key, Body=b"damaged")
    session.administrator.delete_object(Bucket=BUCKET, Key="packages/devtools/")
    s3index(config.root, "verify", env=env, exits=1)
    s3index(config.root, "repair", env=env)
    s3index(config.root, "verify", "--deep", env=env)

    policy = policies.publisher_policy(config)
    assert [one for one in session.requests if verdict(policy, one) != "Allow"] == []
    granted = [
        {"Effect": "Allow", "Action": action, "Resource": resource}
        for statement in policy["Statement"]
        for action in _list(statement["Action"])
        for resource in _list(statement["Resource"])
    ]
    assert len(granted) == 5
    unused = [one for one in granted if not any(applies(one, ask) for ask in session.requests)]
    assert unused == []


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def put(s3: "S3Client", key: str, bucket: str = BUCKET, **condition: Any) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"stranger", **condition)


Denied = Callable[["S3Client"], object]
DENIED: dict[str, Denied] = {
    "write a page of another team": lambda s3: put(s3, "packages/platform/acme-core/"),
    "write a file of another team": lambda s3: put(
        s3, "packages/platform/acme-core/acme_core-9-py3-none-any.whl", IfNoneMatch="*"
    ),
    "write the site of another team": lambda s3: put(s3, "dumb-pypi/platform/index/index.html"),
    "write for a team whose name starts as ours": lambda s3: put(s3, "packages/devtools2/"),
    "write beside the prefixes": lambda s3: put(s3, "index.html"),
    "read another team's page as the role": lambda s3: s3.get_object(
        Bucket=BUCKET, Key="packages/platform/acme-core/"
    ),
    "delete a file": lambda s3: s3.delete_object(Bucket=BUCKET, Key=WHEEL),
    "delete a page": lambda s3: s3.delete_object(Bucket=BUCKET, Key="packages/devtools/"),
    "delete a version": lambda s3: s3.delete_object(Bucket=BUCKET, Key=WHEEL, VersionId="null"),
    "change the bucket's policy": lambda s3: s3.put_bucket_policy(Bucket=BUCKET, Policy="{}"),
    "take the bucket's policy away": lambda s3: s3.delete_bucket_policy(Bucket=BUCKET),
    "read the bucket's policy": lambda s3: s3.get_bucket_policy(Bucket=BUCKET),
    "change an object's ACL": lambda s3: s3.put_object_acl(
        Bucket=BUCKET, Key=WHEEL, ACL="public-read-write"
    ),
    "read another bucket": lambda s3: s3.get_object(Bucket="acme-others", Key="packages/devtools/"),
    "list another bucket": lambda s3: s3.list_objects_v2(Bucket="acme-others"),
    "write to another bucket": lambda s3: put(s3, "packages/devtools/", "acme-others"),
    "replace a released wheel": lambda s3: put(s3, WHEEL),
    "replace a released sdist": lambda s3: put(s3, SDIST),
    "swap a released wheel": lambda s3: put(
        s3, WHEEL, IfMatch=s3.head_object(Bucket=BUCKET, Key=WHEEL)["ETag"]
    ),
    "add a wheel without a condition": lambda s3: put(s3, f"{FOLDER}acme_common-9.whl"),
    "add a zip without a condition": lambda s3: put(s3, f"{FOLDER}acme_common-9.zip"),
    "replace a wheel in parts": lambda s3: s3.create_multipart_upload(Bucket=BUCKET, Key=WHEEL),
}


def test_the_role_may_do_nothing_else(session: Session) -> None:
    config = session.config
    s3index(config.root, "publish", *built(config, "0.1.0"), env=session.env)
    everything = _objects(session)
    for what, attempt in DENIED.items():
        with pytest.raises(ClientError) as caught:
            attempt(session.s3)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, what
    assert _objects(session) == everything
    # A released file is safe from its own team too: what is create-once is refused as taken.
    with pytest.raises(ClientError) as caught:
        put(session.s3, WHEEL, IfNoneMatch="*")
    assert caught.value.response["Error"]["Code"] == "PreconditionFailed"
    put(session.s3, f"{FOLDER}acme_common-9-py3-none-any.whl", IfNoneMatch="*")


def _objects(session: Session) -> dict[str, str]:
    found = session.administrator.list_objects_v2(Bucket=BUCKET)["Contents"]
    return {item["Key"]: item["ETag"] for item in found}
