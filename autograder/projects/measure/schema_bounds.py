"""Schema bounds: what an API's OpenAPI schema says of the values it takes, and values just outside of that."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["outside", "request_schema"]


def request_schema(openapi: Any) -> dict[str, Any] | None:
    """Return properties and definitions of the body of POST /predict; ``None`` where it is no described object."""
    try:
        body = openapi["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        definitions = openapi.get("components", {}).get("schemas", {})
        found = _resolved(body, {"definitions": definitions})
        return {"properties": dict(found["properties"]), "definitions": definitions}
    except (KeyError, TypeError, AttributeError, ValueError):
        return None


def _resolved(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    for _ in range(5):
        if isinstance(schema, dict) and "$ref" in schema:
            schema = root["definitions"].get(str(schema["$ref"]).rpartition("/")[2], {})
    return schema if isinstance(schema, dict) else {}


def outside(field: Any, root: Mapping[str, Any]) -> list[Any]:
    """Return values just outside what a field's schema states; none where it states no bounds.

    Examples
    --------
    >>> outside({"type": "number", "minimum": 0, "maximum": 9}, {}), outside({"type": "number", "minimum": 0}, {})
    ([-1, 10, 'much'], [])
    """
    field = _resolved(field, root)
    for option in field.get("anyOf", []):
        if values := outside(option, root):
            return values
    if "enum" in field or "const" in field:
        return ["no such value"]
    known = _OUTSIDE.get(str(field.get("type")))
    return known(field) if known else []


def _number(field: Mapping[str, Any]) -> list[Any]:
    low, high = (field.get(name, field.get(f"exclusive{name.capitalize()}")) for name in ("minimum", "maximum"))
    if not all(isinstance(bound, (int, float)) and math.isfinite(bound) for bound in (low, high)):
        return []
    return [low - 1, high + 1, "much"]


def _text(field: Mapping[str, Any]) -> list[Any]:
    most = field.get("maxLength")
    return ["x" * (most + 1), 7] if isinstance(most, int) and 0 <= most < 100_000 else []


def _array(field: Mapping[str, Any]) -> list[Any]:
    most = field.get("maxItems")
    return [[0] * (most + 1), "none"] if isinstance(most, int) and 0 <= most < 10_000 else []


_OUTSIDE: dict[str, Callable[[Mapping[str, Any]], list[Any]]] = {
    "array": _array,
    "boolean": lambda _: ["no such value"],
    "integer": _number,
    "number": _number,
    "object": lambda field: ["no object"] if field.get("properties") else [],
    "string": _text,
}
