"""Notebook cells run by IPython in this process: magics, ``await`` and display work, and outputs are collected."""

from __future__ import annotations

import os
import sys
import traceback
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Cell", "make_shell", "run_cell"]

_MAX_DISPLAY = 1 << 20
_MAX_DISPLAYS = 40


def make_shell() -> InteractiveShell:
    """Return IPython's shell as a kernel sets it up, without history and without colours."""
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Publisher(DisplayPublisher):
        def publish(self, data: dict[str, Any], metadata: dict[str, Any] | None = None, **_: Any) -> None:  # type: ignore[override]
            add_display("display_data", data, metadata)

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


_displays: list[dict[str, Any]] = []


def add_display(kind: str, data: dict[str, Any], metadata: dict[str, Any] | None) -> None:
    """Keep a display for the outputs of the running cell, unless there are too many or it is too large."""
    size = sum(len(value) for value in data.values() if isinstance(value, str | bytes))
    if len(_displays) < _MAX_DISPLAYS and size < _MAX_DISPLAY:
        _displays.append({"output_type": kind, "data": data, "metadata": metadata or {}})


def _quiet_hook(shell: InteractiveShell) -> Any:
    """Return a display hook that keeps results instead of printing them."""
    from IPython.core.displayhook import DisplayHook

    class Hook(DisplayHook):
        def __call__(self, result: object = None) -> None:
            self.check_for_underscore()  # type: ignore[no-untyped-call]
            if result is not None and not self.quiet():  # type: ignore[no-untyped-call]
                self.update_user_ns(result)  # type: ignore[no-untyped-call]
                data, metadata = self.compute_format_data(result)  # type: ignore[no-untyped-call]
                self.fill_exec_result(result)  # type: ignore[no-untyped-call]
                add_display("execute_result", data, metadata)

    return Hook(shell=shell, cache_size=100)  # type: ignore[no-untyped-call]


class Cell(types.SimpleNamespace):
    """What a cell did: ``error`` (the exception or None), ``result`` (its last expression), ``outputs``."""

    error: BaseException | None
    result: object
    outputs: list[dict[str, Any]]


def run_cell(shell: InteractiveShell, source: str, number: int) -> Cell:
    """Run ``source`` as cell ``number``; what it raises is returned, never raised, ``KeyboardInterrupt`` included."""
    _displays.clear()
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
    outputs = [_jsonable(output) for output in _displays]
    return Cell(error=error, result=result, outputs=outputs)


def _close_figures() -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        try:
            pyplot.close("all")
        except Exception:  # figures are not what is graded
            return


def _jsonable(output: dict[str, Any]) -> dict[str, Any]:
    import base64

    data = {
        str(kind): base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for kind, value in output["data"].items()
        if isinstance(value, str | bytes | dict)
    }
    return {**output, "data": data, "metadata": {}}


def cell_frames(error: BaseException) -> list[str]:
    """Return the places in notebook cells that ``error`` passed, outermost first, as Jupyter writes them; no source."""
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith("<ipython-input-"):
            number = frame.filename.split("-")[2]
            lines.append(f"Cell In[{number}], line {frame.lineno}")
    return lines
