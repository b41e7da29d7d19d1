"""The proxy in front of the desk's servers: HAProxy, steered through its runtime API; a small Python one without it.

Both have one backend, ``desk``, with two slots: ``blue`` and ``green``. Both are steered with the same commands on a
Unix socket (HAProxy Management Guide 2.6, section 9.3), so that whatever drives one drives the other.
"""

from __future__ import annotations

import csv
import socket
import sys
from dataclasses import dataclass
from typing import Literal, Self

from course_lib import processes
from course_lib.engines import ENGINES
from course_lib.errors import EngineError, RolloutError

__all__ = ["COLOURS", "Counts", "Proxy", "State"]

COLOURS = ("blue", "green")
State = Literal["ready", "drain", "maint"]

# `retries 0`: a request that the proxy sent twice would look as if nothing had been lost. HAProxy closes what was idle
# for a second, long before the server behind it does, so that no request meets a closing connection.
_CONFIG = """\
global
    stats socket {socket} mode 600 level admin
    nbthread 1
    maxconn 1000
defaults
    mode http
    retries 0
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 30s
frontend entrance
    bind 127.0.0.1:{port}
    monitor-uri /proxy-alive
    default_backend desk
backend desk
    balance roundrobin
    http-reuse safe
    default-server pool-purge-delay 1s weight 100
    server blue 127.0.0.1:9 disabled
    server green 127.0.0.1:9 disabled
"""


@dataclass(frozen=True)
class Counts:
    """What one slot of the proxy has done since the proxy started.

    Attributes
    ----------
    in_flight
        Requests being answered right now.
    total
        Requests sent to this slot.
    failed
        Requests that ended without an answer, or with a status of 500 or above.
    status
        ``UP``, ``DRAIN`` or ``MAINT``.
    weight
        Share of new requests, relative to the other slot's weight (0–256).
    """

    in_flight: int
    total: int
    failed: int
    status: str
    weight: int


class Proxy:
    """A reverse proxy process with two slots, ``blue`` and ``green``.

    Parameters
    ----------
    engine
        ``haproxy``, ``python``, or ``auto``: HAProxy where it is installed.

    Raises
    ------
    EngineError
        ``haproxy`` was asked for and is not installed.

    Examples
    --------
    >>> with Proxy() as proxy:  # doctest: +SKIP
    ...     proxy.point("blue", 8001)
    ...     proxy.set_state("blue", "ready")
    """

    def __init__(self, engine: Literal["auto", "haproxy", "python"] = "auto") -> None:
        found = None if engine == "python" else ENGINES["haproxy"].probe()
        if engine == "haproxy" and found is None:
            raise EngineError(
                "HAProxy was not found on this machine.",
                expected="the program `haproxy`",
                next_step="run `make engines` on Debian or Ubuntu, or use Proxy('python')",
            )
        self.engine = f"HAProxy {found}" if found else "the course's Python proxy (HAProxy was not found)"
        if engine == "python":
            self.engine = "the course's Python proxy"
        self.port = processes.free_port()
        self._server = processes.Server("The proxy", (), port=self.port, ready_path="/proxy-alive")
        self._socket = self._server.folder / "api.sock"  # short: a socket's path may have 107 bytes
        self._server.command = self._command(haproxy=found is not None)

    @property
    def url(self) -> str:
        """Base URL that clients use."""
        return self._server.url

    def start(self) -> Self:
        """Start the proxy and wait until it answers."""
        self._server.start().wait_ready()
        return self

    def stop(self) -> None:
        """Stop the proxy."""
        self._server.stop()

    def point(self, colour: str, port: int) -> None:
        """Let a slot stand for the server on ``port`` of the loopback address. The slot must be out of service."""
        if self.counts()[_known(colour)].status != "MAINT":
            raise RolloutError(
                f"The slot {colour} is in service; pointing it elsewhere would break its requests.",
                expected="a slot in state maint",
                next_step=f"drain {colour} and set it to maint first",
            )
        self.command(f"set server desk/{colour} addr 127.0.0.1 port {port}")

    def set_state(self, colour: str, state: State) -> None:
        """Set a slot ``ready``, to ``drain`` (finish, accept nothing new), or to ``maint`` (out of service)."""
        self.command(f"set server desk/{_known(colour)} state {state}")

    def set_weight(self, colour: str, weight: int) -> None:
        """Set a slot's share of new requests, relative to the other slot's; 0 to 256."""
        if not 0 <= weight <= 256:
            raise RolloutError(f"The weight {weight} is out of range.", expected="a whole number from 0 to 256")
        self.command(f"set server desk/{_known(colour)} weight {weight}")

    def counts(self) -> dict[str, Counts]:
        """Return what each slot has done so far."""
        lines = self.command("show stat desk 4 -1").lstrip("# ").splitlines()
        return {row["svname"]: _counts(row) for row in csv.DictReader(lines) if row["svname"] in COLOURS}

    def command(self, text: str) -> str:
        """Send one command to the runtime API and return its answer.

        Raises
        ------
        RolloutError
            The proxy refused the command, or is not running.
        """
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as api:
                api.settimeout(5)
                api.connect(str(self._socket))
                api.sendall(text.encode() + b"\n")
                answer = b"".join(iter(lambda: api.recv(65536), b"")).decode().strip()
        except OSError as error:
            raise RolloutError(
                f"The proxy does not answer: {error}", next_step="start it: `with Proxy() as proxy: …`"
            ) from error
        # `set` commands answer nothing, except that an address change is confirmed
        if text.startswith("set ") and answer and "changed" not in answer and "no need" not in answer:
            raise RolloutError(f"The proxy refused `{text}`: {answer}", next_step="correct the command")
        return answer

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self, *, haproxy: bool) -> list[str]:
        if not haproxy:
            module = [sys.executable, "-m", "course_lib.rollout.fallback_proxy"]
            return [*module, "--port", str(self.port), "--socket", str(self._socket)]
        config = self._server.folder / "haproxy.cfg"
        config.write_text(_CONFIG.format(socket=self._socket, port=self.port))
        return ["haproxy", "-db", "-f", str(config)]


def _known(colour: str) -> str:
    if colour not in COLOURS:
        raise RolloutError(f"There is no slot {colour!r}.", expected=" or ".join(COLOURS))
    return colour


def _counts(row: dict[str, str]) -> Counts:
    total, in_flight = int(row["stot"]), int(row["scur"])
    fine = sum(int(row[f"hrsp_{hundred}xx"] or 0) for hundred in (1, 2, 3, 4))
    status = row["status"].replace("no check", "UP").split()[0]  # HAProxy's own checks are off: the gate is ours
    return Counts(in_flight, total, max(0, total - in_flight - fine), status, int(row["weight"]))
