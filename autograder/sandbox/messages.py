"""Messages between the grader and the processes of the sandbox: one frozen dataclass each, and their form on the wire.

Who says what to whom; an arrow down is a command, one up an answer, "forks" starts a process::

    grader
      │ Launch               the launcher's argument: walls to build, then what to become
      │ ForkserverSettings   the forkserver's argument
      ▼
    launcher ═ becomes ═► forkserver     ▲ ForkserverReady
      │ ForkSession                      ▲ Failed
      ▼ forks
    session (one a submission, a kernel or a snapshot; a snapshot takes ForkSession as well)
      │ Files, RunPrefix, Spawn, Stop    ▲ SessionReady, PrefixRan, Ended, Failed
      ▼ forks
      ├─► judge      Connect, Guard, Bind, RunCell   ▲ Done
      │              RunTest                  ▲ Verdict
      ├─► learner    RunCell                  ▲ CellRan          hostile: believed in nothing, shown only
      ├─► kernel     speaks Jupyter's protocol from here on
      └─► keeper     PollProgram, SignalProgram, DialProgram (from the judge)   ▲ ProgramState, Dialled
                     of a box around a program that the learner wrote: the judge asked the session by StartProgram

Judge and learner also call each other: those calls carry values and are :mod:`autograder.sandbox.rpc`'s. Forkserver and
session get file descriptors beside a message; its docstring says which. On the wire a message is a JSON object with its
class's name as ``"op"`` and every field by name. What is not exactly that is refused: the learner's process can send
any bytes it likes. The ``TO_…`` and ``FROM_…`` tuples below are what each process accepts.
"""

from __future__ import annotations

import enum
import json
import types
import typing
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar

from autograder.sandbox.model import Limits

__all__ = [
    "FROM_JUDGE", "FROM_LEARNER", "FROM_SESSION", "TO_FORKSERVER", "TO_JUDGE", "TO_KEEPER",
    "TO_LEARNER", "TO_SESSION",
    "Answer", "Bind", "CellRan", "Command", "Connect", "DialProgram", "Dialled", "Done", "Ended", "Failed", "Failure",
    "Files", "ForkSession", "ForkserverReady", "ForkserverSettings", "Guard", "KernelStart", "Launch", "Malformed",
    "Message",
    "PollProgram", "PrefixRan", "ProgramState", "Role", "RunCell", "RunPrefix", "RunTest", "SessionReady",
    "SignalProgram", "Spawn", "StartProgram", "Stop", "Verdict", "decode", "dumps", "encode", "loads",
]  # fmt: skip


class Malformed(ValueError):
    """The other end sent what no honest sender sends."""


class Role(enum.Enum):
    """What a process that a session forks is for."""

    JUDGE = "judge"
    LEARNER = "learner"
    KERNEL = "kernel"
    PROGRAM = "program"  # a box around a program of the learner's, at the judge's request


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one process says to another."""


# to programs, as an argument ---------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Launch(Message):
    """Grader to launcher: build a wall with the mounts of ``plan`` (kind, target, source), then become ``command``."""

    plan: tuple[tuple[str, str, str], ...]
    wall: Literal["bwrap", "native"]
    bwrap: str | None  # path of the program
    command: tuple[str, ...]
    environment: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ForkserverSettings(Message):
    """Grader to forkserver: what to import and how its children are walled in."""

    walls: bool
    shell: bool  # whether children run cells by themselves; kernels bring their own shell
    base: tuple[str, ...]  # modules a fresh process would have imported as well
    preload: tuple[str, ...]  # modules to import besides
    while_importing: dict[str, str]  # environment variables


# grader and forkserver, grader and session -------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class ForkserverReady(Message):
    """Forkserver to grader: the libraries are imported, but for those ``missing``."""

    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ForkSession(Message):
    """Grader to forkserver or snapshot: fork a session. Descriptors: its control socket, its lifeline's writing end."""

    disk_mb: int
    helpers: str = ""  # the folder with the course's own files, below that of all
    work: str = ""  # its folders, where it has no walls
    tmp: str = ""
    home: str = ""


@dataclass(frozen=True, kw_only=True)
class SessionReady(Message):
    """Session to grader: the walls stand."""


@dataclass(frozen=True, kw_only=True)
class Files(Message):
    """Grader to session: unpack these into the work folder. Descriptor: a tar archive."""


@dataclass(frozen=True, kw_only=True)
class RunPrefix(Message):
    """Grader to session: become a snapshot that has run these cells. Descriptor: JSON, a list of number and source."""


@dataclass(frozen=True, kw_only=True)
class PrefixRan(Message):
    """Snapshot to grader: how many cells ran, and whether it may still be forked after the last of them."""

    ran: int
    safe: bool


@dataclass(frozen=True, kw_only=True)
class KernelStart:
    """How a Jupyter kernel starts: ``folder`` and ``connection`` behind walls, ``environment`` and ``cwd`` without."""

    argv: tuple[str, ...]
    folder: str | None = None  # of its sockets, below the folder of all kernels
    connection: dict[str, Any] | None = None
    environment: dict[str, str] | None = None
    cwd: str | None = None


@dataclass(frozen=True, kw_only=True)
class Spawn(Message):
    """Grader to session: fork a process. Descriptors: its control socket, output, errors; then sockets to its peers."""

    role: Role
    limits: Limits
    kernel: KernelStart | None = None


@dataclass(frozen=True, kw_only=True)
class Stop(Message):
    """Grader to session: kill the process and everything below it."""

    role: Role


@dataclass(frozen=True, kw_only=True)
class Ended(Message):
    """Session to grader: the process has ended, with this exit status (negative: by this signal)."""

    role: Role
    status: int


@dataclass(frozen=True, kw_only=True)
class Failed(Message):
    """Forkserver or session to grader: a command could not be carried out."""

    what: str
    why: str


# grader and judge, grader and learner ------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Command(Message):
    """Grader to judge or learner; the answer repeats the number of the question."""

    question: int = 0


@dataclass(frozen=True, kw_only=True)
class Connect(Command):
    """Grader to judge: talk to the next learner's process."""


@dataclass(frozen=True, kw_only=True)
class Guard(Command):
    """Grader to judge: the learner's own code runs from here on; import nothing that it could have written."""


@dataclass(frozen=True, kw_only=True)
class Bind(Command):
    """Grader to judge: put what the learner has under these names into the namespace."""

    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RunCell(Command):
    """Grader to judge or learner: run this as cell ``number``."""

    source: str
    number: int


@dataclass(frozen=True, kw_only=True)
class RunTest(Command):
    """Grader to judge: run this as cell ``number``, with the learner's names as they are now, and give a verdict."""

    source: str
    number: int
    seed: str  # that its draws come from (`course_lib.draws`): of this test of this submission alone


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How a cell failed: name and text of the exception, and the places in cells that it passed."""

    error: str
    message: str
    frames: tuple[str, ...]
    where: str


@dataclass(frozen=True, kw_only=True)
class Answer(Message):
    """Judge or learner to grader."""

    question: int = 0


@dataclass(frozen=True, kw_only=True)
class Done(Answer):
    """Judge to grader: what was asked is done, unless the learner's process hung up."""

    gone: bool


@dataclass(frozen=True, kw_only=True)
class CellRan(Answer):
    """Learner to grader: what the cell displayed and how it failed, if it did. Its word, and no more."""

    failure: Failure | None
    outputs: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Verdict(Answer):
    """Judge to grader: what came of a test."""

    failure: Failure | None
    outputs: tuple[dict[str, Any], ...]
    remote: bool  # the learner's code raised the failure
    value: float | None  # the test's last expression, if that is a number
    gone: bool  # the learner's process hung up
    missing: str  # the name that the test looked for in vain


# judge and session, judge and the keeper of a program's box --------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class StartProgram(Message):
    """Judge to session: fork a keeper. Descriptors: its control socket, the command as JSON, a tar archive, output."""


@dataclass(frozen=True, kw_only=True)
class PollProgram(Message):
    """Judge to keeper: say how the program is."""


@dataclass(frozen=True, kw_only=True)
class SignalProgram(Message):
    """Judge to keeper, and keeper to the first process of the box: send the program this signal."""

    number: int


@dataclass(frozen=True, kw_only=True)
class DialProgram(Message):
    """Judge to keeper: connect to this port inside the box."""

    port: int


@dataclass(frozen=True, kw_only=True)
class ProgramState(Message):
    """Keeper to judge: the exit code (``None``: it runs), or why it could not be started."""

    code: int | None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Dialled(Message):
    """Keeper to judge: the connection as a descriptor, or the number of the error."""

    errno: int


TO_FORKSERVER = (ForkSession,)
TO_SESSION = (Files, RunPrefix, Spawn, Stop, ForkSession)
FROM_SESSION = (SessionReady, PrefixRan, Ended, Failed)
TO_JUDGE = (Connect, Guard, Bind, RunCell, RunTest)
FROM_JUDGE = (Done, Verdict)
TO_LEARNER = (RunCell,)
FROM_LEARNER = (CellRan,)
TO_KEEPER = (PollProgram, SignalProgram, DialProgram)

M = TypeVar("M", bound=Message)


# the form on the wire ----------------------------------------------------------------------------------------------
def encode(message: Message) -> dict[str, Any]:
    """Return ``message`` as an object that JSON can hold."""
    return {"op": type(message).__name__, **_fields(message)}


def _fields(value: object) -> dict[str, Any]:
    return {name: _plain(field) for name, field in vars(value).items()}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return _fields(value)
    return value.value if isinstance(value, enum.Enum) else value


def dumps(message: Message) -> str:
    """Return ``message`` as JSON."""
    return json.dumps(encode(message))


def loads(text: str | bytes, *accepted: type[M]) -> M:
    """Return the message that ``text`` holds if it is one of those ``accepted``; see `decode`."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"a message is no JSON: {type(error).__name__}") from error
    return decode(data, *accepted)


def decode(data: object, *accepted: type[M]) -> M:
    """Return the message that ``data`` is the wire form of.

    Raises
    ------
    Malformed
        If it is none of those ``accepted``, has a field too many or too few, or one of another type. Says which.
    """
    if not isinstance(data, dict):
        raise Malformed("a message is no object")
    op = data.get("op")
    for kind in accepted:
        if op == kind.__name__:
            message: M = _built(kind, {name: value for name, value in data.items() if name != "op"})
            return message
    raise Malformed(f"the message {_short(op)} is not accepted here")


def _short(value: object) -> str:
    return repr(value[:40]) if isinstance(value, str) else f"of type {type(value).__name__}"


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _built(kind: type, data: dict[str, Any]) -> Any:
    """Return the dataclass ``kind`` with the fields in ``data``, which must be exactly its own."""
    hints = _hints(kind)
    for name in data:
        if name not in hints:
            raise Malformed(f"{kind.__name__} has no field {_short(name)}")
    for name in hints:
        if name not in data:
            raise Malformed(f"{kind.__name__} lacks the field {name!r}")
    return kind(**{name: _checked(hint, data[name], f"{kind.__name__}.{name}") for name, hint in hints.items()})


def _checked(hint: Any, value: Any, place: str) -> Any:
    """Return ``value`` as the type ``hint``; how deep this goes is up to the hint, not to the sender."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is types.UnionType:  # of one type and None
        return None if value is None else _checked(next(p for p in parts if p is not type(None)), value, place)
    if origin is tuple and type(value) is list:
        if parts[-1] is ...:
            return tuple([_checked(parts[0], item, place) for item in value])
        if len(parts) == len(value):
            return tuple([_checked(part, item, place) for part, item in zip(parts, value, strict=True)])
    elif origin is dict and type(value) is dict:
        return {key: _checked(parts[1], item, place) for key, item in value.items()}
    elif origin is Literal and type(value) is str and value in parts:
        return value
    elif hint is Role:
        if type(value) is str and value in {role.value for role in Role}:
            return Role(value)
    elif isinstance(hint, type) and is_dataclass(hint) and type(value) is dict:
        return _built(hint, value)
    elif type(value) is hint or (hint is float and type(value) is int):
        return value
    raise Malformed(f"{place} can't be of type {type(value).__name__}")
