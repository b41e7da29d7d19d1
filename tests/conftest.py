"""What every test shares: no network but the loopback device, one cache of derived data, no telemetry."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# The same examples in every CI run: a red run can be made again. On a laptop the examples vary, and may find more.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
if os.environ.get("CI"):
    settings.load_profile("ci")

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["ITERATIVE_DO_NOT_TRACK"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ.setdefault("OMP_NUM_THREADS", "1")


class NetworkUsedError(AssertionError):
    """A test tried to leave this machine."""


def _refuse_other_hosts(address: Any) -> None:
    if not isinstance(address, tuple):  # a Unix socket's path
        return
    host = address[0]
    if host in {"localhost", ""}:
        return
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise NetworkUsedError(f"a connection to {address} was tried; tests use the loopback device only")


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Refuse connections to other machines in this process. Notebooks run under ``scripts/offline.sh``."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_other_hosts(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_other_hosts(address)
        return connect_ex(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    yield
    patch.undo()


ROOT = Path(__file__).parent
LONGEST = ("projects", "parity", "browser", "site")  # folders; two workers end together if these do not come last


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the longest come first; leave out what only the nightly run has time for: the summary says what that was."""
    items.sort(key=lambda item: _folder(item) not in LONGEST)  # stable: otherwise the order stays
    for item in items:
        if item.get_closest_marker("nightly") and "nightly" not in config.option.markexpr:
            item.add_marker(pytest.mark.skip(reason="too long for every change: `make nightly` runs it"))


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(ROOT).parts[0]
