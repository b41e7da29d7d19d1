"""IPython shell that runs notebook cells in this process: magics, ``await`` and display work, outputs are collected."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autograder.text import LEFT_OUT, Unbounded, bounded_json

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["ExecutedCell", "make_shell", "run_cell"]

_MAX_DISPLAY = 1 << 20  # characters or bytes of one
_MAX_DISPLAYS = 40  # of a cell
_MAX_TOGETHER = 4 << 20  # of a cell, as text: a message holds twice as much


def make_shell() -> InteractiveShell:
    """Return IPython's shell as a kernel sets it up, without history and without colours."""
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Publisher(DisplayPublisher):
        def publish(self, data: dict[str, Any], metadata: dict[str, Any] | None = None, **_: Any) -> None:  # type: ignore[override]
            _displays.add("display_data", data)

    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    HistoryManager.enabled = False  # type: ignore[assignment]
    InteractiveShell.display_pub_class.default_value = Publisher
    shell = InteractiveShell.instance(config=config)
    shell.display_pub = Publisher(parent=shell)  # type: ignore[no-untyped-call]
    shell.user_module.__name__ = "__main__"
    sys.modules["__main__"] = shell.user_module
    shell.show_usage_error = lambda _: None  # type: ignore[method-assign,assignment]
    shell.showtraceback = lambda *_, **__: None  # type: ignore[method-assign]
    shell.showsyntaxtraceback = lambda *_, **__: None  # type: ignore[attr-defined]
    shell._showtraceback = lambda *_, **__: None  # type: ignore[method-assign]
    shell.displayhook = _quiet_hook(shell)
    shell.display_trap.hook = shell.displayhook
    return shell


class _Displays:
    """What the running cell displayed, as far as there is room: what is left out costs no answer, and is named."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.left_out: Counter[str] = Counter()
        self.room = _MAX_TOGETHER

    def add(self, kind: str, data: dict[str, Any]) -> None:
        """Keep a display as JSON, without those of its forms that are too large, too deep or no JSON."""
        if len(self.kept) >= _MAX_DISPLAYS:
            self.left_out[f"more than {_MAX_DISPLAYS} in one cell"] += 1
            return
        forms = {}
        for mime, value in data.items():
            try:
                forms[str(mime)] = self._fitted(value)
            except (ValueError, RecursionError) as error:
                self.left_out[f"{mime!s:.60}: {error!s:.100}"] += 1
        if forms:
            self.kept.append({"output_type": kind, "data": forms, "metadata": {}})

    def _fitted(self, value: object) -> Any:
        import base64

        if isinstance(value, bytes | str) and len(value) >= _MAX_DISPLAY:
            raise Unbounded(f"more than {_MAX_DISPLAY:,} characters")
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        elif isinstance(value, dict):
            value = bounded_json(value)
        elif not isinstance(value, str):
            raise Unbounded(f"a value of type {type(value).__name__}")
        size = len(json.dumps(value))
        if size > self.room:
            raise Unbounded(f"more than {_MAX_TOGETHER:,} characters in one cell")
        self.room -= size
        return value

    def take(self) -> tuple[dict[str, Any], ...]:
        """Return the displays, the last of which says what is missing; begin anew."""
        kept, left_out = self.kept, self.left_out
        self.__init__()  # type: ignore[misc]
        if left_out:
            text = LEFT_OUT + "; ".join(f"{why} ({count} times)" for why, count in left_out.most_common(3))
            kept.append({"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}})
        return tuple(kept)


_displays = _Displays()


def _quiet_hook(shell: InteractiveShell) -> Any:
    """Return a display hook that keeps results instead of printing them."""
    from IPython.core.displayhook import DisplayHook

    class Hook(DisplayHook):
        def __call__(self, result: object = None) -> None:
            self.check_for_underscore()  # type: ignore[no-untyped-call]
            if result is not None and not self.quiet():  # type: ignore[no-untyped-call]
                self.update_user_ns(result)  # type: ignore[no-untyped-call]
                data, _ = self.compute_format_data(result)  # type: ignore[no-untyped-call]
                self.fill_exec_result(result)  # type: ignore[no-untyped-call]
                _displays.add("execute_result", data)

    return Hook(shell=shell, cache_size=100)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class ExecutedCell:
    """What a cell did: the exception that ended it, if one did, its last expression, and what it displayed."""

    error: BaseException | None
    result: object
    outputs: tuple[dict[str, Any], ...]


def run_cell(shell: InteractiveShell, source: str, number: int) -> ExecutedCell:
    """Run ``source`` as cell ``number``; what it raises is returned, never raised, ``KeyboardInterrupt`` included."""
    _displays.take()
    shell.execution_count = number
    try:
        done = shell.run_cell(source, store_history=False, silent=False)
        error, result = done.error_before_exec or done.error_in_exec, done.result
    except BaseException as raised:  # SystemExit and what learners derive from BaseException
        error, result = raised, None
    _close_figures()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            os.close(os.open(os.devnull, os.O_RDONLY))
    return ExecutedCell(error, result, _displays.take())


def _close_figures() -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        try:
            pyplot.close("all")
        except Exception:  # figures are not what is graded
            return


def cell_frames(error: BaseException) -> list[str]:
    """Return the places in notebook cells that ``error`` passed, outermost first, as Jupyter writes them; no source."""
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith("<ipython-input-"):
            number = frame.filename.split("-")[2]
            lines.append(f"Cell In[{number}], line {frame.lineno}")
    return lines
