"""YAML loader with limits: plain values only, and no more of them than a file written by hand holds.

A hundred characters of aliases can stand for a billion values ("billion laughs"). PyYAML shares what an alias names, so
loading is quick; whoever walks over the document then never ends. Here every alias counts as much as what it names.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml import SafeLoader

__all__ = ["load"]

_MAX_CHARACTERS = 200_000
_MAX_DEPTH = 40
_MAX_VALUES = 20_000  # aliases written out


def load(text: str) -> Any:
    """Return the one document in ``text``, as :func:`yaml.safe_load` does.

    Raises
    ------
    yaml.YAMLError
        It is no YAML, or has more characters, levels or values (aliases written out) than are read.
    """
    import yaml

    if len(text) > _MAX_CHARACTERS:
        raise yaml.YAMLError(f"it has {len(text):,} characters; at most {_MAX_CHARACTERS:,} are read")
    try:
        loader = _loader()(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (ValueError, OverflowError, TypeError, AttributeError, RecursionError) as error:  # 2026-99-99
        raise yaml.YAMLError(f"a value cannot be read: {error!s:.200}") from error


@cache
def _loader() -> type[SafeLoader]:
    import yaml

    class Bounded(yaml.SafeLoader):
        """Counts nodes while it composes them; an alias is as heavy as the node it names."""

        def __init__(self, text: str) -> None:
            super().__init__(text)
            self.depth = 0
            self.weights: dict[int, int] = {}

        def compose_node(self, parent: Any, index: Any) -> Any:
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise _TooMuch(f"it is nested more than {_MAX_DEPTH} levels deep", event.start_mark)
            node = super().compose_node(parent, index)
            self.depth -= 1
            if not isinstance(event, yaml.AliasEvent):
                self.weights[id(node)] = self.weight(node)
            elif id(node) not in self.weights:
                raise _TooMuch("an alias stands inside what it names", event.start_mark)
            return node

        def weight(self, node: Any) -> int:
            inner = [] if isinstance(node, yaml.ScalarNode) else node.value
            parts = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
            total = 1 + sum(self.weights[id(part)] for part in parts)
            if total > _MAX_VALUES:
                problem = f"it has more than {_MAX_VALUES:,} values when its aliases are written out"
                raise _TooMuch(problem, node.start_mark)
            return total

    class _TooMuch(yaml.MarkedYAMLError):
        def __init__(self, problem: str, mark: Any) -> None:
            super().__init__(problem=problem, problem_mark=mark)

    return Bounded
