"""Latency benchmark, from one row to ten thousand: where an exported model is faster, and where it is not."""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from course_lib import features, plots
from course_lib.packaging.scoring import Scorer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["differences_figure", "latencies", "latency_figure", "median_seconds"]


def median_seconds(call: Callable[[], object], *, repeats: int = 9) -> float:
    """Return the median time of one call in seconds, after one call to warm up.

    The median, because single calls are disturbed by whatever else the machine does.
    """
    call()
    return statistics.median(timeit.repeat(call, number=1, repeat=repeats))


def latencies(
    pipeline: Any,
    onnx: bytes,
    frame: pd.DataFrame,
    *,
    rows: Iterable[int] = (1, 10, 100, 1000, 10_000),
    repeats: int = 9,
) -> pd.DataFrame:
    """Time a pipeline and its exported form on the same rows, one thread each.

    Returns
    -------
    pandas.DataFrame
        Indexed by number of rows: ``scikit-learn`` and ``ONNX Runtime`` in milliseconds a call, and ``ratio``.
    """
    import pandas as pd
    from threadpoolctl import threadpool_limits

    scorer = Scorer(onnx, threads=1)
    table = {}
    with threadpool_limits(limits=1):
        for count in rows:
            part = features.select(frame).head(count)
            columns = {name: part[name].to_numpy() for name in scorer.names}
            slow = median_seconds(lambda part=part: pipeline.predict_proba(part), repeats=repeats)  # type: ignore[misc]
            fast = median_seconds(lambda columns=columns: scorer.score(columns), repeats=repeats)  # type: ignore[misc]
            table[len(part)] = {"scikit-learn": slow * 1e3, "ONNX Runtime": fast * 1e3, "ratio": slow / fast}
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("rows")


def latency_figure(table: pd.DataFrame) -> Figure:
    """Draw :func:`latencies` on logarithmic axes, the ratio beside each pair of points."""
    with plots.subplots() as (figure, axes):
        for name, marker in zip(("scikit-learn", "ONNX Runtime"), plots.MARKERS, strict=False):
            axes.plot(table.index, table[name], marker=marker, label=name)
        for count, row in table.iterrows():
            middle = (row["scikit-learn"] * row["ONNX Runtime"]) ** 0.5
            axes.annotate(f"{row['ratio']:.1f}×", (float(str(count)), middle), ha="center")
        axes.set(xscale="log", yscale="log", xlabel="rows in one call", ylabel="time of one call (ms)")
        axes.set_title("What ONNX Runtime saves is the overhead of a call, not the work on the rows")
        axes.legend()
    return figure


def differences_figure(**gaps: Any) -> Figure:
    """Draw sorted absolute differences of probabilities, one line per export given by name."""
    import numpy as np

    with plots.subplots() as (figure, axes):
        for name, gap in gaps.items():
            ordered = np.sort(np.maximum(np.asarray(gap, dtype=float), 1e-9))[::-1]
            axes.plot(np.arange(1, len(ordered) + 1) / len(ordered), ordered, label=name.replace("_", " "))
        axes.set(xscale="log", yscale="log", xlabel="share of flights (largest difference first)")
        axes.set(ylabel="|exported − pipeline| (probability)")
        axes.set_title("An export that rounds, and one that sends flights to the wrong leaf")
        axes.legend(loc="center left")
    return figure
