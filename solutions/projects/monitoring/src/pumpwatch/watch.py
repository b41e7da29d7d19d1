"""Watch the batches: readings against the reference, accuracy against the training, and act once on what changed."""

import json
import os
import urllib.request
from pathlib import Path

import numpy as np

from pumpwatch.model import FEATURES, Model, fit, load, save

LIMIT = 5.0  # standard errors
GATHER = 3  # labelled batches to train on
COOL_DOWN = 10  # batches


class Watch:
    """State of one deployed model; everything that happens is a line in `events.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model: Model = load(folder)
        self.batch = self.labelled = -1
        self.alerts = 0
        self._seen: dict[int, tuple[list[str], np.ndarray]] = {}
        self._drifted: set[str] = set()
        self._gathered: list[tuple[np.ndarray, np.ndarray]] | None = None
        self._quiet_until = -1

    # readings ----------------------------------------------------------------------------------------------------
    def readings(self, batch: int, ids: list[str], values: np.ndarray) -> None:
        """Compare mean and spread of a batch with the reference."""
        self._seen[batch] = ids, values
        mean, deviation = np.array(self.model.mean), np.array(self.model.deviation)
        rows = len(values)
        by_mean = np.abs(values.mean(axis=0) - mean) / deviation * np.sqrt(rows)
        by_spread = np.abs(np.log(values.std(axis=0) / deviation)) * np.sqrt(2 * rows)
        scores = np.maximum(by_mean, by_spread)
        for name, score in zip(FEATURES, scores.tolist(), strict=True):
            if score > LIMIT and name not in self._drifted:
                self._drifted.add(name)
                self.alert("data", batch, feature=name, score=round(score, 1))
            elif score <= LIMIT:
                self._drifted.discard(name)
        self.batch = batch

    # labels ------------------------------------------------------------------------------------------------------
    def labels(self, batch: int, labels: dict[str, int]) -> None:
        """Compare the accuracy of a batch with that of the training; gather rows after an alert."""
        ids, values = self._seen.pop(batch)
        truth = np.array([labels[one] for one in ids])
        if self._gathered is None and batch > self._quiet_until:
            right = float(np.mean(self.model.predict(values) == truth))
            expected = self.model.accuracy
            error = np.sqrt(expected * (1 - expected) / len(truth))
            if (expected - right) / error > LIMIT:
                self.alert("concept", batch, accuracy=round(right, 3), expected=round(expected, 3))
                self._gathered = []
        if self._gathered is not None:
            self._gathered.append((values, truth))
            if len(self._gathered) == GATHER:
                self.retrain(batch)
        self.labelled = batch

    def retrain(self, batch: int) -> None:
        """Train a challenger on half of the rows gathered, and promote it if it is better on the other half."""
        values = np.concatenate([one for one, _ in self._gathered])
        truth = np.concatenate([one for _, one in self._gathered])
        self._gathered, self._quiet_until = None, batch + COOL_DOWN
        self.record("retraining", batch, rows=len(truth))
        challenger = fit(values[::2], truth[::2], self.model.version + 1)
        scores = {
            "champion": float(np.mean(self.model.predict(values[1::2]) == truth[1::2])),
            "challenger": float(np.mean(challenger.predict(values[1::2]) == truth[1::2])),
        }
        if scores["challenger"] > scores["champion"]:
            save(challenger, self.folder)
            (self.folder / "current").write_text(str(challenger.version))
            self.model = challenger
            self.record("promoted", batch, version=challenger.version, **scores)
        else:
            self.record("refused", batch, version=challenger.version, **scores)

    # telling -----------------------------------------------------------------------------------------------------
    def alert(self, kind: str, batch: int, **more: object) -> None:
        """Record an alert and post it."""
        self.alerts += 1
        self.record("alert", batch, kind=kind, **more)
        url = os.environ.get("ALERT_URL")
        if url:
            body = json.dumps({"kind": kind, "batch": batch, **more}).encode()
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            try:
                urllib.request.urlopen(request, timeout=5).close()
            except OSError as error:
                self.record("alert not delivered", batch, why=str(error))

    def record(self, event: str, batch: int, **more: object) -> None:
        """Append a line to the journal."""
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(json.dumps({"event": event, "batch": batch, **more}) + "\n")

    def events(self) -> list[dict]:
        """Return the journal."""
        path = self.folder / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
