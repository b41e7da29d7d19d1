"""Codec of plain values: what crosses between the learner's process and the judge; nothing else does.

A value becomes a JSON tree plus binary parts. JSON's own scalars stand for themselves; everything else is a list that
starts with a tag. Decoding builds only types that are listed here; it never imports, unpickles or calls what the sender
names, except dataclasses, named tuples, enums and pydantic models of ``course_lib``, which are rebuilt from their
fields. What isn't listed goes to a hook: see :mod:`autograder.sandbox.rpc.proxies`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import importlib
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from typing import Any

from autograder.sandbox.messages import Malformed
from autograder.sandbox.rpc import arrays

__all__ = ["Decoder", "Encoder", "NotData"]

Tree = Any  # a JSON value
MAX_DEPTH = 60
MAX_NODES = 3_000_000
MAX_INT_BITS = 200_000
_SAFE_INT = 1 << 62
_CLASS_PATH = re.compile(r"course_lib(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SEQUENCES: dict[type, str] = {list: "l", tuple: "t", set: "s", frozenset: "fs", deque: "l"}
_MAPPINGS = (dict, OrderedDict, Counter, defaultdict, types.MappingProxyType)
_VIEWS = (type({}.keys()), type({}.values()), type({}.items()))  # type: ignore[var-annotated]
_PATHS = (pathlib.PosixPath, pathlib.PurePosixPath)


class NotData(TypeError):
    """A value that can't be sent between processes."""


def _refuse(value: object, _: Encoder) -> Tree:
    raise NotData(type(value).__name__)


def _unknown(tree: list[Any], _: Decoder) -> object:
    raise Malformed(f"unknown tag {tree[0]!r:.20}")


class Encoder:
    """Turns values into a tree; the binary parts collect in ``blobs``.

    Parameters
    ----------
    other
        Called with every value that is no plain data, and the encoder; returns a tree or raises `NotData`. Without
        it only plain data can be encoded.
    """

    def __init__(self, other: Callable[[object, Encoder], Tree] = _refuse) -> None:
        self.blobs: list[bytes] = []
        self._other = other
        self._nodes = 0

    def blob(self, data: bytes) -> int:
        """Keep a binary part and return its number."""
        self.blobs.append(data)
        return len(self.blobs) - 1

    def encode(self, value: object, depth: int = 0) -> Tree:
        """Return ``value`` as a tree."""
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise NotData(f"it is nested more than {MAX_DEPTH} levels deep")
        if self._nodes > MAX_NODES:
            raise NotData("it has too many elements")
        kind = type(value)
        if value is None or kind is bool or kind is str or kind is float:
            return value
        if kind is int:
            return self._integer(value)  # type: ignore[arg-type]
        if kind in _SEQUENCES:
            return [_SEQUENCES[kind], *[self.encode(item, depth + 1) for item in value]]  # type: ignore[attr-defined]
        if kind in _MAPPINGS:
            pairs = value.items()  # type: ignore[attr-defined]
            return ["d", *[self.encode(part, depth + 1) for pair in pairs for part in pair]]
        if kind in _VIEWS:
            return ["l", *[self.encode(item, depth + 1) for item in value]]  # type: ignore[attr-defined]
        tree = _encode_scalar(self, value, kind)
        if tree is None:
            tree = arrays.encode(self, value, kind, depth)
        if tree is None:
            tree = self._record(value, kind, depth)
        return self._other(value, self) if tree is None else tree

    def _integer(self, value: int) -> Tree:
        if -_SAFE_INT < value < _SAFE_INT:
            return value
        if value.bit_length() > MAX_INT_BITS:
            raise NotData(f"it is an integer of {value.bit_length()} bits")
        return ["i", hex(value)]

    def _record(self, value: Any, kind: type, depth: int) -> Tree:
        """Encode dataclasses, enums, named tuples and models that both sides know by name, and plain subclasses."""
        path = f"{kind.__module__}:{kind.__qualname__}"
        known = _CLASS_PATH.fullmatch(path) is not None
        if kind is types.SimpleNamespace:
            return ["ns", self.encode(dict(vars(value)), depth + 1)]
        if known and dataclasses.is_dataclass(kind):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return ["dc", path, self.encode(fields, depth + 1)]
        if known and issubclass(kind, enum.Enum):
            return ["en", path, value.name]
        if known and hasattr(kind, "model_fields"):
            return ["pm", path, self.encode({name: getattr(value, name) for name in kind.model_fields}, depth + 1)]
        if issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
            items = [self.encode(item, depth + 1) for item in tuple.__iter__(value)]
            return ["nt", path, items] if known else ["rt", kind.__name__, list(kind._fields), items]  # type: ignore[attr-defined]
        if issubclass(kind, enum.Enum):
            return None if not isinstance(value, str | int) else self.encode(value.value, depth + 1)  # type: ignore[union-attr]
        return self._subclass(value, kind, depth)

    def _subclass(self, value: Any, kind: type, depth: int) -> Tree:
        for base in (str, int, float, bytes, list, tuple, dict, set, frozenset):
            if issubclass(kind, base):
                plain: object = dict(dict.items(value)) if base is dict else base.__new__(base, value)  # type: ignore[call-arg,type-var]
                if base in (list, set):
                    plain = base(base.__iter__(value))  # type: ignore[attr-defined]
                return self.encode(plain, depth + 1)
        return None


def _encode_scalar(encoder: Encoder, value: Any, kind: type) -> Tree:
    tree: Tree = None
    if kind in (bytes, bytearray, memoryview):
        tree = ["y", encoder.blob(bytes(value))]
    elif kind is complex:
        tree = ["c", value.real, value.imag]
    elif kind in _PATHS:
        tree = ["p", str(value), int(kind is pathlib.PosixPath)]
    elif kind is dt.datetime:
        tree = ["dt", value.isoformat(), getattr(value.tzinfo, "key", None), value.fold]
    elif kind is dt.date:
        tree = ["da", value.isoformat()]
    elif kind is dt.time:
        tree = ["ti", value.isoformat()]
    elif kind is dt.timedelta:
        tree = ["td", value.days, value.seconds, value.microseconds]
    elif kind is dt.timezone:
        tree = ["tz", value.utcoffset(None).total_seconds()]
    elif kind is zoneinfo.ZoneInfo:
        tree = ["zi", value.key]
    elif kind is decimal.Decimal:
        tree = ["de", str(value)]
    elif kind is fractions.Fraction:
        tree = ["fr", encoder.encode(value.numerator), encoder.encode(value.denominator)]
    elif kind is uuid.UUID:
        tree = ["uu", value.hex]
    elif kind is range:
        tree = ["r", value.start, value.stop, value.step]
    elif kind is slice:
        tree = ["sl", *[encoder.encode(part) for part in (value.start, value.stop, value.step)]]
    elif value is Ellipsis:
        tree = ["el"]
    return tree


class Decoder:
    """Builds values from a tree that may come from a hostile sender.

    Parameters
    ----------
    blobs
        The binary parts of the message.
    other
        Called with every list whose tag isn't known here; returns a value or raises.
    """

    def __init__(self, blobs: list[bytes], other: Callable[[list[Any], Decoder], object] = _unknown) -> None:
        self._blobs = blobs
        self._other = other
        self._nodes = 0

    def value(self, tree: Tree) -> Any:
        """Return the value of ``tree``; raise `Malformed` whatever is wrong with it."""
        try:
            return self.decode(tree)
        except Malformed:
            raise
        except RecursionError as error:
            raise Malformed("a value is nested too deeply") from error
        except Exception as error:  # whatever a hostile value provokes in numpy or pandas
            raise Malformed(f"a value can't be read: {type(error).__name__}: {error!s:.200}") from error

    def blob(self, number: object) -> bytes:
        """Return a binary part."""
        if type(number) is not int or not 0 <= number < len(self._blobs):
            raise Malformed("a binary part is missing")
        return self._blobs[number]

    def decode(self, tree: Tree, depth: int = 0) -> Any:
        """Return the value of ``tree``."""
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH + 5:
            raise Malformed("a value is too large or too deep")
        if tree is None or type(tree) in (bool, int, float, str):
            return tree
        if type(tree) is not list or not tree or type(tree[0]) is not str:
            raise Malformed("a value has no tag")
        tag, *parts = tree
        if tag in ("l", "t", "s", "fs"):
            build = {"l": list, "t": tuple, "s": set, "fs": frozenset}[tag]
            return build([self.decode(part, depth + 1) for part in parts])  # type: ignore[operator]
        if tag == "d":
            flat = [self.decode(part, depth + 1) for part in parts]
            return dict(zip(flat[::2], flat[1::2], strict=True))
        if tag in _SCALARS:
            return _SCALARS[tag](self, *parts)
        if tag in _RECORDS:
            return _RECORDS[tag](self, depth, *parts)
        if tag in arrays.TAGS:
            return arrays.decode(self, tag, parts, depth)
        return self._other(tree, self)


def _text(value: object, limit: int = 10_000) -> str:
    if type(value) is not str or len(value) > limit:
        raise Malformed("a text is missing or too long")
    return value


def _whole(value: object) -> int:
    if type(value) is not int:
        raise Malformed("a number is missing")
    return value


def _big(_: Decoder, digits: object) -> int:
    return int(_text(digits, MAX_INT_BITS), 16)


def _datetime(_: Decoder, iso: object, zone: object, fold: object) -> dt.datetime:
    value = dt.datetime.fromisoformat(_text(iso)).replace(fold=1 if fold == 1 else 0)
    return value if zone is None else value.replace(tzinfo=_zone(_, zone))


def _zone(_: Decoder, key: object) -> zoneinfo.ZoneInfo:
    name = _text(key, 60)
    if not re.fullmatch(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*", name):
        raise Malformed("a time zone is no name")
    return zoneinfo.ZoneInfo(name)


def _fraction(decoder: Decoder, top: Tree, bottom: Tree) -> fractions.Fraction:
    return fractions.Fraction(_whole(decoder.decode(top)), _whole(decoder.decode(bottom)))


_SCALARS: dict[str, Callable[..., Any]] = {
    "i": _big,
    "y": lambda decoder, number: decoder.blob(number),
    "c": lambda _, real, imag: complex(float(real), float(imag)),
    "p": lambda _, text, real: (pathlib.PosixPath if real else pathlib.PurePosixPath)(_text(text)),
    "dt": _datetime,
    "da": lambda _, iso: dt.date.fromisoformat(_text(iso)),
    "ti": lambda _, iso: dt.time.fromisoformat(_text(iso)),
    "td": lambda _, days, seconds, micros: dt.timedelta(_whole(days), _whole(seconds), _whole(micros)),
    "tz": lambda _, offset: dt.timezone(dt.timedelta(seconds=float(offset))),
    "zi": _zone,
    "de": lambda _, text: decimal.Decimal(_text(text)),
    "fr": _fraction,
    "uu": lambda _, text: uuid.UUID(hex=_text(text)),
    "r": lambda _, *parts: range(*[_whole(part) for part in parts]),
    "sl": lambda decoder, *parts: slice(*[decoder.decode(part) for part in parts]),
    "el": lambda _: ...,
}


def course_class(path: object) -> type[Any]:
    """Return the class of ``course_lib`` named ``module:qualified.name``."""
    name = _text(path, 200)
    if not _CLASS_PATH.fullmatch(name):
        raise Malformed("a class is not one of the course's")
    module, _, qualified = name.partition(":")
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
    except ImportError as error:
        raise Malformed(f"there is no module {module}") from error
    for part in qualified.split("."):
        found = vars(found).get(part)
    if not isinstance(found, type) or found.__module__ != module:
        raise Malformed(f"there is no class {name}")
    return found


def _keywords(decoder: Decoder, tree: Tree, depth: int) -> dict[str, Any]:
    fields = decoder.decode(tree, depth + 1)
    if type(fields) is not dict or not all(type(key) is str and key.isidentifier() for key in fields):
        raise Malformed("the fields of a record are no names")
    return fields


def _dataclass(decoder: Decoder, depth: int, path: object, tree: Tree) -> object:
    cls, values = course_class(path), _keywords(decoder, tree, depth)
    if not dataclasses.is_dataclass(cls):
        raise Malformed(f"{path} is no dataclass")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if set(values) != set(fields):
        raise Malformed(f"the fields of {cls.__name__} don't match")
    try:
        made = cls(**{name: value for name, value in values.items() if fields[name].init})
    except Exception as error:
        raise Malformed(f"{cls.__name__} refuses its fields: {error!s:.200}") from error
    for name, value in values.items():
        if not fields[name].init:
            object.__setattr__(made, name, value)
    return made


def _enum(_: Decoder, __: int, path: object, name: object) -> object:
    cls = course_class(path)
    if not issubclass(cls, enum.Enum):
        raise Malformed(f"{path} is no enumeration")
    return cls[_text(name, 200)]


def _model(decoder: Decoder, depth: int, path: object, tree: Tree) -> object:
    cls, values = course_class(path), _keywords(decoder, tree, depth)
    if not hasattr(cls, "model_construct"):
        raise Malformed(f"{path} is no pydantic model")
    try:
        return cls.model_validate(values)
    except Exception as error:
        raise Malformed(f"{cls.__name__} refuses its fields: {error!s:.200}") from error


def _named_tuple(decoder: Decoder, depth: int, path: object, items: Iterable[Tree]) -> object:
    cls: Any = course_class(path)
    if not (issubclass(cls, tuple) and hasattr(cls, "_make")):
        raise Malformed(f"{path} is no named tuple")
    return cls._make([decoder.decode(item, depth + 1) for item in items])


def _loose_tuple(decoder: Decoder, depth: int, name: object, fields: list[Any], items: list[Any]) -> object:
    names = [_text(field, 100) for field in fields[:200]]
    cls: Any = namedtuple(_text(name, 100) if str(name).isidentifier() else "Record", names)  # type: ignore[misc]
    return cls._make([decoder.decode(item, depth + 1) for item in items])


_RECORDS: dict[str, Callable[..., Any]] = {
    "ns": lambda decoder, depth, tree: types.SimpleNamespace(**_keywords(decoder, tree, depth)),
    "dc": _dataclass,
    "en": _enum,
    "pm": _model,
    "nt": _named_tuple,
    "rt": _loose_tuple,
}
