"""Cell outcomes, in words for the learner, made of what judge and learner's process said; the latter is untrusted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autograder.sandbox.messages import CellRan, Failure, Verdict
from autograder.sandbox.model import CellOutcome, Limits, Plan, PlanCell, Stopped
from autograder.sandbox.names import names_bound
from autograder.text import LEFT_OUT, Unbounded, bounded_json, plain_output, visible

__all__ = ["explain", "gone", "of_cell", "of_test", "tidied"]

_MAX_TEXT = 4000
_MAX_NAME = 100
_MAX_OUTPUTS = 50
_MAX_FRAMES = 100
_MAX_FORM = 2 << 20  # characters of one form of an output, such as a picture
_MIMES = ("text/plain", "text/html", "text/markdown", "image/png", "image/jpeg", "image/svg+xml", "application/json")
_OURS = re.compile(r"application/vnd\.mlops-course\.[a-z+\-]{1,60}")
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


def of_cell(
    cell: PlanCell, number: int, reply: CellRan, stopped: Stopped, limits: Limits, printed: tuple[str, str]
) -> CellOutcome:
    """Return the outcome of a cell of the learner: its own word, cut to size."""
    if stopped:
        return gone(cell, stopped, limits)
    outputs = [
        {"output_type": "stream", "name": name, "text": plain_output(text)}
        for name, text in zip(("stdout", "stderr"), printed, strict=True)
        if text
    ]
    outputs += _displays(reply.outputs, number)
    if reply.failure is None:
        return CellOutcome(cell.id, cell.kind, ok=True, outputs=tuple(outputs))
    name, message = _said(reply.failure)
    outputs.append(_error(name, message, _frames(reply.failure)))
    return CellOutcome(cell.id, cell.kind, ok=False, error=name, message=message, outputs=tuple(outputs))


def _frames(failure: Failure) -> list[str]:
    return [frame for frame in failure.frames[-20:] if _FRAME.fullmatch(frame)]


def _said(failure: Failure) -> tuple[str, str]:
    return visible(failure.error, _MAX_NAME) or "Exception", visible(failure.message, _MAX_TEXT)


def _displays(outputs: Sequence[Mapping[str, Any]], number: int) -> list[dict[str, Any]]:
    """Return the displays among ``outputs`` with the MIME types that notebooks use, and a note of what is left out."""
    found: list[dict[str, Any]] = []
    left_out: list[str] = []
    for output in outputs[:_MAX_OUTPUTS]:
        data, kind = output.get("data"), output.get("output_type")
        if not isinstance(data, dict) or kind not in ("display_data", "execute_result"):
            continue
        clean = {}
        for mime in [m for m in list(data)[:_MAX_OUTPUTS] if m in _MIMES or _OURS.fullmatch(str(m))]:
            try:
                clean[mime] = _form(mime, data[mime])
            except Unbounded as error:
                left_out.append(f"{mime}: {error}")
        extra = {"execution_count": number} if kind == "execute_result" else {}
        if clean:
            found.append({"output_type": kind, "data": clean, "metadata": {}, **extra})
    if left_out:
        note = LEFT_OUT + "; ".join(left_out[:3])
        found.append({"output_type": "display_data", "data": {"text/plain": note}, "metadata": {}})
    return found


def tidied(outputs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the outputs of a cell as they may be stored and shown, whatever ran it; doing so twice changes nothing."""
    found: list[dict[str, Any]] = []
    for output in outputs:
        kind = output.get("output_type")
        if kind == "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            found.append({"output_type": kind, "name": name, "text": plain_output(str(output.get("text", "")))})
        elif kind == "error":
            name, text = visible(str(output.get("ename")), _MAX_NAME), visible(str(output.get("evalue")), _MAX_TEXT)
            frames = [plain_output(str(line), _MAX_TEXT) for line in list(output.get("traceback", []))[-_MAX_FRAMES:]]
            found.append({"output_type": kind, "ename": name, "evalue": text, "traceback": frames})
        elif len(found) < _MAX_OUTPUTS:
            found += _displays([output], output.get("execution_count") or 0)
    return found


def _form(mime: str, value: object) -> Any:
    """Return one form of an output as text, or as an object where its type is a kind of JSON."""
    if isinstance(value, str):
        return visible(value, _MAX_FORM)
    if "json" in mime and isinstance(value, dict):
        return bounded_json(value)
    raise Unbounded(f"a value of type {type(value).__name__}")


def of_test(
    cell: PlanCell,
    number: int,
    verdict: Verdict,
    stopped: Stopped,
    limits: Limits,
    before: Mapping[str, CellOutcome],
    plan: Plan,
) -> CellOutcome:
    """Return the outcome of a test: the judge's word."""
    if stopped:
        return gone(cell, stopped, limits)
    outputs, failure = _displays(verdict.outputs, number), verdict.failure
    if failure is None:
        value = verdict.value if verdict.value is not None and math.isfinite(verdict.value) else None
        return CellOutcome(cell.id, "test", ok=True, value=value, outputs=tuple(outputs))
    name, message = _said(failure)
    if verdict.missing and (why := _why_missing(verdict.missing, before, plan)):
        name, message = "NotDefined", why
    elif verdict.remote and _PLACE.fullmatch(failure.where):
        message = f"{message} (in your code: {failure.where})" if message else f"raised in your code: {failure.where}"
    frames = [*_frames(failure), *([f"Cell In[{max(number - 1, 0)}], line 1"] if verdict.remote else [])]
    outputs.append(_error(name, message, frames))
    return CellOutcome(
        cell.id, "test", ok=False, error=name, message=message, remote=verdict.remote, outputs=tuple(outputs)
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
