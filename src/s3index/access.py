"""Validate the settings in pyproject.toml that say who may read the bucket and who may publish.

All of them end up in policies, where `*` is a wildcard and `$` starts a variable, so they must not
contain either.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network

from s3index.errors import Refused
from s3index.settings import Project, read, section, table

BROADEST = {4: 8, 6: 32}
"""The shortest prefixes that S3 does not treat as the whole internet (S3 User Guide, "Blocking
public access", on aws:SourceIp)."""


@dataclass(frozen=True)
class Readers:
    """`access` is `public`, `token`, or `network` with at least one CIDR block or VPC endpoint.

    With `token`, `distribution` is the ARN of the CloudFront distribution that checks tokens; only
    it may read the bucket.
    """

    access: str
    networks: tuple[str, ...] = ()
    vpc_endpoints: tuple[str, ...] = ()
    distribution: str = ""


@dataclass(frozen=True)
class Publisher:
    """The GitHub repository, as owner/name, and the prefix of its OIDC tokens' subjects."""

    repository: str
    subject: str

    @property
    def has_ids(self) -> bool:
        """Return whether the subject includes GitHub's numeric ids of owner and repository."""
        return "@" in self.subject


def readers(project: Project) -> Readers:
    """Return who may read; raise Refused if the settings are missing or invalid."""
    settings = table(read(project.root))
    access = settings.get("access")
    if access not in ("public", "network", "token"):
        raise Refused(
            f"access = {access!r} in [tool.s3index] is not valid. "
            'Use access = "network", access = "token" or access = "public".'
        )
    if access == "public":
        return Readers("public")
    if access == "token":
        arn = settings.get("distribution")
        pattern = r"arn:aws[a-z-]*:cloudfront::\d{12}:distribution/[A-Z0-9]+"
        if not isinstance(arn, str) or not re.fullmatch(pattern, arn, re.ASCII):
            raise Refused(
                f'distribution = {arn!r} in [tool.s3index] does not name what access = "token" '
                "lets read: a CloudFront distribution. Use the output Distribution of the edge's "
                "stack, such as arn:aws:cloudfront::123456789012:distribution/E1A2B3C4D5E6F7."
            )
        return Readers("token", distribution=arn)
    found = Readers(
        "network",
        _list(settings, "networks", _check_network),
        _list(settings, "vpc_endpoints", _check_vpc_endpoint),
    )
    if not found.networks and not found.vpc_endpoints:
        raise Refused(
            'access = "network" needs networks in [tool.s3index], such as networks = '
            '["203.0.113.0/24"], or VPC endpoints, such as vpc_endpoints = ["vpce-1a2b3c4d"].'
        )
    return found


def is_proprietary(project: Project) -> bool:
    """Return whether `[project]` has the licence that the template calls Proprietary."""
    found = section(read(project.root), "project").get("license")
    return "proprietary" in str(found).lower()


def publisher(project: Project) -> Publisher:
    """Return who may publish; raise Refused if the settings are missing or invalid."""
    document = read(project.root)
    urls = section(document, "project").get("urls")
    labels = {key.lower(): url for key, url in urls.items()} if isinstance(urls, dict) else {}
    url = str(labels.get("repository"))
    found = re.fullmatch(r"https://github\.com/([A-Za-z0-9-]+/[\w.-]+?)(\.git)?/?", url, re.ASCII)
    if not found:
        raise Refused(
            f"Repository = {url!r} in [project.urls] is not a repository on GitHub. Write its "
            "address, such as https://github.com/acme/acme-common: only its releases get the role."
        )
    repository = found[1]
    subject = table(document).get("github_subject", f"repo:{repository}")
    with_ids = "repo:" + "/".join(rf"{re.escape(name)}(@\d+)?" for name in repository.split("/"))
    if not isinstance(subject, str) or not re.fullmatch(with_ids, subject, re.ASCII):
        raise Refused(
            f"github_subject = {subject!r} in [tool.s3index] does not name {repository}, the "
            f"repository in [project.urls]. Use the output of: {ask_github(repository)}"
        )
    return Publisher(repository, subject)


def ask_github(repository: str) -> str:
    """Return the command that prints the subject prefix of a repository's tokens."""
    return f"gh api repos/{repository}/actions/oidc/customization/sub --jq .sub_claim_prefix"


def _list(settings: dict[str, object], key: str, check: Callable[[str], None]) -> tuple[str, ...]:
    values = settings.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Refused(f"{key} = {values!r} in [tool.s3index] must be a list of strings.")
    for value in values:
        check(value)
    return tuple(dict.fromkeys(values))


def _check_network(value: str) -> None:
    try:
        network = ip_network(value)
    except ValueError as error:
        raise Refused(
            f"networks in [tool.s3index]: {error}. Write a CIDR block such as 203.0.113.0/24."
        ) from None
    broadest = BROADEST[network.version]
    if network.prefixlen < broadest:
        raise Refused(
            f"networks in [tool.s3index]: S3 treats {value} as the whole internet. Use networks "
            f'of /{broadest} or smaller, or set access = "public".'
        )


def _check_vpc_endpoint(value: str) -> None:
    if not re.fullmatch(r"vpce-[0-9a-f]{8}([0-9a-f]{9})?", value):
        raise Refused(
            f"vpc_endpoints in [tool.s3index]: {value!r} is not the id of a VPC endpoint, such as "
            "vpce-1a2b3c4d."
        )
