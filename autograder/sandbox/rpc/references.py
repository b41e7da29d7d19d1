"""Remote references: which objects a process lends, how they are described, and how library objects cross."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

from autograder.sandbox.rpc.codec import Encoder
from autograder.sandbox.rpc.exceptions import LearnerFault, known_exception
from autograder.sandbox.rpc.interface import Peer
from autograder.sandbox.rpc.proxies import handle_id

__all__ = ["describe", "dumps", "exception_class", "loads", "may_lend", "neutral"]

_FUNCTIONS = (types.FunctionType, types.MethodType, types.LambdaType)
_FLOWS = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, map, zip, filter, enumerate, reversed)
_WEB = ("httpx", "starlette", "fastapi")


def may_lend(value: object) -> bool:
    """Return whether the judge may lend ``value``: functions and objects of a test, and web applications and clients.

    Everything else goes by value or not at all: an object of a library could offer its borrower more than was meant.
    """
    if isinstance(value, _FUNCTIONS):
        function = value.__func__ if isinstance(value, types.MethodType) else value
        return not _importable(function)
    if isinstance(value, _FLOWS):
        return True
    cls = value if inspect.isclass(value) else type(value)
    home = str(cls.__module__).partition(".")[0]
    return home == "__main__" or (home in _WEB and not inspect.isclass(value))


def _importable(value: Any) -> bool:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if module in (None, "__main__"):
        return False
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


def neutral(value: Any, number: int, lent: Callable[[object], int]) -> dict[str, Any]:
    """Return what a learner may know of the judge's ``value``: what it can do, but nothing that tells it apart.

    A name such as ``mutant``, a docstring or the names of parameters could give away what a test hands in. Classes keep
    their names: an answer makes or catches them. ``lent`` returns the number of a class, 0 for one that was not lent:
    that two objects are of it is not said.
    """
    info = describe(value, number, lent)
    if info["kind"] in ("function", "async", "object"):
        library = [path for path in info["mro"] if path.partition(":")[0].partition(".")[0] in _WEB]
        info = {key: info[key] for key in ("id", "kind", "caps")} | {"name": "", "mro": library}
        info["classes"] = [number for cls in type(value).__mro__ if (number := lent(cls))]
    return info


def describe(value: Any, number: int, lend: Callable[[object], int]) -> dict[str, Any]:
    """Return what the borrower must know of ``value``; never raises, whatever its class does."""
    info: dict[str, Any] = {"id": number, "kind": "object", "name": "", "caps": [], "mro": []}
    with contextlib.suppress(Exception):
        info["name"] = str(getattr(value, "__name__", ""))
    with contextlib.suppress(Exception):
        info["mro"] = [f"{c.__module__}:{c.__qualname__}" for c in type(value).__mro__][:40]
    if inspect.isfunction(value) or inspect.ismethod(value):
        info["kind"] = "async" if inspect.iscoroutinefunction(value) else "function"
        with contextlib.suppress(Exception):
            info["doc"] = str(value.__doc__ or "")[:10_000]
        with contextlib.suppress(Exception):
            info["sig"] = [_parameter(p) for p in inspect.signature(value).parameters.values()]
    elif isinstance(value, type):
        info["kind"] = "exception" if issubclass(value, BaseException) else "class"
        info["mro"] = [f"{c.__module__}:{c.__qualname__}" for c in value.__mro__][:40]
    else:
        with contextlib.suppress(Exception):
            _describe_object(value, info, lend)
    return info


def _describe_object(value: Any, info: dict[str, Any], lend: Callable[[object], int]) -> None:
    cls = type(value)
    able = {
        "call": "__call__", "next": "__next__", "iter": "__iter__", "len": "__len__", "item": "__getitem__",
        "enter": "__enter__", "await": "__await__", "aiter": "__anext__",
    }  # fmt: skip
    caps = [cap for cap, method in able.items() if any(method in vars(c) for c in cls.__mro__)]
    if "call" in caps and inspect.iscoroutinefunction(cls.__call__):
        caps = ["asgi", *[cap for cap in caps if cap != "call"]]
    info["caps"] = caps
    info["classes"] = [lend(c) for c in cls.__mro__ if c.__module__ == "__main__"]
    if info["classes"] and (dataclasses.is_dataclass(cls) or hasattr(cls, "model_fields")):
        info["record"] = info["classes"][0]


def _parameter(parameter: inspect.Parameter) -> list[Any]:
    default: list[Any] = []
    if parameter.default is not inspect.Parameter.empty:
        with contextlib.suppress(Exception):
            default = [None]
            default = [Encoder().encode(parameter.default)]
    return [parameter.name, int(parameter.kind), default]


def exception_class(info: dict[str, Any]) -> type[BaseException]:
    """Return a local exception class that stands for one the learner defined."""
    mro = info.get("mro")
    paths = [path for path in mro if isinstance(path, str)] if isinstance(mro, list) else []
    base = next((cls for path in paths if (cls := known_exception(path)) is not None), RuntimeError)
    name = info.get("name")
    try:
        return type(
            str(name) if isinstance(name, str) and name.isidentifier() else base.__name__, (LearnerFault, base), {}
        )
    except TypeError:
        return type("LearnerError", (LearnerFault, RuntimeError), {})


class _Pickler(pickle.Pickler):
    """Sends library objects whole, and objects of the test as handles, so that no test source goes with them."""

    def __init__(self, file: io.BytesIO, peer: Peer) -> None:
        super().__init__(file, protocol=5)
        self._peer = peer

    def persistent_id(self, value: object) -> Any:
        number = handle_id(value)
        if number is not None:
            return ("yours", number)
        ours = isinstance(value, (*_FLOWS, *_FUNCTIONS)) or type(value).__module__ == "__main__"
        if not ours and not (inspect.isclass(value) and value.__module__ == "__main__"):
            return None
        return ("h", self._peer.lend(value)[1]) if may_lend(value) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, peer: Peer) -> None:
        super().__init__(file)
        self._peer = peer

    def persistent_load(self, pid: Any) -> Any:
        kind, what = pid
        return self._peer.target(what) if kind == "yours" else self._peer.borrow(what)


def dumps(value: object, peer: Peer) -> bytes | None:
    """Return ``value`` pickled for the learner's side (never the other way), ``None`` if that can't be done."""
    file = io.BytesIO()
    try:
        _Pickler(file, peer).dump(value)
    except Exception:
        return None
    return file.getvalue()


def loads(data: bytes, peer: Peer) -> Any:
    """Return what the judge sent; only the learner's side calls this."""
    return _Unpickler(io.BytesIO(data), peer).load()
