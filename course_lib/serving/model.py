"""The model behind the API: an ONNX graph, read from a signed bundle or from a registry alias.

ONNX Runtime answers one flight in hundredths of a millisecond. It runs on one thread here: on shared cores a pool of
threads waits for itself more than it works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from course_lib.features import NAMES
from course_lib.serving.errors import ServingError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Model", "ModelSource", "OnnxModel", "Registered", "load_model"]

Row = tuple[Any, ...]
_TYPICAL: Row = ("UA", "EWR", "ORD", 719, 152, 1080, 5, 24, *(None,) * 7)  # a flight whose weather station is down


class Model(Protocol):
    """Anything that the service can put into service.

    Attributes
    ----------
    version, run_id, sha256
        Which model it is: registered version, training run, digest of its file.
    """

    version: str
    run_id: str
    sha256: str

    def score(self, rows: Sequence[Row]) -> list[float]:
        """Return each row's probability; a row holds the values in the order of ``course_lib.features.NAMES``."""
        ...


@dataclass(frozen=True)
class Registered:
    """A model in the registry.

    Attributes
    ----------
    folder
        Folder of the tracking store.
    alias
        Alias such as ``champion``, or a version number.
    name
        Registered name.
    """

    folder: Path
    alias: str | int = "champion"
    name: str = "late-flights"


ModelSource = Path | str | Registered | Callable[[], Model]


def load_model(source: ModelSource) -> Model:
    """Load a model and let it answer once, so that the first caller does not pay for the warm-up.

    Parameters
    ----------
    source
        Folder of a bundle; a registry alias; or a function that returns a model.

    Raises
    ------
    ServingError
        The model answers its first question with something that is not a probability.
    CourseError
        The bundle is damaged or not signed by a trusted key, or the registry has no such model.
    """
    model = _load(source)
    (first,) = model.score([_TYPICAL])
    if not 0.0 <= first <= 1.0:
        raise ServingError(
            f"The model's first answer is {first!r}.",
            expected="a probability from 0 to 1",
            next_step="check the pipeline with `packaging.parity`, then build the bundle again",
        )
    return model


def _load(source: ModelSource) -> Model:
    if isinstance(source, Registered):
        return _from_registry(source)
    if isinstance(source, (str, Path)):
        return _from_bundle(Path(source))
    return source()


def _from_bundle(folder: Path) -> OnnxModel:
    from course_lib.packaging import open_bundle

    bundle = open_bundle(folder)
    return OnnxModel(bundle.model, version=str(bundle.version), run_id=bundle.run_id, sha256=bundle.sha256)


def _from_registry(source: Registered) -> OnnxModel:
    """Export the registered pipeline: needs scikit-learn and MLflow, which a serving image does not carry."""
    import hashlib

    from course_lib import packaging, registry, tracking

    store = tracking.open_store(source.folder)
    version = registry.resolve(store, source.alias, name=source.name)
    graph = packaging.export_onnx(registry.load(store, version.number, name=source.name))
    digest = hashlib.sha256(graph).hexdigest()
    return OnnxModel(graph, version=str(version.number), run_id=version.run_id, sha256=digest)


class OnnxModel:
    """A model that ONNX Runtime scores.

    Parameters
    ----------
    graph
        What :func:`course_lib.packaging.export_onnx` returned.
    version, run_id, sha256
        Where it comes from.

    Raises
    ------
    course_lib.errors.BundleError
        ONNX Runtime cannot read the graph.
    """

    def __init__(self, graph: bytes, *, version: str, run_id: str, sha256: str) -> None:
        from course_lib.packaging import Scorer

        self.version = version
        self.run_id = run_id
        self.sha256 = sha256
        self._scorer = Scorer(graph)

    def score(self, rows: Sequence[Row]) -> list[float]:
        """Return the probability of each row; missing numbers (``None``) become NaN, as in training."""
        probabilities: list[float] = self.score_array(rows).tolist()
        return probabilities

    def score_array(self, rows: Sequence[Row]) -> np.ndarray:
        """Return :meth:`score` as float64, shape ``(len(rows),)``: every digit of the model's float32, no more."""
        return self.score_columns(dict(zip(NAMES, zip(*rows, strict=True), strict=True)))

    def score_columns(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Return the probabilities of flights given as one sequence or array per feature."""
        return self._scorer.score(columns).astype("float64")
