"""Inventory and deletion of everything that carries the project's tag, in every service.

A tag is the only thing that tells your resources from your neighbour's. Each kind of resource below says how it is
listed with its tags and how it is deleted; the order is the order of deletion: what serves traffic first, what it was
made of later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_lib.cloud.providers import aws

if TYPE_CHECKING:
    from course_lib.cloud.providers.credentials import Access

__all__ = ["KINDS", "TAG", "Kind", "delete_bucket", "inventory", "sweep"]

TAG = "project"  # the tag's key; its value is the project
Listed = Iterator[tuple[str, dict[str, str]]]


@dataclass(frozen=True)
class Kind:
    """A kind of resource.

    Attributes
    ----------
    name
        Such as ``bucket``.
    service
        boto3's name of its service.
    listed
        Yields name and tags of every resource, given a client.
    delete
        Deletes one by name, with all that keeps it from being deleted.
    """

    name: str
    service: str
    listed: Callable[[Any], Listed]
    delete: Callable[[Any, str], None]


def inventory(where: Access | str, project: str) -> list[dict[str, str]]:
    """Return what carries the tag ``project=…``: dicts with ``kind`` and ``name``, in the order of deletion."""
    return [
        {"kind": kind.name, "name": name}
        for kind in KINDS
        for name, tags in kind.listed(aws.client(kind.service, where))
        if tags.get(TAG) == project
    ]


def sweep(where: Access | str, project: str) -> list[dict[str, str]]:
    """Delete everything that carries the tag, and return what it was. What is not tagged is not touched."""
    found = inventory(where, project)
    by_name = {kind.name: kind for kind in KINDS}
    for resource in found:
        kind = by_name[resource["kind"]]
        kind.delete(aws.client(kind.service, where), resource["name"])
    return found


def delete_bucket(s3: Any, bucket: str) -> None:
    """Delete a bucket with every object, every old version of it, and every delete marker."""
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket))  # all, before anything moves
    for found in [one for page in pages for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]:
        s3.delete_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])
    s3.delete_bucket(Bucket=bucket)


def _plain(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _pages(client: Any, operation: str, field: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator(operation).paginate():
        yield from page[field]


def _buckets(s3: Any) -> Listed:
    for bucket in s3.list_buckets()["Buckets"]:
        try:
            tags = s3.get_bucket_tagging(Bucket=bucket["Name"])["TagSet"]
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchTagSet":
                raise
            tags = []
        yield bucket["Name"], _plain(tags)


def _sagemaker(operation: str, field: str, name: str, arn: str) -> Callable[[Any], Listed]:
    def listed(sagemaker: Any) -> Listed:
        for found in _pages(sagemaker, operation, field):
            yield found[name], _plain(sagemaker.list_tags(ResourceArn=found[arn])["Tags"])

    return listed


def _repositories(ecr: Any) -> Listed:
    for found in _pages(ecr, "describe_repositories", "repositories"):
        yield found["repositoryName"], _plain(ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"])


def _alarms(cloudwatch: Any) -> Listed:
    for found in _pages(cloudwatch, "describe_alarms", "MetricAlarms"):
        yield found["AlarmName"], _plain(cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"])


def _roles(iam: Any) -> Listed:
    for found in _pages(iam, "list_roles", "Roles"):
        yield found["RoleName"], _plain(iam.list_role_tags(RoleName=found["RoleName"])["Tags"])


def _delete_role(iam: Any, role: str) -> None:
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=role, PolicyArn=attached["PolicyArn"])
    iam.delete_role(RoleName=role)


KINDS: tuple[Kind, ...] = (
    Kind(
        "endpoint",
        "sagemaker",
        _sagemaker("list_endpoints", "Endpoints", "EndpointName", "EndpointArn"),
        lambda sagemaker, name: sagemaker.delete_endpoint(EndpointName=name),
    ),
    Kind(
        "endpoint-config",
        "sagemaker",
        _sagemaker("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", "EndpointConfigArn"),
        lambda sagemaker, name: sagemaker.delete_endpoint_config(EndpointConfigName=name),
    ),
    Kind(
        "model",
        "sagemaker",
        _sagemaker("list_models", "Models", "ModelName", "ModelArn"),
        lambda sagemaker, name: sagemaker.delete_model(ModelName=name),
    ),
    Kind("alarm", "cloudwatch", _alarms, lambda cloudwatch, name: cloudwatch.delete_alarms(AlarmNames=[name])),
    Kind("repository", "ecr", _repositories, lambda ecr, name: ecr.delete_repository(repositoryName=name, force=True)),
    Kind("bucket", "s3", _buckets, delete_bucket),
    Kind("role", "iam", _roles, _delete_role),
)
