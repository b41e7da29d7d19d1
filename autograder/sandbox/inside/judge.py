"""Judge process: the trusted one in which the release's cells and tests run, and the verdict is reached.

It executes nothing that came from the learner: names of solution cells are bound to values and handles
(:mod:`autograder.sandbox.rpc.peer`), folders the learner can write to are not on its import path, and what it unpickles
may only consist of the classes scientific libraries store their arrays and models in.
"""

from __future__ import annotations

import ast
import os
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from autograder.sandbox.inside.import_guard import guard_imports, guard_pickles
from autograder.sandbox.inside.learner import failure_of
from autograder.sandbox.inside.program_box import BoxedProgram
from autograder.sandbox.inside.program_guard import guard_programs
from autograder.sandbox.inside.shell import run_cell
from autograder.sandbox.messages import (
    TO_JUDGE,
    Answer,
    Bind,
    Command,
    Connect,
    Done,
    Guard,
    Malformed,
    RunCell,
    RunTest,
    Verdict,
    decode,
    encode,
)
from autograder.sandbox.rpc.channel import PeerGone
from autograder.sandbox.rpc.exceptions import LearnerFault, is_remote
from autograder.sandbox.rpc.framing import Closed, Wire
from autograder.sandbox.rpc.peer import Peer
from course_lib.draws import drawing_from
from course_lib.programs import launch_with

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["serve"]


class Judge:
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
                command: Command = decode(self._commands.recv()[0], *TO_JUDGE)
                self._commands.send(encode(replace(self._answer(command), question=command.question)))
            except KeyboardInterrupt:  # it came too late for what it was meant to stop
                continue
            except Closed:
                os._exit(0)

    def _answer(self, command: Command) -> Answer:
        match command:
            case Connect():
                self._peer = Peer(Wire(self._sockets.pop(0)), strict=True)
                self._peer.channel.start()
            case Guard():
                guard_imports()
            case Bind():
                return Done(gone=not self._bind(command.names))
            case RunCell():
                run_cell(self._shell, command.source, command.number)
            case RunTest():
                there = self._bind([name for name in _names_read(command.source) if name in self._names])
                verdict = self._test(command)
                return verdict if there else replace(verdict, gone=True)
        return Done(gone=False)

    def _bind(self, names: Sequence[str]) -> bool:
        """Put what the learner has under ``names`` into the namespace; a name it doesn't have is taken out.

        Returns whether the learner's process answered, be it nonsense: False if it has hung up.
        """
        assert self._peer is not None
        if names and not self._names:  # from here on something of the learner's could be in what a cell starts
            guard_programs()
        self._names.update(dict.fromkeys(names))
        found: dict[str, Any] = {}
        there = True
        try:
            found = self._peer.bind(names) if names else {}
        except Malformed:  # nothing is bound then, and the test says what it lacks
            pass
        except PeerGone:
            there = False
        for name in names:
            if name in found:
                self._shell.user_ns[name] = found[name]
            else:
                self._shell.user_ns.pop(name, None)
        return there

    def _test(self, test: RunTest) -> Verdict:
        with drawing_from(test.seed):
            cell = run_cell(self._shell, test.source, test.number)
        error, remote = cell.error, is_remote(cell.error)
        failure = failure_of(error)
        if failure is not None and isinstance(error, LearnerFault):
            failure = replace(failure, where=error.where)
        return Verdict(
            failure=failure,
            outputs=cell.outputs,
            remote=remote,
            value=_number(cell.result),
            gone=isinstance(error, PeerGone),
            missing=error.name or "" if isinstance(error, NameError) and not remote else "",
        )


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


def serve(
    shell: InteractiveShell, control: socket.socket, peers: list[socket.socket], requests: socket.socket | None
) -> None:
    """Be the judge until the grader hangs up; ``requests`` is where it asks for boxes around learners' programs."""
    if requests is not None:
        launch_with(partial(BoxedProgram, requests, threading.Lock()))
    if "" not in sys.path:
        sys.path.insert(0, "")  # until a learner's code runs: see Guard
    guard_pickles()
    Judge(shell, control, peers).serve()
