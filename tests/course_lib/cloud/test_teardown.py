"""A tear-down finds what is tagged, takes what keeps it from going along, and touches nothing else."""

from __future__ import annotations

import pytest

from course_lib.cloud import aws, sandbox_resources, stack, teardown
from course_lib.cloud.errors import CloudError

TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters: {Project: {Type: String}}
Resources:
  Models: {Type: "AWS::S3::Bucket", Properties: {BucketName: !Sub "${Project}-models"}}
  Images: {Type: "AWS::ECR::Repository", Properties: {RepositoryName: !Sub "${Project}/api"}}
"""


def test_what_is_tagged_goes_and_a_neighbour_stays(clouds):
    with sandbox_resources.neighbours(clouds.aws, versions=23) as (mine, neighbour):
        theirs = teardown.inventory(clouds.aws, neighbour)
        found = teardown.inventory(clouds.aws, mine)
        assert [one["kind"] for one in found] == [kind.name for kind in teardown.KINDS]
        assert teardown.sweep(clouds.aws, mine) == found
        assert teardown.inventory(clouds.aws, mine) == []
        assert teardown.sweep(clouds.aws, mine) == []
        assert teardown.inventory(clouds.aws, neighbour) == theirs
    assert teardown.inventory(clouds.aws, neighbour) == []


def test_what_is_not_tagged_is_not_touched(clouds):
    s3 = aws.client("s3", clouds.aws)
    s3.create_bucket(Bucket="without-a-tag")
    assert teardown.sweep(clouds.aws, "nobody") == []
    assert "without-a-tag" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    teardown.delete_bucket(s3, "without-a-tag")


def test_a_role_goes_with_its_inline_and_its_attached_policies(clouds):
    import json

    iam, where = aws.client("iam", clouds.aws), {"RoleName": "with-policies"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    iam.create_role(
        **where, AssumeRolePolicyDocument=json.dumps(sandbox_resources.TRUST), Tags=sandbox_resources.tags("roles")
    )
    iam.put_role_policy(**where, PolicyName="inline", PolicyDocument=document)
    policy = iam.create_policy(PolicyName="attached", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(**where, PolicyArn=policy)
    assert teardown.sweep(clouds.aws, "roles") == [{"kind": "role", "name": "with-policies"}]
    iam.delete_policy(PolicyArn=policy)


def test_the_linter_knows_the_schema_of_every_resource():
    assert stack.lint(TEMPLATE) == ()
    found = stack.lint(TEMPLATE.replace("BucketName", "BuketName"))
    assert [(finding.rule, finding.line) for finding in found] == [("E3002", 4)]
    assert "BuketName" in found[0].message


def test_a_stack_is_created_and_removed_as_one_thing(clouds):
    made = stack.deploy(clouds.aws, "night", TEMPLATE, {"Project": "night"})
    assert made == {"Models": "night-models", "Images": "night/api"}
    with pytest.raises(CloudError, match="could not be created"):
        stack.deploy(clouds.aws, "night", TEMPLATE, {"Project": "night"})
    stack.remove(clouds.aws, "night")
    assert "night-models" not in [one["Name"] for one in aws.client("s3", clouds.aws).list_buckets()["Buckets"]]
