"""The Terraform and CloudFormation examples create what provision does, from the same files.

Neither tool runs here: a few lines repeat what each does with a policy's text (templatefile,
Fn::Sub), and fail at any expression that they do not know.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import Any

import boto3
import hcl2
import pytest
import yaml

from s3index.policies import INFRA, Policy
from tests.access.administrator import ACCOUNT, NETWORK, ROLE, TOKEN, provision, repository
from tests.template.baking import TEMPLATE

EXAMPLES = TEMPLATE / "docs" / "examples"
EDGE: dict[str, Any] = {**TOKEN, "networks": [], "vpc_endpoints": []}
PUBLIC: dict[str, Any] = {"access": "public", "networks": [], "vpc_endpoints": []}
ONE: dict[str, Any] = {"access": "network", "networks": ["203.0.113.0/24"], "vpc_endpoints": []}
SUBJECT = "repo:acme@1/acme-common@2"


@pytest.fixture(
    params=[PUBLIC, NETWORK, ONE, EDGE], ids=["public", "network", "networks alone", "token"]
)
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


@pytest.fixture
def provisioned(account: str, tmp_path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the bucket's policy and block, and the role, that provision created."""
    provision(repository(tmp_path, settings | {"github_subject": SUBJECT}))
    s3, iam = boto3.client("s3", "eu-central-1"), boto3.client("iam", "eu-central-1")
    role = iam.get_role(RoleName=ROLE)["Role"]
    [inline] = iam.list_role_policies(RoleName=ROLE)["PolicyNames"]
    block = s3.get_public_access_block(Bucket="acme-packages")["PublicAccessBlockConfiguration"]
    return {
        "bucket policy": json.loads(s3.get_bucket_policy(Bucket="acme-packages")["Policy"]),
        "block": block,
        "role": (role["RoleName"], role["MaxSessionDuration"], inline),
        "trust": role["AssumeRolePolicyDocument"],
        "policy": iam.get_role_policy(RoleName=ROLE, PolicyName=inline)["PolicyDocument"],
    }


class Loader(yaml.SafeLoader):
    """Loads CloudFormation's short forms: `!Ref x` as ("Ref", x)."""


def _short_form(loader: Loader, tag: str, node: yaml.Node) -> tuple[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return tag, loader.construct_scalar(node)
    assert isinstance(node, yaml.SequenceNode)
    return tag, loader.construct_sequence(node, deep=True)


Loader.add_multi_constructor("!", _short_form)


def resolved(value: Any, parameters: dict[str, Any]) -> Any:
    """Return a template's value with its functions evaluated as CloudFormation does."""
    match value:
        case ("Ref", str(name)):
            return parameters[name]
        case ("If", [str(condition), yes, no]):
            access = parameters["Access"]
            holds = {
                "OnlyNetworks": access == "network",
                "OnlyEdge": access == "token",
                "Closed": access != "public",
            }
            return resolved(yes if holds[condition] else no, parameters)
        case ("Join", [str(between), values]):
            return between.join(resolved(values, parameters))
        case ("Sub", str(text)):
            return Template(text).substitute(parameters)
        case ("Sub", [str(text), dict(values)]):
            return Template(text).substitute(resolved(values, parameters))
        case dict():
            return {key: resolved(member, parameters) for key, member in value.items()}
        case list():
            return [resolved(member, parameters) for member in value]
    assert not isinstance(value, tuple), value
    return value


@pytest.mark.full
def test_cfn_lint_accepts_the_template() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), EXAMPLES / "template.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_templates_policies_are_the_files() -> None:
    text = (EXAMPLES / "template.yaml").read_text()
    pasted = re.findall(r"^ +(?:- )?- \| # infra/(.*)\n((?: +[\[\]{}\"].*\n)+)", text, re.MULTILINE)
    assert sorted(name for name, _ in pasted) == sorted(path.name for path in INFRA.iterdir())
    for name, policy in pasted:
        lines = policy.splitlines()
        indent = len(lines[0]) - 1
        assert [line[indent:] for line in lines] == (INFRA / name).read_text().splitlines(), name


def test_cloudformation_makes_the_same(
    settings: dict[str, Any], provisioned: dict[str, Any]
) -> None:
    template = yaml.load((EXAMPLES / "template.yaml").read_text(), Loader)
    given = {
        "Project": "acme-common",
        "Team": "devtools",
        "Bucket": "acme-packages",
        "Access": settings["access"],
        "Networks": settings["networks"],
        "VpcEndpoints": settings["vpc_endpoints"] or ["none"],
        "Distribution": settings.get("distribution", "none"),
        "Subject": SUBJECT,
    }
    assert set(given) == set(template["Parameters"])
    pseudo = {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "Index": "acme-packages"}
    made = resolved(
        {name: one["Properties"] for name, one in template["Resources"].items()
         if name in ("Index", "IndexPolicy", "Publisher")},
        given | pseudo,
    )  # fmt: skip
    [policy] = made["Publisher"]["Policies"]
    document = json.loads(made["IndexPolicy"]["PolicyDocument"])
    if not settings["vpc_endpoints"]:
        # These statements cannot be omitted here; no endpoint has that name.
        document = _without(document, '"aws:SourceVpce": ["none"]')
    assert {
        "bucket policy": document,
        "block": made["Index"]["PublicAccessBlockConfiguration"],
        "role": (
            made["Publisher"]["RoleName"],
            made["Publisher"]["MaxSessionDuration"],
            policy["PolicyName"],
        ),
        "trust": json.loads(made["Publisher"]["AssumeRolePolicyDocument"]),
        "policy": json.loads(policy["PolicyDocument"]),
    } == provisioned
    assert template["Resources"]["GitHub"]["Properties"] == {
        "Url": "https://token.actions.githubusercontent.com",
        "ClientIdList": ["sts.amazonaws.com"],
    }


def _without(policy: Policy, text: str) -> Policy:
    kept = [one for one in policy["Statement"] if text not in json.dumps(one)]
    return policy | {"Statement": kept}


def test_terraform_makes_the_same(settings: dict[str, Any], provisioned: dict[str, Any]) -> None:
    with (EXAMPLES / "main.tf").open() as file:
        module = hcl2.load(file)
    [local] = module["locals"]
    values = {
        "data.aws_partition.current.partition": "aws",
        "data.aws_caller_identity.current.account_id": ACCOUNT,
        "var.bucket": "acme-packages",
        "var.team": "devtools",
        "var.project": "acme-common",
        "var.subject": SUBJECT,
        "var.distribution": settings.get("distribution", ""),
        r'join("\", \"", var.networks)': '", "'.join(settings["networks"]),
        r'join("\", \"", var.vpc_endpoints)': '", "'.join(settings["vpc_endpoints"]),
    }
    policy = json.loads(_templatefile(local["bucket_policy"], settings["access"], values))
    assert local["statements"] == (
        "${[for statement in local.bucket_policy.Statement : statement "
        r'if !strcontains(jsonencode(statement), "[\"\"]")]}'
    )
    assert _resource(module, "aws_s3_bucket_policy")["policy"] == (
        "${jsonencode(merge(local.bucket_policy, {Statement = local.statements}))}"
    )
    role = _resource(module, "aws_iam_role")
    names = {"${var.team}": "devtools", "${var.project}": "acme-common", '"': ""}
    block = _resource(module, "aws_s3_bucket_public_access_block")
    facts = {'${var.access != "public"}': settings["access"] != "public", True: True}
    assert {
        "bucket policy": _without(policy, '[""]'),
        "block": {
            _camel(key): facts[value] for key, value in block.items() if "public" in key
        },
        "role": (
            re.sub(r'\$\{[\w.]+\}|"', lambda found: names[found[0]], role["name"]),
            role["max_session_duration"],
            _resource(module, "aws_iam_role_policy")["name"].strip('"'),
        ),
        "trust": json.loads(_templatefile(local["publisher_trust"], "", values)),
        "policy": json.loads(_templatefile(local["publisher_policy"], "", values)),
    } == provisioned  # fmt: skip
    provider = _resource(module, "aws_iam_openid_connect_provider")
    assert provider["url"] == '"https://token.actions.githubusercontent.com"'
    assert provider["client_id_list"] == ['"sts.amazonaws.com"']


def _templatefile(expression: str, access: str, values: dict[str, str]) -> str:
    """Return a file of infra/ as Terraform's templatefile renders it."""
    found = re.search(r'templatefile\("\$\{var\.infra\}/([^"]+)", \{(.*?)\}\)', expression)
    assert found, expression
    path = INFRA / found[1].replace("${var.access}", access)
    arguments = re.findall(r"(\w+) = ((?:join\(.*?\)|[\w.]+))(?:, |$)", found[2])
    return Template(path.read_text()).substitute({name: values[text] for name, text in arguments})


def _resource(module: dict[str, Any], kind: str) -> dict[str, Any]:
    [found] = [one[f'"{kind}"'] for one in module["resource"] if f'"{kind}"' in one]
    [body] = found.values()
    return dict(body)


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
