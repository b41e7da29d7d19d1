"""Proxies of remote objects: what can't be sent by value stays where it is, and calls travel.

A handle never answers a comparison, a truth test or a conversion on the other side's word: a test that wants a value
and got an object fails with a message that says so. That is what makes ``__eq__`` that is always true worthless.
"""

from __future__ import annotations

import inspect
import keyword
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, NoReturn

from autograder.sandbox.messages import Malformed
from autograder.sandbox.rpc.asgi import drive
from autograder.sandbox.rpc.interface import Peer

__all__ = ["Handle", "NotAValue", "handle_id", "make_handle"]

_IDS = "__course_handle__"
_FOREIGN = frozenset(
    ["fastapi", "starlette", "sklearn", "mlflow", "onnxruntime", "onnx", "pydantic", "pandera", "prometheus_client"]
)
_MAX_NAME = 100


class NotAValue(AssertionError):
    """A check needed a value and the learner's code gave an object that stays in its process."""


class Handle:
    """Stands for an object in the other process."""

    def __init__(self, peer: Peer, info: dict[str, Any]) -> None:
        self.__dict__.update({_IDS: info["id"], "_course_peer": peer, "_course_info": info})

    @property
    def __class__(self) -> type[Any]:
        """The class the object says it is of, if that is a library's (never one that data would be of)."""
        return _library_class(self._course_info.get("mro")) or type(self)

    @__class__.setter
    def __class__(self, cls: type[Any]) -> None:
        raise TypeError("a handle keeps its class")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._course_ask("getattr", name=name)

    def __setattr__(self, name: str, value: object) -> None:
        self._course_ask("setattr", value, name=name)

    def __repr__(self) -> str:
        return f"<{_class_name(self._course_info)} object of the learner's process>"

    def __str__(self) -> str:
        return str(self._course_ask("str"))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        mine, theirs = self._course_info.get("record"), getattr(other, "_course_info", {}).get("record")
        if mine and mine == theirs:
            return bool(self._course_ask("fields") == other._course_ask("fields"))  # type: ignore[attr-defined]
        if other is None:
            return False
        return self._course_refuse()

    __hash__ = object.__hash__

    def _course_ask(self, op: str, *args: object, name: str = "", keywords: dict[str, Any] | None = None) -> Any:
        return self._course_peer.ask(op, self.__dict__[_IDS], args, keywords or {}, name=name)

    def _course_refuse(self, *_: object) -> NoReturn:
        raise NotAValue(
            f"Your code gave an object of class {_class_name(self._course_info)} where the check needs a value: "
            "return a number, text, list, dict, array or data frame."
        )

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __float__ = __int__ = __index__ = __complex__ = (
        _course_refuse  # type: ignore[assignment]
    )
    __contains__ = __array__ = __reduce_ex__ = __round__ = __add__ = __radd__ = __sub__ = __rsub__ = _course_refuse  # type: ignore[assignment]
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = __abs__ = __fspath__ = __bytes__ = _course_refuse

    def __dir__(self) -> list[str]:
        return [str(name) for name in self._course_ask("dir")]


class _Call:
    def __call__(self, *args: object, **keywords: object) -> Any:
        return self._course_ask("call", *args, keywords=keywords)  # type: ignore[attr-defined]

    def __course_afresh__(self, *args: object, **keywords: object) -> Any:
        return self._course_ask("afresh", *args, keywords=keywords)  # type: ignore[attr-defined]


class _Iter:
    def __iter__(self) -> Iterator[Any]:
        return iter(self._course_ask("iter"))  # type: ignore[attr-defined]


class _Next:
    def __iter__(self) -> Iterator[Any]:
        return self  # type: ignore[return-value]

    def __next__(self) -> Any:
        pair = self._course_ask("next")  # type: ignore[attr-defined]
        if pair == ("end",):
            raise StopIteration
        return pair[1]


class _Len:
    def __len__(self) -> int:
        return int(self._course_ask("len"))  # type: ignore[attr-defined]


class _Item:
    def __getitem__(self, key: object) -> Any:
        return self._course_ask("getitem", key)  # type: ignore[attr-defined]

    def __setitem__(self, key: object, value: object) -> None:
        self._course_ask("setitem", key, value)  # type: ignore[attr-defined]


class _Enter:
    def __enter__(self) -> Any:
        return self._course_ask("enter")  # type: ignore[attr-defined]

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return self._course_ask("exit", error) is True  # type: ignore[attr-defined]


class _Await:
    def __await__(self) -> Generator[Any, None, Any]:
        result: Generator[Any, None, Any] = self._course_peer.ask_async(  # type: ignore[attr-defined]
            "await", self.__dict__[_IDS], (), {}
        ).__await__()  # type: ignore[attr-defined]
        return result


class _AsyncIter:
    def __aiter__(self) -> AsyncIterator[Any]:
        return self  # type: ignore[return-value]

    async def __anext__(self) -> Any:
        pair = await self._course_peer.ask_async("anext", self.__dict__[_IDS], (), {})  # type: ignore[attr-defined]
        if pair == ("end",):
            raise StopAsyncIteration
        return pair[1]


class _Asgi:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await drive(self._course_peer, self.__dict__[_IDS], scope, receive, send)  # type: ignore[attr-defined]


_MIXINS: dict[str, type] = {
    "asgi": _Asgi, "call": _Call, "next": _Next, "iter": _Iter, "len": _Len, "item": _Item, "enter": _Enter,
    "await": _Await, "aiter": _AsyncIter,
}  # fmt: skip
_types: dict[tuple[str, ...], type[Handle]] = {}


def handle_id(value: object) -> int | None:
    """Return the number of the remote object that ``value`` stands for, ``None`` if it stands for itself."""
    if isinstance(value, RemoteClass):
        return int(value.__dict__[_IDS])
    if type(value) in _types.values() or inspect.isfunction(value):
        number = value.__dict__.get(_IDS)
        return number if type(number) is int else None
    return None


def make_handle(peer: Peer, info: object) -> Any:
    """Return what stands for the object that ``info`` describes; ``info`` may come from a hostile process."""
    if not isinstance(info, dict) or type(info.get("id")) is not int:
        raise Malformed("an object has no number")
    kind = info.get("kind")
    if kind in ("function", "async"):
        return _function(peer, info, asynchronous=kind == "async")
    if kind == "class":
        name = _name(info.get("name"), "Class")
        return RemoteClass(name, (), {_IDS: info["id"], "_course_peer": peer, "__module__": "__main__"})
    caps = info.get("caps")
    able = tuple(cap for cap in _MIXINS if isinstance(caps, list) and cap in caps)
    if able not in _types:
        _types[able] = type("Handle", (*[_MIXINS[cap] for cap in able], Handle), {})
    return _types[able](peer, info)


class RemoteClass(type):
    """A class of the other process: making an instance, and its attributes, travel."""

    def __call__(cls, *args: object, **keywords: object) -> Any:
        """Make an instance in the other process."""
        return cls.__dict__["_course_peer"].ask("call", cls.__dict__[_IDS], args, keywords)

    def __course_afresh__(cls, *args: object, **keywords: object) -> Any:
        return cls.__dict__["_course_peer"].ask("afresh", cls.__dict__[_IDS], args, keywords)

    def __getattr__(cls, name: str) -> Any:
        """Ask the other process for a class attribute."""
        if name.startswith("__") or name == "_course_info":
            raise AttributeError(name)
        return cls.__dict__["_course_peer"].ask("getattr", cls.__dict__[_IDS], (), {}, name=name)

    def __instancecheck__(cls, instance: object) -> bool:
        """Tell whether ``instance`` stands for an instance of this class."""
        classes = getattr(instance, "_course_info", {}).get("classes")
        return isinstance(classes, list) and cls.__dict__[_IDS] in classes


def _function(peer: Peer, info: dict[str, Any], *, asynchronous: bool) -> Callable[..., Any]:
    number = info["id"]

    def call(*args: object, **keywords: object) -> Any:
        return peer.ask("call", number, args, keywords)

    async def acall(*args: object, **keywords: object) -> Any:
        return await peer.ask_async("acall", number, args, keywords)

    made: Callable[..., Any] = acall if asynchronous else call
    made.__name__ = made.__qualname__ = _name(info.get("name"), "function")
    made.__module__ = "__main__"
    doc = info.get("doc")
    made.__doc__ = doc[:10_000] if isinstance(doc, str) else None
    made.__dict__[_IDS] = number
    if peer.strict:
        made.__dict__["__course_afresh__"] = lambda *args, **keywords: peer.ask("afresh", number, args, keywords)
        if not asynchronous:
            made.__dict__["__course_each__"] = lambda cases: peer.ask("each", number, [cases], {})
    signature = _signature(peer, info.get("sig"))
    if signature is not None:
        made.__signature__ = signature  # type: ignore[attr-defined]
    return made


def _signature(peer: Peer, parameters: object) -> inspect.Signature | None:
    if not isinstance(parameters, list):
        return None
    try:
        return inspect.Signature(
            [
                inspect.Parameter(
                    _name(name, "argument"), inspect._ParameterKind(kind),
                    default=peer.decode_plain(default[0]) if default else inspect.Parameter.empty,
                )
                for name, kind, default in parameters[:100]
            ]
        )  # fmt: skip
    except (ValueError, TypeError):
        return None


def _name(value: object, otherwise: str) -> str:
    fine = isinstance(value, str) and value.isidentifier() and not keyword.iskeyword(value) and len(value) < _MAX_NAME
    return str(value) if fine else otherwise


def _class_name(info: dict[str, Any]) -> str:
    mro = info.get("mro")
    path = mro[0] if isinstance(mro, list) and mro and isinstance(mro[0], str) else ""
    return _name(path.rpartition(":")[2].rpartition(".")[2], "unknown")


def _library_class(mro: object) -> type[Any] | None:
    for path in mro if isinstance(mro, list) else ():
        module, _, name = path.partition(":") if isinstance(path, str) else ("", "", "")
        if module.partition(".")[0] in _FOREIGN:
            found = getattr(sys.modules.get(module), "__dict__", {}).get(name)
            if isinstance(found, type):
                return found
    return None
