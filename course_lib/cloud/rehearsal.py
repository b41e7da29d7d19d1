"""A small project in AWS's emulator, with all that makes a tear-down go wrong: to practise on, and to test with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from course_lib.cloud import aws
from course_lib.cloud.teardown import TAG

if TYPE_CHECKING:
    from pathlib import Path

    from course_lib.cloud.credentials import Access

__all__ = ["TRUST", "build", "push_image", "release", "tags"]

TRUST = {  # what a role says of who may assume it: SageMaker, for an endpoint
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def tags(project: str) -> list[dict[str, str]]:
    """Return the project's tag in the form that most of AWS takes."""
    return [{"Key": TAG, "Value": project}]


def build(where: Access | str, project: str, *, versions: int = 25) -> list[str]:
    """Make one resource of each kind, tagged, and return their names.

    The bucket keeps versions (more than one page of them) and has a deleted object; the role has a policy; the registry
    has an image.
    """
    bucket = f"{project}-models"
    _bucket(where, bucket, project, versions)
    image = push_image(where, f"{project}/api", "1", project=project)
    role = _role(where, project)
    sagemaker, marked = aws.client("sagemaker", where), tags(project)
    container = {"Image": image, "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
    sagemaker.create_model(ModelName=project, PrimaryContainer=container, ExecutionRoleArn=role, Tags=marked)
    variant = {"VariantName": "a", "ModelName": project, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=project, ProductionVariants=[variant], Tags=marked)
    sagemaker.create_endpoint(EndpointName=project, EndpointConfigName=project, Tags=marked)
    aws.client("cloudwatch", where).put_metric_alarm(
        AlarmName=project,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        Tags=marked,
    )
    return [bucket, f"{project}/api", f"{project}-endpoint", project]


def release(
    where: Access | str, project: str, bundles: Mapping[str, Path], weights: Mapping[str, float]
) -> dict[str, Any]:
    """Make what an endpoint needs (bucket with model data, image, role), and describe the endpoint to make of it.

    Returns
    -------
    ``{"name": …, "project": …, "image": …, "role": …, "variants": {"blue": {"data": "s3://…", "weight": 1.0}, …}}``
    """
    bucket = f"{project}-models"
    _bucket(where, bucket, project, 0)
    data = {name: aws.upload_model(where, path, bucket=bucket, key=f"{name}.tar.gz") for name, path in bundles.items()}
    return {
        "name": project,
        "project": project,
        "image": push_image(where, f"{project}/api", "1", project=project),
        "role": _role(where, project),
        "variants": {name: {"data": data[name], "weight": weight} for name, weight in weights.items()},
    }


def push_image(where: Access | str, repository: str, tag: str, *, project: str) -> str:
    """Put the manifest of an image into a registry and return the image's address.

    The emulator has no registry that ``docker push`` could reach; the entry in the books is all that an endpoint asks
    for here.
    """
    ecr = aws.client("ecr", where)
    names = [found["repositoryName"] for found in ecr.describe_repositories()["repositories"]]
    if repository not in names:
        ecr.create_repository(repositoryName=repository, tags=tags(project), imageTagMutability="IMMUTABLE")
    blob = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": "sha256:" + "4" * 64}
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": blob, "layers": []}
    ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=tag)
    return f"{aws.ACCOUNT}.dkr.ecr.{aws.REGION}.amazonaws.com/{repository}:{tag}"


def _bucket(where: Access | str, bucket: str, project: str, versions: int) -> None:
    s3 = aws.client("s3", where)
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags(project)})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(versions):
        s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=str(number).encode())
    if versions:
        s3.delete_object(Bucket=bucket, Key="model.tar.gz")


def _role(where: Access | str, project: str) -> str:
    iam = aws.client("iam", where)
    name = f"{project}-endpoint"
    created: dict[str, Any] = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=tags(project)
    )
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{project}-models/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [read]})
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=document)
    return str(created["Role"]["Arn"])
