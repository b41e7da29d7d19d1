"""The pages that are made from something else, without building the site."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import site_api
import site_evidence
import site_mathml
import site_mermaid
import site_pages

from course_lib.errors import CourseError

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = site_pages.glossary_terms(GLOSSARY)
SOURCES = {path.name[:2]: path.read_text(encoding="utf-8") for path in sorted((ROOT / "solutions").glob("[0-9]*.py"))}


def _plain(text: str) -> str:
    """Words alone, in small letters: no marks, and no difference between a hyphen and a space."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def test_the_glossary_has_no_term_twice_and_is_in_order():
    names = [_plain(term) for term, _, _ in TERMS]
    assert len(names) >= 80
    assert names == sorted(set(names))


@pytest.mark.parametrize("number", sorted(SOURCES))
def test_a_term_occurs_in_the_notebooks_that_are_said_to_teach_it(number):
    taught = _plain(SOURCES[number])
    assert not [term for term, numbers, _ in TERMS if number in numbers and _plain(term) not in taught]


def test_a_line_of_the_glossary_that_cannot_be_read_is_an_error():
    with pytest.raises(CourseError, match=r"cannot be read[\s\S]*\*\*term\*\*"):
        site_pages.glossary_terms("- **drift**: no notebook")


def test_a_notebook_that_is_not_written_gets_no_link():
    page = site_pages.glossary_page(
        "# Glossary\n\nTerms.\n\n- **token** (9): A piece of text.\n", ["01_mlops_overview"]
    )
    assert "A piece of text. *Notebook 9.*" in page


def test_an_exercise_gets_an_address_and_nothing_else_changes(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["## 6.2\n", "### Exercise 6.1 · PSI (4 points)\n", "Write it."]},
        {"cell_type": "code", "source": "### Exercise 6.9", "outputs": []},
    ]
    path = tmp_path / "06_monitoring.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    text, code = (cell["source"] for cell in json.loads(site_pages.notebook_text(path))["cells"])
    assert text == "## 6.2\n(ex-6-1)=\n### Exercise 6.1 · PSI (4 points)\nWrite it."
    assert code == "### Exercise 6.9"


def test_the_reference_leaves_no_module_out():
    text = "\n".join(site_api.api_pages(ROOT / "course_lib").values())
    for path in (ROOT / "course_lib").glob("*.py"):
        assert path.stem == "__init__" or f"automodule:: course_lib.{path.stem}\n" in text


def test_a_module_without_a_room_stands_with_the_tools(tmp_path):
    (tmp_path / "teleport.py").write_text('"""Beam."""')
    pages = site_api.api_pages(tmp_path)
    assert "automodule:: course_lib.teleport\n" in pages["api/tools.md"]


def test_a_module_that_needs_another_environment_is_left_out(tmp_path):
    package = tmp_path / "course_lib"
    (package / "beam").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "beam" / "__init__.py").write_text('"""Beam."""')
    (package / "beam" / "far.py").write_text("from no_such_package.far import away\n")
    page = site_api.api_pages(package)["api/tools.md"]
    assert "automodule:: course_lib.beam\n" in page
    assert "far" not in page


def test_without_a_run_the_evidence_page_says_how_to_make_one():
    assert "make course" in site_evidence.evidence_page(None)


def test_the_evidence_page_shows_points_time_and_memory():
    exercise = {"number": "6.1", "title": "PSI", "points": 4.0, "misconceptions": 5, "alternatives": 2}
    notebook = {
        "title": "Monitor ML systems",
        "status": "passed",
        "points": 25.0,
        "max_points": 25.0,
        "learner_points": 0.0,
        "seconds": 23.46,
        "peak_mb": 771.2,
        "exercises": [exercise],
    }
    missing = {"title": "Cloud deployment", "status": "not written", "exercises": []}
    engines = [{"name": "Prometheus", "version": "", "without": "Python evaluates the rules"}]
    page = site_evidence.evidence_page(
        {"made": "2026-11-28", "python": "3.11.9", "machine": "x", "notebooks": [notebook, missing], "engines": engines}
    )
    assert "| Monitor ML systems | passed | 25 of 25 | 0 of 25 | 23.5 s | 771 MB |" in page
    assert "| Cloud deployment | not written |" in page
    assert "| Prometheus | not found: Python evaluates the rules |" in page
    assert "| 6.1 PSI | 4 | 5 | 2 |" in page


def test_mermaid_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CourseError, match="Mermaid cannot be taken"):
        site_mermaid.copy_mermaid(tmp_path / "out", ROOT / "docs/site/mermaid-loader.js", jupyterlab=tmp_path)


def test_a_formula_becomes_mathml():
    assert re.match(r"<math.*<mfrac>", site_mathml.mathml(r"\frac{p}{m}", block=True), re.DOTALL)


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_a_document_links_to_files_that_exist(name):
    path = ROOT / name
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (path.parent / link).exists()]


def test_the_readme_counts_the_questions_right():
    from course_lib import interview

    assert f"{len(interview.load())} interview questions" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_picture_is_small():
    assert (ROOT / "docs" / "notebook.png").stat().st_size <= 200_000
