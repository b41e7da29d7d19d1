"""One address that speaks six protocols, in front of one server that speaks OpenAI's.

A request goes through the same steps whatever its protocol: read it into neutral words, check model and limits, ask the
server, write the answer in the words of the caller. Credentials are neither asked for nor looked at nor logged: this
gateway is for loopback. In front of a network it needs a door of its own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from course_lib.llm.gateway.errors import BadRequest, Disconnected, GatewayError, Overloaded, TooLarge, UnknownModel
from course_lib.llm.gateway.neutral import Call, ChatRequest, Delta, Exchange
from course_lib.llm.gateway.protocols import PROTOCOLS, Protocol, Route
from course_lib.llm.gateway.protocols.base import as_json
from course_lib.llm.gateway.settings import Settings
from course_lib.llm.gateway.telemetry import GatewayTelemetry, Metrics
from course_lib.llm.gateway.transport import StreamedAnswer, unless_disconnected
from course_lib.llm.gateway.upstream import Upstream
from course_lib.serving.api.telemetry import LOGGER

__all__ = ["Gateway", "create_gateway"]

_NO_TRACING: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
_JSON = "application/json"


def create_gateway(url: str, settings: Settings, *, protocols: Mapping[str, Protocol] = PROTOCOLS) -> FastAPI:
    """Return the gateway as an ASGI application.

    Parameters
    ----------
    url
        Base URL of the model's server, ending in ``/v1`` (:attr:`course_lib.llm.servers.server.LLMServer.url`).
    settings
        Limits, and the names of the models.
    protocols
        What to speak.
    """
    gateway = Gateway(url, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await gateway.upstream.close()

    app = FastAPI(title="LLM gateway", lifespan=lifespan, openapi_url=None, telemetry=_NO_TRACING)
    app.state.gateway = gateway
    app.add_middleware(GatewayTelemetry, metrics=gateway.metrics)
    for protocol in protocols.values():
        for route in protocol.routes:
            app.router.add_route(route.path, gateway.endpoint(protocol, route), methods=["POST"])
        if protocol.list_path:
            app.router.add_route(protocol.list_path, gateway.listing(protocol), methods=["GET"])
    app.router.add_route("/health", _health, methods=["GET"])
    app.router.add_route("/metrics", gateway.exposition, methods=["GET"])
    return app


class Gateway:
    """Takes a request through its steps.

    Attributes
    ----------
    settings, metrics, upstream
        Its limits, its counters, and the server behind it.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.upstream = Upstream(url, settings)
        self._busy = 0

    def endpoint(self, protocol: Protocol, route: Route) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of one route."""

        async def answer(request: Request) -> Response:
            request.scope["protocol"] = protocol.name
            try:
                return await self._answer(protocol, route, request)
            except GatewayError as error:
                return self._failed(protocol, error, request)
            except Exception:  # told in the caller's protocol, without what only the log should know
                LOGGER.exception("unforeseen error", extra={"request_id": request.scope["request_id"]})
                return self._failed(protocol, GatewayError("The gateway failed; its log knows the cause."), request)

        return answer

    def listing(self, protocol: Protocol) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that lists the models."""

        async def models(request: Request) -> Response:
            request.scope["protocol"] = protocol.name
            return Response(as_json(protocol.listing(self.settings.models)), media_type=_JSON)

        return models

    async def exposition(self, _: Request) -> Response:
        """Return the metrics."""
        return Response(self.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _answer(self, protocol: Protocol, route: Route, request: Request) -> Response:
        call = Call(request.path_params, dict(request.query_params), await self._body(request), route.streams)
        chat = self._admitted(protocol.read(call))
        exchange = Exchange(chat, request.scope["request_id"])
        self._take_slot()
        if chat.stream:
            return await self._streamed(protocol, exchange, request)
        try:
            completion = await unless_disconnected(request, self.upstream.complete(chat))
        finally:
            self._free_slot()
        self.metrics.used(protocol.name, completion.usage)
        return Response(as_json(protocol.answer(exchange, completion)), media_type=_JSON)

    async def _streamed(self, protocol: Protocol, exchange: Exchange, request: Request) -> Response:
        """Wait for the first piece, so that an error before it still has a status of its own."""
        pieces = self._counted(protocol, exchange)
        try:
            first = await unless_disconnected(request, anext(pieces, Delta()))
        except BaseException:
            await pieces.aclose()
            self._free_slot()
            raise
        source = self._written(protocol, exchange, first, pieces)
        return StreamedAnswer(source, media_type=protocol.media_type, done=self._free_slot)

    async def _counted(self, protocol: Protocol, exchange: Exchange) -> AsyncGenerator[Delta]:
        waiting = True
        async with aclosing(self.upstream.stream(exchange.request)) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                if waiting and delta.text:
                    self.metrics.first_token.labels(protocol.name).observe(exchange.seconds)
                    waiting = False
                if delta.usage:
                    self.metrics.used(protocol.name, delta.usage)
                yield delta

    async def _written(
        self, protocol: Protocol, exchange: Exchange, first: Delta, rest: AsyncGenerator[Delta]
    ) -> AsyncGenerator[bytes]:
        async def deltas() -> AsyncGenerator[Delta]:
            yield first
            async for delta in rest:
                yield delta

        async with aclosing(rest):
            try:
                async for event in protocol.events(exchange, deltas()):
                    yield event
            except GatewayError as error:
                self._count(protocol, error)
                yield protocol.broken(error)

    def _admitted(self, chat: ChatRequest) -> ChatRequest:
        if chat.model not in self.settings.models:
            raise UnknownModel(chat.model)
        if chat.max_tokens and chat.max_tokens > self.settings.max_completion_tokens:
            raise BadRequest(
                f"max_tokens is too large: {chat.max_tokens}. This gateway gives at most "
                f"{self.settings.max_completion_tokens} completion tokens.",
                field="max_tokens",
            )
        return chat

    def _take_slot(self) -> None:
        if self._busy >= self.settings.max_concurrent:
            raise Overloaded(
                f"{self._busy} requests are being answered, and no more are taken.", next_step="try again in a second"
            )
        self._busy += 1

    def _free_slot(self) -> None:
        self._busy -= 1

    async def _body(self, request: Request) -> Mapping[str, Any]:
        """Read the body, and stop as soon as it is too large: the announced length may be missing or a lie."""
        pieces, size = [], 0
        try:
            async for piece in request.stream():
                pieces.append(piece)
                size += len(piece)
                if size > self.settings.max_body_bytes:
                    raise TooLarge(f"The body is larger than {self.settings.max_body_bytes:,} bytes.")
            found = json.loads(b"".join(pieces))
        except ClientDisconnect as error:
            request.scope["cancelled"] = True
            raise Disconnected("The caller left while sending.") from error
        except (ValueError, RecursionError) as error:
            raise BadRequest("The body is not JSON.", next_step="send a JSON object") from error
        if not isinstance(found, dict):
            raise BadRequest("The body is not a JSON object.", next_step="send a JSON object")
        return found

    def _failed(self, protocol: Protocol, error: GatewayError, request: Request) -> Response:
        self._count(protocol, error)
        request.scope["log"] = {"reason": error.kind}
        if isinstance(error, Disconnected):
            return Response(status_code=499)  # nobody reads it
        failure = protocol.failure(error, request.path_params)
        return Response(as_json(failure.body), failure.status, dict(failure.headers), media_type=_JSON)

    def _count(self, protocol: Protocol, error: GatewayError) -> None:
        self.metrics.errors.labels(protocol.name, error.kind).inc()


async def _health(_: Request) -> Response:
    return Response(b'{"status":"alive"}', media_type=_JSON)
