"""Run the service: ``python -m course_lib.retraining --store FOLDER --state FOLDER --moment 2013-07-01``."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.retraining", description="Retrain when an alert comes.")
    parser.add_argument("--store", required=True, type=Path, help="folder of the tracking store")
    parser.add_argument("--state", required=True, type=Path, help="folder of the journal and the ledger")
    parser.add_argument("--moment", required=True, help="the present within the year 2013, such as 2013-07-01")
    parser.add_argument("--every", type=int, default=1, help="use every n-th flight (default: all)")
    parser.add_argument("--port", type=int, default=9099)
    options = parser.parse_args(arguments)
    _serve(options)


def _serve(options: argparse.Namespace) -> None:
    import pandas as pd

    from course_lib import data, tracking
    from course_lib.retraining.loop import Outcome, challenge
    from course_lib.retraining.service import RetrainingService

    store = tracking.open_store(options.store)
    moment = pd.Timestamp(options.moment, tz="UTC")

    def train() -> Outcome:
        months = range(1, min(12, moment.month) + 1)
        return challenge(store, data.flights(months).iloc[:: options.every], moment=moment)

    stopped = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stopped.set())
    with RetrainingService(options.state, train, port=options.port):
        stopped.wait()


if __name__ == "__main__":
    main()
