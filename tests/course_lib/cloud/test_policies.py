"""What a policy allows: AWS's rules, one by one, and against another evaluator."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings, strategies as st
from moto.iam.access_control import IAMPolicy, PermissionResult

from course_lib.cloud import policies, sandbox_resources
from course_lib.cloud.errors import PolicyError

KEY = "arn:aws:s3:::desk-models/models/late-flights/1/model.onnx"


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action="s3:GetObject", resource=KEY, **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action="s3:GetObject", resource=KEY, **more):
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def allowed(document, action="s3:GetObject", resource=KEY, context=None):
    return policies.evaluate(document, action, resource, context).allowed


def test_what_no_statement_allows_is_denied():
    assert not allowed(policy())
    assert not allowed(policy(allow(action="s3:PutObject")))
    assert not allowed(policy(allow(resource="arn:aws:s3:::other/*")))


@pytest.mark.parametrize("order", list(itertools.permutations([allow(), allow("s3:*", "*"), deny()])))
def test_an_explicit_deny_beats_every_allow_in_any_order_and_in_any_document(order):
    assert not allowed(policy(*order))
    assert not allowed([policy(one) for one in order])


def test_the_reason_names_the_statement_that_decided():
    assert policies.evaluate(policy(allow(Sid="Read")), "s3:GetObject", KEY).why.startswith("'Read' allows")
    assert policies.evaluate(policy(allow(), deny(Sid="No")), "s3:GetObject", KEY).why.startswith("'No' denies")


def test_actions_ignore_case_and_resources_do_not():
    assert allowed(policy(allow("S3:GETOBJECT")))
    assert not allowed(policy(allow(resource=KEY.upper().replace("ARN:AWS:S3", "arn:aws:s3"))))


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*", True),
        ("arn:aws:s3:::desk-models/*", True),
        ("arn:aws:s3:::desk-models", False),  # the bucket is another resource than its objects
        ("arn:aws:s3:::desk-models/models/late-flights/?/model.onnx", True),
        ("arn:aws:s3:::desk-models/models/late-flights/??/model.onnx", False),
        ("arn:aws:s3:::desk-model?/*", True),
        ("arn:aws:s3:::*", True),
        ("arn:*:s3:::desk-models/*", True),
        ("arn:aws:*", True),  # at the very end a star goes beyond the colons
        ("arn:*:desk-models/*", False),  # elsewhere it stays between them
        ("arn:aws:s3:::desk.models/*", False),  # a dot is a dot
        ("arn:aws:s3:::desk-models/[a-z]*", False),
    ],
)
def test_wildcards_in_resources(pattern, matches):
    assert allowed(policy(allow(resource=pattern))) is matches


def test_not_action_and_not_resource_mean_all_the_others():
    others = {"Effect": "Allow", "NotAction": "s3:Delete*", "NotResource": "arn:aws:s3:::secrets/*"}
    assert allowed(policy(others))
    assert not allowed(policy(others), "s3:DeleteObject")
    assert not allowed(policy(others), resource="arn:aws:s3:::secrets/a")


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"s3:prefix": "models/"}}, {"s3:prefix": "models/"}, True),
        ({"StringEquals": {"S3:Prefix": "models/"}}, {"s3:prefix": "models/"}, True),
        ({"StringEquals": {"s3:prefix": "models/"}}, {"s3:prefix": "Models/"}, False),
        ({"StringEqualsIgnoreCase": {"s3:prefix": "models/"}}, {"s3:prefix": "Models/"}, True),
        ({"StringEquals": {"s3:prefix": ["a", "b"]}}, {"s3:prefix": "b"}, True),
        ({"StringEquals": {"s3:prefix": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"s3:prefix": "a"}}, {}, True),
        ({"StringNotEquals": {"s3:prefix": "a"}}, {}, True),
        ({"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {"s3:prefix": "b"}, False),
        ({"StringLike": {"s3:prefix": "models/*"}}, {"s3:prefix": "models/x/y"}, True),
        ({"StringNotLike": {"s3:prefix": "models/*"}}, {"s3:prefix": "logs/"}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sagemaker:*:*:model/*"}}, {"aws:SourceArn": "arn:aws:s3:::a"}, False),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws:SecureTransport": "false"}, True),
        ({"Null": {"s3:prefix": True}}, {}, True),
        ({"Null": {"s3:prefix": "false"}}, {}, False),
        ({"StringLike": {"s3:prefix": "m*"}, "Bool": {"aws:SecureTransport": "true"}}, {"s3:prefix": "m"}, False),
    ],
)
def test_conditions(condition, context, holds):
    assert allowed(policy(allow(Condition=condition)), context=context) is holds


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("{", "no JSON"),
        ({}, "no statements"),
        ({"Version": "2026-01-01", "Statement": []}, "version"),
        (policy({"Action": "s3:*", "Resource": "*"}), "no effect"),
        (policy({"Effect": "allow", "Action": "s3:*", "Resource": "*"}), "no effect"),
        (policy({"Effect": "Allow", "Action": "s3:*"}), "none of Resource and NotResource"),
        (policy({**allow(), "NotAction": "s3:*"}), "both of Action and NotAction"),
        (policy(allow(action="GetObject")), "names no service"),
        (policy(allow(resource="desk-models/*")), "no ARN"),
        (policy(allow(action=[7])), "text"),
        (policy(allow(Principal="*")), "names a principal"),
    ],
)
def test_what_is_no_policy_is_refused_with_a_reason(document, complaint):
    with pytest.raises(PolicyError, match=complaint):
        policies.evaluate(document, "s3:GetObject", KEY)


def test_a_condition_that_the_evaluator_does_not_know_is_an_error_not_a_guess():
    with pytest.raises(PolicyError, match="NumericLessThan"):
        allowed(policy(allow(Condition={"NumericLessThan": {"s3:max-keys": 10}})), context={"s3:max-keys": "5"})


def test_a_role_trusts_whom_it_names():
    assert policies.trusts(sandbox_resources.TRUST, "sagemaker.amazonaws.com")
    assert not policies.trusts(sandbox_resources.TRUST, "lambda.amazonaws.com")
    denied = {**sandbox_resources.TRUST, "Statement": [{**sandbox_resources.TRUST["Statement"][0], "Effect": "Deny"}]}
    assert not policies.trusts(denied, "sagemaker.amazonaws.com")


PIECES = st.sampled_from(["s3:GetObject", "s3:Get*", "s3:*", "*", "s3:PutObject", "iam:PassRole"])
PLACES = st.sampled_from([KEY, "arn:aws:s3:::desk-models/*", "arn:aws:s3:::desk-models", "arn:aws:s3:::*", "*"])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["Allow", "Deny"]), PIECES, PLACES), min_size=1, max_size=4),
    st.sampled_from(["s3:GetObject", "s3:PutObject", "iam:PassRole"]),
    st.sampled_from([KEY, "arn:aws:s3:::desk-models", "arn:aws:s3:::other/a"]),
)
def test_it_agrees_with_the_emulators_own_evaluator(rows, action, resource):
    document = policy(*({"Effect": effect, "Action": what, "Resource": where} for effect, what, where in rows))
    theirs = IAMPolicy({"policy_document": json.dumps(document)}).is_action_permitted(action, resource)
    assert allowed(document, action, resource) is (theirs is PermissionResult.PERMITTED)
