"""Serialisation of exceptions: raised by the learner's code, raised again in the judge as the same type.

The sender names the classes the exception is an instance of; the receiver picks the first one that it already knows, is
an exception, and comes from a library on the list. It never imports for it and never calls its constructor.
"""

from __future__ import annotations

import builtins
import contextlib
import keyword
import sys
import traceback
from typing import Any

from autograder.sandbox.messages import Malformed
from autograder.sandbox.rpc.codec import Decoder, Encoder

__all__ = ["LearnerFault", "decode_fault", "encode_fault", "is_remote", "known_exception", "where_in_cell"]

_LIBRARIES = frozenset(
    [
        "asyncio",
        "botocore",
        "builtins",
        "concurrent",
        "course_lib",
        "docker",
        "fastapi",
        "httpx",
        "json",
        "jsonschema",
        "mlflow",
        "numpy",
        "pandas",
        "pandera",
        "pydantic",
        "pydantic_core",
        "sklearn",
        "sqlalchemy",
        "sqlite3",
        "starlette",
        "subprocess",
        "urllib",
        "yaml",
        "zipfile",
    ]
)
_ENDS_LOOPS = (StopIteration, StopAsyncIteration, GeneratorExit)  # they would silently cut a loop of the test short
_MAX_TEXT = 4000
_MAX_ATTRIBUTES = 30


class LearnerFault:
    """Mixed into every exception that came from the learner's process; ``where`` is the line it was raised at."""

    where: str = ""
    text: str = ""

    def __str__(self) -> str:
        """Return what the original said."""
        return self.text


def is_remote(error: BaseException | None) -> bool:
    """Return whether ``error`` was raised in the learner's process."""
    return isinstance(error, LearnerFault)


def where_in_cell(error: BaseException) -> str:
    """Return the innermost place in a notebook cell that ``error`` passed: a line and a function, no source."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "ipykernel_" in frame.filename or frame.filename.startswith("<ipython-input")
    ]
    if not frames:
        return ""
    last = frames[-1]
    return f"line {last.lineno}" + (f" in {last.name}" if last.name.isidentifier() else " of the cell")


def encode_fault(error: BaseException) -> dict[str, Any]:
    """Return ``error`` as a tree; never raises, whatever its methods do."""
    fault: dict[str, Any] = {"mro": [], "text": "", "where": "", "attrs": {}}
    with contextlib.suppress(BaseException):
        fault["mro"] = [f"{c.__module__}:{c.__qualname__}"[:200] for c in type.mro(type(error))][:40]
    with contextlib.suppress(BaseException):
        fault["text"] = str.__str__(str(error))[:_MAX_TEXT]
    with contextlib.suppress(BaseException):
        fault["where"] = where_in_cell(error)
    with contextlib.suppress(BaseException):
        found = {
            **vars(error),
            **{n: getattr(error, n) for n in ("code", "errno", "filename", "name") if hasattr(error, n)},
        }
        for name, value in list(found.items())[:_MAX_ATTRIBUTES]:
            with contextlib.suppress(Exception):
                fault["attrs"][str(name)] = Encoder().encode(value) if _small(value) else None
    with contextlib.suppress(BaseException):
        fault["details"] = [_detail(item) for item in error.errors()][:50]  # type: ignore[attr-defined]  # pydantic's
    return fault


def _small(value: object) -> bool:
    return type(value) in (bool, int, float, str, list, dict, tuple, type(None)) and sys.getsizeof(value) < 10_000


def _detail(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "loc": [part if type(part) is int else str(part) for part in item["loc"]],
        "msg": str(item["msg"])[:500],
        "type": str(item["type"])[:100],
    }


def decode_fault(fault: object, *, cls: type[BaseException] | None = None) -> BaseException:
    """Return the exception of a tree, as ``cls`` if given; of no known type, it is a ``RuntimeError``."""
    if not isinstance(fault, dict):
        raise Malformed("an exception is no object")
    text, where, mro = (fault.get(key) for key in ("text", "where", "mro"))
    text = text[:_MAX_TEXT] if isinstance(text, str) else ""
    paths = [path for path in mro if isinstance(path, str)] if isinstance(mro, list) else []
    base = next((known for path in paths if (known := known_exception(path)) is not None), RuntimeError)
    if issubclass(base, _ENDS_LOOPS):
        base, text = RuntimeError, f"your code raised {base.__name__}: {text}".strip(": ")
    error = _validation_error(fault.get("details"), text) if base.__module__.startswith("pydantic") else None
    if error is None:
        error = _rebuild(cls or _class_like(base, _short_name(paths, base)), text)
        _set_attributes(error, fault.get("attrs"))
    if isinstance(error, LearnerFault):
        error.where = where[:200] if isinstance(where, str) else ""
    return error


def known_exception(path: str) -> type[BaseException] | None:
    """Return the exception class ``module:name`` if it is of a known library that is loaded."""
    module, _, name = path.partition(":")
    if module.partition(".")[0] not in _LIBRARIES:
        return None
    found = (
        vars(builtins).get(name) if module == "builtins" else getattr(sys.modules.get(module), "__dict__", {}).get(name)
    )
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _short_name(paths: list[str], base: type[BaseException]) -> str:
    name = paths[0].partition(":")[2].rpartition(".")[2] if paths else ""
    return name if name.isidentifier() and not keyword.iskeyword(name) and len(name) < 60 else base.__name__


def _class_like(base: type[BaseException], name: str) -> type[BaseException]:
    try:
        return type(name, (LearnerFault, base), {"__module__": base.__module__})
    except TypeError:
        return type(name, (LearnerFault, RuntimeError), {})


def _rebuild(cls: type[BaseException], text: str) -> BaseException:
    """Make an instance of ``cls`` without running a constructor."""
    args = (text,) if text else ()
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__["text"] = text
    return error


def _set_attributes(error: BaseException, attributes: object) -> None:
    if not isinstance(attributes, dict):
        return
    for name, tree in list(attributes.items())[:_MAX_ATTRIBUTES]:
        if (
            isinstance(name, str)
            and name.isidentifier()
            and not name.startswith("_")
            and name not in ("text", "where", "args")
        ):
            with contextlib.suppress(Malformed, AttributeError, TypeError):
                setattr(error, name, Decoder([]).value(tree))


def _no_braces(text: str) -> str:
    """Return ``text`` without the braces that pydantic would read as a template."""
    return text.replace("{", "(").replace("}", ")")


def _validation_error(details: object, title: str) -> BaseException | None:
    """Build pydantic's own error, which can't be subclassed, from its list of details."""
    if not isinstance(details, list) or "pydantic_core" not in sys.modules:
        return None
    core: Any = sys.modules["pydantic_core"]
    lines = [
        {"type": core.PydanticCustomError(str(item.get("type"))[:100], _no_braces(str(item.get("msg"))[:500])),
         "loc": tuple(part for part in item.get("loc", ()) if type(part) in (int, str)), "input": None}
        for item in details
        if isinstance(item, dict)
    ]  # fmt: skip
    error: BaseException = core.ValidationError.from_exception_data(title.partition("\n")[0][:200], lines)
    return error
