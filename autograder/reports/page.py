"""HTML pages from Jinja2 templates: whatever a template is given is escaped on its way out, and a page loads nothing.

A template lies in the folder ``templates`` of its own package. It extends ``base.html.j2`` of this one, which carries
the Content-Security-Policy.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from autograder.reports.terminal import clock
from autograder.text import visible

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render_page"]


def render_page(package: str, template: str, **values: object) -> str:
    """Return the page that ``template`` of ``package`` makes of ``values``.

    Besides Jinja2's filters a template has ``fmt``, which is Python's `format`, and ``clock`` for durations. A name
    that it was not given is an error, and not an empty text.
    """
    return _environment(package).get_template(template).render(values)


def _visible(value: object) -> object:
    """Return a plain text with an escape for what cannot be seen; values that are markup already are left alone."""
    return visible(value, 100_000) if type(value) is str else value


@cache
def _environment(package: str) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(__package__)]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_visible,
    )
    environment.filters |= {"fmt": format, "clock": clock}
    return environment
