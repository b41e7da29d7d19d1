"""Data drift: does a window of inputs still look like the reference? One alarm for all features together.

Thirty features tested at the 5 % level cry wolf in 1 − 0.95³⁰ = 79 % of quiet weeks. This detector shares one false-
alarm rate out over all its tests (Holm 1979), and calls a feature drifted only if the change is also large enough to
matter, because with enough rows every feature is "significantly" different.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.errors import DataError
from course_lib.monitoring.statistics import chi_square_counts, compare, compare_sorted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DriftDetector", "DriftReport", "FeatureDrift", "holm", "naive_alarm"]


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return p-values adjusted for many tests: each may be compared with the family's level (Holm 1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.5]).round(2).tolist()
    [0.03, 0.08, 0.5]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted


def naive_alarm(reference: np.ndarray, current: np.ndarray, *, alpha: float = 0.05) -> bool:
    """Whether any feature has a KS p-value below ``alpha``: the detector that cries wolf, for comparison."""
    return bool((compare(reference, current).ks_p < alpha).any())


@dataclass(frozen=True)
class FeatureDrift:
    """What one test says of one feature.

    Attributes
    ----------
    name
        Feature.
    what
        ``values`` of a number, ``codes`` of a category, or ``missing`` (the share of missing values).
    distance
        How large the change is, 0 to 1: KS distance, total variation distance, or difference of shares.
    p
        Adjusted p-value: compare it with the family's level.
    drifted
        Significant, and large enough to matter.
    note
        Anything else to know, such as codes that the reference has never seen.
    """

    name: str
    what: str
    distance: float
    p: float
    drifted: bool
    note: str = ""


@dataclass(frozen=True)
class DriftReport:
    """All features of one window."""

    rows: int
    features: tuple[FeatureDrift, ...]

    @property
    def alarm(self) -> bool:
        """Whether any feature drifted."""
        return any(one.drifted for one in self.features)

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the features that drifted, the largest change first."""
        found = sorted((one for one in self.features if one.drifted), key=lambda one: -one.distance)
        return tuple(dict.fromkeys(one.name for one in found))

    @property
    def reason(self) -> str:
        """The alarm in one line."""
        if not self.alarm:
            return f"no drift in {self.rows:,} rows"
        worst = max((one for one in self.features if one.drifted), key=lambda one: one.distance)
        more = f" and {len(self.drifted) - 1} more" if len(self.drifted) > 1 else ""
        return f"{worst.what} of {worst.name} moved by {worst.distance:.2f} (p = {worst.p:.1g}){more}"

    def table(self) -> pd.DataFrame:
        """Return the tests as a table, the largest change first."""
        import pandas as pd

        rows = sorted(self.features, key=lambda one: (-one.drifted, -one.distance))
        return pd.DataFrame([vars(one) for one in rows]).set_index("name")


class DriftDetector:
    """Compares windows with a reference; built once, asked often.

    Parameters
    ----------
    reference
        Rows of the period that the model was trained on. Numbers are tested by rank sum and KS, everything else by χ².
    alpha
        Promised rate of false alarms, for all features and tests of a window together.
    min_distance
        Smallest change that matters, 0 to 1. 0.1 on the KS scale is a shift by a quarter of a standard deviation.
    names
        Columns to watch; by default all of ``reference``.

    Raises
    ------
    DataError
        The reference is empty, or a column is missing from it.
    """

    def __init__(
        self,
        reference: pd.DataFrame,
        *,
        alpha: float = 0.05,
        min_distance: float = 0.1,
        names: Sequence[str] | None = None,
    ) -> None:
        self.alpha, self.min_distance = alpha, min_distance
        self.names = tuple(names if names is not None else reference.columns)
        _require_columns(reference, self.names, "reference")
        self.rows = len(reference)
        self._numbers = [name for name in self.names if _is_number(reference[name])]
        self._codes = [name for name in self.names if name not in self._numbers]
        self._sorted = {name: _clean_numbers(reference, name) for name in self._numbers}
        self._counts = {name: reference[name].dropna().astype(str).value_counts() for name in self._codes}
        self._missing = {name: int(reference[name].isna().sum()) for name in self.names}

    def check(self, current: pd.DataFrame) -> DriftReport:
        """Compare a window with the reference.

        Raises
        ------
        DataError
            The window is empty, a column is missing or renamed, or numbers have become text.
        """
        _require_columns(current, self.names, "window")
        found = [*self._check_numbers(current), *self._check_codes(current), *self._check_missing(current)]
        adjusted = holm([p for _, _, _, p, _ in found])
        return DriftReport(
            len(current),
            tuple(
                FeatureDrift(
                    name, what, distance, float(p), bool(p < self.alpha and distance >= self.min_distance), note
                )
                for (name, what, distance, _, note), p in zip(found, adjusted, strict=True)
            ),
        )

    def _check_numbers(self, current: pd.DataFrame) -> list[tuple[str, str, float, float, str]]:
        before = [self._sorted[name] for name in self._numbers]
        now = [_clean_numbers(current, name) for name in self._numbers]
        compared = compare_sorted(before, now)
        return [
            (name, "values", float(distance), float(p), "")
            for name, distance, p in zip(self._numbers, compared.distance, compared.p, strict=True)
        ]

    def _check_codes(self, current: pd.DataFrame) -> list[tuple[str, str, float, float, str]]:
        found = []
        for name in self._codes:
            then, now = self._counts[name], current[name].dropna().astype(str).value_counts()
            new = now.index.difference(then.index)
            codes = then.index.append(new)
            distance, p = chi_square_counts(
                then.reindex(codes, fill_value=0).to_numpy(), now.reindex(codes, fill_value=0).to_numpy()
            )
            note = f"never seen before: {', '.join(list(new)[:5])}{' …' if len(new) > 5 else ''}" if len(new) else ""
            found.append((name, "codes", distance, p, note))
        return found

    def _check_missing(self, current: pd.DataFrame) -> list[tuple[str, str, float, float, str]]:
        found = []
        for name in self.names:
            then, now = self._missing[name], int(current[name].isna().sum())
            if not then and not now:
                continue  # nothing to test, so it takes no share of the false-alarm rate
            rows = len(current)
            _, p = chi_square_counts(np.array([then, self.rows - then]), np.array([now, rows - now]))
            note = "every value is missing" if now == rows else ""
            found.append((name, "missing", abs(now / rows - then / self.rows), p, note))
        return found


def _require_columns(frame: pd.DataFrame, names: Sequence[str], what: str) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        extra = [str(name) for name in frame.columns if name not in names][:5]
        hint = f"; it has {', '.join(extra)}, which the reference has not: renamed?" if extra else ""
        raise DataError(
            f"The {what} lacks the columns {', '.join(missing)}{hint}.",
            expected=f"all of {', '.join(names)}",
            next_step="ask whoever delivers the data what changed; a missing column is an outage, not drift",
        )
    if frame.empty or not names:
        raise DataError(
            f"The {what} is empty: {len(frame)} rows and {len(names)} columns.",
            expected="at least one row",
            next_step="widen the window, or look whether data still arrive",
        )


def _is_number(column: pd.Series) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(column)) and not bool(pd.api.types.is_bool_dtype(column))


def _clean_numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    import pandas as pd

    try:
        values: Any = pd.to_numeric(frame[name]).to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"The column {name} holds text where numbers were: {error}",
            expected="numbers, or missing values",
            next_step="check the unit and the format in which the source delivers it",
        ) from error
    return np.sort(values[~np.isnan(values)])
