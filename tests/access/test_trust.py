"""Only the release environment gets the publishing role; role names are unique.

moto takes any token for any role, so judge.py evaluates the trust policy.
"""

from dataclasses import replace
from pathlib import Path

from s3index import policies
from s3index.access import publisher
from tests.access.administrator import PROVIDER, ROLE, repository
from tests.access.judge import Request, verdict

CLAIMS = {
    "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
    "token.actions.githubusercontent.com:sub": "repo:acme/acme-common:environment:release",
}
SUBJECTS = [
    "repo:acme/acme-common:environment:staging",
    "repo:acme/acme-common:environment:release:ref:refs/heads/main",
    "repo:acme/acme-common:ref:refs/tags/v0.1.0",
    "repo:acme/acme-common:ref:refs/heads/main",
    "repo:acme/acme-common:pull_request",
    "repo:acme/acme-other:environment:release",
    "repo:stranger/acme-common:environment:release",
    "repo:acme@1/acme-common@2:environment:release",
]


def assumed(trust: policies.Policy, claims: dict[str, str], provider: str = PROVIDER) -> bool:
    request = Request("sts:AssumeRoleWithWebIdentity", "", provider, claims)
    return verdict(trust, request) == "Allow"


def test_only_the_release_environment_of_the_repository_gets_the_role(tmp_path: Path) -> None:
    library = repository(tmp_path)
    trust = policies.publisher_trust(library.index, publisher(library.project), "123456789012")
    assert assumed(trust, CLAIMS)
    sub, aud = "token.actions.githubusercontent.com:sub", "token.actions.githubusercontent.com:aud"
    for subject in SUBJECTS:
        assert not assumed(trust, CLAIMS | {sub: subject}), subject
    assert not assumed(trust, CLAIMS | {aud: "https://github.com/acme"})
    assert not assumed(trust, {aud: CLAIMS[aud]})
    assert not assumed(trust, CLAIMS, PROVIDER.replace("token.actions", "token.stranger"))
    assert verdict(trust, Request("sts:AssumeRole", "", PROVIDER, CLAIMS)) is None


def test_numbers_of_owner_and_repository_are_part_of_the_subject(tmp_path: Path) -> None:
    library = repository(tmp_path, {"github_subject": "repo:acme@1/acme-common@2"})
    trust = policies.publisher_trust(library.index, publisher(library.project), "123456789012")
    sub = "token.actions.githubusercontent.com:sub"
    assert assumed(trust, CLAIMS | {sub: SUBJECTS[-1]})
    # A new owner of these names does not get the role.
    assert not assumed(trust, CLAIMS)
    assert not assumed(trust, CLAIMS | {sub: "repo:acme@1/acme-common@3:environment:release"})


def test_role_names_fit_and_do_not_meet(tmp_path: Path) -> None:
    library = repository(tmp_path)
    assert policies.role_name(library.index, library.name) == ROLE
    long = [("t" * 32, f"{'p' * 63}{end}") for end in "ab"]
    pairs = [("a-b", "c"), ("a", "b-c"), ("a-b-c", "c")]
    names = [
        policies.role_name(replace(library.index, team=team), project)
        for team, project in [*pairs, *long]
    ]
    assert len(set(names)) == 5
    assert max(map(len, names)) == 64
