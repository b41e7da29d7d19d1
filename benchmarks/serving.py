"""One run, side by side: a scikit-learn baseline, the service, its direct route; ONNX Runtime; version swaps.

Run ``python -m benchmarks.serving``. It writes ``build/benchmarks/serving.json``. Absolute times depend on the machine
and on what else it does; the ratios are measured in turn on the same cores, so that a disturbance meets both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from course_lib import data, features, loadtest, packaging, processes, rollout, training
from course_lib.loadtest import Load
from course_lib.serving import baseline
from course_lib.serving.batch.job import flights_to_json

OUT = Path("build") / "benchmarks" / "serving.json"
CONNECTIONS = (1, 16, 64)
ROWS = (1, 100, 10_000)
MONTHS = (1, 2)


def services(*, rounds: int, seconds: float) -> dict[str, Any]:
    """Load three services in turn at each number of connections, and compare throughput and percentiles.

    ``baseline`` is FastAPI with a scikit-learn pipeline, ``idiomatic`` the service as FastAPI's manual writes one, and
    ``direct`` the same service with the optimised route for single flights.
    """
    bodies = flights_to_json(data.flights([3]).head(1000))
    pipeline = training.train(data.labelled(data.flights(MONTHS)))
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        model = baseline.save(pipeline, Path(scratch) / "pipeline.skops")
        bundle = str(packaging.desk_bundle(MONTHS))
        with (
            _server("course_lib.serving.baseline", "--model", str(model)) as plain,
            _server("course_lib.serving", "--bundle", bundle) as idiomatic,
            _server("course_lib.serving", "--bundle", bundle, "--direct-route") as direct,
        ):
            urls = {"baseline": plain.url, "idiomatic": idiomatic.url, "direct": direct.url}
            found = _in_turn(urls, bodies, rounds, seconds)
    table = {name: {str(n): _summary(loads) for n, loads in by.items()} for name, by in found.items()}
    return {
        "services": table,
        "throughput_ratio_16": {
            "idiomatic / baseline": _ratio(found["idiomatic"][16], found["baseline"][16]),
            "direct / baseline": _ratio(found["direct"][16], found["baseline"][16]),
            "direct / idiomatic": _ratio(found["direct"][16], found["idiomatic"][16]),
        },
        "p99_ms_16": {name: by["16"]["p99_ms"] for name, by in table.items()},
    }


def runtimes(*, seconds: float) -> dict[str, Any]:
    """Score the same flights with scikit-learn and with ONNX Runtime, in turn."""
    frame = features.select(data.flights([3]))
    pipeline = training.train(data.labelled(data.flights(MONTHS)))
    scorer = packaging.Scorer(packaging.export_onnx(pipeline))
    result: dict[str, Any] = {"runtimes": {}}
    for rows in ROWS:
        part = frame.head(rows)
        columns = {name: part[name].to_numpy() for name in features.NAMES}
        ways = {"sklearn": lambda p=part: pipeline.predict_proba(p), "onnx": lambda c=columns: scorer.score(c)}
        best = _fastest(ways, seconds)
        result["runtimes"][str(rows)] = {f"{name}_ms": round(1000 * took, 4) for name, took in best.items()}
        result[f"onnx_speedup_{rows}"] = round(best["sklearn"] / best["onnx"], 2)
    return result


def swaps(*, count: int) -> dict[str, Any]:
    """Move the traffic between two versions under load, every fifth time to a fresh process; count what is lost."""
    bundles = [packaging.desk_bundle(MONTHS, version=number) for number in (1, 2)]
    flights = rollout.flight_bodies(data.flights([3]).head(50))
    endured = rollout.swap_under_load(bundles, flights, swaps=count, fresh_every=5)
    return {
        "swaps": endured.swaps,
        "swaps_with_a_fresh_process": endured.fresh,
        "swaps_through": endured.engine,
        "requests_in_swaps": endured.report.sent,
        "failed_in_swaps": endured.report.failed,
    }


def _ratio(ours: list[Load], theirs: list[Load]) -> float:
    """Return the median ratio of the throughputs; each round was measured back to back, so it is formed per round."""
    return round(statistics.median(one.rate / other.rate for one, other in zip(ours, theirs, strict=True)), 2)


def _server(module: str, *options: str) -> processes.Server:
    port = processes.free_port()
    command = [sys.executable, "-m", module, *options, "--port", str(port)]
    return processes.Server(module, command, port=port, ready_path="/health").start().wait_ready()


def _in_turn(
    urls: dict[str, str], bodies: list[dict[str, Any]], rounds: int, seconds: float
) -> dict[str, dict[int, list[Load]]]:
    found: dict[str, dict[int, list[Load]]] = {name: {n: [] for n in CONNECTIONS} for name in urls}
    for connections in CONNECTIONS:
        for _ in range(rounds):
            for name, url in urls.items():
                load = loadtest.closed_loop(url, connections=connections, seconds=seconds, bodies=bodies)
                if load.failed or set(load.statuses) != {200}:
                    raise SystemExit(f"{name} failed at {connections} connections: {load.statuses}, {load.lost} lost")
                found[name][connections].append(load)
    return found


def _summary(loads: list[Load]) -> dict[str, float]:
    """Return the median over the rounds: one disturbed round must not decide."""

    def middle(value: Callable[[Load], float]) -> float:
        return round(statistics.median(map(value, loads)), 2)

    return {
        "requests_per_s": middle(lambda load: load.rate),
        "p50_ms": middle(lambda load: load.ms(0.5)),
        "p95_ms": middle(lambda load: load.ms(0.95)),
        "p99_ms": middle(lambda load: load.ms(0.99)),
    }


def _fastest(ways: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Return the seconds of the quickest call of each way; slower ones were disturbed by something else."""
    best = dict.fromkeys(ways, float("inf"))
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def main() -> None:
    """Measure everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=5, help="measurements per service and number of connections")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each")
    parser.add_argument("--swaps", type=int, default=50, help="version swaps under load (0: none)")
    options = parser.parse_args()
    report = services(rounds=options.rounds, seconds=options.seconds) | runtimes(seconds=options.seconds)
    report |= swaps(count=options.swaps) if options.swaps else {}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
