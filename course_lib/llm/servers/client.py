"""One client for every server that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama, LM Studio, SGLang, a gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from course_lib import sse
from course_lib.llm.errors import LLMError
from course_lib.llm.servers.timing import Timing

__all__ = ["Client", "Reply"]


@dataclass(frozen=True)
class Reply:
    """An answer that has come completely.

    Attributes
    ----------
    text
        What the model wrote.
    timing
        When its tokens came.
    prompt_tokens, output_tokens
        Counted by the server.
    finish_reason
        ``stop``: the model was done; ``length``: it was cut off at ``max_tokens``.
    """

    text: str
    timing: Timing
    prompt_tokens: int
    output_tokens: int
    finish_reason: str


class Client:
    """Asks a model over HTTP.

    Parameters
    ----------
    url
        The server's base URL, such as ``http://127.0.0.1:8000/v1``.
    model
        Name of the model; by default the first that the server lists.
    timeout_s
        Seconds to wait for the next bytes. Always have one.
    key
        API key; the servers on your own machine take any.

    Raises
    ------
    LLMError
        From every method: the server refused, broke off, or could not be reached.
    """

    def __init__(self, url: str, model: str | None = None, *, timeout_s: float = 120.0, key: str = "none") -> None:
        # llama.cpp closes kept connections at times, just when the next request is sent; so none is kept.
        headers = {"authorization": f"Bearer {key}", "connection": "close"}
        self._http = httpx.Client(
            base_url=url, timeout=timeout_s, headers=headers, limits=httpx.Limits(max_connections=None)
        )
        self.model = model or self.models()[0]

    def models(self) -> list[str]:
        """Return the names of the models that the server has."""
        return [one["id"] for one in self._ask("GET", "models")["data"]]

    def tokens(self, text: str) -> list[int]:
        """Return the numbers of the tokens of ``text``; vLLM and llama.cpp have this beside OpenAI's protocol."""
        url = f"{str(self._http.base_url).removesuffix('v1/')}tokenize"
        body = {"model": self.model, "prompt": text, "content": text, "add_special_tokens": False}
        found: list[int] = self._ask("POST", url, body)["tokens"]
        return found

    def complete(self, prompt: str, *, max_tokens: int = 64, **options: Any) -> str:
        """Return the answer, all at once. ``options`` go into the request (``temperature``, ``seed`` …)."""
        body = self._ask("POST", "chat/completions", self._body(prompt, max_tokens, options))
        return str(body["choices"][0]["message"]["content"])

    def stream(self, prompt: str, *, max_tokens: int = 64, **options: Any) -> Iterator[str]:
        """Yield the pieces of the answer as they come."""
        for event in self._events(prompt, max_tokens, options):
            if piece := _piece(event):
                yield piece

    def timed(self, prompt: str, *, max_tokens: int = 64, **options: Any) -> Reply:
        """Ask, and note when each piece came. A server sends one piece a token, but for letters of several bytes."""
        sent = time.perf_counter()
        text, reason = "", ""
        times: list[float] = []
        usage: dict[str, int] = {}
        for event in self._events(prompt, max_tokens, options):
            usage = event.get("usage") or usage
            for choice in event.get("choices", ()):
                reason = choice.get("finish_reason") or reason
            if piece := _piece(event):
                times.append(time.perf_counter())
                text += piece
        tokens = int(usage.get("completion_tokens", len(times)))
        return Reply(text, Timing(sent, tuple(times)), int(usage.get("prompt_tokens", 0)), tokens, reason)

    def many(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int | Sequence[int] = 64,
        at_once: int | None = None,
        **options: Any,
    ) -> list[Reply]:
        """Ask all ``prompts``, ``at_once`` of them at a time (default: all).

        Whenever an answer is complete the next question is sent. The replies come in the order of the prompts.
        """
        limits = [max_tokens] * len(prompts) if isinstance(max_tokens, int) else list(max_tokens)
        with ThreadPoolExecutor(at_once or max(len(prompts), 1)) as pool:
            jobs = [
                pool.submit(self.timed, one, max_tokens=n, **options) for one, n in zip(prompts, limits, strict=True)
            ]
            return [job.result() for job in jobs]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _body(self, prompt: str, max_tokens: int, options: Mapping[str, Any]) -> dict[str, Any]:
        message = {"role": "user", "content": prompt}
        return {"model": self.model, "messages": [message], "max_tokens": max_tokens, "temperature": 0.0, **options}

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            reply = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if reply.status_code != 200:
            raise _refused(reply)
        return reply.json()

    def _events(self, prompt: str, max_tokens: int, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        body = self._body(prompt, max_tokens, options) | {"stream": True, "stream_options": {"include_usage": True}}
        try:
            with self._http.stream("POST", "chat/completions", json=body) as reply:
                if reply.status_code != 200:
                    reply.read()
                    raise _refused(reply)
                yield from sse.payloads(reply.iter_raw())
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        except sse.StreamError as error:
            raise LLMError(error.happened, expected=error.expected, next_step=error.next_step) from error

    def _unreachable(self, error: Exception) -> LLMError:
        return LLMError(
            f"The server at {self._http.base_url} did not answer: {error or type(error).__name__}",
            expected="an OpenAI-compatible server there",
            next_step="check that it runs, and that the URL ends in /v1",
        )


def _piece(event: Mapping[str, Any]) -> str:
    return "".join(choice.get("delta", {}).get("content") or "" for choice in event.get("choices", ()))


def _refused(reply: httpx.Response) -> LLMError:
    try:
        body = reply.json()
        error = body.get("error", body)
        detail = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        detail = reply.reason_phrase
    return LLMError(
        f"The server answered {reply.status_code}: {detail}",
        expected="status 200",
        next_step="400 and 404 are the request's fault (its length, its model); 429 and 503 pass: ask again later",
    )
