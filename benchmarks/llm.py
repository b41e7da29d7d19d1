"""One run, the same prompts: plain transformers one at a time and in a padded batch, vLLM, and llama.cpp.

Run ``python -m benchmarks.llm``. It writes ``build/benchmarks/llm.json``. All answers have a fixed length (the models
are told not to stop), so every way makes the same tokens: ``uniform`` gives all requests the same length, ``skewed``
gives a quarter of them long ones. Absolute numbers depend on the machine and on what else it does; the ratios are taken
within this run. vLLM and transformers compute with the same format, the one that suits this processor (``weights`` in
the report): with bfloat16 emulated, vLLM's ratio was 2 where native bfloat16 gave 14. llama.cpp has 4-bit weights: its
ratio mixes formats.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_lib.data import cache_dir
from course_lib.llm import batching, trace
from course_lib.llm.inside.kv_cache import PagedCache
from course_lib.llm.servers import launch
from course_lib.llm.servers.client import Client
from course_lib.llm.servers.server import open_server
from course_lib.llm.servers.timing import summarise

OUT = Path("build") / "benchmarks" / "llm.json"
ROOT = Path(__file__).resolve().parents[1]
CONCURRENT = (1, 8, 32)
REQUESTS = 32


def lengths_of(mean: int) -> dict[str, list[int]]:
    """Return the output lengths of 32 requests: all ``mean``, or a quarter of 13/4 and the rest of 1/4 of it."""
    long, short = mean * 13 // 4, mean // 4
    return {"uniform": [mean] * REQUESTS, "skewed": [short if k % 4 else long for k in range(REQUESTS)]}


def prompts() -> list[str]:
    """Return 32 prompts of about 30 tokens; no two have a long beginning in common."""
    cities = ("Chicago", "Miami", "Boston", "Denver", "Atlanta", "Dallas", "Seattle", "Tampa")
    causes = ("a storm", "a late crew", "a full runway", "a broken door")
    return [
        f"{city} is waiting for us because of {cause}. Write to the passengers." for city in cities for cause in causes
    ]


def dtype() -> str:
    """Return what vLLM computes with on this processor; transformers is measured with the same."""
    chosen = launch.LAUNCHERS["vllm"].number_format(launch.Sizes())
    return "bfloat16" if chosen in {None, "auto"} else str(chosen)


def processor() -> list[str]:
    """Return which instructions for many numbers at once this processor has: they decide what a format costs."""
    wide = {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "i8mm"}
    return sorted(launch.flags_of(launch.cpuinfo()) & wide)


def transformers(lengths: dict[str, list[int]], *, one_by_one: int, rounds: int, threads: int) -> dict[str, Any]:
    """Run plain transformers, as a process of the environment that has torch: one at a time, and one padded batch."""
    prefix = launch.vllm_prefix()
    if prefix is None:
        raise SystemExit("This benchmark needs torch and transformers, which come with vLLM: run `make vllm`.")
    python = str(prefix / "bin" / "python")
    env = os.environ | {"PYTHONPATH": str(ROOT), "COURSE_CACHE": str(cache_dir()), "HF_HUB_OFFLINE": "1"}
    prepare = [python, "-m", "course_lib.llm.servers.weights"]
    folder = subprocess.run(prepare, env=env, capture_output=True, text=True, check=True).stdout.split()[-1]
    job = {"folder": folder, "prompts": prompts(), "lengths": lengths, "one_by_one": one_by_one, "rounds": rounds}
    job["dtype"] = dtype()
    env |= {"OMP_NUM_THREADS": str(threads)}
    script = [python, str(ROOT / "benchmarks" / "llm_transformers.py")]
    done = subprocess.run(script, env=env, input=json.dumps(job), stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def served(engine: str, lengths: dict[str, list[int]], *, one_by_one: int, rounds: int, threads: int) -> dict[str, Any]:
    """Load a server with 1, 8 and 32 requests at once."""
    longest = max(max(one) for one in lengths.values())
    with open_server((engine,), max_num_seqs=max(CONCURRENT), max_model_len=longest + 128, threads=threads) as server:
        print(f"{server.engine} is ready", file=sys.stderr)
        with Client(server.url, server.model, timeout_s=1800) as client:
            client.many(prompts()[:2], max_tokens=8, ignore_eos=True)  # warm up
            return {
                name: {str(n): _load(client, outputs, n, one_by_one, rounds) for n in CONCURRENT}
                for name, outputs in lengths.items()
            }


def waste() -> dict[str, float]:
    """Return the share of reserved KV memory that held nothing on a trace of conversations."""
    asked = trace.skewed(400, seed=9)
    return {
        "waste_contiguous": round(batching.continuous(asked, max_num_seqs=32, cache=PagedCache(32, 2048)).kv_waste, 4),
        "waste_paged": round(batching.continuous(asked, max_num_seqs=32, cache=PagedCache(4096, 16)).kv_waste, 4),
    }


def _load(client: Client, outputs: Sequence[int], at_once: int, one_by_one: int, rounds: int) -> dict[str, float]:
    count = one_by_one if at_once == 1 else len(outputs)  # one at a time a part of them says enough
    rows = []
    for turn in range(rounds):
        asked = [f"{prompt} Letter {turn}." for prompt in prompts()[:count]]  # no answer comes from a cache
        replies = client.many(asked, max_tokens=outputs[:count], at_once=at_once, ignore_eos=True)
        if [reply.output_tokens for reply in replies] != list(outputs[:count]):
            raise SystemExit("The server did not make the tokens it was asked for.")
        found = summarise([reply.timing for reply in replies])
        # By the server's count: letters of several bytes come in fewer pieces than tokens.
        made = sum(outputs[:count]) / max(sum(len(reply.timing.tokens_s) for reply in replies), 1)
        rows.append((found.tokens_per_s * made, found.ttft_p50_ms, found.tpot_p50_ms))
    rate, first, later = (round(statistics.median(column), 2) for column in zip(*rows, strict=True))
    return {"tokens_per_s": rate, "ttft_p50_ms": first, "tpot_p50_ms": later}


def _ratios(report: dict[str, Any], engine: str) -> dict[str, float]:
    naive = {name: report["transformers"][name]["naive"]["tokens_per_s"] for name in ("uniform", "skewed")}
    if engine == "static":
        rates = {name: report["transformers"][name]["static"]["tokens_per_s"] for name in naive}
    else:
        rates = {name: report[engine][name]["32"]["tokens_per_s"] for name in naive}
    return {name: round(rates[name] / naive[name], 2) for name in naive}


def main() -> None:
    """Measure everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--tokens", type=int, default=64, help="mean length of an answer")
    parser.add_argument("--one-by-one", type=int, default=8, help="requests of the runs that serve one at a time")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each, of which the median counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each engine; 1 on a busy machine")
    options = parser.parse_args()
    lengths = lengths_of(options.tokens)
    how = {"one_by_one": options.one_by_one, "rounds": options.rounds, "threads": options.threads}
    report: dict[str, Any] = {"requests": REQUESTS, "mean_output": options.tokens, "threads": options.threads}
    report["weights"] = {"transformers": dtype(), "vllm": dtype(), "llama.cpp": "Q4_1"}
    report["processor"] = processor()
    print(f"vLLM and transformers compute with {dtype()}; the processor has {', '.join(processor())}", file=sys.stderr)
    report["transformers"] = transformers(lengths, **how)
    for engine in ("vllm", "llama.cpp"):
        report[engine] = served(engine, lengths, **how)
    report |= {
        "vllm_over_naive_32": _ratios(report, "vllm"),
        "llamacpp_over_naive_32": _ratios(report, "llama.cpp"),
        "static_over_naive_32": _ratios(report, "static"),
        **waste(),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
