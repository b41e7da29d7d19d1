"""Start the gateway: ``python -m course_lib.llm.gateway --upstream http://127.0.0.1:8000/v1 --model NAME``."""

from __future__ import annotations

import argparse

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.llm.gateway", description="Speak many LLM protocols.")
    parser.add_argument("--upstream", required=True, help="base URL of an OpenAI-compatible server, ending in /v1")
    parser.add_argument("--model", required=True, help="the server's name of its model")
    parser.add_argument("--alias", action="append", default=[], help="a further name for it; may be given repeatedly")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--max-concurrent", type=int, default=64)
    _serve(parser.parse_args(arguments))


def _serve(options: argparse.Namespace) -> None:
    import uvicorn

    from course_lib.llm.gateway.app import create_gateway
    from course_lib.llm.gateway.settings import Settings
    from course_lib.serving.api.telemetry import log_to

    log_to()
    models = dict.fromkeys([options.model, *options.alias], options.model)
    app = create_gateway(options.upstream, Settings(models=models, max_concurrent=options.max_concurrent))
    uvicorn.run(app, host=options.host, port=options.port, access_log=False, server_header=False, log_level="warning")


if __name__ == "__main__":
    main()
