"""`provision` undoes manual changes to what it manages, and keeps and reports the rest."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.access.administrator import (
    BUCKET,
    DENIALS,
    LOCATION,
    NETWORK,
    READERS,
    RESOURCES,
    ROLE,
    bucket_state,
    done,
    provision,
    repository,
    statements,
)
from tests.world import Library

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client


def widen_bucket_policy(storage: "S3Client", iam: "IAMClient") -> None:
    policy = json.loads(storage.get_bucket_policy(Bucket=BUCKET)["Policy"])
    policy["Statement"][0]["Action"] = "s3:*"
    storage.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))


def drop_create_once(storage: "S3Client", iam: "IAMClient") -> None:
    policy = json.loads(storage.get_bucket_policy(Bucket=BUCKET)["Policy"])
    policy["Statement"].pop()
    storage.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))


def add_one_in_our_name(storage: "S3Client", iam: "IAMClient") -> None:
    policy = json.loads(storage.get_bucket_policy(Bucket=BUCKET)["Policy"])
    policy["Statement"].append(policy["Statement"][0] | {"Sid": "S3indexToo", "Action": "s3:*"})
    storage.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))


def widen_role_policy(storage: "S3Client", iam: "IAMClient") -> None:
    policy: Any = iam.get_role_policy(RoleName=ROLE, PolicyName="s3index-publish")["PolicyDocument"]
    policy["Statement"][0]["Resource"] = "*"
    iam.put_role_policy(
        RoleName=ROLE, PolicyName="s3index-publish", PolicyDocument=json.dumps(policy)
    )


def widen_trust(storage: "S3Client", iam: "IAMClient") -> None:
    trust: Any = iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
    condition = trust["Statement"][0]["Condition"]
    condition["StringLike"] = condition.pop("StringEquals")
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(trust))


def lengthen_sessions(storage: "S3Client", iam: "IAMClient") -> None:
    iam.update_role(RoleName=ROLE, MaxSessionDuration=43200)


def suspend_versioning(storage: "S3Client", iam: "IAMClient") -> None:
    storage.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def open_to_acls(storage: "S3Client", iam: "IAMClient") -> None:
    storage.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={"BlockPublicAcls": False}
    )


def let_writers_own(storage: "S3Client", iam: "IAMClient") -> None:
    storage.put_bucket_ownership_controls(
        Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )


def encrypt_with_kms(storage: "S3Client", iam: "IAMClient") -> None:
    # Unsigned readers cannot use a KMS key.
    rules: Any = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
    storage.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": rules})


def change_index(storage: "S3Client", iam: "IAMClient") -> None:
    storage.put_bucket_website(
        Bucket=BUCKET, WebsiteConfiguration={"IndexDocument": {"Suffix": "home.html"}}
    )


BY_HAND = {
    widen_bucket_policy: RESOURCES[6],
    drop_create_once: RESOURCES[6],
    add_one_in_our_name: RESOURCES[6],
    widen_role_policy: RESOURCES[11],
    widen_trust: RESOURCES[9],
    lengthen_sessions: RESOURCES[10],
    suspend_versioning: RESOURCES[3],
    open_to_acls: RESOURCES[2],
    let_writers_own: RESOURCES[1],
    encrypt_with_kms: RESOURCES[4],
    change_index: RESOURCES[5],
}


@pytest.mark.full
def test_what_was_changed_by_hand_is_put_back(
    acme: Library, storage: "S3Client", iam: "IAMClient"
) -> None:
    provision(acme)
    expected = bucket_state(storage)
    for by_hand, thing in BY_HAND.items():
        by_hand(storage, iam)
        told = done(provision(acme)[0])
        assert {name for name, what in told.items() if what != "unchanged"} == {thing}
        assert told[thing] == "changed"
        assert set(done(provision(acme)[0]).values()) == {"unchanged"}, by_hand
    assert bucket_state(storage) == expected


def test_from_public_to_network_and_back(acme: Library, storage: "S3Client") -> None:
    provision(acme, "--bucket-only")
    before = bucket_state(storage)
    provision(repository(acme.root, NETWORK), "--bucket-only")
    assert bucket_state(storage)["policy"] == READERS["network"] + DENIALS
    told = done(provision(repository(acme.root), "--bucket-only")[0])
    changed = {name for name, what in told.items() if what == "changed"}
    assert changed == {
        "public access block for access = public",
        "bucket policy for access = public",
    }
    assert bucket_state(storage) == before


def test_foreign_statements_stay_and_are_told(acme: Library, storage: "S3Client") -> None:
    provision(acme, "--bucket-only")
    policy = json.loads(storage.get_bucket_policy(Bucket=BUCKET)["Policy"])
    audit = {
        "Sid": "AuditorsRead",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": "s3:GetBucketPolicy",
        "Resource": f"arn:aws:s3:::{BUCKET}",
    }
    nameless = {key: value for key, value in audit.items() if key != "Sid"}
    policy = {"Version": "2012-10-17", "Id": "Acme", "Statement": [audit, nameless]}
    storage.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    for what in ("changed", "unchanged"):
        printed, _ = provision(acme, "--bucket-only")
        assert f"bucket policy for access = public: {what}\n" in printed
        for sid in ("AuditorsRead", "without a Sid"):
            said = f"statement {sid} of the bucket policy: left as is (not managed by s3index)\n"
            assert said in printed
    found = json.loads(storage.get_bucket_policy(Bucket=BUCKET)["Policy"])
    assert found["Id"] == "Acme"
    assert found["Statement"][:2] == [audit, nameless]
    assert list(statements(found))[2:] == READERS["public"] + DENIALS


def test_a_policy_of_one_statement_that_is_no_list(acme: Library, storage: "S3Client") -> None:
    storage.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=LOCATION)
    audit = {
        "Sid": "Audit",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteBucket",
        "Resource": f"arn:aws:s3:::{BUCKET}",
    }
    storage.put_bucket_policy(
        Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": audit})
    )
    provision(acme, "--bucket-only")
    found = storage.get_bucket_policy(Bucket=BUCKET)["Policy"]
    assert list(statements(found)) == ["Audit", *READERS["public"], *DENIALS]


def test_further_policies_of_the_role_are_told(acme: Library, iam: "IAMClient") -> None:
    provision(acme, "--role-only")
    wide = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [wide]})
    iam.put_role_policy(RoleName=ROLE, PolicyName="by-hand", PolicyDocument=document)
    attached = iam.create_policy(PolicyName="shared", PolicyDocument=document)["Policy"]
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=attached["Arn"])
    printed, _ = provision(acme, "--role-only", "--dry-run")
    for name in ("by-hand", "shared"):
        assert f"policy {name} of the role: left as is (not managed by s3index)\n" in printed
