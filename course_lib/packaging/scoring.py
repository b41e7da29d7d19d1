"""Score flights with ONNX Runtime: no scikit-learn, no pandas, the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_lib.errors import BundleError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Scorer"]


class Scorer:
    """An ONNX model in memory, ready to score.

    Parameters
    ----------
    model
        The model's bytes, as :func:`course_lib.packaging.export_onnx` returns them.
    threads
        Threads inside one call. One is right for a server: its requests already run side by side, and idle threads of
        a larger pool spin on the cores that other requests need.

    Raises
    ------
    BundleError
        The bytes are no ONNX model, or not one of the desk's.

    Attributes
    ----------
    names
        The features that the model reads, in its order.
    codes
        Those among them that are text.

    Examples
    --------
    >>> Scorer(bundle.model).score_rows([{"carrier": "UA", ...}])  # doctest: +SKIP
    array([0.21], dtype=float32)
    """

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # a container without /sys would warn at every start
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own errors share no base class
            raise BundleError(
                f"ONNX Runtime cannot load the model: {str(error).splitlines()[0]}",
                expected="the bytes that `packaging.export_onnx` returns",
                next_step="build the bundle again",
            ) from error
        inputs = self._session.get_inputs()
        self.names: tuple[str, ...] = tuple(one.name for one in inputs)
        self.codes: frozenset[str] = frozenset(one.name for one in inputs if "string" in one.type)
        self._output = self._session.get_outputs()[0].name

    def score(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Return the probability of arriving late for each flight: float32, shape ``(rows,)``.

        Parameters
        ----------
        columns
            One sequence or array per feature, all of one length; ``None`` or NaN where a number is missing.

        Raises
        ------
        BundleError
            A feature is missing, or a column has another length or another type.
        """
        try:
            feed = {name: self._column(name, columns[name]) for name in self.names}
            scores: np.ndarray = self._session.run([self._output], feed)[0]
        except KeyError as error:
            raise BundleError(
                f"The column {error} is missing.",
                expected=f"all of {', '.join(self.names)}",
                next_step="add it; use None where a number is not known",
            ) from error
        except Exception as error:  # wrong types and lengths, as NumPy or the runtime put it
            raise BundleError(
                f"The flights cannot be scored: {str(error).splitlines()[0]}",
                expected="columns of one length: text for codes, numbers (or None) for the rest",
                next_step="correct the column",
            ) from error
        return scores

    def score_rows(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the probabilities for flights given as one mapping each, shape ``(len(rows),)``."""
        return self.score({name: [row.get(name) for row in rows] for name in self.names})

    def _column(self, name: str, values: Any) -> np.ndarray:
        import numpy as np

        kind: type = object if name in self.codes else np.float32
        return np.asarray(values, dtype=kind).reshape(-1, 1)
