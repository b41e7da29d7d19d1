"""Build the site: ``python docs/site/build.py [OUT]``. Everything comes from this folder and the environment.

The stack is Sphinx with MyST-NB and the book theme, the one under Jupyter Book 1. Jupyter Book 2 downloads Node and a
theme when it builds; this builds, and can be read, without a network.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

from site_api import api_pages  # noqa: E402
from site_evidence import evidence_page  # noqa: E402
from site_interview import interview_pages  # noqa: E402
from site_mermaid import copy_mermaid  # noqa: E402
from site_pages import glossary_page, notebook_text  # noqa: E402

from course_lib import interview  # noqa: E402
from course_lib.errors import CourseError  # noqa: E402


def lay_out(source: Path) -> None:
    """Write everything that Sphinx reads to the folder `source`. What has not changed keeps its date."""
    notebooks = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    names = [path.stem for path in notebooks]
    pages = {f"notebooks/{path.name}": notebook_text(path) for path in notebooks}
    pages |= {f"docs/{path.name}": path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
    pages["glossary.md"] = glossary_page(pages.pop("docs/glossary.md"), names)
    pages["CONTRIBUTING.md"] = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pages |= interview_pages(interview.load(), names) | api_pages(ROOT / "course_lib")
    pages["evidence.md"] = evidence_page(_report())
    pages["index.md"] = (HERE / "index.md").read_text(encoding="utf-8")
    for name in ("conf.py", "_static/course.css"):
        pages[name] = (HERE / name).read_text(encoding="utf-8")
    _write(source, pages)
    for picture in (ROOT / "docs").glob("*.png"):
        shutil.copy2(picture, source / "docs" / picture.name)
    copy_mermaid(source / "_static" / "mermaid", HERE / "mermaid-loader.js")


def _write(source: Path, pages: dict[str, str]) -> None:
    for old in [path for path in source.rglob("*") if path.suffix in {".md", ".ipynb"}]:
        if old.relative_to(source).as_posix() not in pages:
            old.unlink()
    for name, text in pages.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _report() -> dict[str, object] | None:
    path = ROOT / "build" / "course-report.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def main(out: Path) -> int:
    """Build into `out`; warnings are errors. Return Sphinx's exit code."""
    from sphinx.cmd.build import build_main

    source = out.with_name(out.name + "-source")
    lay_out(source)
    os.environ["PYTHONWARNINGS"] = "ignore"  # of imported libraries: the site's own warnings are Sphinx's
    done = build_main(["-b", "html", "-q", "-W", "--keep-going", "-d", str(source / "_build"), str(source), str(out)])
    if done == 0:
        print(f"Open {out / 'index.html'}")
    return done


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()))
    except CourseError as error:
        sys.exit(str(error))
