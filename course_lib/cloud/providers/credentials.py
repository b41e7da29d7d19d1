"""Credentials of a cloud: of an emulator on this machine, or of the real one, and that only after two deliberate acts.

Clients of an emulator get dummy keys and a loopback address, and read nothing of this machine: no environment variable,
no file in the home folder, no proxy, no metadata service. So a laptop that is logged in to a company's account cannot
spend the company's money by running a notebook.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

from course_lib.cloud.errors import CloudError, RealCloudRefused

__all__ = ["SWITCH", "Access", "Provider", "access", "local", "real"]

Provider = Literal["aws", "azure", "gcp"]
SWITCH = "COURSE_REAL_CLOUD"  # names the one provider that may be reached for real


@dataclass(frozen=True)
class Access:
    """How one provider is reached. Make it with :func:`local` or :func:`real`.

    Attributes
    ----------
    provider
        ``aws``, ``azure`` or ``gcp``.
    endpoint
        Base URL of an emulator on this machine; empty for the real cloud.
    account
        The real cloud's account: AWS account number, URL of an Azure storage account, Google Cloud project.
    profile
        AWS: profile of the learner's own configuration.
    secret
        Azure: SAS token of the storage account.
    """

    provider: Provider
    endpoint: str = ""
    account: str = ""
    profile: str = ""
    secret: str = field(default="", repr=False)

    @property
    def is_real(self) -> bool:
        """Whether the provider's own servers are meant."""
        return not self.endpoint


def local(provider: Provider, url: str) -> Access:
    """Return access to an emulator that listens on this machine.

    Examples
    --------
    >>> local("aws", "http://127.0.0.1:5000").is_real
    False

    Raises
    ------
    RealCloudRefused
        ``url`` does not point to this machine.
    """
    _require_provider(provider)
    if not _is_loopback(url):
        raise RealCloudRefused(
            f"{url!r} is not an address of this machine.",
            expected="the URL of an emulator, such as http://127.0.0.1:5000",
            next_step=f"start the emulator; for the real cloud use `credentials.real({provider!r}, account=…)`",
        )
    return Access(provider, endpoint=url.rstrip("/"))


def real(provider: Provider, *, account: str, profile: str = "", secret: str = "") -> Access:
    """Return access to the real cloud: it costs money, and what it does stays.

    Two acts are needed, so that nobody gets there by running somebody else's notebook: the variable
    ``COURSE_REAL_CLOUD`` names the provider in the shell that started JupyterLab, and the account is spelled out here.
    For AWS the account is compared with the one that the credentials belong to before anything else is sent.

    Parameters
    ----------
    provider, account, profile, secret
        See :class:`Access`.

    Raises
    ------
    RealCloudRefused
        The variable does not name this provider, or no account was given.
    """
    _require_provider(provider)
    if os.environ.get(SWITCH) != provider:
        raise RealCloudRefused(
            f"The real cloud ({provider}) was asked for, but {SWITCH} does not say so.",
            expected=f"{SWITCH}={provider} in the shell that starts JupyterLab",
            next_step="stay with the emulator, or set it if you know what it will cost",
        )
    if not account:
        raise RealCloudRefused(
            "No account was named.",
            expected="the AWS account number, the URL of the Azure storage account, or the Google Cloud project",
            next_step="write it out: it is compared with what your credentials belong to",
        )
    return Access(provider, account=account, profile=profile, secret=secret)


def access(provider: Provider, where: Access | str) -> Access:
    """Return ``where`` as access to ``provider``; a text is the URL of an emulator.

    Raises
    ------
    CloudError
        It is another provider's access.
    """
    if isinstance(where, str):
        return local(provider, where)
    if where.provider != provider:
        raise CloudError(
            f"This is access to {where.provider}, not to {provider}.",
            expected=f"what `credentials.local({provider!r}, url)` returns",
            next_step="pass the address of the other emulator",
        )
    return where


def _require_provider(provider: str) -> None:
    if provider not in get_args(Provider):
        raise CloudError(
            f"There is no provider called {provider!r}.", expected=f"one of {', '.join(get_args(Provider))}"
        )


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        return False
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
