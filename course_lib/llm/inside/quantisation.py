"""Quantisation: fewer bits a weight, what that saves in bytes, and what it costs in quality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.llm import gguf
from course_lib.llm.errors import LLMError
from course_lib.llm.inside import transformer

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["SAMPLE", "WAYS", "bits_per_weight", "rounded", "study"]

SAMPLE = (
    "When a plane arrives late, the next flight often leaves late as well. The crew has to rest, the cabin has to be "
    "cleaned, and the passengers who change planes need time to walk from one gate to another. Airports know this, and "
    "so they plan with a margin. In summer, thunderstorms close the airspace over New York for an hour or two, and the "
    "margin is gone before noon. A good forecast does not prevent the storm, but it tells the people at the gate what "
    "will happen, so that they can act early: move a passenger to another flight, call a second crew, or keep a "
    "connecting plane waiting for ten minutes."
)
WAYS = {  # name: bits, weights that share a scale
    "8 bits, a scale per row": (8, None),
    "4 bits, a scale per row": (4, None),
    "3 bits, a scale per 32": (3, 32),
}


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


def bits_per_weight(bits: int, *, group: float = 32) -> float:
    """Return the bits a weight takes, with its share of scale and smallest value (16 bits each).

    Examples
    --------
    >>> bits_per_weight(4)
    5.0
    """
    return bits + 32 / group


def study(path: Path, tokens: Sequence[int]) -> pd.DataFrame:
    """Round the matrices of a model's layers in each of :data:`WAYS`, and measure how well it still predicts a text.

    Parameters
    ----------
    path
        A GGUF file of a Llama model.
    tokens
        The text, as the model's tokens.

    Returns
    -------
    pandas.DataFrame
        One row a way: ``bits a weight``, ``layers (MB)``, ``perplexity`` (1 is certainty, more is worse).
    """
    import pandas as pd

    file = gguf.read(path)
    model = transformer.load(file)
    shapes = [one.shape for name, one in file.tensors.items() if name.startswith("blk.") and len(one.shape) == 2]
    rows, weights = sum(shape[0] for shape in shapes), sum(math.prod(shape) for shape in shapes)
    found = {"as in the file": (5.0, model.perplexity(tokens))}
    for name, (bits, group) in WAYS.items():
        changed = transformer.load(file, lambda matrix, b=bits, g=group: rounded(matrix, b, group=g))  # type: ignore[misc]
        mean_group = group or weights / rows
        found[name] = (bits_per_weight(bits, group=mean_group), changed.perplexity(tokens))
    table = pd.DataFrame.from_dict(found, orient="index", columns=["bits a weight", "perplexity"])
    table.insert(1, "layers (MB)", table["bits a weight"] * weights / 8e6)
    return table.round({"bits a weight": 2, "layers (MB)": 1, "perplexity": 1})
