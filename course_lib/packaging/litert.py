"""A small network for phones and boards: written as a LiteRT file (``.tflite``) and run by LiteRT itself.

TensorFlow makes such files, and weighs 1.5 GB. The format is public, though: a FlatBuffer with tensors, their bytes,
and a list of operators. For a network of dense layers a page of code writes it, with the schema that LiteRT brings
along. (Schema: ``tensorflow/lite/schema/schema.fbs``, version 3, identifier ``TFL3``.)

LiteRT reads numbers only. What the pipeline does first, from airline codes to numbers, is the app's work on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_lib.errors import BundleError, EngineError, ExportError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from sklearn.pipeline import Pipeline

__all__ = ["LiteScorer", "encode", "export_litert"]


def export_litert(pipeline: Pipeline, *, quantise: bool = False) -> bytes:
    """Convert a fitted network to LiteRT: all that comes after the step that turns codes into numbers.

    The graph has one input of shape ``(rows, features)``, float32, NaN where a number is missing, and one output of
    shape ``(rows, 1)``: the probability of arriving late. It replaces missing numbers, centres and scales, and computes
    the dense layers.

    Parameters
    ----------
    pipeline
        A transformer, a ``SimpleImputer`` and a ``StandardScaler`` (both optional), and a ``LogisticRegression``, or an
        ``MLPClassifier`` with ReLU.
    quantise
        Store the weights of the layers as 8-bit integers, one scale a layer.

    Raises
    ------
    ExportError
        A step is of another kind, or not fitted.
    EngineError
        LiteRT is not installed.
    """
    network = _read(pipeline)
    return _Writer(_schema(), network, quantise=quantise).written()


def encode(pipeline: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    """Return what the app feeds to the network: float32, shape ``(rows, features)``; codes as numbers, gaps as NaN."""
    import numpy as np

    return np.asarray(pipeline[0].transform(frame), dtype=np.float32)


class LiteScorer:
    """A LiteRT model in memory, ready to score.

    Parameters
    ----------
    model
        The bytes of a ``.tflite`` file with one input and one output.

    Raises
    ------
    BundleError
        The bytes are no LiteRT model.
    EngineError
        LiteRT is not installed.
    """

    def __init__(self, model: bytes) -> None:
        interpreter = _package("ai_edge_litert.interpreter")
        if model[4:8] != b"TFL3":
            raise BundleError(
                "These bytes are no LiteRT model.",
                expected="a FlatBuffer with the identifier TFL3",
                next_step="pass what `export_litert` returns",
            )
        try:
            # The kernels of LiteRT itself: the optional ones of XNNPACK gain nothing on a network this small.
            plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            self._interpreter = interpreter.Interpreter(
                model_content=model, num_threads=1, experimental_op_resolver_type=plain
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"LiteRT cannot load the model: {error}", next_step="export it again") from error
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._rows = 1

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Return the probability of arriving late for each row of ``matrix``: float32, shape ``(rows,)``.

        Raises
        ------
        BundleError
            The matrix does not have as many columns as the network reads.
        """
        import numpy as np

        rows = np.asarray(matrix, dtype=np.float32)
        wanted = int(self._input["shape"][-1])
        if rows.ndim != 2 or rows.shape[1] != wanted:
            raise BundleError(f"The matrix has the shape {rows.shape}.", expected=f"(rows, {wanted})")
        if len(rows) != self._rows:
            self._interpreter.resize_tensor_input(self._input["index"], rows.shape)
            self._interpreter.allocate_tensors()
            self._rows = len(rows)
        self._interpreter.set_tensor(self._input["index"], rows)
        self._interpreter.invoke()
        scores: np.ndarray = self._interpreter.get_tensor(self._output)
        return scores.reshape(-1)


@dataclass(frozen=True)
class _Network:
    """What is written: a replacement, centre and factor an input, and layers with weights of shape (units, inputs)."""

    fill: np.ndarray
    centre: np.ndarray
    factor: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]


def _read(pipeline: Pipeline) -> _Network:
    """Return the numbers of a fitted pipeline."""
    import numpy as np
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    try:
        weights, biases = _layers(pipeline[-1])
        inputs = weights[0].shape[1]
        fill, centre, factor = np.zeros(inputs), np.zeros(inputs), np.ones(inputs)
        for step in pipeline[1:-1]:
            if isinstance(step, SimpleImputer) and len(step.statistics_) == inputs:
                fill = step.statistics_
            elif isinstance(step, StandardScaler) and step.with_mean and step.with_std:
                centre, factor = step.mean_, 1 / step.scale_
            else:
                raise ExportError(
                    f"The step {step!r} cannot be written for LiteRT.",
                    expected="a SimpleImputer, and after it a StandardScaler",
                    next_step="compute it on the device before the network, or export to ONNX",
                )
    except (AttributeError, IndexError, TypeError) as error:
        raise ExportError(
            f"The pipeline cannot be written for LiteRT: {error}",
            expected="a fitted pipeline of a transformer and a network",
            next_step="fit it first",
        ) from error
    return _Network(fill, centre, factor, tuple(zip(weights, biases, strict=True)))


def _layers(model: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    if isinstance(model, LogisticRegression) and len(model.coef_) == 1:
        return [model.coef_], [model.intercept_]
    if isinstance(model, MLPClassifier) and model.activation == "relu" and model.out_activation_ == "logistic":
        return [weights.T for weights in model.coefs_], list(model.intercepts_)
    raise ExportError(
        f"{type(model).__name__} has no form for LiteRT here.",
        expected="a LogisticRegression, or an MLPClassifier with ReLU, for two classes",
        next_step="export it to ONNX instead: trees, for example, have no operator in LiteRT",
    )


class _Writer:
    """Builds the FlatBuffer: a tensor at a time, an operator at a time."""

    def __init__(self, schema: Any, network: _Network, *, quantise: bool) -> None:
        self._schema = schema
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = "late flights"
        self._model.buffers = [self._buffer(b"")]  # buffer 0 is empty by convention: tensors without constants
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]
        self._build(network, quantise)

    def written(self) -> bytes:
        """Return the file."""
        import flatbuffers

        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _build(self, network: _Network, quantise: bool) -> None:
        s, operators = self._schema, self._schema.BuiltinOperator
        inputs = len(network.fill)
        given = self._value("flights", inputs)
        self._graph.inputs = [given]
        missing = self._value("missing", inputs, kind=s.TensorType.BOOL)
        self._operator(operators.NOT_EQUAL, [given, given], missing, "NotEqualOptions")  # only NaN differs from itself
        filled, centred, values = (self._value(name, inputs) for name in ("filled", "centred", "scaled"))
        fill, centre = self._constant("fill", network.fill), self._constant("centre", network.centre)
        self._operator(operators.SELECT_V2, [missing, fill, given], filled, "SelectV2Options")
        self._operator(operators.SUB, [filled, centre], centred, "SubOptions")
        # Not multiplied into the first layer: its weights would differ by thousands, too much for 8 bits and one scale.
        self._operator(operators.MUL, [centred, self._constant("factor", network.factor)], values, "MulOptions")
        last = len(network.layers) - 1
        for number, (weights, biases) in enumerate(network.layers):
            made = self._value(f"layer {number}", len(weights))
            relu = s.ActivationFunctionType.RELU if number < last else s.ActivationFunctionType.NONE
            constants = [
                self._weights(f"weights {number}", weights, quantise),
                self._constant(f"biases {number}", biases),
            ]
            self._operator(
                operators.FULLY_CONNECTED,
                [values, *constants],
                made,
                "FullyConnectedOptions",
                fusedActivationFunction=relu,
                version=9 if quantise else 1,
            )
            values = made
        late = self._value("late", 1)
        self._operator(operators.LOGISTIC, [values], late)
        self._graph.outputs = [late]

    def _operator(
        self, code: int, inputs: Sequence[int], output: int, options: str = "", *, version: int = 1, **fields: Any
    ) -> None:
        s = self._schema
        entry = s.OperatorCodeT()
        entry.builtinCode = entry.deprecatedBuiltinCode = code  # all of ours are below 127, where both must be given
        entry.version = version
        self._model.operatorCodes.append(entry)
        made = s.OperatorT()
        made.opcodeIndex = len(self._model.operatorCodes) - 1
        made.inputs, made.outputs = list(inputs), [output]
        if options:
            made.builtinOptionsType = getattr(s.BuiltinOptions, options)
            made.builtinOptions = getattr(s, f"{options}T")()
            for name, value in fields.items():
                setattr(made.builtinOptions, name, value)
        self._graph.operators.append(made)

    def _value(self, name: str, width: int, *, kind: int = 0) -> int:
        """Add a tensor that is computed; the number of its rows is free."""
        return self._tensor(name, [1, width], kind=kind, free=[-1, width])

    def _constant(self, name: str, values: np.ndarray) -> int:
        import numpy as np

        return self._tensor(name, list(values.shape), np.ascontiguousarray(values, dtype="<f4").tobytes())

    def _weights(self, name: str, values: np.ndarray, quantise: bool) -> int:
        import numpy as np

        if not quantise:
            return self._constant(name, values)
        scale = max(float(np.abs(values).max()), 1e-12) / 127
        body = np.clip(np.round(values / scale), -127, 127).astype(np.int8).tobytes()
        tensor = self._tensor(name, list(values.shape), body, kind=self._schema.TensorType.INT8)
        told = self._schema.QuantizationParametersT()
        told.scale, told.zeroPoint = [scale], [0]
        self._graph.tensors[tensor].quantization = told
        return tensor

    def _tensor(self, name: str, shape: list[int], body: bytes = b"", *, kind: int = 0, free: Any = None) -> int:
        made = self._schema.TensorT()
        made.name, made.shape, made.type, made.shapeSignature = name, shape, kind, free
        if body:
            self._model.buffers.append(self._buffer(body))
            made.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1

    def _buffer(self, body: bytes) -> Any:
        import numpy as np

        made = self._schema.BufferT()
        made.data = np.frombuffer(body, dtype=np.uint8) if body else None
        return made


def _schema() -> Any:
    return _package("ai_edge_litert.schema_py_generated")


def _package(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise EngineError(
            "LiteRT is not installed: it has no package for this system.",
            expected="ai-edge-litert, on Linux or macOS",
            next_step="use ONNX Runtime (`packaging.Scorer`), which runs everywhere",
        ) from error
