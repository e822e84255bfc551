"""The policies of the bucket and of the publishing role: infra/*.json, filled in (pure).

The files have placeholders such as `${bucket}`, which string.Template fills in here as Terraform's
templatefile and CloudFormation's Fn::Sub would. A list is one placeholder inside a string.
"""

import json
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any

from s3index.access import Publisher, Readers
from s3index.settings import Index

INFRA = Path(__file__).parent / "infra"
PREFIX = "S3index"
"""Prefix of the Sids of our statements in a bucket policy."""
ROLE_NAME_LIMIT = 64
"""IAM's limit on the length of a role name, in characters."""

Policy = dict[str, Any]
"""An IAM policy, whose elements may each be a string, a list or an object."""


def bucket_policy(index: Index, readers: Readers) -> Policy:
    """Return the bucket policy, without statements for empty lists."""
    policy = _filled(
        f"bucket-policy.{readers.access}.json",
        index,
        networks=_joined(readers.networks),
        vpc_endpoints=_joined(readers.vpc_endpoints),
        distribution=readers.distribution,
    )
    kept = [one for one in policy["Statement"] if '[""]' not in json.dumps(one)]
    return policy | {"Statement": kept}


def publisher_policy(index: Index, project: str) -> Policy:
    """Return the publishing role's policy: the least privilege for its project's releases."""
    return _filled("publisher-policy.json", index, team=index.team, project=project)


def publisher_trust(index: Index, publisher: Publisher, account: str) -> Policy:
    """Return the publishing role's trust policy; `account` is the AWS account id."""
    return _filled("publisher-trust.json", index, account=account, subject=publisher.subject)


def role_name(index: Index, project: str) -> str:
    """Return the name of this repository's role, one for each team and project.

    Teams and projects have no dots, so names are unique. A name too long for IAM ends in a digest.
    """
    name = f"s3index.{index.team}.{project}"
    if len(name) <= ROLE_NAME_LIMIT:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: ROLE_NAME_LIMIT - 9]}.{digest}"


def split(policy: Policy) -> tuple[list[Policy], list[Policy]]:
    """Split the statements of a bucket policy into those of s3index and the others."""
    statements = policy.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    ours = [one for one in listed if str(one.get("Sid", "")).startswith(PREFIX)]
    return ours, [one for one in listed if one not in ours]


def merged(ours: Policy, current: Policy) -> Policy:
    """Return our policy with the current one's other statements and elements."""
    return ours | current | {"Statement": [*split(current)[1], *ours["Statement"]]}


def _joined(values: tuple[str, ...]) -> str:
    """Return values as the inside of a JSON list of strings, without its outer quotes."""
    return '", "'.join(values)


def _filled(name: str, index: Index, **values: str) -> Policy:
    text = (INFRA / name).read_text(encoding="utf-8")
    policy = Template(text).substitute(values, partition=index.partition, bucket=index.bucket)
    return dict(json.loads(policy))
