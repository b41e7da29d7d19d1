"""From a fitted scikit-learn pipeline to ONNX, with a proof that both give the same answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_lib import features
from course_lib.errors import ExportError
from course_lib.packaging.scoring import Scorer

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

__all__ = ["OPSETS", "OUTPUT", "Parity", "export_onnx", "feature_names", "parity"]

OUTPUT = "late"
OPSETS = {"": 17, "ai.onnx.ml": 3}  # read by every ONNX Runtime since 1.12; newer operators would gain nothing


def export_onnx(pipeline: Pipeline) -> bytes:
    """Convert a fitted pipeline to ONNX.

    The graph has one input per feature, each of shape ``(rows, 1)``: text for codes, float32 for numbers, NaN where a
    number is missing. Its single output ``late`` holds the probability of arriving late, float32, shape ``(rows,)``.
    A code that training has not seen becomes −1, as in the pipeline.

    Raises
    ------
    ExportError
        The pipeline is not fitted, is no classifier, uses a column that is no feature, or has a step that ONNX lacks.
    """
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds = {"category": StringTensorType, "number": FloatTensorType}
    by_name = {feature.name: feature for feature in features.FEATURES}
    inputs = [(name, kinds[by_name[name].kind]([None, 1])) for name in feature_names(pipeline)]
    try:
        graph = _convert(pipeline, inputs)
    except Exception as error:  # each converter raises errors of its own
        raise ExportError(
            f"The pipeline cannot be converted to ONNX: {str(error).splitlines()[0]}",
            expected="a fitted classifier made of steps that skl2onnx knows, such as `training.train` returns",
            next_step="replace the step that is named, or serve this model with scikit-learn",
        ) from error
    return _only_late(graph)


@dataclass(frozen=True)
class Parity:
    """How far an exported model is from the pipeline it came from, on the same flights.

    Attributes
    ----------
    rows
        Flights compared.
    max_difference
        Largest absolute difference of the two probabilities, 0 to 1.
    beyond
        Flights whose difference is larger than ``tolerance``.
    tolerance
        What counts as equal.
    """

    rows: int
    max_difference: float
    beyond: int
    tolerance: float

    @property
    def rate(self) -> float:
        """Share of flights beyond the tolerance, 0 to 1."""
        return self.beyond / self.rows


def parity(pipeline: Any, onnx: bytes, frame: pd.DataFrame, *, tolerance: float = 1e-5) -> Parity:
    """Score the same flights with a pipeline and with its exported form, and compare the probabilities.

    The default tolerance is a hundred float32 rounding steps at 1 (2⁻²³ ≈ 1.2e-7 each): the model adds some sixty leaf
    values. A difference far above it is no rounding of the *output*: a rounded *input* fell on the other side of a
    split. So look at the rate as well as at the maximum: one flight in a thousand on the wrong leaf is another matter
    than a model that is wrong everywhere.

    Parameters
    ----------
    pipeline
        The fitted pipeline.
    onnx
        What :func:`export_onnx` made of it.
    frame
        Flights to score; include rows with missing weather and unknown codes.
    tolerance
        Absolute difference of probabilities that counts as equal.

    Raises
    ------
    ExportError
        There is no flight to compare on.
    """
    import numpy as np

    if frame.empty:
        raise ExportError("There is no flight to compare on.", next_step="pass a frame with rows in it")
    names = feature_names(pipeline)
    columns = {name: frame[name].to_numpy() for name in names}
    theirs = pipeline.predict_proba(features.select(frame, names))[:, 1]
    gap = np.abs(Scorer(onnx).score(columns).astype(float) - theirs)
    # `not <=` counts a NaN as beyond; `>` would call it equal
    return Parity(len(gap), float(gap.max()), int((~(gap <= tolerance)).sum()), tolerance)


def feature_names(pipeline: Any) -> tuple[str, ...]:
    """Return the features that a fitted pipeline reads, in its order.

    Raises
    ------
    ExportError
        The pipeline is not fitted on named columns, or reads a column that is no feature of the desk.
    """
    names = tuple(str(name) for name in getattr(pipeline, "feature_names_in_", ()))
    if not names or not hasattr(pipeline, "predict_proba"):
        raise ExportError(
            f"{type(pipeline).__name__} is not a classifier that was fitted on named columns.",
            expected="a fitted pipeline, such as `training.train` returns",
            next_step="fit it on a data frame first",
        )
    if unknown := [name for name in names if name not in features.NAMES]:
        raise ExportError(
            f"The pipeline reads {', '.join(unknown)}, which the desk does not know when a flight departs.",
            expected=f"some of {', '.join(features.NAMES)}",
            next_step="train without these columns",
        )
    return names


def _convert(pipeline: Any, inputs: list[tuple[str, Any]]) -> Any:
    import warnings

    from skl2onnx import to_onnx

    with warnings.catch_warnings():
        # skl2onnx 1.20 writes booleans where ONNX has whole numbers; protobuf before 7 accepts them
        warnings.filterwarnings("ignore", "Field onnx.*got a boolean", DeprecationWarning)
        options = {id(pipeline): {"zipmap": False}}
        return to_onnx(pipeline, initial_types=inputs, options=options, target_opset=OPSETS)


def _only_late(graph: Any) -> bytes:
    """Replace the outputs (label, both probabilities) by the probability of the second class."""
    from onnx import TensorProto, checker, helper, numpy_helper

    import numpy as np  # isort: skip

    inner = graph.graph
    probabilities = inner.output[1].name
    inner.initializer.append(numpy_helper.from_array(np.array(1, dtype=np.int64), "second_class"))
    inner.node.append(helper.make_node("Gather", [probabilities, "second_class"], [OUTPUT], axis=1))
    del inner.output[:]
    inner.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None]))
    inner.name = "late_flight"
    checker.check_model(graph)
    return bytes(graph.SerializeToString(deterministic=True))
