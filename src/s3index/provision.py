"""Create the bucket and the publishing role, or reconcile them with infra/ and the settings.

An administrator runs it once, and again whenever something may have changed. Nothing is rolled
back: the next run finishes an interrupted one.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from s3index import policies
from s3index.access import Publisher, Readers
from s3index.aws_errors import code, found, refusals, status
from s3index.errors import Refused
from s3index.settings import Index

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client

GITHUB = "token.actions.githubusercontent.com"
"""GitHub's OIDC provider. AWS trusts its root certificate, so no thumbprint is needed."""
AUDIENCE = "sts.amazonaws.com"
"""The audience that the action configure-aws-credentials requests, in every partition."""
SESSION = 3600
"""Maximum lifetime of the role's credentials, in seconds."""
POLICY_NAME = "s3index-publish"
NOT_MANAGED = "left as is (not managed by s3index)"
NOT_SUPPORTED = (405, 501)
"""Statuses of S3-compatible servers' replies about settings that they do not support."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Resource:
    """A setting, or a whole resource such as a role, and how to read and write it.

    `read` returns the current state; None, or a 404 reply, means that it does not exist.
    """

    name: str
    desired: object
    read: Callable[[], object]
    write: Callable[[], object]


def provision_bucket(index: Index, readers: Readers, report: Report, *, dry_run: bool) -> None:
    """Create or update the bucket; `report` gets a line for each resource.

    Raise Refused if it is in another account or region, or if permissions are missing.
    """
    if (index.endpoint or "").startswith("http:"):
        report("Warning: this endpoint is plain HTTP, which the bucket policy denies to everybody")
    with refusals(index.bucket):
        s3 = boto3.client("s3", index.region, config=_options(index))
        _reconcile(_bucket(s3, index, readers), report, dry_run=dry_run)
        _reconcile(_further_settings(s3, index.bucket), report, dry_run=dry_run)
        _reconcile([_bucket_policy(s3, index, readers, report)], report, dry_run=dry_run)


def provision_role(
    index: Index, project: str, publisher: Publisher, report: Report, *, dry_run: bool
) -> str:
    """Create or update GitHub's OIDC provider and the publishing role; return the role's ARN.

    `report` gets a line for each resource. Raise Refused if permissions are missing.
    """
    name = policies.role_name(index, project)
    with refusals(index.bucket):
        iam = boto3.client("iam", index.region, config=_options(index))
        sts = boto3.client("sts", index.region, config=_options(index))
        account = sts.get_caller_identity()["Account"]
        trust = policies.publisher_trust(index, publisher, account)
        _reconcile(_role(iam, index, project, trust), report, dry_run=dry_run)
        for other in found(lambda: _other_policies(iam, name)) or []:
            report(f"policy {other} of the role: {NOT_MANAGED}")
    return f"arn:{index.partition}:iam::{account}:role/{name}"


def create_bucket(s3: "S3Client", index: Index) -> None:
    """Create the bucket in the index's region, with the server's default settings."""
    # S3 refuses a location constraint for us-east-1.
    location: Any = {"CreateBucketConfiguration": {"LocationConstraint": index.region}}
    s3.create_bucket(Bucket=index.bucket, **({} if index.region == "us-east-1" else location))


def _reconcile(resources: Iterable[Resource], report: Report, *, dry_run: bool) -> None:
    """Read each resource, and write it if it differs from its desired state; a dry run only reads.

    `report` gets a line for each: unchanged, created, changed or skipped.
    """
    would = "would be " if dry_run else ""
    for resource in resources:
        try:
            current = found(resource.read)
            if current is not None and _normal(current) == _normal(resource.desired):
                report(f"{resource.name}: unchanged")
                continue
            if not dry_run:
                resource.write()
        except ClientError as error:
            if status(error) not in NOT_SUPPORTED:
                raise
            reason = f"not supported by this server ({code(error)})"
            report(f"Warning: {resource.name}: skipped: {reason}")
        else:
            report(f"{resource.name}: {would}{'created' if current is None else 'changed'}")


def _normal(value: object) -> object:
    """Return a policy or setting in one form for all equivalent ones.

    AWS may return a list of one as its only value, and lists in another order.
    """
    if isinstance(value, dict):
        return {key: _normal(member) for key, member in value.items()}
    if isinstance(value, list):
        members = sorted((_normal(member) for member in value), key=repr)
        return members[0] if len(members) == 1 else members
    return value


def _options(index: Index) -> BotoConfig:
    return BotoConfig(
        retries={"mode": "standard"},
        connect_timeout=10,
        s3={"addressing_style": "path" if index.endpoint else "virtual"},
    )


def _bucket(s3: "S3Client", index: Index, readers: Readers) -> Iterator[Resource]:
    name = index.bucket
    yield Resource(
        f"bucket {name} in {index.region}",
        index.region,
        lambda: _region(s3, index),
        lambda: create_bucket(s3, index),
    )
    rules: Any = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    yield Resource(
        "object ownership (ACLs off)",
        rules,
        lambda: s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"],
        lambda: s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=rules),
    )
    # Before the policy: S3 rejects a public one while this blocks it.
    closed = readers.access != "public"
    block: Any = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": closed,
        "RestrictPublicBuckets": closed,
    }
    yield Resource(
        f"public access block for access = {readers.access}",
        block,
        lambda: s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
        lambda: s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block),
    )


def _region(s3: "S3Client", index: Index) -> str:
    try:
        reply = s3.head_bucket(Bucket=index.bucket)
    except ClientError as error:
        if status(error) != 404:
            # A reply to HEAD has no body; the reply to this one says what is wrong.
            s3.get_bucket_location(Bucket=index.bucket)
        raise
    # S3-compatible servers may not return a region.
    region = reply.get("BucketRegion", index.region)
    if region != index.region:
        raise Refused(
            f"Bucket {index.bucket} is in {region}, but [tool.s3index] says {index.region}. "
            "Correct region, or choose another bucket."
        )
    return region


def _further_settings(s3: "S3Client", name: str) -> Iterator[Resource]:
    enabled: Any = {"Status": "Enabled"}
    yield Resource(
        "versioning",
        "Enabled",
        lambda: s3.get_bucket_versioning(Bucket=name).get("Status"),
        lambda: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=enabled),
    )
    rules: Any = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    yield Resource(
        "default encryption (AES256)",
        "AES256",
        lambda: _encryption(s3, name),
        lambda: s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=rules),
    )
    website: Any = {"IndexDocument": {"Suffix": "index.html"}}
    yield Resource(
        "static website (index.html)",
        website["IndexDocument"],
        lambda: s3.get_bucket_website(Bucket=name).get("IndexDocument"),
        lambda: s3.put_bucket_website(Bucket=name, WebsiteConfiguration=website),
    )


def _encryption(s3: "S3Client", name: str) -> str | None:
    current = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]
    return current["Rules"][0].get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm")


def _bucket_policy(s3: "S3Client", index: Index, readers: Readers, report: Report) -> Resource:
    desired = policies.bucket_policy(index, readers)
    current: policies.Policy = {}

    def read() -> list[policies.Policy]:
        current.update(json.loads(s3.get_bucket_policy(Bucket=index.bucket)["Policy"]))
        ours, others = policies.split(current)
        for statement in others:
            sid = statement.get("Sid", "without a Sid")
            report(f"statement {sid} of the bucket policy: {NOT_MANAGED}")
        return ours

    return Resource(
        f"bucket policy for access = {readers.access}",
        desired["Statement"],
        read,
        lambda: s3.put_bucket_policy(
            Bucket=index.bucket, Policy=json.dumps(policies.merged(desired, current))
        ),
    )


def _role(
    iam: "IAMClient", index: Index, project: str, trust: policies.Policy
) -> Iterator[Resource]:
    provider = trust["Statement"][0]["Principal"]["Federated"]
    yield Resource(
        f"OIDC provider {GITHUB}",
        True,
        lambda: AUDIENCE in _audiences(iam, provider),
        lambda: _allow_github(iam, provider),
    )
    name, document = policies.role_name(index, project), json.dumps(trust)
    yield Resource(
        f"role {name}",
        name,
        lambda: iam.get_role(RoleName=name)["Role"]["RoleName"],
        lambda: _create_role(iam, name, document),
    )
    yield Resource(
        "trust of the role",
        trust,
        lambda: iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"],
        lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=document),
    )
    yield Resource(
        "sessions of the role (one hour)",
        SESSION,
        lambda: iam.get_role(RoleName=name)["Role"].get("MaxSessionDuration"),
        lambda: iam.update_role(RoleName=name, MaxSessionDuration=SESSION),
    )
    policy = policies.publisher_policy(index, project)
    yield Resource(
        f"policy of the role for {project} of {index.team}",
        policy,
        lambda: iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME)["PolicyDocument"],
        lambda: iam.put_role_policy(
            RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(policy)
        ),
    )


def _audiences(iam: "IAMClient", provider: str) -> list[str]:
    return iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider)["ClientIDList"]


def _allow_github(iam: "IAMClient", provider: str) -> None:
    """Make the account accept GitHub's tokens; other repositories may already use the provider."""
    if found(lambda: _audiences(iam, provider)) is None:
        iam.create_open_id_connect_provider(Url=f"https://{GITHUB}", ClientIDList=[AUDIENCE])
    else:
        iam.add_client_id_to_open_id_connect_provider(
            OpenIDConnectProviderArn=provider, ClientID=AUDIENCE
        )


def _create_role(iam: "IAMClient", name: str, trust: str) -> None:
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, MaxSessionDuration=SESSION)
    iam.get_waiter("role_exists").wait(RoleName=name)


def _other_policies(iam: "IAMClient", name: str) -> list[str]:
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    names = [*inline, *(policy["PolicyName"] for policy in attached)]
    return [other for other in names if other != POLICY_NAME]
