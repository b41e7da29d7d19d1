"""Formulas as MathML: docutils converts them, browsers draw them, and no script is loaded from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.utils.math import latex2mathml

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["add_mathml", "mathml"]


def mathml(formula: str, *, block: bool) -> str:
    r"""Return a LaTeX formula as a MathML element.

    >>> mathml(r"\frac{p}{m}", block=False).startswith("<math")
    True
    """
    return latex2mathml.tex2mathml(formula.strip(), as_block=block)


def add_mathml(app: Sphinx) -> None:
    """Offer the renderer ``mathml`` to ``html_math_renderer``."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{mathml(node.astext(), block=True)}</div>')
    raise nodes.SkipNode
