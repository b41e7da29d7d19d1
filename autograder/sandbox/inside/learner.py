"""The learner's process: runs the cells that were handed in, and serves the twin's calls to what they define.

Everything here shares its process with hostile code and is trusted by nobody: it sends values.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from autograder.sandbox.inside.shell import cell_frames, run_cell
from autograder.sandbox.rpc.exceptions import where_in_cell
from autograder.sandbox.rpc.framing import Closed, Wire
from autograder.sandbox.rpc.peer import Peer

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["serve"]

_MAX_TEXT = 4000


def serve(shell: InteractiveShell, control: socket.socket, peer_socket: socket.socket) -> None:
    """Run cells as the grader sends them and answer the twin, until the grader hangs up."""
    commands, peer = Wire(control), Peer(Wire(peer_socket), strict=False)
    peer.namespace = shell.user_ns
    inbox: Any = peer.channel.serve_main()
    peer.channel.start()
    threading.Thread(target=_read, args=(commands, inbox), name="course-commands", daemon=True).start()
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            message = inbox.get()
            if isinstance(message, str):
                break
            if message is None:
                continue  # the twin is gone; the grader decides
            if isinstance(message, dict):
                with peer.channel.main_busy():
                    told = _run(shell, message)
                commands.send(told)
            else:
                peer.channel.answer_in_main(message)
    os._exit(0)


def _read(commands: Wire, inbox: Any) -> None:
    try:
        while True:
            inbox.put(commands.recv()[0])
    except (Closed, ValueError):
        inbox.put("end")


def _run(shell: InteractiveShell, message: dict[str, Any]) -> dict[str, Any]:
    cell = run_cell(shell, message["source"], message["number"])
    return {"n": message["n"], **describe(cell.error), "outputs": cell.outputs}


def describe(error: BaseException | None) -> dict[str, Any]:
    """Return what can be told of how a cell ended; survives hostile exceptions."""
    if error is None:
        return {"ok": True}
    told: dict[str, Any] = {"ok": False, "error": "Exception", "message": "", "frames": [], "where": ""}
    with contextlib.suppress(BaseException):
        told["error"] = str(type(error).__name__)[:100]
    with contextlib.suppress(BaseException):
        told["message"] = str(error)[:_MAX_TEXT]
        if isinstance(error, SyntaxError):
            told["message"] = f"{error.msg} (line {error.lineno})"
    with contextlib.suppress(BaseException):
        told["frames"] = cell_frames(error)
        told["where"] = where_in_cell(error)
    return told
