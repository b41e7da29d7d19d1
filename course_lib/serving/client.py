"""Clients: `Desk` for callers of the service, and (from `hosting`) functions that ask an app without a port."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from course_lib import sse
from course_lib.serving.asgi_client import Answer, Caller, hosted, request
from course_lib.serving.errors import ServingError

__all__ = ["Answer", "Caller", "Desk", "hosted", "request"]


class Desk:
    """A client of the service.

    Parameters
    ----------
    url
        Base URL.
    timeout_s
        Seconds to wait for an answer. Always have one: without it a caller waits as long as a stuck server.
    retries
        How often a request is sent again after 429 or 503, waiting as long as ``Retry-After`` says. A prediction
        changes nothing, so it may be sent twice; an order may not.
    """

    def __init__(self, url: str, *, timeout_s: float = 2.0, retries: int = 2) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s)
        self._retries = retries

    def predict(self, flight: Mapping[str, Any]) -> float:
        """Return the probability that a flight arrives late.

        Raises
        ------
        ServingError
            The service refused the flight, or could not be reached.
        """
        return float(self._post("/predict", flight)["late_probability"])

    def stream(self, flights: Sequence[Mapping[str, Any]]) -> Iterator[sse.Event]:
        """Yield the events of ``/predict/stream``, each as it arrives; raises as :meth:`predict`."""
        with self._http.stream("POST", "/predict/stream", json={"flights": list(flights)}) as reply:
            if reply.status_code != 200:
                reply.read()
                raise _refused(reply)
            yield from sse.decode(reply.iter_bytes())

    def ready(self) -> bool:
        """Return whether the service takes traffic; ``False`` also when it cannot be reached."""
        try:
            return self._http.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        for attempt in range(self._retries + 1):
            try:
                reply = self._http.post(path, json=body)
            except httpx.TransportError as error:
                raise ServingError(
                    f"The service at {self._http.base_url} did not answer: {error}",
                    expected="an answer within the timeout",
                    next_step="check that it runs and is ready",
                ) from error
            if reply.status_code not in {429, 503} or attempt == self._retries:
                break
            time.sleep(min(float(reply.headers.get("retry-after", 1)), 5.0))
        if reply.status_code != 200:
            raise _refused(reply)
        found: dict[str, Any] = reply.json()
        return found


def _refused(reply: httpx.Response) -> ServingError:
    try:
        body = reply.json()
    except ValueError:
        body = {}
    request_id = reply.headers.get("x-request-id", "its id")
    fields = "; ".join(f"{one['field']}: {one['problem']}" for one in body.get("errors", ()))
    detail = body.get("detail", reply.reason_phrase)
    return ServingError(
        f"The service answered {reply.status_code}: {detail}{' ' + fields if fields else ''}",
        expected="status 200",
        next_step=f"correct the request, or look for {request_id} in the service's log",
    )
