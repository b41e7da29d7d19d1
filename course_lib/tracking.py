"""Stage E, experiment tracking: everything a run needs to be found, compared and made again.

With :mod:`course_lib.tracking_store` (where runs are kept) and :mod:`course_lib.registry` this is the one seam to
MLflow. Models are written in the skops format, which can be read back without running code from the file; a pickle
cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from course_lib import features
from course_lib.errors import TrackingError
from course_lib.provenance import (
    Reproduction,
    code_digest,
    data_digest,
    environment,
    fingerprint,
    identity,
    model_digest,
    reproduce,
)
from course_lib.tracking_store import Store, guard, open_store, quiet, ui, ui_server

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from course_lib.evaluation import Metrics
    from course_lib.training import TrainingConfig

__all__ = [
    "TRUSTED_TYPES",
    "Reproduction",
    "Store",
    "code_digest",
    "data_digest",
    "environment",
    "fingerprint",
    "guard",
    "history",
    "load_model",
    "log_curve",
    "log_training",
    "model_digest",
    "open_store",
    "quiet",
    "reproduce",
    "runs",
    "ui",
    "ui_server",
    "use",
]

# The only class in our pipeline that skops does not know; it holds the arrays of one tree and runs nothing when loaded.
TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)

_POINTS_PER_REQUEST = 1000  # MLflow's limit


def use(store: Store, experiment: str) -> str:
    """Point MLflow's fluent functions at ``experiment`` in ``store`` and return the experiment's id."""
    quiet()
    import mlflow

    with guard(store):
        mlflow.set_tracking_uri(store.uri)
        mlflow.set_registry_uri(store.uri)
        found = mlflow.get_experiment_by_name(experiment)
        if found is None:
            location = (store.artifacts / experiment).as_uri()
            mlflow.create_experiment(experiment, artifact_location=location)
        return str(mlflow.set_experiment(experiment).experiment_id)


def log_training(
    store: Store,
    experiment: str,
    model: Pipeline,
    frame: pd.DataFrame,
    config: TrainingConfig,
    *,
    metrics: Mapping[str, Metrics] | None = None,
    slices: Mapping[str, pd.DataFrame] | None = None,
    curve: pd.DataFrame | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Log one complete training run and return its id; inside an open run it becomes that run's child.

    Logged are the parameters, the months and digest of the training data, the digest of the course's code, the
    environment, the metrics per dataset (``valid.auc`` …), the learning curve step by step, and the model with its
    signature and an input example.

    Parameters
    ----------
    store, experiment
        Where to log.
    model, frame, config
        The fitted pipeline, the labelled flights it was fitted on, and its configuration.
    metrics
        Metrics by dataset name.
    slices
        Metrics of each airport by dataset name, as :func:`course_lib.evaluation.slices` returns them; their AUC is
        logged as ``valid.auc.EWR`` …
    curve
        Learning curve as :func:`course_lib.training.learning_curve` returns it.
    tags
        Further tags of the run.
    """
    quiet()
    import mlflow

    experiment_id = use(store, experiment)
    nested = mlflow.active_run() is not None
    with guard(store), mlflow.start_run(experiment_id=experiment_id, nested=nested, tags=dict(tags or {})) as run:
        mlflow.log_params(config.as_params() | {"months": _months(frame)})
        mlflow.set_tags(identity(frame, config, model))
        mlflow.log_dict(environment(), "environment.json")
        for dataset, values in (metrics or {}).items():
            mlflow.log_metrics({f"{dataset}.{name}": value for name, value in values.as_dict().items()})
        for dataset, table in (slices or {}).items():
            mlflow.log_metrics({f"{dataset}.auc.{group}": float(auc) for group, auc in table["auc"].items()})
        if curve is not None:
            log_curve(store, run.info.run_id, curve)
        _log_model(model, frame)
        return str(run.info.run_id)


def log_curve(store: Store, run_id: str, curve: pd.DataFrame) -> None:
    """Log each column of ``curve`` as the metric ``<column>.curve_log_loss``, one value a step.

    Steps go in batches, because one call per value would take a transaction each.
    """
    import time

    quiet()
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    points = [
        Metric(f"{dataset}.curve_log_loss", float(value), now, step)
        for dataset, column in curve.items()
        for step, value in zip(curve.index.tolist(), column.tolist(), strict=True)
    ]
    with guard(store):
        for start in range(0, len(points), _POINTS_PER_REQUEST):
            store.client().log_batch(run_id, metrics=points[start : start + _POINTS_PER_REQUEST])


def history(store: Store, run_id: str, metric: str) -> pd.Series:
    """Return every logged value of ``metric``, by step in ascending order.

    Raises
    ------
    TrackingError
        The run does not exist, or never logged that metric.
    """
    import pandas as pd

    client = store.client()
    with guard(store):
        points = client.get_metric_history(run_id, metric)
        known = sorted(client.get_run(run_id).data.metrics)
    if not points:
        raise TrackingError(
            f"Run {run_id} has no metric {metric!r}.",
            expected=f"one of {', '.join(known) or '(it logged none)'}",
            next_step="correct the name",
        )
    values = {point.step: point.value for point in sorted(points, key=lambda p: (p.step, p.timestamp))}
    return pd.Series(values, name=metric).rename_axis("step")


def load_model(store: Store, uri: str) -> Pipeline:
    """Load a model by URI: ``runs:/<run id>/model``, ``models:/<name>/<version>`` or ``models:/<name>@<alias>``."""
    _load_flavour()
    import mlflow

    with guard(store):
        mlflow.set_tracking_uri(store.uri)
        mlflow.set_registry_uri(store.uri)
        return mlflow.sklearn.load_model(uri)


def runs(
    store: Store, experiment: str, where: str = "", *, order_by: str = "attributes.start_time DESC"
) -> pd.DataFrame:
    """Return the runs of ``experiment`` that satisfy ``where``, one row a run.

    ``where`` and ``order_by`` are MLflow search expressions, for example ``"metrics.`valid.auc` > 0.7"``.

    Raises
    ------
    TrackingError
        There is no such experiment, or an expression cannot be read.
    """
    client = store.client()
    import mlflow

    with guard(store):
        if client.get_experiment_by_name(experiment) is None:
            names = ", ".join(repr(found.name) for found in client.search_experiments())
            raise TrackingError(
                f"There is no experiment called {experiment!r} in {store.database}.",
                expected=f"one of {names}",
                next_step="correct the name, or log a run to it first",
            )
        mlflow.set_tracking_uri(store.uri)
        return mlflow.search_runs(experiment_names=[experiment], filter_string=where, order_by=[order_by])


def _months(frame: pd.DataFrame) -> str:
    return ",".join(str(month) for month in sorted(frame["month"].unique()))


def _load_flavour() -> None:
    """Import MLflow's model code without the warnings it gives about its own type hints."""
    import warnings

    quiet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
        import mlflow.sklearn  # noqa: F401


def _log_model(model: Pipeline, frame: pd.DataFrame) -> None:
    _load_flavour()
    import mlflow
    from mlflow.models import infer_signature

    # Whole numbers are declared as floats: an integer column could not hold the missing values of tomorrow's flights.
    numbers = dict.fromkeys(features.NUMBERS, "float64")
    example = features.select(frame).head(3).astype(numbers).reset_index(drop=True)
    mlflow.sklearn.log_model(
        model,
        name="model",
        # Naming the requirements saves MLflow the seconds it takes to find them out by importing the model.
        pip_requirements=[f"{name}=={version(name)}" for name in ("scikit-learn", "numpy", "pandas", "skops")],
        signature=infer_signature(example, model.predict_proba(example)),
        input_example=example,
        pyfunc_predict_fn="predict_proba",
        serialization_format="skops",
        skops_trusted_types=list(TRUSTED_TYPES),
    )
