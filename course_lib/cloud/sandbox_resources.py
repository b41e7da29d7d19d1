"""Small projects in the emulators, to practise on and to test with; what the ``with`` blocks make goes with them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from course_lib.cloud.providers import aws, storage
from course_lib.cloud.sagemaker import teardown
from course_lib.cloud.sagemaker.teardown import TAG

if TYPE_CHECKING:
    from pathlib import Path

    from course_lib.cloud.providers.credentials import Access

__all__ = ["TRUST", "buckets", "build", "neighbours", "push_image", "release", "released", "tags"]

TRUST = {  # what a role says of who may assume it: SageMaker, for an endpoint
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@contextmanager
def buckets(clouds: Mapping[str, str], *contents: tuple[str, Mapping[str, bytes]]) -> Iterator[list[str]]:
    """Make a bucket for each pair of scheme and objects, yield their addresses, and remove them."""
    stores = {f"{scheme}://desk-{uuid.uuid4().hex[:12]}": objects for scheme, objects in contents}
    with ExitStack() as stack:
        for address, objects in stores.items():
            store = storage.open_store(address, clouds)
            store.create()
            stack.callback(store.remove)
            for key, body in objects.items():
                store.write(key, body)
        yield list(stores)


@contextmanager
def released(where: str, bundles: Mapping[str, Path], weights: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Yield what :func:`release` returns, for a project of its own, and delete all that carries its tag."""
    project = f"desk-{uuid.uuid4().hex[:8]}"
    try:
        yield release(where, project, bundles, weights)
    finally:
        teardown.sweep(where, project)


@contextmanager
def neighbours(where: str, *, versions: int = 3) -> Iterator[tuple[str, str]]:
    """Build two projects whose names begin alike, yield their names, and delete what is left of both."""
    mine = f"desk-{uuid.uuid4().hex[:8]}"
    names = mine, f"{mine}-neighbour"
    try:
        for project in names:
            build(where, project, versions=versions)
        yield names
    finally:
        for project in names:
            teardown.sweep(where, project)


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
