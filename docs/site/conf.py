"""Settings of the site. ``build.py`` lays the sources out beside a copy of this file, and runs Sphinx on them."""

from __future__ import annotations

from site_mathml import add_mathml
from site_mermaid import Diagram
from sphinx.application import Sphinx

project = "MLOps, for real, on a laptop"
author = "the course's authors"
project_copyright = "code MIT, text CC BY 4.0"
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
default_role = "code"  # single backticks in docstrings are code, as in Markdown
suppress_warnings = [
    "misc.highlighting_failure",  # listings shortened with … are no Python, and are readable all the same
    "ref.python",  # two rooms may each have a class Engine; the signature then links to one of them
]

# Notebooks are shown as a learner gets them. `make course` runs them, and the evidence page shows what that gave.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "attrs_inline"]
myst_dmath_allow_digits = False  # $5 is money
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]

autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_typehints_format = "short"
autodoc_use_legacy_class_based = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_rtype = False

viewcode_follow_imported_members = False  # an object has one page: the one of the module that defines it

html_theme = "sphinx_book_theme"
html_title = "MLOps, for real"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = [("mermaid/loader.js", {"defer": "defer"})]
html_math_renderer = "mathml"  # formulas are MathML, which browsers draw themselves; MathJax would come from a CDN
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_persistent": [],  # the search field stands in the side bar already
}
html_context = {"default_mode": "auto"}


def setup(app: Sphinx) -> None:
    """Add what keeps every page free of requests to other machines."""
    app.add_directive("mermaid", Diagram)
    add_mathml(app)
