"""The twin: the trusted process in which the release's cells and tests run, and the verdict is reached.

It executes nothing that came from the learner: names of solution cells are bound to values and handles
(:mod:`autograder.sandbox.rpc.peer`), folders the learner can write to are not on its import path, and what it unpickles
may only consist of the classes scientific libraries store their arrays and models in.
"""

from __future__ import annotations

import ast
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from autograder.sandbox.inside.import_guard import guard_imports, guard_pickles
from autograder.sandbox.inside.learner import describe
from autograder.sandbox.inside.shell import run_cell
from autograder.sandbox.rpc.channel import PeerGone
from autograder.sandbox.rpc.exceptions import LearnerFault, is_remote
from autograder.sandbox.rpc.framing import Closed, Malformed, Wire
from autograder.sandbox.rpc.peer import Peer

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["serve"]


class Twin:
    """Runs cells on the grader's word and says what came of them."""

    def __init__(self, shell: InteractiveShell, control: socket.socket, peers: list[socket.socket]) -> None:
        self._shell = shell
        self._commands = Wire(control)
        self._sockets = peers
        self._peer: Peer | None = None
        self._names: dict[str, None] = {}

    def serve(self) -> None:
        """Answer the grader until it hangs up; each answer carries the number of its question."""
        while True:
            try:
                message, _ = self._commands.recv()
                self._commands.send({**self._answer(message), "n": message["n"]})
            except KeyboardInterrupt:  # it came too late for what it was meant to stop
                continue
            except Closed:
                os._exit(0)

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["op"] == "connect":
            self._peer = Peer(Wire(self._sockets.pop(0)), strict=True)
            self._peer.channel.start()
            return {"ok": True}
        if message["op"] == "bind":
            return self._bind(message["names"])
        if message["op"] == "test":
            self._bind([name for name in _names_read(message["source"]) if name in self._names])
        return self._run(message)

    def _bind(self, names: list[str]) -> dict[str, Any]:
        """Put what the learner has under ``names`` into the namespace; a name it doesn't have is taken out."""
        assert self._peer is not None
        self._names.update(dict.fromkeys(names))
        found: dict[str, Any] = {}
        error = ""
        try:
            found = self._peer.bind(names) if names else {}
        except (PeerGone, Malformed) as problem:
            error = str(problem)
        for name in names:
            if name in found:
                self._shell.user_ns[name] = found[name]
            else:
                self._shell.user_ns.pop(name, None)
        return {"ok": not error, "error": error, "missing": [name for name in names if name not in found]}

    def _run(self, message: dict[str, Any]) -> dict[str, Any]:
        cell = run_cell(self._shell, message["source"], message["number"])
        error = cell.error
        told = {**describe(error), "outputs": cell.outputs, "remote": is_remote(error), "value": _number(cell.result)}
        if isinstance(error, LearnerFault):
            told["where"] = error.where
        if isinstance(error, PeerGone):
            told |= {"gone": True}
        if isinstance(error, NameError) and not is_remote(error) and error.name:
            told |= {"missing": error.name}
        return told


def _names_read(source: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # magics: all names then
        return source.replace("(", " ").replace(".", " ").split()
    return list(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))


def _number(result: object) -> float | None:
    """Return the last expression of a test if it is a number: nbgrader's partial credit."""
    if type(result) in (int, float):
        return float(result)  # type: ignore[arg-type]
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(result, numpy.number) and not isinstance(result, numpy.complexfloating):
        return float(result)
    return None


def serve(shell: InteractiveShell, control: socket.socket, peers: list[socket.socket]) -> None:
    """Be the twin until the grader hangs up."""
    guard_imports()
    guard_pickles()
    Twin(shell, control, peers).serve()
