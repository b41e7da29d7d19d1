"""From what the processes said to outcomes with words for the learner. What the learner's process said is untrusted."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from autograder.sandbox.model import CellOutcome, Limits, Plan, PlanCell, Stopped
from autograder.sandbox.names import names_bound

__all__ = ["explain", "gone", "of_cell", "of_test"]

_MAX_TEXT = 4000
_MAX_OUTPUTS = 50
_MIMES = ("text/plain", "text/html", "text/markdown", "image/png", "image/jpeg", "image/svg+xml", "application/json")
_PLACE = re.compile(r"line \d{1,6}( in \w{1,60}| of the cell)?")
_FRAME = re.compile(r"Cell In\[\d{1,6}\], line \d{1,6}")


def explain(why: Stopped, limits: Limits) -> str:
    """Return what happened to the learner's process, as a sentence."""
    return {
        "": "",
        "time": f"it took longer than allowed ({limits.cell_seconds:g} s a cell, {limits.wall_seconds:g} s in all)",
        "memory": f"it used more memory than allowed ({limits.memory_mb} MB)",
        "processes": f"it started more processes than allowed ({limits.processes})",
        "output": f"it printed more than allowed ({limits.flood_mb} MB)",
        "exit": "it ended the Python process",
        "grader": "what it gave to the check could not be handled",
    }[why]


def gone(cell: PlanCell, why: Stopped, limits: Limits, *, before: bool = False) -> CellOutcome:
    """Return the outcome of a cell during which (or ``before`` which) the learner's process was ended."""
    start = "Your code was stopped before this could run" if before else "Your code was stopped"
    message = f"{start}: {explain(why, limits)}."
    name = "CellTimeoutError" if why == "time" else "DeadKernelError"
    return CellOutcome(
        cell.id, cell.kind, ok=False, error=name, message=message, stopped=why, outputs=(_error(name, message, []),)
    )


def _error(name: str, message: str, frames: list[str]) -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": message, "traceback": [*frames, f"{name}: {message}"]}


def _text(value: object, limit: int = _MAX_TEXT) -> str:
    return value[:limit] if isinstance(value, str) else ""


def of_cell(
    cell: PlanCell,
    index: int,
    stopped: Stopped,
    limits: Limits,
    reply: Mapping[str, Any] | None = None,
    printed: tuple[str, str] = ("", ""),
) -> CellOutcome:
    """Return the outcome of a cell of the learner: its own word, cut to size."""
    if stopped:
        return gone(cell, stopped, limits)
    reply = reply or {}
    outputs = [
        {"output_type": "stream", "name": name, "text": text}
        for name, text in zip(("stdout", "stderr"), printed, strict=True)
        if text
    ]
    outputs += _displays(reply.get("outputs"), index + 1)
    ok = reply.get("ok") is True
    name, message = _text(reply.get("error"), 100) or "Exception", _text(reply.get("message"))
    if not ok:
        outputs.append(_error(name, message, _frames(reply)))
    return CellOutcome(
        cell.id, cell.kind, ok=ok, error="" if ok else name, message="" if ok else message, outputs=tuple(outputs)
    )


def _frames(reply: Mapping[str, Any]) -> list[str]:
    frames = reply.get("frames")
    return [f for f in frames[-20:] if isinstance(f, str) and _FRAME.fullmatch(f)] if isinstance(frames, list) else []


def _displays(outputs: object, number: int) -> list[dict[str, Any]]:
    """Return the displays among ``outputs`` with the MIME types that notebooks use, and nothing else they contain."""
    found = []
    for output in outputs[:_MAX_OUTPUTS] if isinstance(outputs, list) else []:
        data = output.get("data") if isinstance(output, dict) else None
        kind = output.get("output_type") if isinstance(output, dict) else None
        if not isinstance(data, dict) or kind not in ("display_data", "execute_result"):
            continue
        clean = {
            m: data[m] for m in data if m in _MIMES or re.fullmatch(r"application/vnd\.mlops-course\.[a-z+\-]+", str(m))
        }
        clean = {m: v for m, v in clean.items() if isinstance(v, str if "json" not in m else dict | str)}
        extra = {"execution_count": number} if kind == "execute_result" else {}
        found.append({"output_type": kind, "data": clean, "metadata": {}, **extra})
    return found


def of_test(
    cell: PlanCell,
    number: int,
    reply: Mapping[str, Any],
    stopped: Stopped,
    limits: Limits,
    before: Mapping[str, CellOutcome],
    plan: Plan,
) -> CellOutcome:
    """Return the outcome of a test: the twin's word."""
    if stopped:
        return gone(cell, stopped, limits)
    ok = reply.get("ok") is True
    remote = reply.get("remote") is True
    name, message = _text(reply.get("error"), 100), _text(reply.get("message"))
    if reply.get("missing") and (why := _why_missing(_text(reply["missing"], 200), before, plan)):
        name, message = "NotDefined", why
    elif remote and _PLACE.fullmatch(str(reply.get("where", ""))):
        message = f"{message} (in your code: {reply['where']})" if message else f"raised in your code: {reply['where']}"
    outputs = _displays(reply.get("outputs"), number)
    if not ok:
        outputs.append(
            _error(name, message, [*_frames(reply), *([f"Cell In[{max(number - 1, 0)}], line 1"] if remote else [])])
        )
    value = reply.get("value")
    value = (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        else None
    )
    return CellOutcome(
        cell.id,
        "test",
        ok=ok,
        error="" if ok else name,
        message="" if ok else message,
        remote=remote,
        value=value if ok else None,
        outputs=tuple(outputs),
    )


def _why_missing(name: str, before: Mapping[str, CellOutcome], plan: Plan) -> str:
    """Return why ``name`` isn't there: its solution cell failed, or doesn't define it; empty for other names."""
    for cell in plan.cells:
        names = cell.names if cell.names is not None else names_bound(cell.release)
        if cell.kind != "solution" or name not in names:
            continue
        outcome = before.get(cell.id)
        if outcome is None or outcome.ok:
            return f"{name} is not defined: the cell that should define it doesn't."
        said = (
            outcome.message
            if outcome.stopped
            else f"your cell stopped: {outcome.error}: {outcome.message}".rstrip(": ")
        )
        return f"{name} is not defined, because {said[0].lower()}{said[1:]}"
    return ""
