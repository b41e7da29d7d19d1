"""Stages quiet, shift, spread, concept: a deployed model gets simulated batches, with and without drift."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autograder.projects.harness import NOT_CODE, Harness, Server, dig, json_of, post
from autograder.projects.measure import simulator
from autograder.projects.measure.metrics import read_metrics
from autograder.projects.model import Requirement, Unmet
from autograder.projects.stage import Stage
from autograder.projects.submission import Project

__all__ = ["STAGES", "inputs"]

MOST_DELAY = 5  # batches that a project may promise
_QUIET, _AFTER = 30, 9  # batches without drift; batches after it began
_AFTER_CONCEPT = 22
_SETTLE_SECONDS = 30.0
_SKILL, _RECOVERED = 0.8, 0.75


def inputs(project: Project) -> Mapping[str, bytes]:
    """Return the table to train on."""
    batches = simulator.batches(10, _seed(project, "training"), simulator.Drift("none"))
    return {"data.csv": simulator.as_csv(batches).encode()}


def _seed(project: Project, what: str) -> int:
    """Return a number that follows from the code of the project: others cannot know it, and it stays the same."""
    return int.from_bytes(hashlib.sha256(f"{what} {project.digest(NOT_CODE)}".encode()).digest()[:4], "big")


@dataclass(frozen=True)
class SimulationRun:
    """What a project did while batches came: one step a batch."""

    drift: simulator.Drift
    made: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]

    def alerts(self, kind: str = "", *, since: int = 0) -> list[tuple[int, Mapping[str, Any]]]:
        """Return the alerts of ``kind`` with the batch after which each came, from batch ``since`` on."""
        return [
            (number, alert)
            for number, step in enumerate(self.steps)
            for alert in step["alerts"]
            if number >= since and isinstance(alert, dict) and (not kind or alert.get("kind") == kind)
        ]

    def version(self, batch: int) -> int:
        """Return the version of the model in service after a batch."""
        found = self.steps[batch]["status"].get("version")
        return found if isinstance(found, int) else -1

    def accuracy(self, batches: Sequence[int]) -> float:
        """Return the share of right answers in some batches."""
        right = rows = 0
        for number in batches:
            truth = self.made[number]["labels"]
            given = dig(json_of({"text": self.steps[number]["answer"]}), "predictions")
            labels = {str(dig(row, "id")): dig(row, "label") for row in (given if isinstance(given, list) else ())}
            right += sum(labels.get(row) == label for row, label in truth.items())
            rows += len(truth)
        return right / rows


def _simulate(harness: Harness, kind: simulator.DriftKind, count: int, place: str = "") -> SimulationRun:
    """Deploy the trained model, send batches, drift included, and return what happened."""
    drift = simulator.draw_drift(kind, _seed(harness.project, kind)) if kind != "none" else simulator.Drift("none")
    made = simulator.batches(drift.begins + count, _seed(harness.project, f"{kind} batches"), drift)
    place = place or harness.fresh(overlay=harness.trained_files())
    alert_port = harness.sandbox.free_port()
    env = {"ALERT_URL": f"http://127.0.0.1:{alert_port}/alerts"}
    with harness.serve(place, "/ready", statuses=[200], env=env) as server:
        server.require_answer()
        run = _feed(harness, server, alert_port, drift, made)
        if kind == "none":
            _check_service(harness, server, run)
        if kind == "concept":
            _check_metrics(harness, server, run)
    return run


def _feed(
    harness: Harness, server: Server, alert_port: int, drift: simulator.Drift, made: list[dict[str, Any]]
) -> SimulationRun:
    reply = harness.sandbox.probe(
        "feed",
        within=300,
        port=server.port,
        alerts=alert_port,
        batches=made,
        late=simulator.LATE,
        settle_seconds=_SETTLE_SECONDS,
    )
    run = SimulationRun(drift, made, reply.get("steps", []))
    if len(run.steps) < len(made) or not run.steps[-1]["status"].get("settled"):
        code = run.steps[-1]["code"] if run.steps else 0
        raise Unmet(
            f"batch {len(run.steps)} of {len(made)} (POST /predict: {code}) was not named by /status as looked"
            f" at within {_SETTLE_SECONDS:.0f} s"
        )
    return run


# stage quiet ---------------------------------------------------------------------------------------------------------
QUIET = (
    Requirement(
        "serve.predicts",
        "each row of a batch gets its label, and the labels are right more often than 80 of 100 times",
        5,
        '`POST /predict` answers `{"predictions": [{"id": …, "label": 0 or 1}, …]}`.',
    ),
    Requirement(
        "serve.refuses",
        "a row with a missing reading, a text or a wild number is refused with 422",
        3,
        "Give every reading bounds in the Pydantic model, and don't allow missing ones.",
    ),
    Requirement(
        "quiet.silent",
        f"without drift, {_QUIET} batches pass without an alert and without a retraining",
        10,
        "A test at p < 0.05 on four readings cries wolf in every fifth batch. Choose the limit from the number of"
        " tests.",
    ),
)


def _quiet(harness: Harness) -> None:
    run = _simulate(harness, "none", _QUIET)
    right = run.accuracy(range(_QUIET))
    evidence = f"{_QUIET} batches of {simulator.ROWS} rows: {right:.3f} of the answers are right"
    harness.record("serve.predicts", right > _SKILL, evidence)
    alerts, version = run.alerts(), run.version(_QUIET - 1)
    evidence = f"{_count(len(alerts))}{_first(alerts)}; model version {run.version(0)} before, {version} after"
    harness.record("quiet.silent", not alerts and version == run.version(0), evidence)


def _count(alerts: int) -> str:
    return f"{alerts} alert{'' if alerts == 1 else 's'}"


def _first(alerts: Sequence[tuple[int, Mapping[str, Any]]]) -> str:
    return f", the first in batch {alerts[0][0]}: {str(dict(alerts[0][1]))[:150]}" if alerts else ""


def _check_service(harness: Harness, server: Server, run: SimulationRun) -> None:
    row = dict(run.made[0]["rows"][0])
    without = {key: value for key, value in row.items() if key != "pressure"}
    wrong = [without, {**row, "pressure": "high"}, {**row, "pressure": 1e12}, {**row, "pressure": None}]
    requests = [post("/predict", {"batch": 10_000 + n, "rows": [one]}) for n, one in enumerate(wrong)]
    statuses = [answer["status"] for answer in server.ask(*requests)]
    evidence = f"missing, text, wild, null: {', '.join(map(str, statuses))}"
    harness.record("serve.refuses", statuses == [422] * 4, evidence)


# stages of data drift ------------------------------------------------------------------------------------------------
SHIFT = (
    Requirement(
        "shift.detected",
        "when the mean of a reading moves, an alert of kind `data` comes within the promised delay, and none before",
        8,
        "Compare each batch's readings with those of the training data.",
    ),
    Requirement(
        "shift.named",
        "the alert names the reading in `feature`",
        3,
        "Test each reading by itself, and say which it was.",
    ),
    Requirement(
        "shift.once",
        "the drift gives one alert, not one a batch",
        4,
        "Remember what is drifting; speak again only after it was normal in between.",
    ),
)
SPREAD = (
    Requirement(
        "spread.detected",
        "when the spread of a reading grows, an alert of kind `data` comes within the promised delay",
        8,
        "Look at more than the mean: the deviation, the quantiles, or the whole distribution (PSI, KS).",
    ),
)


def _record_detected(
    harness: Harness, requirement: str, run: SimulationRun, what: str, *, kind: str = "data", begins: int
) -> None:
    """Record whether an alert of ``kind`` came in time and none before; ``what`` says what it should have seen."""
    alerts = run.alerts(kind)
    early = [number for number, _ in alerts if number < begins]
    delay = min(int(harness.project.settings["delay"]), MOST_DELAY)
    in_time = [number for number, _ in alerts if begins <= number <= begins + delay]
    after = f"{alerts[len(early)][0] - begins} batches after" if len(alerts) > len(early) else "none came after"
    evidence = f"promised: {delay} batches; {_count(len(early))} before it could be seen, the first {after}"
    evidence = evidence.replace("the first none came", "none came")
    harness.record(requirement, bool(in_time) and not early, f"{what}; {evidence}")


def _shift(harness: Harness) -> None:
    run = _simulate(harness, "shift", _AFTER)
    drift = run.drift
    what = f"{drift.feature} moved by {drift.size:+.1f} standard deviations from batch {drift.begins} on"
    _record_detected(harness, "shift.detected", run, what, begins=drift.begins)
    alerts = run.alerts("data", since=drift.begins)
    named = [str(alert.get("feature"))[:30] for _, alert in alerts]
    evidence = f"{drift.feature} moved; named: {', '.join(named[:5]) or 'nothing'}"
    harness.record("shift.named", bool(named) and set(named) == {drift.feature}, evidence)
    harness.record(
        "shift.once", len(alerts) == 1, f"{_count(len(alerts))} in the {_AFTER} batches after the drift began"
    )


def _spread(harness: Harness) -> None:
    run = _simulate(harness, "spread", _AFTER)
    drift = run.drift
    what = f"the deviation of {drift.feature} grew to {drift.size:.1f} times from batch {drift.begins} on"
    _record_detected(harness, "spread.detected", run, what, begins=drift.begins)


# stage concept -------------------------------------------------------------------------------------------------------
CONCEPT = (
    Requirement(
        "concept.detected",
        "when the rule behind the labels changes, an alert of kind `concept` comes within the promised delay",
        12,
        f"Labels come {simulator.LATE} batches later: compare the accuracy on them with that of the training.",
    ),
    Requirement(
        "concept.retrained",
        "it is retrained once",
        8,
        "Start on the alert, and let a cool-down pass before the next: the record has one event `retraining`.",
    ),
    Requirement(
        "concept.promoted",
        "the better model is promoted, and its answers are right again",
        9,
        "Train on rows from after the change, compare champion and challenger on rows that neither has seen.",
    ),
    Requirement(
        "concept.recorded",
        "`/events` tells it all, and a restart loses nothing",
        8,
        "Write `alert`, `retraining` and `promoted` (with the scores `champion` and `challenger`) to a file at once.",
    ),
    Requirement(
        "metrics.exported",
        "`/metrics` counts the batches and the alerts, and says which version is in service",
        5,
        "A counter of batches, a counter of alerts, and a gauge that is the model's version, in Prometheus' format.",
    ),
)


def _concept(harness: Harness) -> None:
    place = harness.fresh(overlay=harness.trained_files())
    run = _simulate(harness, "concept", _AFTER_CONCEPT, place)
    begins, last = run.drift.begins, len(run.steps) - 1
    what = f"the rule changed in batch {begins}, to be seen in the labels from batch {begins + simulator.LATE} on"
    _record_detected(harness, "concept.detected", run, what, kind="concept", begins=begins + simulator.LATE)
    before, changed = run.accuracy(range(begins)), run.accuracy(range(begins, begins + simulator.LATE))
    after = run.accuracy(range(last - 3, last + 1))
    grown = run.version(last) > run.version(0)
    evidence = f"right answers: {before:.3f} before, {changed:.3f} after the change, {after:.3f} at the end"
    evidence += f"; version {run.version(0)}, then {run.version(last)}"
    harness.record("concept.promoted", grown and after > max(_RECOVERED, changed), evidence)
    with harness.serve(place, "/ready", statuses=[200]) as server:  # again, in the same place
        server.require_answer()
        _check_record(harness, server, run)


def _check_record(harness: Harness, server: Server, run: SimulationRun) -> None:
    reply = json_of(server.get("/events"))
    events = [event for event in reply if isinstance(event, dict)] if isinstance(reply, list) else []
    names = [str(event.get("event")) for event in events]
    retrained = names.count("retraining")
    harness.record("concept.retrained", retrained == 1, f"events `retraining` in the record: {retrained}")
    version = dig(json_of(server.get("/status")), "version")
    promoted = next((event for event in events if event.get("event") == "promoted"), {})
    champion, challenger = promoted.get("champion"), promoted.get("challenger")
    better = isinstance(champion, float) and isinstance(challenger, float) and challenger > champion
    kept = version == run.version(len(run.steps) - 1) != run.version(0)
    evidence = f"after a restart: {', '.join(dict.fromkeys(names)) or 'no events'}; version {version}"
    evidence += "; the promotion names both scores" if better else "; no promotion with a better challenger's score"
    harness.record("concept.recorded", {"alert", "retraining", "promoted"} <= set(names) and better and kept, evidence)


def _check_metrics(harness: Harness, server: Server, run: SimulationRun) -> None:
    batches, alerts, version = len(run.steps), len(run.alerts()), run.version(len(run.steps) - 1)
    with harness.failing("metrics.exported"):
        metrics = read_metrics(server.get("/metrics"))
        counted, gauges = metrics.counter.values(), metrics.gauge.values()
        found = {"batches": batches in counted, "alerts": alerts in counted, "version": version in gauges}
        missing = [what for what, there in found.items() if not there]
        evidence = f"{batches} batches, {_count(alerts)}, version {version}: "
        evidence += f"no sample for {', '.join(missing)}" if missing else "all three found"
        harness.record("metrics.exported", not missing, evidence)


STAGES = (
    Stage("quiet", QUIET, _quiet, excluded=NOT_CODE),
    Stage("shift", SHIFT, _shift, excluded=NOT_CODE),
    Stage("spread", SPREAD, _spread, excluded=NOT_CODE),
    Stage("concept", CONCEPT, _concept, excluded=NOT_CODE),
)
