"""Run the gateway as a process of its own, beside the model's server."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from course_lib.processes import Server, free_port

if TYPE_CHECKING:
    from course_lib.llm.servers.server import LLMServer

__all__ = ["open_gateway"]


def open_gateway(server: LLMServer, *, aliases: Iterable[str] = (), port: int | None = None) -> Server:
    """Return a gateway in front of ``server``; it starts in a ``with`` block, and ``wait_ready()`` waits for it.

    Parameters
    ----------
    server
        What answers; it need not be ready yet.
    aliases
        Further names under which callers may ask for its model, such as those of a cloud.
    port
        TCP port on the loopback address; by default a free one.
    """
    port = port or free_port()
    names = [part for alias in aliases for part in ("--alias", alias)]
    line = ["-m", "course_lib.llm.gateway", "--port", str(port), "--upstream", server.url, "--model", server.model]
    return Server("LLM gateway", [sys.executable, *line, *names], port=port, ready_path="/health", timeout=90)
