"""A small policy evaluator, for what moto does not evaluate.

moto ignores conditions in bucket policies (a conditional Deny always denies), checks no web
identity tokens, and lets anyone assume any role. This evaluator knows the elements and conditions
used by the files in infra/, following the IAM User Guide ("Policy evaluation logic", "Condition
operators"), and fails at any other, so that no policy passes because it was not understood.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qs

from tests.protocol.standin import Answer, Rule, Seen, error

ELEMENTS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
ACTIONS = {
    ("HEAD", True, ""): "s3:GetObject",
    ("GET", True, ""): "s3:GetObject",
    ("GET", True, "versionId"): "s3:GetObjectVersion",
    ("GET", True, "acl"): "s3:GetObjectAcl",
    ("PUT", True, ""): "s3:PutObject",
    ("PUT", True, "acl"): "s3:PutObjectAcl",
    ("POST", True, "uploads"): "s3:PutObject",
    ("DELETE", True, ""): "s3:DeleteObject",
    ("DELETE", True, "versionId"): "s3:DeleteObjectVersion",
    ("HEAD", False, ""): "s3:ListBucket",
    ("GET", False, "list-type"): "s3:ListBucket",
    ("GET", False, "versions"): "s3:ListBucketVersions",
    ("GET", False, "policy"): "s3:GetBucketPolicy",
    ("PUT", False, "policy"): "s3:PutBucketPolicy",
    ("DELETE", False, "policy"): "s3:DeleteBucketPolicy",
}
"""{(method, of an object?, subresource): the action that S3 requires}, from the S3 User Guide,
"Required permissions for Amazon S3 API operations"."""


@dataclass(frozen=True)
class Request:
    """A request for an action on a resource, by a principal (None: unsigned), in a context."""

    action: str
    resource: str = ""
    principal: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


def verdict(policy: Mapping[str, Any], request: Request) -> str | None:
    """Return Deny or Allow, or None if no statement applies."""
    effects = {one["Effect"] for one in policy["Statement"] if applies(one, request)}
    return "Deny" if "Deny" in effects else "Allow" if "Allow" in effects else None


def applies(statement: Mapping[str, Any], request: Request) -> bool:
    """Tell whether a statement applies to a request."""
    assert set(statement) <= ELEMENTS, statement
    principal = statement.get("Principal", "*")
    named = principal == "*" or request.principal in [
        *_list(principal.get("Federated", [])),
        *_list(principal.get("Service", [])),
    ]
    return (
        named
        and any(_like(request.action, action) for action in _list(statement["Action"]))
        and any(_like(request.resource, arn) for arn in _list(statement.get("Resource", "*")))
        and all(
            _holds(operator, request.context.get(key), _list(values))
            for operator, tests in statement.get("Condition", {}).items()
            for key, values in tests.items()
        )
    )


def _holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    if operator == "Null":
        return wanted == [str(value is None).lower()]
    if value is None:
        return False
    if operator in ("Bool", "StringEquals"):
        return value in wanted
    assert operator == "IpAddress", operator
    return any(ip_address(value) in ip_network(network) for network in wanted)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _like(value: str, pattern: str) -> bool:
    parts = [
        {"*": ".*", "?": "."}.get(part, re.escape(part)) for part in re.split(r"([*?])", pattern)
    ]
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def asked(seen: Seen, *, partition: str = "aws", **context: str) -> Request:
    """Translate a request to S3; only its If-None-Match is added to the context."""
    subresources = {name for _, _, name in ACTIONS if name}
    query = parse_qs(seen.query, keep_blank_values=True)
    [subresource] = subresources & set(query) or {""}
    action = ACTIONS[seen.method, bool(seen.key), subresource]
    arn = f"arn:{partition}:s3:::{seen.bucket}" + (f"/{seen.key}" if seen.key else "")
    headers = {name.lower(): value for name, value in seen.headers.items()}
    condition = headers.get("if-none-match")
    context = {name.replace("_", ":", 1): value for name, value in context.items()}
    return Request(
        action,
        arn,
        headers.get("authorization"),
        context | ({"s3:if-none-match": condition} if condition and seen.method != "GET" else {}),
    )


def guarding(policy: Mapping[str, Any], requests: list[Request], **context: str) -> Rule:
    """Return a stand-in's rule that enforces a bucket's policy with its conditions.

    It refuses what the policy denies, and unsigned requests that the policy does not allow. The
    rest is added to `requests` and goes on to moto, which evaluates the role's own policy.
    """

    def rule(seen: Seen) -> Answer | None:
        request = asked(seen, **context)
        judged = verdict(policy, request)
        if judged == "Deny" or (request.principal is None and judged != "Allow"):
            return error(403, "AccessDenied", "Access Denied")
        requests.append(request)
        return None

    return rule
