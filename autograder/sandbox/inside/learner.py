"""Learner's process: runs the cells that were handed in, and serves the judge's calls to what they define.

Everything here shares its process with hostile code and is trusted by nobody: it sends values.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from autograder.sandbox.inside.shell import cell_frames, run_cell
from autograder.sandbox.messages import TO_LEARNER, CellRan, Failure, RunCell, decode, encode
from autograder.sandbox.rpc.exceptions import where_in_cell
from autograder.sandbox.rpc.framing import Closed, Wire
from autograder.sandbox.rpc.peer import Peer

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["failure_of", "serve"]

_MAX_TEXT = 4000
_MAX_NAME = 100


def serve(shell: InteractiveShell, control: socket.socket, peer_socket: socket.socket) -> None:
    """Run cells as the grader sends them and answer the judge, until the grader hangs up."""
    if "" not in sys.path:
        sys.path.insert(0, "")  # as in a kernel: modules that lie beside the notebook, or that it writes there
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
                continue  # the judge is gone; the grader decides
            if isinstance(message, RunCell):
                with peer.channel.main_busy():
                    told = _run(shell, message)
                commands.send(encode(told))
            else:
                peer.channel.answer_in_main(message)
    os._exit(0)


def _read(commands: Wire, inbox: Any) -> None:
    try:
        while True:
            inbox.put(decode(commands.recv()[0], *TO_LEARNER))
    except (Closed, ValueError):
        inbox.put("end")


def _run(shell: InteractiveShell, command: RunCell) -> CellRan:
    cell = run_cell(shell, command.source, command.number)
    return CellRan(failure=failure_of(cell.error), outputs=cell.outputs, question=command.question)


def failure_of(error: BaseException | None) -> Failure | None:
    """Return what can be told of how a cell ended, ``None`` if it ended well; survives hostile exceptions."""
    if error is None:
        return None
    failure = Failure(error="Exception", message="", frames=(), where="")
    with contextlib.suppress(BaseException):
        failure = replace(failure, error=_plain(type(error).__name__)[:_MAX_NAME])
    with contextlib.suppress(BaseException):
        text = f"{error.msg} (line {error.lineno})" if isinstance(error, SyntaxError) else str(error)
        failure = replace(failure, message=_plain(text)[:_MAX_TEXT])
    with contextlib.suppress(BaseException):
        failure = replace(failure, frames=tuple(cell_frames(error)), where=where_in_cell(error))
    return failure


def _plain(text: str) -> str:
    """Return ``text`` as an exact string: that of a hostile class may have methods of its own."""
    return "".join(str.__iter__(text))
