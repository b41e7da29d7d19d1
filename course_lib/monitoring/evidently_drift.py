"""An adapter of Evidently: its data-drift preset as plain values. Importing it takes seconds, so it is late."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_lib.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PresetReport", "preset"]


@dataclass(frozen=True)
class PresetReport:
    """What the preset says.

    Attributes
    ----------
    alarm
        Whether its own verdict on the whole data set is "drift": by default, when half of the columns drifted.
    drifted
        Columns that it calls drifted.
    share
        Share of columns that drifted, 0 to 1.
    """

    alarm: bool
    drifted: tuple[str, ...]
    share: float


def preset(reference: pd.DataFrame, current: pd.DataFrame, **options: Any) -> PresetReport:
    """Run Evidently's ``DataDriftPreset`` and return its verdicts; options are those of the preset.

    Raises
    ------
    DataError
        A sample is empty; Evidently's own message would be about something inside it.
    """
    if reference.empty or current.empty:
        raise DataError("An empty sample cannot be compared.", expected="rows then and rows now")
    os.environ.setdefault("ITERATIVE_DO_NOT_TRACK", "1")  # no telemetry
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the package, and divisions by zero in its tests
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        numbers = [str(c) for c in reference.columns if reference[c].dtype.kind in "fiu"]
        codes = [str(c) for c in reference.columns if c not in numbers]
        definition = DataDefinition(numerical_columns=numbers, categorical_columns=codes)
        now, then = (Dataset.from_pandas(f, data_definition=definition) for f in (current, reference))
        result: dict[str, Any] = Report([DataDriftPreset(**options)], include_tests=True).run(now, then).dict()
    tests = result["tests"]
    drifted = tuple(column for t in tests if (column := _column(t)) and t["status"] == "FAIL")
    count = next(m["value"] for m in result["metrics"] if "DriftedColumnsCount" in str(m.get("metric_name", m)))
    alarm = any(not _column(t) and t["status"] == "FAIL" for t in tests)
    return PresetReport(alarm, drifted, float(count["share"]))


def _column(test: dict[str, Any]) -> str:
    """Return the column a test is about; empty for the test of the whole data set."""
    params = test.get("metric_config", {}).get("params", {})
    return str(params.get("column", "") or "")
