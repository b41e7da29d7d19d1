"""Drift detectors on planted truth, in one run: how often ours, naive KS and Evidently cry wolf, and what they find.

Run ``python -m benchmarks.drift``. It writes ``build/benchmarks/drift.json`` and the figure ``drift.png`` beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from course_lib.monitoring import (
    ConceptMonitor,
    DriftDetector,
    evidently_drift,
    figures,
    fit_calibration,
    naive_alarm as naive,
    synthetic,
)

OUT = Path("build") / "benchmarks" / "drift.json"
FEATURES = (4, 10, 30, 100)
ROWS = (200, 1_000, 5_000, 50_000)
SHIFTS = (0.1, 0.25, 0.5, 1.0)


def named(sample: np.ndarray) -> pd.DataFrame:
    """Return a sample as a table with named columns."""
    return pd.DataFrame(sample, columns=[f"f{k}" for k in range(sample.shape[1])])


def ours(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether the course's detector alarms."""
    return DriftDetector(named(before)).check(named(now)).alarm


def evidently(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether any column of Evidently's preset fails."""
    return bool(evidently_drift.preset(named(before), named(now)).drifted)


def rates(runs: int, few: int) -> dict[str, Any]:
    """Return false-alarm rates by number of features, and power by shift in one of 30 features."""
    ways: dict[str, tuple[Callable[[np.ndarray, np.ndarray], bool], int]] = {
        "ours": (ours, runs), "naive": (naive, runs), "evidently": (evidently, few)
    }  # fmt: skip
    found: dict[str, Any] = {
        "runs": {name: count for name, (_, count) in ways.items()},
        "false_alarms": {},
        "power": {},
    }
    for name, (detector, count) in ways.items():
        widths = FEATURES if name != "evidently" else FEATURES[:3]
        quiet = {
            k: synthetic.alarm_rate(detector, max(count // max(k // 30, 1), 5), features=k, seed=k) for k in widths
        }
        hits = {s: synthetic.alarm_rate(detector, count, features=30, shift=s, seed=99) for s in SHIFTS}
        found["false_alarms"][name], found["power"][name] = quiet, hits
    return found


def sizes(runs: int) -> dict[str, Any]:
    """Return alarm rates at equal reference and window sizes: no shift, one too small to matter, one that matters."""
    table: dict[str, Any] = {}
    for rows in ROWS:
        count = max(runs * 200 // rows, 5)
        options = {"features": 10, "reference": rows, "window": rows, "seed": rows}
        table[str(rows)] = {
            f"{name}_{shift}": synthetic.alarm_rate(detector, count, shift=shift, **options)
            for name, detector in (("ours", ours), ("naive", naive))
            for shift in (0.0, 0.05, 0.5)
        }
    return table


def speed(repeats: int) -> float:
    """Return how many times as long Evidently's preset takes on the same data, both after their imports."""
    ((before, now),) = synthetic.pairs(1, features=30, seed=1)
    took: dict[str, float] = {}
    for name, way in (("evidently", evidently), ("ours", ours)):
        best = float("inf")
        for _ in range(repeats):
            start = time.perf_counter()
            way(before, now)
            best = min(best, time.perf_counter() - start)
        took[name] = best
    return took["evidently"] / took["ours"]


def concept(worlds: int) -> dict[str, float]:
    """Return the delay after labels flip, and how often a pure covariate shift alarms within 2,000 rows."""
    delays, false = [], 0
    for seed in range(worlds):
        world = synthetic.World(seed)
        calibration = fit_calibration(*world.draw(3_000, seed=7)[1:])
        found = ConceptMonitor(calibration).update(*world.draw(2_000, change="concept drift", seed=8)[1:])
        delays.append(found.row if found else 10**6)
        shifted = world.draw(2_000, change="covariate shift", seed=9)[1:]
        false += ConceptMonitor(calibration).update(*shifted) is not None
    return {"concept_delay_rows": int(max(delays)), "concept_delay_median": float(np.median(delays)),
            "covariate_false_alarms": false / worlds}  # fmt: skip


def main() -> None:
    """Measure everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=1000, help="windows per point for ours and the naive detector")
    parser.add_argument("--few", type=int, default=20, help="windows per point for Evidently, which takes seconds")
    options = parser.parse_args()
    found = rates(options.runs, options.few)
    report = found | {
        "false_alarm_30": found["false_alarms"]["ours"][30],
        "power_30": found["power"]["ours"][0.5],
        "naive_false_alarm_30": found["false_alarms"]["naive"][30],
        "sizes": sizes(options.runs),
        "speedup_vs_evidently": round(speed(3), 1),
        **concept(100),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2) + "\n")
    figures.detector_figure(found["false_alarms"], found["power"]).savefig(OUT.with_suffix(".png"))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
