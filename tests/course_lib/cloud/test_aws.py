"""boto3 against the emulator: who is refused when policies are enforced, what is uploaded, and what is drawn."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from course_lib.cloud import aws, figures, sandbox_resources, teardown


def test_inside_the_block_the_emulator_enforces_policies_and_outside_it_does_not(clouds):
    iam, s3 = aws.client("iam", clouds.aws), aws.client("s3", clouds.aws)
    with sandbox_resources.buckets(clouds.urls, ("s3", {"models/a": b"1", "logs/a": b"2"})) as (address,):
        bucket = address.removeprefix("s3://")
        read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/models/*"}
        iam.create_user(UserName="reader")
        iam.put_user_policy(
            UserName="reader",
            PolicyName="read",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [read]}),
        )
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        reader = aws.client("s3", clouds.aws, keys=(key["AccessKeyId"], key["SecretAccessKey"]))
        with clouds.enforcing():
            assert reader.get_object(Bucket=bucket, Key="models/a")["Body"].read() == b"1"
            for call in (
                lambda: reader.get_object(Bucket=bucket, Key="logs/a"),
                lambda: reader.delete_object(Bucket=bucket, Key="models/a"),
            ):
                with pytest.raises(reader.exceptions.ClientError, match="AccessDenied"):
                    call()
            with pytest.raises(s3.exceptions.ClientError, match="InvalidAccessKeyId"):
                s3.list_objects_v2(Bucket=bucket)  # dummy keys are nobody's
        assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2
        iam.delete_access_key(UserName="reader", AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName="reader", PolicyName="read")
        iam.delete_user(UserName="reader")


def test_an_uploaded_model_holds_the_bundles_files_and_nothing_of_this_machine(clouds, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"\x00\xff")
    (tmp_path / "card.md").write_text("# card")
    with sandbox_resources.buckets(clouds.urls, ("s3", {})) as (address,):
        bucket = address.removeprefix("s3://")
        assert aws.upload_model(clouds.aws, tmp_path, bucket=bucket, key="m.tar.gz") == f"{address}/m.tar.gz"
        packed = aws.client("s3", clouds.aws).get_object(Bucket=bucket, Key="m.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        entries = {entry.name: entry for entry in archive}
    assert sorted(entries) == ["card.md", "model.onnx"]
    assert {(one.uid, one.uname, one.mtime) for one in entries.values()} == {(0, "", 0)}


def test_names_of_resources_have_region_and_account_where_aws_has_them():
    assert aws.arn("s3", "desk/a") == "arn:aws:s3:::desk/a"
    assert aws.arn("iam", "role/desk") == f"arn:aws:iam::{aws.ACCOUNT}:role/desk"
    assert aws.arn("sagemaker", "model/desk") == f"arn:aws:sagemaker:{aws.REGION}:{aws.ACCOUNT}:model/desk"


def test_a_region_that_was_asked_for_is_used(clouds):
    assert aws.client("s3", clouds.aws, region="eu-central-1").meta.region_name == "eu-central-1"
    assert teardown.inventory(clouds.aws, "nobody") == []


def test_the_traffic_figure_has_a_bar_per_variant_and_step():
    drawn = figures.traffic_figure(
        {"first": ({"a": 3, "b": 1}, {"a": 80, "b": 20}), "then": ({"a": 0, "b": 1}, {"b": 9})}
    )
    (axes,) = drawn.axes
    assert [round(bar.get_height()) for bar in axes.patches] == [80, 0, 20, 100]
    assert [list(line.get_ydata()) for line in axes.lines] == [[75, 0], [25, 100]]
    assert axes.get_ylabel() == "share of calls (%)"
