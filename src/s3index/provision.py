"""Make the bucket and the publishing role, or bring them back to what infra/ and settings say.

Run once by somebody with administrator's rights, and again whenever something may have changed.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from s3index import policies
from s3index.access import Publisher, Readers
from s3index.config import Config, Refused
from s3index.errors import status
from s3index.settle import Say, Thing, found, refusals, settle

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client

GITHUB = "token.actions.githubusercontent.com"
"""GitHub's OIDC provider. AWS knows the root of its certificate: no thumbprint is needed."""
AUDIENCE = "sts.amazonaws.com"
"""The audience that the action configure-aws-credentials asks for, in every partition."""
SESSION = 3600
"""How long the role's credentials are valid at most, in seconds."""
POLICY_NAME = "s3index-publish"


def provision_bucket(config: Config, readers: Readers, say: Say, *, dry_run: bool) -> None:
    """Create or adjust the bucket; `say` gets a line for each thing.

    Raises Refused if it is another account's or in another region, or if rights are missing.
    """
    if (config.endpoint or "").startswith("http:"):
        say("Warning: this endpoint is plain HTTP, which the bucket policy refuses to everybody")
    with refusals(config):
        s3 = boto3.client("s3", config.region, config=_options(config))
        settle(_bucket(s3, config, readers), say, dry_run=dry_run)
        settle(_further_settings(s3, config.bucket), say, dry_run=dry_run)
        settle([_bucket_policy(s3, config, readers, say)], say, dry_run=dry_run)


def provision_role(config: Config, publisher: Publisher, say: Say, *, dry_run: bool) -> str:
    """Create or adjust GitHub's OIDC provider and the publishing role; return the role's ARN.

    `say` gets a line for each thing. Raises Refused if rights are missing.
    """
    name = policies.role_name(config)
    with refusals(config):
        iam = boto3.client("iam", config.region, config=_options(config))
        sts = boto3.client("sts", config.region, config=_options(config))
        account = sts.get_caller_identity()["Account"]
        trust = policies.publisher_trust(config, publisher, account)
        settle(_role(iam, config, trust), say, dry_run=dry_run)
        for other in found(lambda: _other_policies(iam, name)) or []:
            say(f"policy {other} of the role: kept, though s3index did not write it")
    return f"arn:{config.partition}:iam::{account}:role/{name}"


def _options(config: Config) -> BotoConfig:
    return BotoConfig(
        retries={"mode": "standard"},
        connect_timeout=10,
        s3={"addressing_style": "path" if config.endpoint else "virtual"},
    )


def _bucket(s3: "S3Client", config: Config, readers: Readers) -> Iterator[Thing]:
    name = config.bucket
    yield Thing(
        f"bucket {name} in {config.region}",
        lambda _: config.region,
        lambda: _region(s3, config),
        lambda _: _create_bucket(s3, config),
    )
    rules: Any = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    yield Thing(
        "object ownership (ACLs off)",
        lambda _: rules,
        lambda: s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"],
        lambda _: s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=rules),
    )
    # Before the policy: S3 refuses a public one while this blocks it.
    closed = readers.access == "network"
    block: Any = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": closed,
        "RestrictPublicBuckets": closed,
    }
    yield Thing(
        f"public access block for access = {readers.access}",
        lambda _: block,
        lambda: s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
        lambda _: s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block),
    )


def _region(s3: "S3Client", config: Config) -> str:
    try:
        reply = s3.head_bucket(Bucket=config.bucket)
    except ClientError as error:
        if status(error) != 404:
            # An answer to HEAD has no body; the one to this says what is the matter.
            s3.get_bucket_location(Bucket=config.bucket)
        raise
    # S3-compatible servers may not say where they are.
    region = reply.get("BucketRegion", config.region)
    if region != config.region:
        raise Refused(
            f"Bucket {config.bucket} is in {region}, but [tool.s3index] says {config.region}. "
            "Correct region, or choose another bucket."
        )
    return region


def _create_bucket(s3: "S3Client", config: Config) -> None:
    # S3 knows us-east-1 by the absence of a location.
    location: Any = {"CreateBucketConfiguration": {"LocationConstraint": config.region}}
    s3.create_bucket(Bucket=config.bucket, **({} if config.region == "us-east-1" else location))


def _further_settings(s3: "S3Client", name: str) -> Iterator[Thing]:
    enabled: Any = {"Status": "Enabled"}
    yield Thing(
        "versioning",
        lambda _: "Enabled",
        lambda: s3.get_bucket_versioning(Bucket=name).get("Status"),
        lambda _: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=enabled),
    )
    rules: Any = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    yield Thing(
        "default encryption (AES256)",
        lambda _: "AES256",
        lambda: _encryption(s3, name),
        lambda _: s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=rules),
    )
    index: Any = {"IndexDocument": {"Suffix": "index.html"}}
    yield Thing(
        "static website (index.html)",
        lambda _: index["IndexDocument"],
        lambda: s3.get_bucket_website(Bucket=name).get("IndexDocument"),
        lambda _: s3.put_bucket_website(Bucket=name, WebsiteConfiguration=index),
    )


def _encryption(s3: "S3Client", name: str) -> str | None:
    there = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]
    return there["Rules"][0].get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm")


def _bucket_policy(s3: "S3Client", config: Config, readers: Readers, say: Say) -> Thing:
    ours = policies.bucket_policy(config, readers)

    def read() -> policies.Policy:
        there: policies.Policy = json.loads(s3.get_bucket_policy(Bucket=config.bucket)["Policy"])
        for statement in policies.foreign(there):
            sid = statement.get("Sid", "without a Sid")
            say(f"statement {sid} of the bucket policy: kept, though s3index did not write it")
        return there

    return Thing(
        f"bucket policy for access = {readers.access}",
        lambda there: policies.merged(ours, there),
        read,
        lambda there: s3.put_bucket_policy(
            Bucket=config.bucket, Policy=json.dumps(policies.merged(ours, there))
        ),
    )


def _role(iam: "IAMClient", config: Config, trust: policies.Policy) -> Iterator[Thing]:
    provider = trust["Statement"][0]["Principal"]["Federated"]
    yield Thing(
        f"OIDC provider {GITHUB}",
        lambda _: True,
        lambda: AUDIENCE in _audiences(iam, provider),
        lambda there: _allow_github(iam, provider, exists=there is not None),
    )
    name, document = policies.role_name(config), json.dumps(trust)
    yield Thing(
        f"role {name}",
        lambda _: name,
        lambda: iam.get_role(RoleName=name)["Role"]["RoleName"],
        lambda _: _create_role(iam, name, document),
    )
    yield Thing(
        "trust of the role",
        lambda _: trust,
        lambda: iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"],
        lambda _: iam.update_assume_role_policy(RoleName=name, PolicyDocument=document),
    )
    yield Thing(
        "sessions of the role (one hour)",
        lambda _: SESSION,
        lambda: iam.get_role(RoleName=name)["Role"].get("MaxSessionDuration"),
        lambda _: iam.update_role(RoleName=name, MaxSessionDuration=SESSION),
    )
    policy = policies.publisher_policy(config)
    yield Thing(
        f"policy of the role for the prefixes of {config.team}",
        lambda _: policy,
        lambda: iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME)["PolicyDocument"],
        lambda _: iam.put_role_policy(
            RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(policy)
        ),
    )


def _audiences(iam: "IAMClient", provider: str) -> list[str]:
    return iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider)["ClientIDList"]


def _allow_github(iam: "IAMClient", provider: str, *, exists: bool) -> None:
    """Make the account accept GitHub's tokens; other repositories may be using the provider."""
    if exists:
        iam.add_client_id_to_open_id_connect_provider(
            OpenIDConnectProviderArn=provider, ClientID=AUDIENCE
        )
    else:
        iam.create_open_id_connect_provider(Url=f"https://{GITHUB}", ClientIDList=[AUDIENCE])


def _create_role(iam: "IAMClient", name: str, trust: str) -> None:
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, MaxSessionDuration=SESSION)
    iam.get_waiter("role_exists").wait(RoleName=name)


def _other_policies(iam: "IAMClient", name: str) -> list[str]:
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    names = [*inline, *(policy["PolicyName"] for policy in attached)]
    return [other for other in names if other != POLICY_NAME]
