"""Stage B, data validation: a flight that cannot be true never reaches the model, and is kept with the reason why.

The rules come from :data:`course_lib.features.FEATURES`; pandera evaluates them, all at once and lazily, so that one
bad column never hides another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_lib import features
from course_lib.errors import ValidationFailed

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

__all__ = ["Validated", "schema", "validate"]


@dataclass(frozen=True)
class Validated:
    """The outcome of a validation.

    Attributes
    ----------
    accepted
        Rows that keep every rule.
    quarantined
        The other rows, with a text column ``reasons`` that names each broken rule.
    counts
        How many rows broke each rule, most frequent first.
    """

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    counts: dict[str, int]

    @property
    def bad_share(self) -> float:
        """Share of the rows that were quarantined, 0 to 1."""
        total = len(self.accepted) + len(self.quarantined)
        return len(self.quarantined) / total if total else 0.0


def schema() -> pa.DataFrameSchema:
    """Return the pandera schema of a batch of flights."""
    import pandera.pandas as pa

    columns = {feature.name: _column(feature) for feature in features.FEATURES}
    one_row_per_flight = {"flight_id": pa.Column(unique=True)}
    return pa.DataFrameSchema(one_row_per_flight | columns, strict=False)


def validate(frame: pd.DataFrame, *, max_bad_share: float = 0.02) -> Validated:
    """Split a batch into rows that keep every rule and rows that break one.

    Parameters
    ----------
    frame
        Flights, as :func:`course_lib.data.flights` returns them.
    max_bad_share
        The batch is refused when a larger share of its rows is bad, 0 to 1: that is not noise, but a broken source.

    Raises
    ------
    ValidationFailed
        The batch is empty, a column is missing, or too many rows are bad.
    """
    import pandera.errors

    _require_rows_and_columns(frame)
    frame = frame.reset_index(drop=True)
    try:
        schema().validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        validated = _split(frame, error.failure_cases)
    else:
        validated = Validated(frame, frame.iloc[:0].assign(reasons=""), {})
    _require_mostly_good(validated, max_bad_share)
    return validated


def _column(feature: features.Feature) -> pa.Column:
    import pandera.pandas as pa

    if feature.name == "origin":
        rules = [pa.Check.isin(features.ORIGINS, error=f"origin is one of {', '.join(features.ORIGINS)}")]
    elif feature.kind == "category":
        length = 2 if feature.name == "carrier" else 3
        rules = [pa.Check.str_length(length, length, error=f"{feature.name} is a code of {length} characters")]
    else:
        text = f"{feature.name} between {feature.low:g} and {feature.high:g} {feature.unit}"
        rules = [pa.Check.in_range(feature.low, feature.high, error=text)]
    return pa.Column(checks=rules, nullable=feature.nullable)


def _require_rows_and_columns(frame: pd.DataFrame) -> None:
    needed = ["flight_id", *features.NAMES]
    if missing := [name for name in needed if name not in frame.columns]:
        raise ValidationFailed(
            f"The batch lacks the columns {', '.join(missing)}.",
            expected=f"the columns {', '.join(needed)}",
            next_step="check whether the source renamed or dropped them; the batch was not used",
        )
    if frame.empty:
        raise ValidationFailed(
            "The batch is empty.",
            expected="at least one flight",
            next_step="check that the source delivered this month before training or monitoring on it",
        )


def _split(frame: pd.DataFrame, failures: pd.DataFrame) -> Validated:
    """Turn pandera's table of failures into reasons per row."""
    whole_batch = failures[failures["index"].isna()]
    if not whole_batch.empty:
        case = whole_batch.iloc[0]
        raise ValidationFailed(
            f"The batch could not be checked: column {case['column']}, {case['check']}.",
            expected="numbers in number columns and text in code columns",
            next_step="look at the column's type and values; the batch was not used",
        )
    failures = failures.assign(rule=[_rule(column, check) for column, check in _pairs(failures)])
    reasons = failures.groupby(failures["index"].astype(int))["rule"].agg(lambda rules: "; ".join(sorted(set(rules))))
    bad = frame.index.isin(reasons.index)
    counts = failures.drop_duplicates(["index", "rule"])["rule"].value_counts().to_dict()
    return Validated(
        frame[~bad].reset_index(drop=True),
        frame[bad].assign(reasons=reasons).reset_index(drop=True),
        {str(rule): int(n) for rule, n in counts.items()},
    )


def _pairs(failures: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(failures["column"].astype(str), failures["check"].astype(str), strict=True))


def _rule(column: str, check: str) -> str:
    """Word the rules that pandera words for programmers."""
    plain = {"not_nullable": f"{column} is not missing", "field_uniqueness": f"{column} occurs once"}
    return plain.get(check, check)


def _require_mostly_good(validated: Validated, max_bad_share: float) -> None:
    if validated.bad_share <= max_bad_share:
        return
    worst = ", ".join(f"{rule} ({count})" for rule, count in list(validated.counts.items())[:3])
    raise ValidationFailed(
        f"{validated.bad_share:.1%} of the batch breaks a rule: {worst}.",
        expected=f"at most {max_bad_share:.1%} bad rows",
        next_step="find out what changed at the source; do not train on this batch",
    )
