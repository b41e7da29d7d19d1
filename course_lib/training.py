"""Stage D, model training: a configuration and labelled flights go in, the same pipeline comes out every time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from course_lib import features
from course_lib.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from sklearn.pipeline import Pipeline
    from threadpoolctl import ThreadpoolController

__all__ = ["TrainingConfig", "learning_curve", "predict", "train"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Everything that decides what a training produces, apart from the data.

    Attributes
    ----------
    max_iter
        Number of boosted trees.
    learning_rate
        Shrinkage of each tree's contribution.
    max_leaf_nodes
        Size of each tree.
    min_samples_leaf
        Fewest flights in a leaf.
    l2_regularization
        Penalty on leaf values.
    seed
        Seed of the binning subsample; the same seed and data give the same bytes.
    threads
        OpenMP threads of the training. The fitted model remembers the number, so it is a setting and not a property of
        the machine; the trees are the same.
    """

    max_iter: int = 60
    learning_rate: float = 0.1
    max_leaf_nodes: int = 15
    min_samples_leaf: int = 100
    l2_regularization: float = 0.0
    seed: int = 0
    threads: int = 1

    def as_params(self) -> dict[str, int | float]:
        """Return the configuration as a flat dict, as an experiment tracker wants it."""
        return asdict(self)


def train(frame: pd.DataFrame, config: TrainingConfig | None = None) -> Pipeline:
    """Fit the desk's model on labelled flights.

    Parameters
    ----------
    frame
        Labelled flights, as :func:`course_lib.data.labelled` returns them.
    config
        Hyperparameters and seed; by default those of :class:`TrainingConfig`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Transformer and gradient-boosted trees; ``predict_proba`` gives the probability of arriving late.

    Raises
    ------
    DataError
        There is no flight, a label is missing, or only one class occurs.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from threadpoolctl import threadpool_limits

    config = config or TrainingConfig()
    _require_both_classes(frame)
    # Early stopping would hold out random rows, which leak across time; the number of trees is fixed instead.
    params = config.as_params()
    seed, threads = params.pop("seed"), params.pop("threads")
    trees = HistGradientBoostingClassifier(random_state=int(seed), early_stopping=False, **params)
    pipeline = Pipeline([("features", features.build_transformer()), ("trees", trees)])
    with threadpool_limits(limits=int(threads), user_api="openmp"):
        return pipeline.fit(features.select(frame), frame["late"].astype(bool))


def predict(model: Any, frame: pd.DataFrame) -> np.ndarray:
    """Return each flight's probability of arriving late, as floats between 0 and 1, shape ``(len(frame),)``."""
    with _threads().limit(limits=1, user_api="openmp"):
        probabilities: np.ndarray = model.predict_proba(features.select(frame))[:, 1]
    return probabilities


@cache
def _threads() -> ThreadpoolController:
    """Return the control of the OpenMP threads, looked up once.

    A second thread saves nothing on a few thousand rows. On a machine whose processors are all busy its waiting costs
    seconds: OpenMP's threads spin until the slowest is done.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def learning_curve(model: Pipeline, **frames: pd.DataFrame) -> pd.DataFrame:
    """Return the log loss after each tree, one column per frame given by name.

    Examples
    --------
    >>> curve = learning_curve(model, train=january, valid=february)  # doctest: +SKIP
    >>> curve["valid"].idxmin()  # the number of trees to keep  # doctest: +SKIP
    """
    import pandas as pd
    from sklearn.metrics import log_loss

    curves = {}
    for name, frame in frames.items():
        inputs = model[:-1].transform(features.select(frame))
        staged = model[-1].staged_predict_proba(inputs)
        curves[name] = [log_loss(frame["late"], probabilities[:, 1]) for probabilities in staged]
    trees = range(1, len(next(iter(curves.values()))) + 1)
    return pd.DataFrame(curves, index=pd.RangeIndex(trees.start, trees.stop, name="trees"))


def _require_both_classes(frame: pd.DataFrame) -> None:
    if frame.empty:
        raise DataError(
            "There is no flight to train on.",
            expected="labelled flights of at least a few weeks",
            next_step="check the months and the moment given to `data.labelled`",
        )
    if frame["late"].isna().any():
        raise DataError(
            f"{int(frame['late'].isna().sum())} flights have no label.",
            expected="a label for every row",
            next_step="pass the flights through `data.labelled` first: cancelled flights have none",
        )
    if frame["late"].nunique() < 2:
        raise DataError(
            "Every flight has the same label.",
            expected="late flights and flights on time",
            next_step="train on more weeks",
        )
