"""One small interface over three object stores, so that a model moves between clouds without a change of code.

What the three share is little, and enough for models: keys and bytes, lists by prefix, write once. What differs (pages,
versions, conditions, names) is dealt with here.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from course_lib.cloud.errors import CloudError
from course_lib.cloud.providers import aws, azure, gcp

if TYPE_CHECKING:
    from course_lib.cloud.providers.credentials import Access

__all__ = ["STORES", "AzureStore", "GoogleStore", "S3Store", "Store", "copy_all", "digests", "open_store"]


class Store(ABC):
    """A bucket (or container) of one cloud."""

    @abstractmethod
    def create(self) -> None:
        """Make the bucket."""

    @abstractmethod
    def keys(self, prefix: str = "") -> list[str]:
        """Return every key that starts with ``prefix``, sorted."""

    @abstractmethod
    def read(self, key: str) -> bytes:
        """Return an object's bytes."""

    @abstractmethod
    def write(self, key: str, body: bytes) -> None:
        """Write an object that does not exist yet; a published model never changes.

        Raises
        ------
        CloudError
            There is one already.
        """

    @abstractmethod
    def remove(self) -> None:
        """Delete the bucket with everything in it."""


class S3Store(Store):
    """A bucket of Amazon S3."""

    def __init__(self, where: Access | str, bucket: str) -> None:
        self._s3 = aws.client("s3", where)
        self._bucket = bucket

    def create(self) -> None:
        """Make the bucket."""
        self._s3.create_bucket(Bucket=self._bucket)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys under a prefix, from every page of the list."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", []))

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())

    def write(self, key: str, body: bytes) -> None:
        """Write an object that does not exist yet."""
        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
        except self._s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            raise _exists(f"s3://{self._bucket}", key) from error

    def remove(self) -> None:
        """Delete the bucket with everything in it."""
        from course_lib.cloud.sagemaker import teardown

        teardown.delete_bucket(self._s3, self._bucket)


class AzureStore(Store):
    """A container of Azure Blob Storage."""

    def __init__(self, where: Access | str, container: str) -> None:
        self._container = azure.client(where).get_container_client(container)

    def create(self) -> None:
        """Make the bucket."""
        self._container.create_container()

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys under a prefix, from every page of the list."""
        return sorted(blob.name for blob in self._container.list_blobs(name_starts_with=prefix))

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self._container.download_blob(key).readall())

    def write(self, key: str, body: bytes) -> None:
        """Write an object that does not exist yet."""
        from azure.core.exceptions import ResourceExistsError

        try:
            self._container.upload_blob(key, body, overwrite=False)
        except ResourceExistsError as error:
            raise _exists(f"az://{self._container.container_name}", key) from error

    def remove(self) -> None:
        """Delete the bucket with everything in it."""
        self._container.delete_container()


class GoogleStore(Store):
    """A bucket of Google Cloud Storage."""

    def __init__(self, where: Access | str, bucket: str) -> None:
        self._client = gcp.client(where)
        self._bucket = self._client.bucket(bucket)

    def create(self) -> None:
        """Make the bucket."""
        self._bucket.create()

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys under a prefix, from every page of the list."""
        return sorted(blob.name for blob in self._client.list_blobs(self._bucket, prefix=prefix))

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self._bucket.blob(key).download_as_bytes())

    def write(self, key: str, body: bytes) -> None:
        """Write an object that does not exist yet."""
        from google.api_core.exceptions import PreconditionFailed

        if self._bucket.blob(key).exists():  # the emulator does not enforce the condition below; the real cloud does
            raise _exists(f"gs://{self._bucket.name}", key)
        try:
            self._bucket.blob(key).upload_from_string(body, if_generation_match=0)
        except PreconditionFailed as error:
            raise _exists(f"gs://{self._bucket.name}", key) from error

    def remove(self) -> None:
        """Delete the bucket with everything in it."""
        for blob in self._client.list_blobs(self._bucket):
            blob.delete()
        self._bucket.delete()


STORES: dict[str, Callable[[Any, str], Store]] = {"s3": S3Store, "az": AzureStore, "gs": GoogleStore}


def open_store(address: str, clouds: Mapping[str, Access | str]) -> Store:
    """Return the bucket at an address such as ``s3://desk-models``, ``az://desk-models`` or ``gs://desk-models``.

    Parameters
    ----------
    address
        Scheme and name of the bucket.
    clouds
        How each scheme is reached: the URL of an emulator, or access to the real cloud.

    Raises
    ------
    CloudError
        The address is none, or its cloud is not among ``clouds``.
    """
    scheme, _, bucket = address.partition("://")
    if scheme not in STORES or not bucket or "/" in bucket:
        raise CloudError(f"{address!r} is no address of a bucket.", expected=f"one of {', '.join(STORES)}, ://, a name")
    if scheme not in clouds:
        raise CloudError(f"Nobody said how {scheme}:// is reached.", expected=f"an entry {scheme!r} in `clouds`")
    return STORES[scheme](clouds[scheme], bucket)


def digests(store: Store, prefix: str = "") -> dict[str, str]:
    """Return the SHA-256 of every object, by key, computed from the bytes as they are read back."""
    return {key: hashlib.sha256(store.read(key)).hexdigest() for key in store.keys(prefix)}


def copy_all(source: Store, target: Store, prefix: str = "") -> dict[str, str]:
    """Copy every object under ``prefix``; return the digests read back from the target.

    Objects that the target has already with the same bytes are left alone.

    Raises
    ------
    CloudError
        The target has another object under the same key.
    """
    there = set(target.keys(prefix))
    for key in source.keys(prefix):
        body = source.read(key)
        if key not in there or target.read(key) != body:
            target.write(key, body)
    return digests(target, prefix)


def _exists(address: str, key: str) -> CloudError:
    return CloudError(
        f"There is an object {key} in {address} already.",
        expected="a new key: what was published never changes",
        next_step="publish the new bytes under a new version",
    )
