"""`provision` creates and reports each resource once, in moto's S3, IAM and STS."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import boto3
import pytest

from s3index.output import RULESET
from tests.access.administrator import (
    ACCOUNT,
    BUCKET,
    DENIALS,
    NETWORK,
    PROVIDER,
    READERS,
    REGION,
    RESOURCES,
    ROLE,
    TOKEN,
    bucket_state,
    done,
    provision,
    recorded,
    repository,
    statements,
    writes,
)
from tests.protocol.standin import Answer, Seen
from tests.world import Library

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client


@pytest.mark.parametrize("access", ["public", "network", "token"])
def test_the_bucket_that_it_makes(
    account: str, storage: "S3Client", tmp_path: Path, access: str
) -> None:
    settings: dict[str, dict[str, object]] = {"network": {**NETWORK}, "token": {**TOKEN}}
    acme = repository(tmp_path, settings.get(access, {}))
    printed, _ = provision(acme, "--bucket-only")
    assert "ROLE" not in printed
    assert bucket_state(storage) == {
        "region": REGION,
        "ownership": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "block": {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": access != "public",
            "RestrictPublicBuckets": access != "public",
        },
        "versioning": "Enabled",
        "encryption": {"SSEAlgorithm": "AES256"},
        "website": {"Suffix": "index.html"},
        "policy": READERS[access] + DENIALS,
    }
    assert boto3.client("iam", region_name=REGION).list_roles()["Roles"] == []


def test_the_role_that_it_makes(acme: Library, iam: "IAMClient", storage: "S3Client") -> None:
    printed, _ = provision(acme, "--role-only")
    assert storage.list_buckets()["Buckets"] == []
    provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)
    assert provider["ClientIDList"] == ["sts.amazonaws.com"]
    assert provider.get("ThumbprintList", []) == []
    role = iam.get_role(RoleName=ROLE)["Role"]
    assert role["MaxSessionDuration"] == 3600
    document: Any = role["AssumeRolePolicyDocument"]
    [trust] = document["Statement"]
    assert trust["Principal"] == {"Federated": PROVIDER}
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:acme/acme-common:environment:release",
        }
    }
    assert f"The publisher's role: {role['Arn']}\n" in printed


def test_each_step_is_told_and_a_second_run_changes_nothing(
    acme: Library, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = provision(acme)
    assert list(done(first)) == RESOURCES
    already = {"trust of the role", "sessions of the role (one hour)"}
    assert {thing for thing, what in done(first).items() if what == "unchanged"} == already
    assert {what for thing, what in done(first).items() if thing not in already} == {"created"}
    with recorded(account, monkeypatch) as stand_in:
        again, _ = provision(acme)
    assert list(done(again)) == RESOURCES
    assert set(done(again).values()) == {"unchanged"}
    assert writes(stand_in) == []


@pytest.mark.parametrize("before", [(), ("--bucket-only",), ("--role-only",)])
def test_a_dry_run_writes_nothing_and_tells_what_it_would(
    acme: Library, account: str, monkeypatch: pytest.MonkeyPatch, before: tuple[str, ...]
) -> None:
    if before:
        provision(acme, *before)
    with recorded(account, monkeypatch) as stand_in:
        shown, _ = provision(acme, "--dry-run")
    assert writes(stand_in) == []
    told = done(shown)
    assert list(told) == RESOURCES
    real, _ = provision(acme)
    there = {thing for thing, what in done(real).items() if what == "unchanged"}
    if before != ("--role-only",):
        # Creating the role sets its trust and sessions.
        there -= {"trust of the role", "sessions of the role (one hour)"}
    assert {thing for thing, what in told.items() if what == "unchanged"} == there
    assert {what for thing, what in told.items() if thing not in there} == {"would be created"}


def test_the_block_comes_before_the_policy(
    acme: Library, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # S3 refuses a public policy while the block is on; AWS turns it on for new buckets.
    with recorded(account, monkeypatch) as stand_in:
        provision(acme, "--bucket-only")
    order = writes(stand_in)
    assert order[0] == "PUT"
    assert order.index("PUT publicAccessBlock") < order.index("PUT policy")


def test_a_provider_that_others_made_gets_our_audience_too(
    acme: Library, iam: "IAMClient", account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    github = "https://token.actions.githubusercontent.com"
    iam.create_open_id_connect_provider(Url=github, ClientIDList=["another"])

    def rule(seen: Seen) -> Answer | None:
        # moto lacks this action; AWS answers with only a request id.
        if b"Action=AddClientIDToOpenIDConnectProvider" in seen.body:
            asked.append(parse_qs(seen.body.decode()))
            return Answer(200, {"Content-Type": "text/xml"}, b"<Response/>")
        return None

    asked: list[dict[str, list[str]]] = []
    with recorded(account, monkeypatch, rule) as stand_in:
        told = done(provision(acme, "--role-only")[0])
    assert told[RESOURCES[7]] == "changed"
    assert [(one["OpenIDConnectProviderArn"], one["ClientID"]) for one in asked] == [
        ([PROVIDER], ["sts.amazonaws.com"])
    ]
    # The others' provider stays in place.
    names = "CreateOpenIDConnectProvider", "DeleteOpenIDConnectProvider"
    assert not set(names) & set(writes(stand_in))


def test_the_commands_for_github(acme: Library) -> None:
    printed, _ = provision(acme, "--role-only")
    role = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
    environment = "repos/acme/acme-common/environments/release"
    commands = re.findall(r"^    (gh .*)$", printed, re.MULTILINE)
    assert commands == [
        f"gh api -X PUT {environment} -F 'deployment_branch_policy[protected_branches]=false' "
        "-F 'deployment_branch_policy[custom_branch_policies]=true'",
        f"gh api -X POST {environment}/deployment-branch-policies -f 'name=v*' -f type=tag",
        f"gh variable set S3INDEX_ROLE --env release --repo acme/acme-common --body {role}",
        f"gh api -X POST repos/acme/acme-common/rulesets --input - <<< '{json.dumps(RULESET)}'",
        "gh api repos/acme/acme-common/actions/oidc/customization/sub --jq .sub_claim_prefix",
    ]
    with_ids = repository(acme.root, {"github_subject": "repo:acme@12/acme-common@345"})
    printed, _ = provision(with_ids, "--role-only")
    assert "sub_claim_prefix" not in printed
    assert done(printed)["trust of the role"] == "changed"


def test_a_role_and_a_bucket_of_0_2_0_are_adjusted(
    acme: Library, iam: "IAMClient", storage: "S3Client"
) -> None:
    provision(acme)
    team = {
        "Sid": "ReadAndWriteOwnTeam",
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": [
            f"arn:aws:s3:::{BUCKET}/packages/devtools/*",
            f"arn:aws:s3:::{BUCKET}/dumb-pypi/devtools/*",
        ],
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [team]})
    iam.put_role_policy(RoleName=ROLE, PolicyName="s3index-publish", PolicyDocument=document)
    policy = storage.get_bucket_policy(Bucket=BUCKET)["Policy"]
    before = policy.replace(f'"arn:aws:s3:::{BUCKET}/simple/*",', "")
    assert before != policy
    storage.put_bucket_policy(Bucket=BUCKET, Policy=before)
    for option, resource in (("--bucket-only", RESOURCES[6]), ("--role-only", RESOURCES[11])):
        told = done(provision(acme, option)[0])
        assert {name for name, what in told.items() if what != "unchanged"} == {resource}
    inline: Any = iam.get_role_policy(RoleName=ROLE, PolicyName="s3index-publish")
    assert "ReadAndWriteOwnTeam" not in statements(inline["PolicyDocument"])
    assert storage.get_bucket_policy(Bucket=BUCKET)["Policy"] == policy


def test_us_east_1_which_is_no_location(account: str, tmp_path: Path, storage: "S3Client") -> None:
    provision(repository(tmp_path, {"region": "us-east-1"}), "--bucket-only")
    assert storage.head_bucket(Bucket=BUCKET)["BucketRegion"] == "us-east-1"


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-central-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_every_arn_is_of_the_regions_partition(
    account: str, tmp_path: Path, region: str, partition: str
) -> None:
    printed, _ = provision(repository(tmp_path, {"region": region}))
    assert f"The publisher's role: arn:{partition}:iam::{ACCOUNT}:role/{ROLE}\n" in printed
    storage, iam = boto3.client("s3", region), boto3.client("iam", region)
    role = iam.get_role(RoleName=ROLE)["Role"]
    inline = iam.get_role_policy(RoleName=ROLE, PolicyName="s3index-publish")["PolicyDocument"]
    written = json.dumps(
        [
            role["AssumeRolePolicyDocument"],
            inline,
            storage.get_bucket_policy(Bucket=BUCKET)["Policy"],
        ]
    )
    assert set(re.findall(r"arn:([^:]+):", written)) == {partition}


def test_a_proprietary_library_for_everybody_is_warned_about(account: str, tmp_path: Path) -> None:
    acme = repository(tmp_path)
    _, said = provision(acme, "--bucket-only", "--dry-run")
    assert said == ""
    project = tmp_path / "pyproject.toml"
    text = project.read_text()
    licence = '[project]\nlicense = "LicenseRef-Proprietary"'
    project.write_text(text.replace("[project]", licence, 1))
    _, said = provision(acme, "--bucket-only", "--dry-run")
    assert said.startswith('Warning: access = "public" lets everybody on the internet download')
    project.write_text(
        project.read_text().replace('"public"', '"network"\nnetworks = ["10.0.0.0/8"]')
    )
    assert provision(acme, "--bucket-only", "--dry-run")[1] == ""
