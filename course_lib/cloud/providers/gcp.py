"""Google Cloud Storage through its own SDK: of the emulator by default, of the real cloud only by a deliberate act."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from course_lib.cloud.providers import credentials

if TYPE_CHECKING:
    from google.cloud.storage import Client

__all__ = ["PROJECT", "client"]

PROJECT = "late-flight-desk"  # the emulator takes any name


def client(where: credentials.Access | str) -> Client:
    """Return a client of one project's storage.

    Parameters
    ----------
    where
        URL of the emulator, or what :func:`course_lib.cloud.providers.credentials.real` returned.

    Raises
    ------
    RealCloudRefused
        The URL is not one of this machine.

    Examples
    --------
    >>> client("http://127.0.0.1:9023").create_bucket("desk-models")  # doctest: +SKIP
    """
    return _client(credentials.access("gcp", where))


@lru_cache(maxsize=8)
def _client(access: credentials.Access) -> Client:
    from google.auth.credentials import AnonymousCredentials
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.storage import Client

    if access.is_real:
        return Client(project=access.account)
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    session = AuthorizedSession(nobody)  # type: ignore[no-untyped-call]
    session.trust_env = False  # no proxy, no .netrc
    return Client(project=PROJECT, credentials=nobody, _http=session, client_options={"api_endpoint": access.endpoint})
