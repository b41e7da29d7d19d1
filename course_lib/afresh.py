"""Fresh calls: each call of a function runs in a process of its own, forked for it, and leaves nothing behind.

A function that counts its calls, or remembers what it was asked first, always meets its first call. Built-in ``hash``
differs from call to call, as it does from one start of Python to the next. Files stay: this is no sandbox.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

__all__ = ["afresh", "call_in_fork"]

_REMOTE = "__course_afresh__"  # how a function of another process is called so, where the grader put a proxy


def afresh(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function``, each call of it in a process of its own; what it returns must be data.

    Where processes can't be forked safely (macOS, Windows) it is called as it is.

    Examples
    --------
    >>> def count(calls=[]):
    ...     calls.append(1)
    ...     return len(calls)
    >>> fresh = afresh(count)
    >>> fresh(), fresh()
    (1, 1)
    """
    remote: Callable[..., Any] | None = getattr(function, _REMOTE, None)
    if remote is not None or not callable(function) or not sys.platform.startswith("linux"):
        return remote or function

    @wraps(function)
    def fresh(*args: Any, **keywords: Any) -> Any:
        returned, value = _forked(function, args, keywords)
        if returned:
            return value
        function(*args, **keywords)  # raises it here, where the traceback shows the line
        raise value

    return fresh


def call_in_fork(function: Callable[..., Any], args: Any, keywords: Any) -> Any:
    """Call ``function`` in a fork of this process; return what it returned, or raise what it raised."""
    returned, value = _forked(function, args, keywords)
    if returned:
        return value
    raise value


def _forked(function: Callable[..., Any], args: Any, keywords: Any) -> tuple[bool, Any]:
    """Return whether ``function`` returned in a fork of this process, and its result or its error."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _answer(writing, function, args, keywords)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as answers:
            data = answers.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.waitpid(child, 0)
    if not data:
        return False, RuntimeError("the process in which your function was called ended without an answer")
    outcome: tuple[bool, Any] = pickle.loads(data)  # noqa: S301 - from a process that could do all this one can
    return outcome


def _answer(writing: int, function: Callable[..., Any], args: Any, keywords: Any) -> None:
    """In the child: call, write down what came of it, and end, whatever happens."""
    with contextlib.suppress(BaseException):
        _salt(function)
        try:
            answer = _pickled(True, function(*args, **keywords))
        except BaseException as error:
            error.__traceback__ = None
            answer = _pickled(False, error)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        with os.fdopen(writing, "wb") as file:
            file.write(answer)
    os._exit(0)


def _pickled(returned: bool, value: Any) -> bytes:
    try:
        return pickle.dumps((returned, value))
    except Exception:
        if returned and (isinstance(value, Iterator) or type(value) in (type({}.keys()), type({}.values()))):
            return pickle.dumps((True, list(value)))
        text = f"{type(value).__name__}: {value}" if not returned else f"it returned {value!r:.200}, which is no data"
        return pickle.dumps((False, TypeError(text)))


def _salt(function: Callable[..., Any]) -> None:
    """Let ``hash``, as the cells around ``function`` know it, differ from what it was in other processes."""
    names, salt, plain = getattr(function, "__globals__", {}), secrets.randbits(61), hash
    names.setdefault("hash", lambda value: plain((salt, plain(value))))
