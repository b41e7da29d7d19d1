"""AWS through its own SDK, boto3: clients of the emulator by default, of the real cloud only by a deliberate act."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.cloud.errors import RealCloudRefused
from course_lib.cloud.providers import credentials

if TYPE_CHECKING:
    import boto3.session

__all__ = ["ACCOUNT", "REGION", "arn", "client", "upload_model"]

REGION = "us-east-1"
ACCOUNT = "123456789012"  # the emulator's
_DUMMY = "local-only"


def client(
    service: str, where: credentials.Access | str, *, region: str = REGION, keys: tuple[str, str] = (_DUMMY, _DUMMY)
) -> Any:
    """Return a boto3 client of one AWS service.

    Parameters
    ----------
    service
        boto3's name of it, such as ``"s3"`` or ``"sagemaker"``.
    where
        URL of the emulator, or what :func:`course_lib.cloud.providers.credentials.real` returned.
    region
        AWS region.
    keys
        Access key and secret of a user that was made in the emulator; by default dummies. Not used for the real cloud.

    Raises
    ------
    RealCloudRefused
        The URL is not one of this machine, or the real credentials belong to another account than the named one.

    Examples
    --------
    >>> client("s3", "http://127.0.0.1:5000").list_buckets()  # doctest: +SKIP
    """
    return _client(service, credentials.access("aws", where), region, keys)


@lru_cache(maxsize=64)
def _client(service: str, access: credentials.Access, region: str, keys: tuple[str, str]) -> Any:
    return _real(service, access, region) if access.is_real else _local(service, access.endpoint, region, keys)


def _local(service: str, url: str, region: str, keys: tuple[str, str]) -> Any:
    from botocore.config import Config

    settings = Config(
        proxies={},  # not those of the environment: this machine needs none to reach itself
        retries={"total_max_attempts": 2},
        s3={"addressing_style": "path"},
        auth_scheme_preference="sigv4",  # else a bearer token of the environment would be sent
        connect_timeout=5,
        read_timeout=60,
    )
    return _isolated_session().client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=settings,
    )


@lru_cache(maxsize=1)
def _isolated_session() -> boto3.session.Session:
    """Return an SDK session that reads neither environment variables nor the files in ``~/.aws``."""
    import boto3
    from botocore.session import Session

    known = Session.SESSION_VARIABLES
    isolated: dict[str, Any] = {name: (None, None, value, convert) for name, (_, _, value, convert) in known.items()}
    for name in ("config_file", "credentials_file"):
        isolated[name] = (None, None, os.devnull, None)
    return boto3.session.Session(botocore_session=Session(session_vars=isolated))


def _real(service: str, access: credentials.Access, region: str) -> Any:
    import boto3

    session = boto3.session.Session(profile_name=access.profile or None)
    found = session.client("sts", region_name=region).get_caller_identity()["Account"]
    if found != access.account:
        raise RealCloudRefused(
            f"The credentials belong to account {found}, not to {access.account}.",
            expected="credentials of the account that was named",
            next_step="check the profile; nothing was changed",
        )
    return session.client(service, region_name=region)


def arn(service: str, resource: str, *, account: str = ACCOUNT, region: str = REGION) -> str:
    """Return an Amazon resource name.

    Examples
    --------
    >>> arn("iam", "role/desk")
    'arn:aws:iam::123456789012:role/desk'
    >>> arn("s3", "desk-models/models/1.tar.gz")
    'arn:aws:s3:::desk-models/models/1.tar.gz'
    """
    region = "" if service in {"iam", "s3"} else region
    account = "" if service == "s3" else account
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def upload_model(where: credentials.Access | str, bundle: Path, *, bucket: str, key: str) -> str:
    """Pack a bundle as SageMaker wants it (a ``tar.gz`` whose root is ``/opt/ml/model``), upload it, return its URL."""
    import io
    import tarfile

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in sorted(bundle.iterdir()):
            entry = tarfile.TarInfo(path.name)  # name, size and bytes alone: nothing of this machine goes along
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(entry, file)
    client("s3", where).put_object(Bucket=bucket, Key=key, Body=packed.getvalue())
    return f"s3://{bucket}/{key}"
