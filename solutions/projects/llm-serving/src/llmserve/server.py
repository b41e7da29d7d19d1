"""Serve a GGUF file with llama.cpp: `python -m llmserve.server --weights FILE --port 8080`."""

import argparse
import signal
import sys

import xllamacpp

SLOTS, CONTEXT = 4, 512  # sequences at a time, and tokens of each


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True)
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = options.weights
    params.model_alias = {"smollm2"}
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT
    params.cont_batching = True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.endpoint_metrics = True
    params.ui = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = xllamacpp.Server(params)
    print(f"serving on {server.listening_address}", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
