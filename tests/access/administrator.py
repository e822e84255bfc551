"""Run `s3index provision` in a repository as an administrator, and read the results."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import boto3
import pytest
from typer.testing import CliRunner

from s3index.__main__ import app
from s3index.settings import load
from tests.commands import start
from tests.protocol.standin import Answer, Seen, StandIn, standing_in
from tests.world import Library

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CreateBucketConfigurationTypeDef

ACCOUNT = "123456789012"
"""moto's account number."""
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
ROLE = "s3index.devtools.acme-common"
BUCKET = "acme-packages"
REGION: Final = "eu-central-1"
LOCATION: "CreateBucketConfigurationTypeDef" = {"LocationConstraint": REGION}
RESOURCES = [
    "bucket acme-packages in eu-central-1",
    "object ownership (ACLs off)",
    "public access block for access = public",
    "versioning",
    "default encryption (AES256)",
    "static website (index.html)",
    "bucket policy for access = public",
    "OIDC provider token.actions.githubusercontent.com",
    f"role {ROLE}",
    "trust of the role",
    "sessions of the role (one hour)",
    "policy of the role for acme-common of devtools",
]
"""Every resource that provision reports, in order."""
NETWORK = {
    "access": "network",
    "networks": ["203.0.113.0/24", "2001:db8::/48"],
    "vpc_endpoints": ["vpce-1a2b3c4d", "vpce-0123456789abcdef0"],
}

TOKEN = {
    "access": "token",
    "distribution": f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1A2B3C4D5E6F7",
}


def repository(
    root: Path,
    settings: Mapping[str, object] = {},
    url: str | None = "https://github.com/acme/acme-common",
) -> Library:
    """Write the pyproject.toml of acme-common, team devtools; return the library it defines.

    `settings` replace or extend those of [tool.s3index]; None removes one. `url` is the
    repository's address.
    """
    defaults = {
        "team": "devtools",
        "bucket": "acme-packages",
        "region": "eu-central-1",
        "access": "public",
    }
    lines = [
        f"{key} = {json.dumps(value)}\n"
        for key, value in (defaults | dict(settings)).items()
        if value is not None
    ]
    urls = f'[project.urls]\nRepository = "{url}"\n' if url else ""
    (root / "pyproject.toml").write_text(
        f'[project]\nname = "acme-common"\nversion = "0.1.0"\n{urls}'
        f"[tool.s3index]\n{''.join(lines)}"
    )
    index, project = load(root)
    return Library(index, root, project.name, str(project.version))


def provision(
    library: Library, *options: str, exits: int = 0, env: Mapping[str, str] = {}
) -> tuple[str, str]:
    """Run `s3index provision` to its end; return its stdout and stderr.

    It runs in this process, which takes a tenth of the time. With `env` it runs in its own, since
    boto3 keeps the credentials it found first.
    """
    if env:
        process = start(library.root, "provision", *options, env=env)
        stdout, stderr = process.communicate()
        status = process.returncode
    else:
        with chdir(library.root):
            result = CliRunner().invoke(app, ["provision", *options], catch_exceptions=False)
        stdout, stderr, status = result.stdout, result.stderr, result.exit_code
    assert status == exits, stdout + stderr
    assert "Traceback" not in stderr
    return stdout, stderr


def done(stdout: str) -> dict[str, str]:
    """Return {resource: what was done} from provision's output."""
    lines = stdout.split("\n\n")[0].splitlines()
    return dict(line.rsplit(": ", 1) for line in lines if not line.startswith("Warning"))


def statements(policy: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return {Sid: statement} of a policy."""
    document = json.loads(policy) if isinstance(policy, str) else policy
    return {statement.get("Sid", ""): statement for statement in document["Statement"]}


def tell_moto(server: str, what: str, body: str = "") -> None:
    """Call moto's own API: `reset`, or `reset-auth` with how many requests go unchecked."""
    request = urllib.request.Request(
        f"{server}/moto-api/{what}", body.encode(), {"Content-Type": "text/plain"}
    )
    with urllib.request.urlopen(request):
        pass


def user(*actions: str) -> dict[str, str]:
    """Create a user who may do some actions; return variables with its credentials."""
    iam, name = boto3.client("iam", REGION), f"user{len(actions)}"
    iam.create_user(UserName=name)
    if actions:
        allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=document)
    return variables(iam.create_access_key(UserName=name)["AccessKey"])


def variables(credentials: Mapping[str, Any]) -> dict[str, str]:
    """Return credentials from IAM or STS as environment variables."""
    names = {
        "AccessKeyId": "AWS_ACCESS_KEY_ID",
        "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
        "SessionToken": "AWS_SESSION_TOKEN",
    }
    return {names[key]: value for key, value in credentials.items() if key in names}


def signed_in(env: Mapping[str, str], endpoint: str | None = None) -> "S3Client":
    """Return an S3 client with the credentials in such variables."""
    return boto3.client(
        "s3",
        REGION,
        endpoint_url=endpoint,
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=env.get("AWS_SESSION_TOKEN"),
    )


def enforce(account: str) -> None:
    """Make moto enforce IAM policies from now on."""
    tell_moto(account, "reset-auth", "0")


@contextmanager
def recorded(
    account: str,
    monkeypatch: pytest.MonkeyPatch,
    rule: Callable[[Seen], Answer | None] = lambda _: None,
) -> Iterator[StandIn]:
    """Record each request with a stand-in before the account; a rule may answer some."""
    with standing_in(rule, account) as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stand_in.url)
        yield stand_in
        monkeypatch.setenv("AWS_ENDPOINT_URL", account)


def action(seen: Seen) -> str:
    """Return a request's action: IAM's or STS's name, S3's method and subresource."""
    if seen.method == "POST":
        return parse_qs(seen.body.decode())["Action"][0]
    return f"{seen.method} {seen.query.split('=')[0]}".strip()


def writes(stand_in: StandIn) -> list[str]:
    """Return the actions of the requests that change something."""
    actions = [action(seen) for seen in stand_in.seen]
    assert actions
    return [name for name in actions if not re.match(r"GET|HEAD|Get|List", name)]


READERS = {
    "public": ["S3indexEverybodyReads", "S3indexEverybodyLists"],
    "token": ["S3indexEdgeReads", "S3indexEdgeLists"],
    "network": [
        f"S3index{who}{does}" for who in ("Networks", "Endpoints") for does in ("Read", "List")
    ],
}
"""Sids of the statements that let readers in."""
DENIALS = ["S3indexOnlyWithTls", "S3indexFilesOnlyOnce"]
"""Sids of the other statements of the bucket's policy."""


def bucket_state(s3: "S3Client") -> dict[str, object]:
    """Return every setting of the bucket that provision manages."""
    encryption = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]
    return {
        "region": s3.head_bucket(Bucket=BUCKET)["BucketRegion"],
        "ownership": s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"],
        "block": s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"],
        "versioning": s3.get_bucket_versioning(Bucket=BUCKET)["Status"],
        "encryption": encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"],
        "website": s3.get_bucket_website(Bucket=BUCKET)["IndexDocument"],
        "policy": list(statements(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])),
    }
