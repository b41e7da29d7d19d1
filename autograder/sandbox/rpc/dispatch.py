"""Dispatch of remote calls: what one process may do to an object that the other one lent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from autograder.sandbox.messages import Malformed
from autograder.sandbox.rpc.asgi import App, answer
from autograder.sandbox.rpc.interface import Peer
from course_lib.afresh import call_in_fork

__all__ = ["ASYNCHRONOUS", "SYNCHRONOUS", "check_allowed"]

_ALLOWED = frozenset({"call", "getattr", "getitem", "len", "iter", "next", "enter", "exit", "str"})
_INTERNALS = ("gi_", "cr_", "ag_", "tb_", "f_", "co_", "func_", "im_")  # frames and code behind public-looking names


def check_allowed(op: str, name: str) -> None:
    """Raise unless a hostile process may do ``op`` to an object of the judge."""
    if op not in _ALLOWED:
        raise Malformed(f"{op!r:.20} can't be done to an object of a check")
    if op == "getattr" and (
        not name.isidentifier() or name.startswith(("_", *_INTERNALS)) or name in ("mro", "format", "format_map")
    ):
        raise AttributeError(f"the attribute {name!r:.60} can't be read here")


def _getattr(target: Any, name: str, *_: Any) -> Any:
    return getattr(target, name)


def _each(target: Any, _: str, args: list[Any], __: Any) -> list[Any]:
    """Call ``target`` for each of many argument lists; end before the first that raises, which is asked by itself."""
    answers: list[Any] = []
    for case in args[0]:
        try:
            answers.append(target(*case))
        except Exception:
            break
    return answers


def _setattr(target: Any, name: str, args: list[Any], _: Any) -> None:
    setattr(target, name, args[0])


def _setitem(target: Any, _: str, args: list[Any], __: Any) -> None:
    target[args[0]] = args[1]


def _next(target: Any, *_: Any) -> tuple[Any, ...]:
    try:
        return ("item", next(target))
    except StopIteration:
        return ("end",)


def _exit(target: Any, _: str, args: list[Any], __: Any) -> bool:
    error = args[0]
    return bool(target.__exit__(type(error) if error is not None else None, error, None))


def _fields(target: Any, *_: Any) -> dict[str, Any]:
    names = (
        [f.name for f in dataclasses.fields(target)] if dataclasses.is_dataclass(target) else type(target).model_fields
    )
    return {name: getattr(target, name) for name in names}


SYNCHRONOUS: dict[str, Callable[[Any, str, Any, Any], Any]] = {
    "call": lambda target, _, args, keywords: target(*args, **keywords),
    "afresh": lambda target, _, args, keywords: call_in_fork(target, args, keywords),
    "each": _each,
    "getattr": _getattr,
    "setattr": _setattr,
    "getitem": lambda target, _, args, __: target[args[0]],
    "setitem": _setitem,
    "len": lambda target, *_: len(target),
    "iter": lambda target, *_: iter(target),
    "next": _next,
    "enter": lambda target, *_: target.__enter__(),
    "exit": _exit,
    "str": lambda target, *_: str(target),
    "dir": lambda target, *_: dir(target),
    "fields": _fields,
}


async def _acall(_: Peer, __: int, target: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
    return await target(*args, **keywords)


async def _await(_: Peer, __: int, target: Any, *___: Any) -> Any:
    return await target


async def _anext(_: Peer, __: int, target: Any, *___: Any) -> tuple[Any, ...]:
    try:
        return ("item", await anext(target))
    except StopAsyncIteration:
        return ("end",)


async def _asgi(peer: Peer, number: int, target: Any, args: list[Any], _: Any) -> Any:
    scope, body = args
    if number in peer.apps:
        scope = {**scope, "state": dict(peer.apps[number].state)}
    return await answer(target, scope, body)


async def _lifespan(peer: Peer, number: int, target: Any, args: list[Any], _: Any) -> str:
    if args[0] == "startup":
        peer.apps[number] = App(target)
    reply = await peer.apps[number].phase(args[0])
    if args[0] == "shutdown":
        peer.apps.pop(number, None)
    return reply


ASYNCHRONOUS: dict[str, Callable[[Peer, int, Any, Any, Any], Any]] = {
    "acall": _acall,
    "await": _await,
    "anext": _anext,
    "asgi": _asgi,
    "lifespan": _lifespan,
}
