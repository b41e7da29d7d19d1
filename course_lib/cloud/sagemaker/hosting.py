"""Model hosting behind a SageMaker endpoint, done on this machine: check, fetch, start, ask for health.

The emulator keeps SageMaker's books and runs nothing. This module turns an entry of those books into a running
process, and refuses what AWS would refuse: an image that is not in the registry, a role that SageMaker may not assume
or that may not read the model, a container that does not answer ``/ping``. The "container" is a plain process here;
notebook 5 builds the same service into an image.
"""

from __future__ import annotations

import io
import re
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from course_lib.archives import unpack
from course_lib.cloud import policies
from course_lib.cloud.errors import CloudError
from course_lib.cloud.providers import aws
from course_lib.errors import EngineError
from course_lib.processes import Server, free_port

__all__ = ["Fleet", "HostingFailed", "role_policies"]

_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/(?P<repository>[^:@]+):(?P<tag>[^@]+)")
_SERVICE = "sagemaker.amazonaws.com"


class HostingFailed(CloudError):
    """A model could not be brought into service; AWS would show the endpoint as Failed."""


class Fleet:
    """The running containers, one a model.

    Parameters
    ----------
    url
        URL of AWS's emulator.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._running: dict[str, tuple[Server, tempfile.TemporaryDirectory[str]]] = {}
        self._lock = threading.Lock()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models whose containers run."""
        return tuple(self._running)

    def port(self, model: str) -> int:
        """Return the port on which a model answers; start its container if it does not run.

        Raises
        ------
        HostingFailed
            It could not be brought into service; the message says why, as AWS would.
        """
        with self._lock:
            if model in self._running and not self._running[model][0].running:
                self._stop(model)
            if model not in self._running:
                self._running[model] = self._start(model)
            return self._running[model][0].port

    def keep(self, models: Iterable[str]) -> None:
        """Stop the containers of all other models."""
        with self._lock:
            for model in set(self._running) - set(models):
                self._stop(model)

    def _stop(self, name: str) -> None:
        server, folder = self._running.pop(name)
        server.stop(grace=2.0)
        folder.cleanup()

    def _start(self, name: str) -> tuple[Server, tempfile.TemporaryDirectory[str]]:
        found = aws.client("sagemaker", self._url).describe_model(ModelName=name)
        container = found["PrimaryContainer"]
        self._require_image(container["Image"])
        self._require_readable(container["ModelDataUrl"], found["ExecutionRoleArn"])
        folder = tempfile.TemporaryDirectory(prefix="course-model-")
        self._unpack(container["ModelDataUrl"], Path(folder.name))
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "course_lib.cloud.sagemaker.container",
            "--model",
            folder.name,
            "--port",
            str(port),
        ]
        environment = {str(key): str(value) for key, value in container.get("Environment", {}).items()}
        server = Server(f"the container of {name}", command, port=port, ready_path="/ping", env=environment)
        try:
            server.start().wait_ready()
        except EngineError as error:
            folder.cleanup()
            raise HostingFailed(
                f"The primary container of {name} did not pass the ping health check.",
                expected="200 from GET /ping",
                next_step=f"look at the container's log: {error.next_step[-600:]}",
            ) from error
        return server, folder

    def _require_image(self, image: str) -> None:
        parts = _IMAGE.fullmatch(image)
        ecr = aws.client("ecr", self._url)
        try:
            if parts is None:
                raise ValueError(f"{image!r} is no address of a registry")
            ecr.describe_images(repositoryName=parts["repository"], imageIds=[{"imageTag": parts["tag"]}])
        except (ValueError, ecr.exceptions.ClientError) as error:
            raise HostingFailed(
                f"The image {image} cannot be pulled: {error}.",
                expected="an image that is in the registry, such as "
                f"{aws.ACCOUNT}.dkr.ecr.{aws.REGION}.amazonaws.com/desk/api:1",
                next_step="push the image first",
            ) from error

    def _require_readable(self, data_url: str, role: str) -> None:
        name = role.rpartition("/")[2]
        iam = aws.client("iam", self._url)
        try:
            trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        except iam.exceptions.NoSuchEntityException as error:
            raise _no_access(data_url, f"the role {role} does not exist") from error
        if not policies.trusts(trust, _SERVICE):
            raise _no_access(data_url, f"the role {name} does not trust {_SERVICE}")
        decision = policies.evaluate(
            role_policies(self._url, name), "s3:GetObject", data_url.replace("s3://", "arn:aws:s3:::", 1)
        )
        if not decision:
            raise _no_access(data_url, f"role {name}: {decision.why}")

    def _unpack(self, data_url: str, folder: Path) -> None:
        bucket, _, key = data_url.removeprefix("s3://").partition("/")
        s3 = aws.client("s3", self._url)
        try:
            packed = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
                unpack(archive, folder)
        except s3.exceptions.ClientError as error:
            raise _no_access(data_url, error.response["Error"]["Code"]) from error
        except (tarfile.TarError, OSError) as error:
            raise HostingFailed(
                f"The model data {data_url} cannot be unpacked: {error}.",
                expected="a tar.gz whose root is the model folder",
                next_step="pack it with `aws.upload_model`",
            ) from error


def role_policies(url: str, role: str) -> list[dict[str, Any]]:
    """Return the policy documents of a role: its inline ones and the attached ones."""
    iam = aws.client("iam", url)
    found: list[dict[str, Any]] = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        policy = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
        version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
        found.append(version["PolicyVersion"]["Document"])
    return found


def _no_access(data_url: str, why: str) -> HostingFailed:
    return HostingFailed(
        f"Could not access model data at {data_url}: {why}.",
        expected="an existing object, and a role that SageMaker may assume and that may read it",
        next_step="check the role's trust policy and its policy for s3:GetObject",
    )
