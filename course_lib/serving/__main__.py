"""Start the service: ``python -m course_lib.serving --bundle FOLDER --port 8000``."""

from __future__ import annotations

import argparse
import os

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and serve until SIGTERM."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and ONNX Runtime are imported
    parser = argparse.ArgumentParser(prog="python -m course_lib.serving", description="Serve the late-flight model.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--bundle", help="folder of a signed bundle")
    where.add_argument("--store", help="folder of a tracking store; serves the version with --alias")
    parser.add_argument("--alias", default="champion", help="registry alias (default: champion)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-queue", type=int, default=512, help="flights that may wait (default: 512)")
    parser.add_argument("--max-delay-ms", type=float, default=0.0, help="wait for a fuller micro-batch (default: 0)")
    parser.add_argument("--direct-route", action="store_true", help="answer /predict past FastAPI: quicker")
    parser.add_argument("--drain-s", type=float, default=2.0, help="seconds callers get to leave after SIGTERM")
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    options = parser.parse_args(arguments)
    _serve(options)


def _serve(options: argparse.Namespace) -> None:
    from pathlib import Path

    from course_lib.serving.api import telemetry
    from course_lib.serving.api.app import create_app
    from course_lib.serving.api.server import run
    from course_lib.serving.api.settings import Settings
    from course_lib.serving.model import ModelSource, Registered

    telemetry.log_to(level=options.log_level)
    source: ModelSource = Path(options.bundle) if options.bundle else Registered(Path(options.store), options.alias)
    settings = Settings(
        max_queue=options.max_queue, max_delay_s=options.max_delay_ms / 1000, direct_route=options.direct_route
    )
    run(create_app(source, settings), host=options.host, port=options.port, drain_s=options.drain_s)


if __name__ == "__main__":
    main()
