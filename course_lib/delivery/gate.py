"""The promotion gate as a program: it compares two models' numbers, writes a summary, and speaks by its exit code.

``python -m course_lib.delivery.gate champion.json challenger.json``: 0 promotes, 1 refuses, 2 cannot judge. In a
workflow only 0 lets the next step run.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_lib.delivery.errors import GateError

__all__ = ["CANNOT_JUDGE", "PROMOTE", "REFUSE", "judge", "main", "measure", "summary"]

PROMOTE, REFUSE, CANNOT_JUDGE = 0, 1, 2
MIN_GAIN = 0.002
MIN_ROWS = 1_000


def judge(champion: Mapping[str, Any], challenger: Mapping[str, Any]) -> list[str]:
    """Return the reasons against the challenger; an empty list promotes it.

    Parameters
    ----------
    champion, challenger
        ``auc``, ``rows`` and ``slices`` (AUC by airport), on the same rows.

    Raises
    ------
    GateError
        A number is missing or not finite, the rows differ or are too few, or a slice is missing.
    """
    old, new = _numbers(champion, "champion"), _numbers(challenger, "challenger")
    if champion["rows"] != challenger["rows"] or challenger["rows"] < MIN_ROWS:
        raise GateError(
            f"The champion was measured on {champion['rows']:,} rows and the challenger on {challenger['rows']:,}.",
            expected=f"the same rows for both, and at least {MIN_ROWS:,}",
            next_step="measure both on the same flights",
        )
    if old.keys() != new.keys():
        raise GateError(f"Slices differ: {', '.join(sorted(old.keys() ^ new.keys()))}.", expected="the same slices")
    gain = new["all"] - old["all"]
    reasons = [] if gain >= MIN_GAIN else [f"AUC {gain:+.4f} overall; {MIN_GAIN:+} is needed"]
    worse = [name for name in sorted(new) if name != "all" and new[name] < old[name]]
    return reasons + [f"AUC {new[name] - old[name]:+.4f} at {name}: worse than the champion" for name in worse]


def measure(model: Any, frame: Any) -> dict[str, Any]:
    """Return what the gate reads of a model: AUC on labelled flights, over all and by airport, and the rows."""
    from course_lib import evaluation

    by_airport = evaluation.slices(model, frame)["auc"]
    overall = evaluation.evaluate(model, frame)
    return {"auc": overall.auc, "rows": overall.rows, "slices": {str(k): float(v) for k, v in by_airport.items()}}


def summary(champion: Mapping[str, Any], challenger: Mapping[str, Any], reasons: Sequence[str]) -> str:
    """Return what the job's summary shows: the verdict, every number, and every reason."""
    old, new = _numbers(champion, "champion"), _numbers(challenger, "challenger")
    rows = [f"| {name} | {old[name]:.4f} | {new[name]:.4f} | {new[name] - old[name]:+.4f} |" for name in new]
    head = "## ❌ Refused" if reasons else "## ✅ Promoted"
    table = ["| slice | champion | challenger | gain |", "|---|---|---|---|", *rows]
    return "\n".join([head, "", *table, "", *(f"- {reason}" for reason in reasons)]).rstrip() + "\n"


def main(arguments: Sequence[str]) -> int:
    """Judge two files, write the summary where GitHub wants it, and return the exit code."""
    try:
        champion, challenger = (json.loads(Path(name).read_text(encoding="utf-8")) for name in arguments)
        reasons = judge(champion, challenger)
        text, code = summary(champion, challenger, reasons), REFUSE if reasons else PROMOTE
    except (GateError, OSError, ValueError) as error:
        text, code = f"## ⚠️ Cannot judge\n\n- {str(error).splitlines()[0]}\n", CANNOT_JUDGE
    if target := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(text)
    print(text, end="")
    return code


def _numbers(model: Mapping[str, Any], who: str) -> dict[str, float]:
    try:
        numbers = {"all": float(model["auc"]), **{name: float(auc) for name, auc in model["slices"].items()}}
        int(model["rows"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GateError(
            f"The {who}'s report lacks a number: {error}.",
            expected="auc, rows and slices",
            next_step="measure it again",
        ) from error
    if bad := [name for name, number in numbers.items() if not math.isfinite(number)]:
        raise GateError(f"The {who}'s AUC is no number: {', '.join(bad)}.", expected="finite numbers")
    return numbers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
