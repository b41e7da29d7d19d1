"""The second tracker: the same values, in one file, and nothing left running."""

from __future__ import annotations

import psutil
import pytest

from course_lib import tracking, wandb_offline
from course_lib.errors import TrackingError


@pytest.fixture
def store(tmp_path):
    return tracking.open_store(tmp_path / "tracking")


def test_a_mirrored_run_has_the_same_parameters_metrics_and_steps(store, tmp_path):
    import pandas as pd

    client = store.client()
    run_id = client.create_run(tracking.use(store, "desk"), run_name="calm-owl").info.run_id
    client.log_param(run_id, "max_iter", 60)
    client.log_metric(run_id, "valid.auc", 0.7125)
    tracking.log_curve(store, run_id, pd.DataFrame({"valid": [0.6, 0.5, 0.55]}, index=[1, 2, 3]))

    copy = wandb_offline.mirror(store, run_id, tmp_path / "wandb")

    assert (copy.name, copy.project) == ("calm-owl", "late-flight-desk")
    assert copy.config == {"max_iter": "60", "mlflow_run_id": run_id}
    assert copy.summary == {"valid.auc": 0.7125, "valid.curve_log_loss": 0.55}
    losses = {row["_step"]: row["valid.curve_log_loss"] for row in copy.history if "valid.curve_log_loss" in row}
    assert losses == {1: 0.6, 2: 0.5, 3: 0.55}
    assert copy.path.is_relative_to(tmp_path / "wandb")
    helpers = [child for child in psutil.Process().children(recursive=True) if "wandb" in child.name()]
    assert helpers == []


def test_an_unknown_run_is_refused(store, tmp_path):
    with pytest.raises(TrackingError, match="no-such-run"):
        wandb_offline.mirror(store, "no-such-run", tmp_path / "wandb")


def test_a_file_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "run.wandb").write_bytes(b"hello")

    with pytest.raises(TrackingError, match="not a W&B run file"):
        wandb_offline.read(tmp_path / "run.wandb")
    with pytest.raises(TrackingError, match="cannot be read"):
        wandb_offline.read(tmp_path / "absent.wandb")
