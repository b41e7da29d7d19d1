"""Azure Blob Storage through its own SDK: of the emulator by default, of the real cloud only by a deliberate act."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from course_lib.cloud.providers import credentials

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

__all__ = ["ACCOUNT", "KEY", "client"]

# Account and key are the same for every emulator in the world: Microsoft prints them in the documentation.
# https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def client(where: credentials.Access | str) -> BlobServiceClient:
    """Return a client of one storage account.

    Parameters
    ----------
    where
        URL of the emulator, or what :func:`course_lib.cloud.providers.credentials.real` returned (with a SAS token).

    Raises
    ------
    RealCloudRefused
        The URL is not one of this machine.

    Examples
    --------
    >>> client("http://127.0.0.1:10000").create_container("desk-models")  # doctest: +SKIP
    """
    return _client(credentials.access("azure", where))


@lru_cache(maxsize=8)
def _client(access: credentials.Access) -> BlobServiceClient:
    from azure.core.pipeline.transport import RequestsTransport
    from azure.storage.blob import BlobServiceClient

    if access.is_real:
        return BlobServiceClient(access.account, credential=access.secret)
    credential: Any = {"account_name": ACCOUNT, "account_key": KEY}
    return BlobServiceClient(
        f"{access.endpoint}/{ACCOUNT}",
        credential=credential,
        transport=RequestsTransport(use_env_settings=False),  # no proxy, no .netrc
        retry_total=2,
        retry_backoff_factor=0.2,
    )
