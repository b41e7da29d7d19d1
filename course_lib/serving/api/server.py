"""Run the service in one uvicorn worker, and stop it the way a rollout needs: drain first, then finish, then leave."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["DrainingServer", "run"]


class DrainingServer(uvicorn.Server):
    """A uvicorn server that drains before it closes its port.

    The first SIGTERM makes ``/ready`` answer 503 and every answer say ``Connection: close``, while all requests are
    still answered: balancers and clients leave by themselves. When no connection is left, or after ``drain_s`` seconds,
    the port closes; requests that are still running are finished. A second signal skips the waiting.

    Parameters
    ----------
    config
        uvicorn's configuration.
    drain_s
        Longest wait for callers to leave, in seconds.
    on_drain
        Called at the first signal: tells the app to say that it is leaving.
    """

    def __init__(self, config: uvicorn.Config, *, drain_s: float, on_drain: Callable[[], object]) -> None:
        super().__init__(config)
        self._drain_s = drain_s
        self._on_drain = on_drain
        self._draining_since: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start draining at the first signal, stop at the second."""
        if self._draining_since is not None or self._drain_s <= 0 or not self.started:
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        self._draining_since = time.monotonic()
        self._on_drain()

    async def on_tick(self, counter: int) -> bool:
        """Leave when the last caller has left, or the time is up."""
        if self._draining_since is not None:
            waited = time.monotonic() - self._draining_since
            # Two ticks at least: a balancer needs one failed probe to notice.
            if waited > self._drain_s or (waited > 0.2 and not self.server_state.connections):
                self.should_exit = True
        return await super().on_tick(counter)


def run(app: FastAPI, *, host: str = "127.0.0.1", port: int = 8000, drain_s: float = 2.0, finish_s: int = 10) -> None:
    """Serve ``app`` until a signal ends it.

    Parameters
    ----------
    app
        What ``create_app`` returned.
    host, port
        Where to listen.
    drain_s
        Seconds that callers get to leave after SIGTERM.
    finish_s
        Seconds that running requests get to finish after that.
    """
    # uvloop and httptools are used where they are installed; the access log is the app's own.
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=finish_s,
    )
    DrainingServer(config, drain_s=drain_s, on_drain=app.state.service.drain).run()
