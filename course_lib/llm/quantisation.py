"""Quantisation: fewer bits a weight, what that saves in bytes, and what it costs in quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.llm.errors import LLMError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["bits_per_weight", "rounded"]


def rounded(weights: np.ndarray, bits: int, *, group: int | None = 32) -> np.ndarray:
    """Return the weights as they are after rounding to ``bits`` bits, unpacked to floats again.

    Each group of ``group`` weights of a row has a smallest value and a scale of its own, both kept in 16 bits, as in
    llama.cpp's Q4_1; ``None`` takes the whole row for a group.

    Parameters
    ----------
    weights
        Shape ``(rows, columns)``; ``columns`` is a multiple of ``group``.

    Raises
    ------
    LLMError
        ``bits`` is not 1 to 8, or the groups don't fit.
    """
    import numpy as np

    rows, columns = weights.shape
    group = group or columns
    if not 1 <= bits <= 8 or columns % group:
        raise LLMError(
            f"{columns} columns cannot be kept in {bits} bits with groups of {group}.",
            expected="1 to 8 bits, and groups that divide the columns",
        )
    parts = weights.reshape(rows, -1, group)  # (rows, groups, group)
    least = parts.min(axis=-1, keepdims=True).astype(np.float16).astype(np.float32)
    steps = 2**bits - 1
    scale = ((parts.max(axis=-1, keepdims=True) - least) / steps).astype(np.float16).astype(np.float32)
    codes = np.clip(np.round((parts - least) / np.where(scale == 0, 1, scale)), 0, steps)  # what would be stored
    found: np.ndarray = (codes * scale + least).reshape(rows, columns).astype(np.float32)
    return found


def bits_per_weight(bits: int, *, group: int = 32) -> float:
    """Return the bits a weight takes, with its share of scale and smallest value (16 bits each).

    Examples
    --------
    >>> bits_per_weight(4)
    5.0
    """
    return bits + 32 / group
