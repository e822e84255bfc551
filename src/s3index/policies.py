"""The policies of the bucket and of the publishing role: infra/*.json, filled in (pure).

The files have placeholders such as `${bucket}`, which string.Template fills here as Terraform's
templatefile and CloudFormation's Fn::Sub would. A list is one placeholder inside a string.
"""

import json
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any

from s3index.access import Publisher, Readers
from s3index.config import Config, Refused

INFRA = Path(__file__).parent / "infra"
OURS = "S3index"
"""What the Sids of our statements in a bucket's policy start with."""
ROLE_NAME_LIMIT = 64
"""IAM's limit for the name of a role, in characters."""

Policy = dict[str, Any]


def bucket_policy(config: Config, readers: Readers) -> Policy:
    """Return the bucket's policy; statements for a list that is empty are left out."""
    policy = _filled(
        f"bucket-policy.{readers.access}.json",
        config,
        networks=_joined(readers.networks),
        vpc_endpoints=_joined(readers.vpc_endpoints),
    )
    policy["Statement"] = [
        statement
        for statement in policy["Statement"]
        if [""]
        not in [
            values for test in statement.get("Condition", {}).values() for values in test.values()
        ]
    ]
    return policy


def publisher_policy(config: Config) -> Policy:
    """Return what the publishing role may do."""
    return _filled("publisher-policy.json", config)


def publisher_trust(config: Config, publisher: Publisher, account: str) -> Policy:
    """Return who may assume the publishing role; `account` is the AWS account's number."""
    return _filled("publisher-trust.json", config, account=account, subject=publisher.subject)


def role_name(config: Config) -> str:
    """Return the name of this repository's role, one for each team and project.

    Dots keep them apart: neither name has one. What is too long for IAM ends in a digest.
    """
    name = f"s3index.{config.team}.{config.project}"
    if len(name) <= ROLE_NAME_LIMIT:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: ROLE_NAME_LIMIT - 9]}.{digest}"


def foreign(policy: Policy | None) -> list[Policy]:
    """Return the statements of a bucket's policy that s3index did not write."""
    statements = policy["Statement"] if policy else []
    listed = statements if isinstance(statements, list) else [statements]
    return [one for one in listed if not str(one.get("Sid", "")).startswith(OURS)]


def merged(ours: Policy, current: Policy | None) -> Policy:
    """Return our policy with the foreign statements of the current one, and its other members."""
    return ours | (current or {}) | {"Statement": [*foreign(current), *ours["Statement"]]}


def same(one: object, other: object) -> bool:
    """Tell whether two policies, or settings, say the same.

    AWS may give a list of one as its only value, and lists in another order.
    """
    return _normal(one) == _normal(other)


def _normal(value: object) -> object:
    if isinstance(value, dict):
        return {key: _normal(member) for key, member in value.items()}
    if isinstance(value, list):
        members = sorted((_normal(member) for member in value), key=repr)
        return members[0] if len(members) == 1 else members
    return value


def _joined(values: tuple[str, ...]) -> str:
    """Return values as the inside of a JSON list of texts, without its first and last quote."""
    return '", "'.join(values)


def _filled(name: str, config: Config, **values: str) -> Policy:
    path = INFRA / name
    values |= {"partition": config.partition, "bucket": config.bucket, "team": config.team}
    try:
        policy = json.loads(Template(path.read_text(encoding="utf-8")).substitute(values))
    except FileNotFoundError:
        raise Refused(
            f"infra/{name} is missing. Restore it from the repository's history."
        ) from None
    except (KeyError, ValueError) as error:
        raise Refused(f"infra/{name} is no policy that can be filled in: {error}.") from None
    return dict(policy)
