"""Run llama.cpp's own server: ``python -m course_lib.llm.servers.llamacpp --port 8080``.

It runs in a process of its own because it is native code: what goes wrong there must not take a notebook's kernel down.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from course_lib.llm.servers.weights import MODEL, gguf

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.llm.servers.llamacpp", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", default=None, help="a GGUF file (default: the course's)")
    parser.add_argument("--alias", default=MODEL, help="what requests call the model")
    parser.add_argument("--max-num-seqs", type=int, default=4, help="sequences generated at the same time")
    parser.add_argument("--max-model-len", type=int, default=1024, help="tokens of one sequence, prompt and answer")
    parser.add_argument("--threads", type=int, default=2)
    _serve(parser.parse_args(arguments))


def _serve(options: argparse.Namespace) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(options.model or gguf())
    params.model_alias = {options.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_parallel = options.max_num_seqs
    params.n_ctx = options.max_num_seqs * options.max_model_len  # llama.cpp divides it among the slots
    if _little_memory():  # one KV cache for all slots, of a third of the size, and no copies of old prompts
        params.kv_unified, params.n_ctx, params.cache_ram_mib = True, max(params.n_ctx // 3, options.max_model_len), 0
    params.cont_batching = True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.endpoint_metrics = True
    params.ui = False
    # Stop at once: what a server finishes after SIGTERM is for a rollout to decide, and this one has none.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = xllamacpp.Server(params)
    print(f"llama.cpp serves on {server.listening_address}", flush=True)
    while True:
        signal.pause()


def _little_memory() -> bool:
    """Whether this session is limited to less than 4 GB: JupyterHub, and so Binder, says it in ``MEM_LIMIT``."""
    limit = os.environ.get("MEM_LIMIT", "")
    return limit.isdigit() and int(limit) < 4 << 30


if __name__ == "__main__":
    main()
