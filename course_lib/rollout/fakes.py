"""Fakes of bad versions, each a real process of the real service, to prove that a rollout stops them.

``python -m course_lib.rollout.fakes --bundle FOLDER --port N --fault missing-weather``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib import processes

if TYPE_CHECKING:
    from course_lib.serving.model import Model

__all__ = ["FAULTS", "faulty", "main"]

FAULTS = {
    "never-ready": "its model cannot be loaded",
    "missing-weather": "it crashes on flights whose pressure is not known",
    "kilometres": "it takes the distance for kilometres",
}


def faulty(fault: str) -> Callable[[Path, int], processes.Server]:
    """Return a launcher, as :class:`course_lib.rollout.BlueGreen` wants it, for a version with ``fault``."""

    def start(bundle: Path, port: int) -> processes.Server:
        command = [sys.executable, "-m", "course_lib.rollout.fakes", "--bundle", str(bundle), "--port", str(port)]
        name = f"the service with the fault {fault}"
        env = {"OMP_NUM_THREADS": "1"}
        return processes.Server(name, [*command, "--fault", fault], port=port, ready_path="/ready", env=env)

    return start


class _Faulty:
    """A model with one fault; everything else is the good model's."""

    def __init__(self, model: Model, fault: str) -> None:
        from course_lib.features import NAMES

        self.version, self.run_id, self.sha256 = f"{model.version}-{fault}", model.run_id, model.sha256
        self._model, self._fault = model, fault
        self._distance, self._pressure = NAMES.index("distance"), NAMES.index("pressure")
        self._warm = False

    def score(self, rows: Sequence[tuple[Any, ...]]) -> list[float]:
        """Score the rows as the faulty version would."""
        warming, self._warm = not self._warm, True  # the service's own warm-up has no weather
        if self._fault == "missing-weather" and not warming:
            for row in rows:
                float(row[self._pressure])  # None is no number: the bug of this version
        if self._fault == "kilometres":
            rows = [_replaced(row, self._distance, row[self._distance] * 1.609344) for row in rows]
        return self._model.score(rows)


def main() -> None:
    """Serve a faulty version until SIGTERM."""
    from course_lib.serving.api.app import create_app
    from course_lib.serving.api.server import run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--fault", choices=sorted(FAULTS), required=True)
    given = parser.parse_args()
    run(create_app(partial(_load, given.bundle, given.fault)), port=given.port)


def _load(bundle: Path, fault: str) -> Model:
    from course_lib.serving.model import load_model

    if fault == "never-ready":
        raise OSError("the model file is on a disk that was not mounted")
    return _Faulty(load_model(bundle), fault)


def _replaced(row: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*row[:index], value, *row[index + 1 :])


if __name__ == "__main__":
    main()
