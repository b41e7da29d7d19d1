"""Infrastructure as a file: a CloudFormation template, linted, deployed and removed as one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_lib.cloud.errors import CloudError
from course_lib.cloud.providers import aws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from course_lib.cloud.providers.credentials import Access

__all__ = ["Finding", "deploy", "lint", "remove"]


@dataclass(frozen=True)
class Finding:
    """What cfn-lint objects to; ``line`` counts from 1."""

    rule: str
    line: int
    message: str


def lint(template: str) -> tuple[Finding, ...]:
    """Return cfn-lint's findings: it knows the schema of every resource, and asks nobody.

    Examples
    --------
    >>> [finding.rule for finding in lint("Resources: {Models: {Type: 'AWS::S3::Buket'}}")]  # doctest: +SKIP
    ['E3006']
    """
    from cfnlint.api import ManualArgs, lint

    matches = lint(template, config=ManualArgs(regions=[aws.REGION]))
    return tuple(Finding(match.rule.id, match.linenumber, match.message) for match in matches)


def deploy(
    where: Access | str, name: str, template: str, parameters: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Create a stack, wait until it is complete, and return its resources: name in the template to physical name.

    Raises
    ------
    CloudError
        The stack could not be created; the message holds CloudFormation's own reason.
    """
    cloudformation = aws.client("cloudformation", where)
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()]
    try:
        cloudformation.create_stack(
            StackName=name, TemplateBody=template, Parameters=given, Capabilities=["CAPABILITY_IAM"]
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
    except Exception as error:  # the SDK's errors for a refusal and for a failed wait share no base class
        raise CloudError(
            f"The stack {name!r} could not be created: {error}",
            expected="a template that CloudFormation accepts",
            next_step="lint it first: `stack.lint(template)`",
        ) from error
    found = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}


def remove(where: Access | str, name: str) -> None:
    """Delete a stack with everything it made, and wait until it is gone. Buckets have to be empty."""
    cloudformation = aws.client("cloudformation", where)
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
