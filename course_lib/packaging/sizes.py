"""Model sizes: what a packaged model weighs, and what really makes it lighter.

Dynamic quantisation stores the weights of matrix products as 8-bit integers. A tree ensemble has no matrix products:
ONNX Runtime's quantiser leaves it as it is, and so do its float16 converters. What shrinks a tree ensemble is fewer
or smaller trees, and compression on the wire.
"""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Size", "operators", "quantised", "sizes"]


@dataclass(frozen=True)
class Size:
    """One way to store a model.

    Attributes
    ----------
    form
        What it is.
    size
        Bytes on disk.
    compressed
        Bytes after zlib, as a download would travel.
    """

    form: str
    size: int
    compressed: int


def sizes(**forms: bytes) -> tuple[Size, ...]:
    """Return the size of each form of a model, given by name, with and without compression.

    Examples
    --------
    >>> sizes(zeros=bytes(1000))
    (Size(form='zeros', size=1000, compressed=17),)
    """
    return tuple(Size(name, len(body), len(zlib.compress(body, 9))) for name, body in forms.items())


def quantised(onnx: bytes) -> bytes:
    """Return the model after ONNX Runtime's dynamic quantisation to 8-bit weights.

    Only matrix products and the like are touched; :func:`operators` tells whether a model has any.
    """
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger("root").setLevel(logging.ERROR)  # the quantiser advises on the root logger at every call
    with tempfile.TemporaryDirectory(prefix="course-quantise-") as scratch:
        source, target = Path(scratch) / "float.onnx", Path(scratch) / "int8.onnx"
        source.write_bytes(onnx)
        quantize_dynamic(source, target, weight_type=QuantType.QInt8)
        return target.read_bytes()


def operators(onnx: bytes) -> dict[str, int]:
    """Return how often each operator occurs in the graph, most frequent first."""
    from collections import Counter

    from onnx import load_model_from_string

    return dict(Counter(node.op_type for node in load_model_from_string(onnx).graph.node).most_common())
