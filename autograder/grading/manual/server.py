"""Grading page: a small server on this machine for one person, without scripts, behind a token.

It listens on 127.0.0.1 alone. The address that the command prints carries a token, which becomes a cookie; whoever has
neither is refused, and so is a request under another host name (a page elsewhere that rebinds its name) or a form that
was not made here. Its pages forbid scripts, frames and everything that would be fetched. It can read answers and give
points: unlike nbgrader's formgrader, it shares its origin with nothing that runs code.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from autograder.grading.manual.answers import Given, read_points
from autograder.grading.manual.views import Shown, Views
from autograder.reports.page import render_page
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["grading_app"]

_MAX_FORM = 200_000  # bytes
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def grading_app(folder: Path, token: str) -> Starlette:
    """Return the page for the course folder ``folder``; only who knows ``token`` can open it."""
    pages = _Pages(Views(folder), token)
    return Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/{notebook}/{cell}/{id}", pages.answer, methods=["GET", "POST"]),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(BaseHTTPMiddleware, dispatch=pages.guard),
        ],
    )


class _Pages:
    def __init__(self, views: Views, token: str) -> None:
        self.views, self.token = views, token

    async def guard(self, request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        """Let in who has the token; the first time it comes with the address, then as a cookie."""
        name = f"grading-{request.url.port}"  # cookies of one host are shared by its ports
        given = request.query_params.get("token", "")
        if secrets.compare_digest(given.encode(), self.token.encode()):
            response: Response = RedirectResponse(request.url.path, 303)
            response.set_cookie(name, self.token, httponly=True, samesite="strict")
        elif secrets.compare_digest(request.cookies.get(name, "").encode(), self.token.encode()):
            response = await proceed(request)
        else:
            response = _page("Open the whole address that the command printed: it ends in a token.", status=403)
        response.headers.update(_HEADERS)
        return response

    async def overview(self, _: Request) -> Response:
        """Every question, and how many answers wait."""
        rows = await run_in_threadpool(self.views.overview)
        return _rendered("manual_overview.html.j2", rows=rows, folder=self.views.folder, address=_address)

    async def answer(self, request: Request) -> Response:
        """One answer; with a form that was sent, give the points and go on to the next."""
        notebook, cell, answer_id = (request.path_params[key] for key in ("notebook", "cell", "id"))
        shown = await run_in_threadpool(self.views.shown, notebook, cell, answer_id)
        if shown is None:
            return _page("There is no such answer (any more).", status=404)
        if request.method == "GET":
            return self._answer(shown, shown.given)
        form = await _form(request)
        if form is None:
            return _page("The comment is too long. Nothing was saved: go back, and shorten it.", status=413)
        if not secrets.compare_digest(form.get("token", "").encode(), self.token.encode()):
            return _page("This form was not made by this page.", status=403)
        given = Given(frozenset(), None, form.get("comment", "").replace("\r\n", "\n").strip())
        try:
            given = _given(form, shown)
            await run_in_threadpool(self.views.give, shown, given, form.get("seen", ""))
        except CourseError as error:
            return self._answer(shown, given, error, typed=form.get("points", ""))
        following = await run_in_threadpool(self.views.next_waiting, notebook, cell, answer_id)
        return RedirectResponse(_address(notebook, cell, following) if following else "/", 303)

    def _answer(self, shown: Shown, given: Given, error: CourseError | None = None, *, typed: str = "") -> Response:
        points = typed or ("" if given.points is None else format(given.points, "g"))
        return _rendered(
            "manual_answer.html.j2",
            status=200 if error is None else 409,
            shown=shown,
            given=given,
            points=points,
            error=error,
            token=self.token,
            address=_address,
        )


def _given(form: Mapping[str, str], shown: Shown) -> Given:
    """Return what a form gives; the buttons for all and for nothing go before what is ticked and typed."""
    rubric, words = shown.question.rubric, form.get("comment", "").replace("\r\n", "\n").strip()
    if form.get("do") == "full":
        return Given(frozenset(range(len(rubric))), shown.answer.most, words)
    if form.get("do") == "none":
        return Given(frozenset(), 0.0, words)
    ticked = frozenset(n for n in range(len(rubric)) if f"item-{n}" in form)
    return Given(ticked, read_points(form.get("points", ""), shown.answer.most), words)


async def _form(request: Request) -> dict[str, str] | None:
    """Read a form as browsers send it by default; None of one that is too large."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM:
            return None
    fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def _address(notebook: str, cell: str, answer_id: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in (notebook, cell, answer_id))


def _rendered(template: str, *, status: int = 200, **values: object) -> Response:
    return HTMLResponse(render_page(__package__, template, **values), status)


def _page(text: str, *, status: int) -> Response:
    return _rendered("manual_message.html.j2", text=text, status=status)
