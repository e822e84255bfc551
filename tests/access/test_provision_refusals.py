"""`provision` stops with a line or two, and skips only what a server lacks."""

from typing import TYPE_CHECKING

import boto3
import pytest

from tests.access.administrator import (
    BUCKET,
    LOCATION,
    REGION,
    done,
    enforce,
    provision,
    recorded,
    signed_in,
    user,
    variables,
)
from tests.protocol.standin import Answer, Seen, error
from tests.world import Library

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ADMINISTRATOR = "Sign in as an administrator"


@pytest.mark.parametrize("answer", [(501, "NotImplemented"), (405, "MethodNotAllowed")])
def test_settings_that_a_server_does_not_know(
    acme: Library, account: str, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str]
) -> None:
    status, name = answer

    def rule(seen: Seen) -> Answer | None:
        # It cannot even read one setting, and reads one as empty but cannot write it.
        if seen.query == "website" or (seen.query, seen.method) == ("publicAccessBlock", "PUT"):
            return error(status, name, "A header you provided implies functionality not had.")
        return None

    with recorded(account, monkeypatch, rule):
        printed, _ = provision(acme, "--bucket-only")
    unknown = f"skipped: not supported by this server ({name})\n"
    assert f"Warning: static website (index.html): {unknown}" in printed
    assert f"Warning: public access block for access = public: {unknown}" in printed
    assert done(printed)["bucket policy for access = public"] == "created"


def refusal(acme: Library, *options: str, env: dict[str, str] | None = None) -> str:
    _, said = provision(acme, *options, exits=1, env=env or {})
    assert said.startswith("Error: ")
    assert len(said.splitlines()) <= 2, said
    return said


def test_a_bucket_of_another_account(acme: Library, storage: "S3Client") -> None:
    sts = boto3.client("sts", region_name=REGION)
    theirs = sts.assume_role(
        RoleArn="arn:aws:iam::111111111111:role/theirs", RoleSessionName="theirs"
    )["Credentials"]
    signed_in(variables(theirs)).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=LOCATION)
    said = refusal(acme)
    assert f"on {BUCKET} is denied" in said
    assert "if the bucket is not yours, choose another in [tool.s3index]." in said


def test_a_name_that_another_account_has_just_taken(
    acme: Library, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(seen: Seen) -> Answer | None:
        if seen.method == "PUT":
            return error(409, "BucketAlreadyExists", "The requested bucket name is not available.")
        return None

    with recorded(account, monkeypatch, rule):
        said = refusal(acme)
    assert said == (
        f"Error: Bucket {BUCKET} belongs to another account. Choose another in [tool.s3index].\n"
    )


def test_a_bucket_in_another_region(acme: Library) -> None:
    boto3.client("s3", "eu-west-1").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    assert refusal(acme) == (
        f"Error: Bucket {BUCKET} is in eu-west-1, but [tool.s3index] says eu-central-1. Correct "
        "region, or choose another bucket.\n"
    )


def test_rights_for_the_bucket_are_missing(acme: Library, account: str) -> None:
    somebody = user()
    enforce(account)
    said = refusal(acme, env=somebody)
    assert said.startswith(f"Error: GetBucketLocation on {BUCKET} is denied: Access Denied. ")
    assert f"{ADMINISTRATOR} of the bucket's account" in said


@pytest.mark.full
def test_rights_for_the_role_are_missing(acme: Library, account: str) -> None:
    somebody = user("s3:*")
    enforce(account)
    # Administrators may split the duties.
    provision(acme, "--bucket-only", env=somebody)
    said = refusal(acme, env=somebody)
    assert said.startswith("Error: GetOpenIDConnectProvider is denied: User: arn:aws:iam::")
    assert f"{ADMINISTRATOR}, or set up only the bucket with --bucket-only." in said


def test_credentials_are_missing(acme: Library) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    said = "No AWS credentials found. Sign in (`aws sso login`, or set AWS_PROFILE)"
    assert said in refusal(acme, env=nobody)
    assert said in refusal(acme, "--role-only", env=nobody)


def test_credentials_are_wrong(acme: Library, account: str) -> None:
    enforce(account)
    assert "The AWS credentials are not valid (InvalidAccessKeyId)." in refusal(acme)
    said = refusal(acme, "--role-only")
    assert "The AWS credentials are not valid (InvalidClientTokenId)." in said


def test_the_server_is_not_there(acme: Library) -> None:
    said = refusal(acme, env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"})
    assert f"Bucket {BUCKET} cannot be reached: Could not connect" in said


def test_options_that_exclude_each_other(acme: Library) -> None:
    _, said = provision(acme, "--bucket-only", "--role-only", exits=2)
    assert "use either --bucket-only or --role-only." in said


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_plain_http_endpoint_is_warned_about(
    acme: Library, account: str, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    # Nothing listens there: the warning precedes the first request.
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{scheme}://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    printed, _ = provision(acme, "--bucket-only", exits=1)
    said = "Warning: this endpoint is plain HTTP, which the bucket policy denies to everybody\n"
    assert printed == (said if scheme == "http" else "")
