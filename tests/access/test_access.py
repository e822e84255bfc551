"""The bucket's policy lets unsigned readers read the index and nothing else.

Tests go over HTTP, or evaluate the policy alone. The evaluator in judge.py stands before moto and
enforces provision's policy with its conditions, which moto ignores; moto lets the rest through.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from s3index.access import Readers, readers
from s3index.policies import bucket_policy
from tests.access.administrator import NETWORK, TOKEN, provision, repository
from tests.access.judge import Request, guarding, verdict
from tests.distributions import sdist, wheel
from tests.protocol.standin import standing_in
from tests.world import release

BUCKET = "acme-packages"
INSIDE, INSIDE_6, OUTSIDE = "203.0.113.7", "2001:db8::7", "198.51.100.1"
PAGES = [
    "packages/devtools/",
    "packages/devtools/acme-common/",
    "packages/devtools/constraints.txt",
    "packages/devtools/acme-common/acme_common-0.1.0-py3-none-any.whl",
    "packages/devtools/acme-common/acme_common-0.1.0-py3-none-any.whl.metadata",
    "packages/devtools/acme-common/acme_common-0.1.0.tar.gz",
    "dumb-pypi/devtools/index/index.html",
]
LIST = "?list-type=2"


@pytest.fixture
def stored(account: str, tmp_path: Path) -> Path:
    """Provision an index's bucket, publish to it, and add objects outside the index."""
    library = repository(tmp_path, {"url": f"{account}/{BUCKET}"})
    s3 = boto3.client("s3", "eu-central-1")
    provision(library, "--bucket-only")
    s3.delete_bucket_policy(Bucket=BUCKET)
    release(library, wheel(tmp_path), sdist(tmp_path))
    s3.put_object(Bucket=BUCKET, Key="private/notes.txt", Body=b"notes")
    s3.put_object(Bucket=BUCKET, Key="index.html", Body=b"index")
    everything = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    s3.put_bucket_policy(
        Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    )
    return tmp_path


@contextmanager
def reader(
    account: str, root: Path, settings: Mapping[str, object], **context: str
) -> Iterator[str]:
    """Yield the bucket's address for a reader in a context, such as a source address."""
    library = repository(root, settings)
    policy = bucket_policy(library.index, readers(library.project))
    with standing_in(guarding(policy, [], **context), account) as stand_in:
        yield f"{stand_in.url}/{BUCKET}"


def status(address: str, method: str = "GET") -> int:
    body = b"stranger" if method in ("PUT", "POST") else None
    request = urllib.request.Request(address, body, method=method)
    try:
        with urllib.request.urlopen(request) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


REFUSED = [
    ("GET", "private/notes.txt"),
    ("HEAD", "private/notes.txt"),
    ("GET", "index.html"),
    ("GET", "packages"),
    ("GET", "?policy"),
    ("GET", "?versions"),
    ("GET", f"{PAGES[0]}?acl"),
    ("GET", f"{PAGES[0]}?versionId=null"),
    ("PUT", PAGES[0]),
    ("PUT", PAGES[3]),
    ("PUT", "packages/devtools/new"),
    ("PUT", f"{PAGES[0]}?acl"),
    ("PUT", "?policy"),
    ("POST", f"{PAGES[3]}?uploads"),
    ("DELETE", PAGES[0]),
    ("DELETE", PAGES[3]),
    ("DELETE", "?policy"),
]


def test_everybody_reads_the_index_and_nothing_else(account: str, stored: Path) -> None:
    with reader(account, stored, {}, aws_SecureTransport="true", aws_SourceIp=OUTSIDE) as bucket:
        for key in PAGES:
            assert status(f"{bucket}/{key}") == 200, key
        assert status(f"{bucket}/{PAGES[3]}", "HEAD") == 200
        # With the right to list, a reader can tell a missing key from a forbidden one.
        assert status(f"{bucket}/packages/devtools/requests/") == 404
        assert status(f"{bucket}/{LIST}") == 200
        for method, key in REFUSED:
            assert status(f"{bucket}/{key}", method) == 403, (method, key)


CONTEXTS = {
    "a network": ({"aws_SourceIp": INSIDE}, 200),
    "a network, IPv6": ({"aws_SourceIp": INSIDE_6}, 200),
    "a VPC endpoint": ({"aws_SourceVpce": "vpce-1a2b3c4d"}, 200),
    "the other VPC endpoint": ({"aws_SourceVpce": "vpce-0123456789abcdef0"}, 200),
    "elsewhere": ({"aws_SourceIp": OUTSIDE}, 403),
    "next door": ({"aws_SourceIp": "203.0.114.0"}, 403),
    "elsewhere, IPv6": ({"aws_SourceIp": "2001:db8:1::7"}, 403),
    "another VPC endpoint": ({"aws_SourceVpce": "vpce-ffffffff"}, 403),
    "nowhere that S3 would tell": ({}, 403),
}


@pytest.mark.parametrize("case", CONTEXTS)
def test_network_lets_in_only_who_is_named(account: str, stored: Path, case: str) -> None:
    context, expected = CONTEXTS[case]
    with reader(account, stored, NETWORK, aws_SecureTransport="true", **context) as bucket:
        for key in (*PAGES, LIST):
            assert status(f"{bucket}/{key}") == expected, key
        missing = status(f"{bucket}/packages/devtools/requests/")
        assert missing == (404 if expected == 200 else 403)
        for method, key in REFUSED:
            assert status(f"{bucket}/{key}", method) == 403, (method, key)


@pytest.mark.parametrize("settings", [{}, NETWORK, TOKEN], ids=["public", "network", "token"])
def test_plain_http_is_refused(account: str, stored: Path, settings: Mapping[str, object]) -> None:
    context = {"aws_SecureTransport": "false", "aws_SourceIp": INSIDE}
    with reader(account, stored, settings, **context) as bucket:
        for key in (*PAGES, LIST):
            assert status(f"{bucket}/{key}") == 403, key
    # This applies to everyone, even an administrator with a signature.
    library = repository(stored, settings)
    policy = bucket_policy(library.index, readers(library.project))
    tls = {name.replace("_", ":"): value for name, value in context.items()}
    for action, key in (("s3:PutObject", "/x"), ("s3:DeleteBucket", ""), ("s3:GetObject", "/x")):
        request = Request(action, f"arn:aws:s3:::{BUCKET}{key}", "administrator", tls)
        assert verdict(policy, request) == "Deny"


@pytest.mark.parametrize("kind", ["networks", "vpc_endpoints"])
def test_an_empty_list_lets_nobody_in(tmp_path: Path, kind: str) -> None:
    library = repository(tmp_path, NETWORK | {kind: []})
    policy = bucket_policy(library.index, readers(library.project))
    sids = [statement["Sid"] for statement in policy["Statement"]]
    assert sids == [
        *(["S3indexNetworksRead", "S3indexNetworksList"] if kind == "vpc_endpoints" else []),
        *(["S3indexEndpointsRead", "S3indexEndpointsList"] if kind == "networks" else []),
        "S3indexOnlyWithTls",
        "S3indexFilesOnlyOnce",
    ]


ONCE = {
    "x-1.whl": "Deny",
    "x-1.tar.gz": "Deny",
    "x-1.zip": "Deny",
    "release-1.json": "Deny",
    "x-1.whl.metadata": None,
    "": None,
    "constraints.txt": None,
    "index.json": None,
}


@pytest.mark.parametrize("access", [Readers("public"), Readers("network", ("203.0.113.0/24",))])
@pytest.mark.parametrize("name", ONCE)
def test_files_are_created_once_and_pages_swapped(
    tmp_path: Path, access: Readers, name: str
) -> None:
    policy = bucket_policy(repository(tmp_path).index, access)
    tls = {"aws:SecureTransport": "true"}
    arn = f"arn:aws:s3:::{BUCKET}/packages/devtools/x/{name}"
    swap = Request("s3:PutObject", arn, "role", tls | {"s3:if-match": "etag"})
    create = Request("s3:PutObject", arn, "role", tls | {"s3:if-none-match": "*"})
    assert verdict(policy, swap) == ONCE[name]
    # The bucket's policy gives nobody the right to write.
    assert verdict(policy, create) is None


def test_token_lets_in_only_the_distribution(tmp_path: Path) -> None:
    library = repository(tmp_path, TOKEN)
    policy = bucket_policy(library.index, readers(library.project))
    tls = {"aws:SecureTransport": "true"}
    ours = tls | {"aws:SourceArn": str(TOKEN["distribution"])}
    another = tls | {"aws:SourceArn": f"{TOKEN['distribution']}X"}
    service = "cloudfront.amazonaws.com"
    asked = [("s3:GetObject", f"arn:aws:s3:::{BUCKET}/{key}") for key in (*PAGES, "simple/x/")]
    for action, resource in [*asked, ("s3:ListBucket", f"arn:aws:s3:::{BUCKET}")]:
        assert verdict(policy, Request(action, resource, service, ours)) == "Allow", resource
        assert verdict(policy, Request(action, resource, service, another)) is None
        assert verdict(policy, Request(action, resource, service, tls)) is None
        assert verdict(policy, Request(action, resource, None, ours)) is None
        assert verdict(policy, Request(action, resource, "somebody", ours)) is None
    for action, key in (("s3:GetObject", "private/notes.txt"), ("s3:PutObject", PAGES[0])):
        request = Request(action, f"arn:aws:s3:::{BUCKET}/{key}", service, ours)
        assert verdict(policy, request) is None
