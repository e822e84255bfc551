"""Settings for readers and publishers are checked before any request."""

from pathlib import Path

import pytest

from s3index.access import Publisher, Readers, publisher, readers
from s3index.errors import Refused
from tests.access.administrator import NETWORK, provision, recorded, repository

NEITHER = 'access = "network" needs networks in [tool.s3index], such as networks = '


SETTINGS: dict[str, tuple[dict[str, object], str]] = {
    "no access": ({"access": None}, "access = None in [tool.s3index] is not valid."),
    "another access": ({"access": "all"}, "access = 'all' in [tool.s3index] is not valid."),
    "network without either": ({"access": "network"}, NEITHER),
    "network with empty lists": (
        {"access": "network", "networks": [], "vpc_endpoints": []},
        NEITHER,
    ),
    "no list": (
        {"access": "network", "networks": "203.0.113.0/24"},
        "networks = '203.0.113.0/24' in [tool.s3index] must be a list of strings.",
    ),
    "no texts": (
        {"access": "network", "networks": [8]},
        "networks = [8] in [tool.s3index] must be a list of strings.",
    ),
    "no network": (
        {"access": "network", "networks": ["office"]},
        "networks in [tool.s3index]: 'office' does not appear to be an IPv4 or IPv6 network.",
    ),
    "host bits": (
        {"access": "network", "networks": ["203.0.113.7/24"]},
        "networks in [tool.s3index]: 203.0.113.7/24 has host bits set.",
    ),
    "another statement": (
        {"access": "network", "networks": ['0.0.0.0/1"], "x": ["']},
        "does not appear to be an IPv4 or IPv6 network.",
    ),
    "everybody": (
        {"access": "network", "networks": ["0.0.0.0/0"]},
        "networks in [tool.s3index]: S3 treats 0.0.0.0/0 as the whole internet.",
    ),
    "too broad": (
        {"access": "network", "networks": ["203.0.113.0/24", "10.0.0.0/7"]},
        "networks in [tool.s3index]: S3 treats 10.0.0.0/7 as the whole internet.",
    ),
    "too broad, IPv6": (
        {"access": "network", "networks": ["2001::/31"]},
        "networks in [tool.s3index]: S3 treats 2001::/31 as the whole internet.",
    ),
    "no endpoint": (
        {"access": "network", "vpc_endpoints": ["vpc-1a2b3c4d"]},
        "vpc_endpoints in [tool.s3index]: 'vpc-1a2b3c4d' is not the id of a VPC endpoint",
    ),
    "an endpoint with a star": (
        {"access": "network", "vpc_endpoints": ["vpce-*"]},
        "'vpce-*' is not the id of a VPC endpoint",
    ),
    "token without a distribution": (
        {"access": "token"},
        "distribution = None in [tool.s3index] does not name what access",
    ),
    "token for all": (
        {"access": "token", "distribution": "arn:aws:cloudfront::123456789012:distribution/*"},
        "Use the output Distribution of the edge's stack, such as arn:aws:cloudfront::",
    ),
    "an edge that is no address": ({"edge": "packages.acme.example"}, "edge = 'packages.acme"),
    "an edge that is no text": ({"edge": True}, "edge = True in [tool.s3index]"),
    "a bucket with a star": ({"bucket": "acme-*"}, "bucket = 'acme-*' in [tool.s3index]"),
    "a team with a dot": ({"team": "dev.tools"}, "team = 'dev.tools' in [tool.s3index]"),
    "a team of all": ({"team": "*"}, "team = '*' in [tool.s3index]"),
    "another repository's subject": (
        {"github_subject": "repo:acme@1/other@2"},
        "github_subject = 'repo:acme@1/other@2' in [tool.s3index] does not name acme/acme-common",
    ),
    "a subject of all": (
        {"github_subject": "repo:acme/*"},
        "Use the output of: gh api repos/acme/acme-common/actions/oidc/customization/sub",
    ),
    "a subject that is no text": ({"github_subject": 7}, "github_subject = 7 in [tool.s3index]"),
}


def asked(folder: Path, settings: dict[str, object]) -> tuple[Readers, Publisher]:
    project = repository(folder, settings).project
    return readers(project), publisher(project)


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_are_refused(tmp_path: Path, case: str) -> None:
    settings, said = SETTINGS[case]
    with pytest.raises(Refused) as caught:
        asked(tmp_path, settings)
    assert said in str(caught.value)


@pytest.mark.parametrize("case", ["network without either", "a subject of all"])
def test_settings_are_read_before_the_first_request(
    account: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str
) -> None:
    settings, said = SETTINGS[case]
    library = repository(tmp_path, settings)
    with recorded(account, monkeypatch) as stand_in:
        _, stderr = provision(library, exits=1)
        assert said in stderr
    assert stand_in.seen == []


@pytest.mark.parametrize(
    "url",
    [
        None,
        "https://gitlab.com/acme/acme-common",
        "https://github.com/acme",
        "https://github.com/acme/*",
        "https://github.com/acme/acme-common/tree/main",
    ],
)
def test_a_repository_that_is_not_on_github(tmp_path: Path, url: str | None) -> None:
    with pytest.raises(Refused) as caught:
        publisher(repository(tmp_path, url=url).project)
    assert f"Repository = {str(url)!r} in [project.urls] is not a repository" in str(caught.value)


def test_a_bucket_alone_needs_no_repository(account: str, tmp_path: Path) -> None:
    provision(repository(tmp_path, url=None), "--bucket-only")


@pytest.mark.parametrize("end", ["/", ".git", ".git/"])
def test_a_repositorys_address_may_end_as_git_likes_it(tmp_path: Path, end: str) -> None:
    library = repository(tmp_path, url=f"https://github.com/acme/acme-common{end}")
    assert publisher(library.project) == Publisher("acme/acme-common", "repo:acme/acme-common")


def test_networks_that_s3_does_not_call_public(tmp_path: Path) -> None:
    settings = NETWORK | {"networks": ["11.0.0.0/8", "2001:db8::/32", "203.0.113.7"]}
    library = repository(tmp_path, settings)
    assert readers(library.project).networks == ("11.0.0.0/8", "2001:db8::/32", "203.0.113.7")
    with pytest.raises(Refused):
        readers(repository(tmp_path, NETWORK | {"networks": ["10.0.0.0/7"]}).project)
