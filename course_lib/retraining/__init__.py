"""Stage K, retraining: when to train again and why, a year under a policy, and the loop that runs itself.

``policy`` decides from evidence, ``year`` replays 2013 under a policy, ``trigger`` decides from alerts, ``loop`` trains
a challenger and lets the gate judge it, and ``service`` waits for alerts and does all that. ``steps`` is the same loop
cut into six steps for an orchestrator: ``pipeline`` compiles them for Kubeflow and runs them here, ``airflow_dag`` is
the file for Airflow.
"""

from __future__ import annotations

from course_lib.retraining.alert_demo import Drill, drill
from course_lib.retraining.backtest import Replay, Retraining, replay
from course_lib.retraining.loop import Outcome, challenge, close_the_loop
from course_lib.retraining.pipeline import PipelineRun, compile_pipeline, run_pipeline
from course_lib.retraining.retraining_policy import NEVER, Decision, Evidence, Policy, decide
from course_lib.retraining.service import Entry, RetrainingService
from course_lib.retraining.steps import StepFailed
from course_lib.retraining.trigger import Trigger

__all__ = [
    "NEVER",
    "Decision",
    "Drill",
    "Entry",
    "Evidence",
    "Outcome",
    "PipelineRun",
    "Policy",
    "Replay",
    "Retraining",
    "RetrainingService",
    "StepFailed",
    "Trigger",
    "challenge",
    "close_the_loop",
    "compile_pipeline",
    "decide",
    "drill",
    "replay",
    "run_pipeline",
]
