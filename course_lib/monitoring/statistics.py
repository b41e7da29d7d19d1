"""Two-sample statistics, how far two samples of one feature are apart: PSI, Kolmogorov–Smirnov, rank sum, χ².

A p-value says whether a difference is more than chance; a distance says whether it is large. Large samples make every
difference significant and small ones every distance noisy, so a detector needs both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import DataError

__all__ = ["Comparison", "chi_square", "compare", "psi", "psi_edges"]

_RARE = 5.0  # expected count below which the χ² approximation is poor (Cochran 1954)


@dataclass(frozen=True)
class Comparison:
    """Two samples of many numeric features compared, feature by feature.

    Attributes
    ----------
    distance
        Largest gap between the two distribution functions (Kolmogorov–Smirnov), 0 to 1, shape ``(features,)``.
    ks_p
        Its p-value: sensitive to any change of shape.
    rank_p
        p-value of the Wilcoxon–Mann–Whitney rank-sum test: the more sensitive one where values move up or down.
    p
        Both together: twice the smaller one (Bonferroni), at most 1.
    """

    distance: np.ndarray
    ks_p: np.ndarray
    rank_p: np.ndarray
    p: np.ndarray


def compare(reference: np.ndarray, current: np.ndarray) -> Comparison:
    """Compare the columns of two matrices; missing values (NaN) are left out.

    Parameters
    ----------
    reference, current
        Numbers, shapes ``(n, features)`` and ``(m, features)``; one dimension is one feature.

    Raises
    ------
    DataError
        The matrices have different numbers of columns, or one has no row.
    """
    before, now = _matrix(reference), _matrix(current)
    if before.shape[1] != now.shape[1] or not len(before) or not len(now):
        raise DataError(
            f"Samples of shape {before.shape} and {now.shape} cannot be compared.",
            expected="the same features in both, and at least one row each",
            next_step="check that the window is not empty and that no column is missing",
        )
    return compare_sorted([_sorted(column) for column in before.T], [_sorted(column) for column in now.T])


def compare_sorted(reference: Sequence[np.ndarray], current: Sequence[np.ndarray]) -> Comparison:
    """Compare features that are given as sorted arrays without missing values; see :func:`compare`."""
    from scipy.special import kolmogorov, ndtr

    sizes = np.array([(len(r), len(c)) for r, c in zip(reference, current, strict=True)], dtype=float).reshape(-1, 2)
    distance, z = np.array([_pair(r, c) for r, c in zip(reference, current, strict=True)]).reshape(-1, 2).T
    n, m = sizes.T
    with np.errstate(invalid="ignore", divide="ignore"):
        effective = np.sqrt(n * m / (n + m))
    ks_p = np.where(n * m > 0, kolmogorov(np.nan_to_num(effective) * distance), 1.0)
    rank_p = np.where(n * m > 0, 2 * ndtr(-np.abs(z)), 1.0)
    return Comparison(distance, ks_p, rank_p, np.minimum(1.0, 2 * np.minimum(ks_p, rank_p)))


def _pair(r: np.ndarray, c: np.ndarray) -> tuple[float, float]:
    """Return the KS distance and the z value of the rank sum of two sorted samples; ties count half."""
    n, m = len(r), len(c)
    if n == 0 or m == 0:
        return 0.0, 0.0
    # Between two values of c its distribution function is flat and that of r rises, so the gap is largest at a value
    # of c, or just before one.
    below, upto = np.searchsorted(r, c, "left"), np.searchsorted(r, c, "right")
    steps = np.arange(m)
    start = np.r_[True, c[1:] != c[:-1]]
    first = np.maximum.accumulate(np.where(start, steps, 0))
    end = np.r_[start[1:], True]
    gap_after = np.abs(upto[end] / n - (steps[end] + 1) / m).max()
    gap_before = np.abs(below / n - first / m).max()
    greater = float((below + upto).sum()) / 2  # pairs in which the value of c is the larger one
    pooled = np.sort(np.concatenate([r, c]), kind="stable")
    runs = np.diff(np.flatnonzero(np.r_[True, pooled[1:] != pooled[:-1], True]))
    total = n + m
    ties = float((runs.astype(float) ** 3 - runs).sum()) / (total * (total - 1)) if total > 1 else 0.0
    variance = n * m / 12 * (total + 1 - ties)
    z = (greater - n * m / 2) / np.sqrt(variance) if variance > 0 else 0.0
    return float(max(gap_after, gap_before)), float(z)


def psi_edges(reference: np.ndarray, *, bins: int = 10) -> np.ndarray:
    """Return the inner edges of bins that hold equal shares of ``reference``; ties may leave fewer than ``bins``.

    Raises
    ------
    DataError
        There is no value, or fewer than two bins are asked for.
    """
    values = _values(reference)
    if not len(values) or bins < 2:
        raise DataError(
            f"{len(values)} values cannot be put into {bins} bins.", expected="values, and two bins or more"
        )
    inner = np.quantile(values, np.arange(1, bins) / bins)
    return np.unique(inner)


def psi(reference: np.ndarray, current: np.ndarray, *, bins: int = 10) -> float:
    """Return the population stability index over bins that hold equal shares of the reference.

    The sum of ``(q − p) · ln(q / p)`` over bins with shares ``p`` then and ``q`` now; half a row is added to each
    bin, so that an empty one does not make it infinite. A rule of thumb of the credit industry (Siddiqi 2006) calls
    0.1 a small and 0.25 a large change; with few rows chance alone gives about ``bins · (1/n + 1/m)``.

    Examples
    --------
    >>> round(psi(np.arange(1000.0), np.arange(1000.0)), 6)
    0.0
    """
    edges = psi_edges(reference, bins=bins)
    shares = []
    for sample in (_values(reference), _values(current)):
        if not len(sample):
            raise DataError("There is no value now.", expected="at least one row", next_step="widen the window")
        counts = np.bincount(np.searchsorted(edges, sample, "left"), minlength=len(edges) + 1) + 0.5
        shares.append(counts / counts.sum())
    p, q = shares
    return float(((q - p) * np.log(q / p)).sum())


def chi_square(reference: Sequence[Any] | np.ndarray, current: Sequence[Any] | np.ndarray) -> tuple[float, float]:
    """Compare the shares of codes: total variation distance (0 to 1) and the p-value of a χ² test of homogeneity.

    Codes that are expected fewer than five times in one of the samples are counted together as "the rest", and so are
    codes that the reference has never seen.
    """
    _, codes = np.unique(np.concatenate([np.asarray(reference, str), np.asarray(current, str)]), return_inverse=True)
    n = len(reference)
    size = int(codes.max(initial=-1)) + 1
    return chi_square_counts(np.bincount(codes[:n], minlength=size), np.bincount(codes[n:], minlength=size))


def chi_square_counts(before: np.ndarray, now: np.ndarray) -> tuple[float, float]:
    """Compare two arrays of counts by code, in the same order of codes; see :func:`chi_square`."""
    from scipy.special import gammaincc

    n, m = float(before.sum()), float(now.sum())
    if n == 0 or m == 0:
        return 0.0, 1.0
    pooled = (before + now) / (n + m)
    common = pooled * min(n, m) >= _RARE
    table = np.array([np.r_[counts[common], counts[~common].sum()] for counts in (before, now)], dtype=float)
    table = table[:, table.sum(axis=0) > 0]
    distance = float(np.abs(table[0] / n - table[1] / m).sum()) / 2
    if table.shape[1] < 2:
        return distance, 1.0
    expected = table.sum(axis=0) * np.array([[n], [m]]) / (n + m)
    statistic = float(((table - expected) ** 2 / expected).sum())
    return distance, float(gammaincc((table.shape[1] - 1) / 2, statistic / 2))


def _matrix(values: np.ndarray) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    return array[:, None] if array.ndim == 1 else array


def _values(values: np.ndarray) -> np.ndarray:
    array = np.asarray(values, dtype=float).ravel()
    present: np.ndarray = array[~np.isnan(array)]
    return present


def _sorted(column: np.ndarray) -> np.ndarray:
    return np.sort(_values(column))
