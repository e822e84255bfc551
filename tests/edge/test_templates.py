"""docs/examples/edge.yaml and edge.tf are valid, equivalent, and contain the functions."""

import re
import sys
from pathlib import Path
from typing import Any

import boto3
import hcl2
import moto
import pytest

from tests.edge.cloudfront import EXAMPLES, LONGEST_FUNCTION, template
from tests.template.baking import TEMPLATE, run

DOMAINS = {"bucket": "acme-packages.s3.eu-central-1.amazonaws.com", "pypi": "pypi.example"}


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return {name: one.get("Properties", {}) for name, one in template()["Resources"].items()}


@pytest.fixture(scope="module")
def terraform() -> dict[str, Any]:
    """Return {"kind.name": body} of the resources of edge.tf."""
    with (EXAMPLES / "edge.tf").open() as file:
        module = hcl2.load(file)
    return {
        f"{kind}.{name}".replace('"', ""): _plain(body)
        for one in module["resource"]
        for kind, named in one.items()
        for name, body in named.items()
    }


def _plain(value: Any) -> Any:
    """Strip the quotes that some versions of hcl2 leave on strings."""
    if isinstance(value, dict):
        return {key.strip('"'): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.strip('"') if isinstance(value, str) else value


@pytest.mark.full
def test_cfn_lint_finds_nothing() -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    run([lint, "--regions", "us-east-1", "--", EXAMPLES / "edge.yaml"], TEMPLATE)


def test_the_functions_are_the_files(resources: dict[str, Any]) -> None:
    [code, _] = resources["ViewerRequest"]["FunctionCode"]["Sub"]
    pasted = {"edge.js": code, "edge-origin.js": resources["Missing"]["Code"]["ZipFile"]}
    assert pasted == {name: (EXAMPLES / name).read_text() for name in pasted}
    assert len(code.encode()) < LONGEST_FUNCTION
    # Fn::Sub and templatefile would fill in anything else, and CloudFront lacks ES 2020.
    assert re.findall(r"[$%]\{.*?\}", code) == ["${readers}"]
    assert not re.search(r"\?\.|\?\?|\bclass\b|\.\.\.|`|for \(.* of ", code)
    runtime = resources["ViewerRequest"]["FunctionConfig"]["Runtime"]
    assert runtime == "cloudfront-js-2.0"


def test_pypi_is_asked_by_name_alone(resources: dict[str, Any]) -> None:
    config = resources["Edge"]["DistributionConfig"]
    # An origin group fails over when the first origin does not answer, whatever its codes.
    assert "OriginGroups" not in config
    behaviours = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    assert [(one.get("PathPattern"), one["TargetOriginId"]) for one in behaviours] == [
        (None, "bucket"),
        ("/simple/*", "bucket"),
        ("/pypi/*", "pypi"),
    ]
    for one in behaviours:
        assert one["ViewerProtocolPolicy"] == "https-only"
        [function] = one["FunctionAssociations"]
        assert function["EventType"] == "viewer-request"
    parameters = template()["Parameters"]
    assert "Default" not in parameters["Pypi"]
    assert parameters["Readers"]["Default"] == "token"


def test_moto_accepts_the_policies_and_the_distribution(resources: dict[str, Any]) -> None:
    config = resources["Edge"]["DistributionConfig"]
    with moto.mock_aws():
        client = boto3.client("cloudfront", region_name="us-east-1")
        control = resources["OriginAccess"]["OriginAccessControlConfig"] | {"Name": "acme-packages"}
        client.create_origin_access_control(OriginAccessControlConfig=control)
        client.create_key_value_store(Name="acme-packages")
        origins = [
            {"Id": one["Id"], "DomainName": DOMAINS[one["Id"]]}
            | ({"S3OriginConfig": one["S3OriginConfig"]} if one["Id"] == "bucket" else {})
            for one in config["Origins"]
        ]
        origins[1]["CustomOriginConfig"] = {
            "HTTPPort": 80,
            "HTTPSPort": 443,
            "OriginProtocolPolicy": "https-only",
        }
        wanted: Any = {
            "CallerReference": "tests",
            "Comment": "tests",
            "Enabled": config["Enabled"],
            "Origins": {"Quantity": 2, "Items": origins},
            "DefaultCacheBehavior": {
                "TargetOriginId": config["DefaultCacheBehavior"]["TargetOriginId"],
                "ViewerProtocolPolicy": "https-only",
            },
        }
        made = client.create_distribution(DistributionConfig=wanted)
        assert made["ResponseMetadata"]["HTTPStatusCode"] == 201


def test_terraform_makes_the_same(resources: dict[str, Any], terraform: dict[str, Any]) -> None:
    config = resources["Edge"]["DistributionConfig"]
    edge = terraform["aws_cloudfront_distribution.edge"]
    [default] = edge["default_cache_behavior"]
    ours = [default, *edge["ordered_cache_behavior"]]
    theirs = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    policies = {"IndexCache": "index", "PypiCache": "pypi"}
    for one, other in zip(ours, theirs, strict=True):
        assert one.get("path_pattern") == other.get("PathPattern")
        assert one["target_origin_id"] == other["TargetOriginId"]
        assert one["viewer_protocol_policy"] == other["ViewerProtocolPolicy"]
        name = policies[other["CachePolicyId"]["Ref"]]
        assert one["cache_policy_id"] == f"${{aws_cloudfront_cache_policy.{name}.id}}"
        assert ("response_headers_policy_id" in one) == ("ResponseHeadersPolicyId" in other)
        [function] = one["function_association"]
        assert function["event_type"] == "viewer-request"
        assert [each["event_type"] for each in one.get("lambda_function_association", [])] == [
            each["EventType"] for each in other.get("LambdaFunctionAssociations", [])
        ]
    for resource, name in policies.items():
        policy = resources[resource]["CachePolicyConfig"]
        same = terraform[f"aws_cloudfront_cache_policy.{name}"]
        assert (same["min_ttl"], same["default_ttl"], same["max_ttl"]) == (
            policy["MinTTL"],
            policy["DefaultTTL"],
            policy["MaxTTL"],
        )
    function = terraform["aws_cloudfront_function.viewer_request"]
    assert function["code"] == '${templatefile("${path.module}/edge.js", {readers = var.readers})}'
    [errors] = edge["dynamic"]
    [codes] = [one["for_each"] for one in errors.values()]
    assert codes == [each["ErrorCode"] for each in config["CustomErrorResponses"]]
    control = resources["OriginAccess"]["OriginAccessControlConfig"]
    same = terraform["aws_cloudfront_origin_access_control.bucket"]
    assert same["signing_behavior"] == control["SigningBehavior"] == "always"
