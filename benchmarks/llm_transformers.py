"""Plain ``transformers.generate``: one request at a time, and one padded batch. Run by ``benchmarks.llm`` only.

It runs in the environment that has torch and knows nothing of the course: a job comes on standard input as JSON, and
the result goes to standard output.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any


def main() -> None:
    """Read a job, measure, and print the result."""
    import torch
    import transformers

    job = json.load(sys.stdin)
    auto: Any = transformers
    tokenizer = auto.AutoTokenizer.from_pretrained(job["folder"], padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = auto.AutoModelForCausalLM.from_pretrained(job["folder"], dtype=getattr(torch, job["dtype"])).eval()
    print("transformers is ready", file=sys.stderr)

    def generate(prompts: list[str], tokens: int) -> list[float]:
        """Return the seconds from the call to each step's token."""
        chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
        text = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
        inputs = tokenizer(text, return_tensors="pt", padding=True)
        times: list[float] = []

        class Clock(auto.StoppingCriteria):  # called after every step; it never stops anything
            def __call__(self, ids: Any, *_: Any, **__: Any) -> Any:
                times.append(time.perf_counter() - started)
                return torch.zeros(ids.shape[0], dtype=torch.bool)

        started = time.perf_counter()
        options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}
        with torch.inference_mode():
            model.generate(**inputs, **options, pad_token_id=tokenizer.pad_token_id, stopping_criteria=[Clock()])
        return times

    generate(job["prompts"][:1], 8)  # warm up
    result = {}
    for name, lengths in job["lengths"].items():
        few = range(job["one_by_one"])
        naive = [[generate([job["prompts"][k]], lengths[k]) for k in few] for _ in range(job["rounds"])]
        static = [generate(job["prompts"], max(lengths)) for _ in range(job["rounds"])]
        result[name] = {
            "naive": _row([(sum(lengths[k] for k in few), sum(t[-1] for t in run), run) for run in naive]),
            "static": _row([(sum(lengths), times[-1], [times]) for times in static]),
        }
        print(name, result[name], file=sys.stderr)
    print(json.dumps(result))


def _row(runs: list[tuple[int, float, list[list[float]]]]) -> dict[str, float]:
    """Return the medians over the rounds; tokens are those somebody asked for, padding is none."""
    first = [statistics.median(times[0] for times in all_times) for _, _, all_times in runs]
    later = [
        statistics.median((times[-1] - times[0]) / max(len(times) - 1, 1) for times in all_times)
        for _, _, all_times in runs
    ]
    return {
        "tokens_per_s": round(statistics.median(tokens / seconds for tokens, seconds, _ in runs), 2),
        "ttft_p50_ms": round(1000 * statistics.median(first), 2),
        "tpot_p50_ms": round(1000 * statistics.median(later), 2),
    }


if __name__ == "__main__":
    main()
