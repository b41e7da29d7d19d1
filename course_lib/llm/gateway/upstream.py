"""The model's server behind the gateway: asked in OpenAI's protocol, answered in neutral words and neutral errors."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args

import httpx

from course_lib.llm.gateway.errors import (
    BackendDown,
    BackendFailed,
    BadRequest,
    Deadline,
    GatewayError,
    Overloaded,
    PromptTooLong,
    UnknownModel,
)
from course_lib.llm.gateway.neutral import ChatRequest, Completion, Delta, Finish, Usage
from course_lib.llm.gateway.settings import Settings
from course_lib.sse import DONE, Decoder

__all__ = ["Upstream"]

# How vLLM and llama.cpp say it; the protocol has no word for it.
_TOO_LONG = re.compile(r"context (length|size|window)|max_model_len|maximum model length", re.IGNORECASE)
_LIMIT = re.compile(r"(?:context length is|context size \(|maximum (?:model|context) length of|limit of)\s*(\d+)")
_TOKENS = re.compile(r"(?:request \(|contains at least |has |requested |prompt contains )(\d+) (?:input )?tokens")


class Upstream:
    """A server that speaks OpenAI's protocol.

    Parameters
    ----------
    url
        Its base URL, ending in ``/v1``.
    settings
        Limits; ``models`` translates names.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._models = settings.models
        wait = httpx.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s)
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=wait,
            trust_env=False,  # no proxy, and no password from a .netrc, for a server next door
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            # llama.cpp's server closes kept connections without a word: 4 of 100 streams found theirs gone.
            headers={"Connection": "close"},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def complete(self, chat: ChatRequest) -> Completion:
        """Return the whole answer.

        Raises
        ------
        GatewayError
            The server refused, failed, or is not there.
        """
        with _told():
            reply = await self._http.post("/chat/completions", json=self._payload(chat, stream=False))
        if reply.status_code != httpx.codes.OK:
            raise _refusal(reply.status_code, reply.content, chat)
        try:
            answer = json.loads(reply.content)
            choice = answer["choices"][0]
            return Completion(
                choice["message"]["content"] or "", _finish(choice) or "stop", _usage(answer.get("usage")) or Usage()
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise BackendFailed("The model's server answered in a way that is not OpenAI's.") from error

    async def stream(self, chat: ChatRequest) -> AsyncIterator[Delta]:
        """Yield the answer piece by piece; close the iterator, and the server stops generating.

        Raises
        ------
        GatewayError
            As :meth:`complete`; also when the stream breaks off before its end.
        """
        decoder = Decoder()
        with _told():
            async with self._http.stream("POST", "/chat/completions", json=self._payload(chat, stream=True)) as reply:
                if reply.status_code != httpx.codes.OK:
                    raise _refusal(reply.status_code, await reply.aread(), chat)
                async for piece in reply.aiter_bytes():
                    for event in decoder.feed(piece):
                        if event.text.strip() == DONE:
                            return
                        for delta in _deltas(event.text, chat):
                            yield delta
        raise BackendFailed("The model's server broke off in the middle of its answer.")

    def _payload(self, chat: ChatRequest, *, stream: bool) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "model": self._models[chat.model],
            "messages": [{"role": message.role, "content": message.text} for message in chat.messages],
            "stream": stream,
        }
        if stream:
            payload["stream_options"] = {"include_usage": True}  # tokens are counted whoever asks
        for name in ("max_tokens", "temperature", "top_p", "top_k", "seed"):
            if (value := getattr(chat, name)) is not None:
                payload[name] = value
        return payload | ({"stop": list(chat.stop)} if chat.stop else {})


@contextmanager
def _told() -> Iterator[None]:
    """Tell what goes wrong on the way in neutral words."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise BackendDown(
            "The model's server is not there.", expected="a running server", next_step="try again in a minute"
        ) from error
    except httpx.TimeoutException as error:
        raise Deadline("The model's server took too long.", next_step="ask for fewer tokens, or try again") from error
    except httpx.HTTPError as error:
        raise BackendFailed("The connection to the model's server broke.", next_step="try again") from error


def _refusal(status: int, body: bytes, chat: ChatRequest) -> GatewayError:
    """Return the error that a status and its body stand for."""
    details = _error_object(body)
    message = str(details.get("message") or "no reason given")
    if status in {400, 413, 422} and (details.get("type") == "exceed_context_size_error" or _TOO_LONG.search(message)):
        return PromptTooLong(
            _number(details.get("n_prompt_tokens"), _TOKENS, message), _number(details.get("n_ctx"), _LIMIT, message)
        )
    if status == 404:
        return UnknownModel(chat.model)
    if status in {429, 503}:  # llama.cpp answers 503 while it loads the model
        return Overloaded("The model's server takes no more requests now.", next_step="try again in a second")
    if 400 <= status < 500:
        return BadRequest(f"The model's server refused the request: {message[:500]}")
    return BackendFailed("The model's server failed.", next_step="try again; its log knows the cause")


def _error_object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    inner = found.get("error", found) if isinstance(found, dict) else {}
    return inner if isinstance(inner, dict) else {"message": str(inner)}


def _number(given: Any, pattern: re.Pattern[str], message: str) -> int | None:
    if isinstance(given, int):
        return given
    found = pattern.search(message)
    return int(found[1]) if found else None


def _deltas(data: str, chat: ChatRequest) -> Iterator[Delta]:
    try:
        chunk = json.loads(data)
        if "error" in chunk:  # the status was sent when the error was not known yet
            code = chunk["error"].get("code") if isinstance(chunk["error"], dict) else None
            raise _refusal(code if isinstance(code, int) else 500, data.encode(), chat)
        usage = _usage(chunk.get("usage"))
        for choice in chunk.get("choices") or ():
            text = (choice.get("delta") or {}).get("content") or ""
            if text or _finish(choice):
                yield Delta(text, _finish(choice))
        if usage is not None:
            yield Delta(usage=usage)
    except (ValueError, TypeError, AttributeError) as error:
        raise BackendFailed("The model's server sent an event that is not OpenAI's.") from error


def _finish(choice: Mapping[str, Any]) -> Finish | None:
    reason = choice.get("finish_reason")
    if reason is None:
        return None
    return reason if reason in get_args(Finish) else "stop"


def _usage(found: Mapping[str, Any] | None) -> Usage | None:
    if not found:
        return None
    cached = (found.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(found.get("prompt_tokens", 0), found.get("completion_tokens", 0), cached)
