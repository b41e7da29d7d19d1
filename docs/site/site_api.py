"""The API reference: one page a room of `course_lib`, filled from docstrings by Sphinx."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from course_lib.errors import CourseError

__all__ = ["api_pages"]

# Stage, title of the page, modules and packages of course_lib, in the order of the lifecycle.
ROOMS = (
    ("A–C", "Data and features", ("data", "validation", "features")),
    ("D–E", "Training and tracking", ("training", "tracking", "tracking_store", "wandb_offline", "provenance")),
    ("F–G", "Evaluation and registry", ("evaluation", "registry")),
    ("H", "Delivery", ("delivery",)),
    ("I", "Packaging", ("packaging",)),
    ("I", "Serving", ("serving",)),
    ("I", "Rollout", ("rollout",)),
    ("I", "Containers", ("containers",)),
    ("I", "Cloud", ("cloud", "cost", "kubernetes")),
    ("I", "Language models", ("llm",)),
    ("J", "Monitoring", ("monitoring",)),
    ("K", "Retraining", ("retraining",)),
    ("all", "Tools", ("checks", "engines", "errors", "plots", "processes", "interview", "projects")),
)
# Started as programs of their own. Locust's file replaces Python's socket functions when it is imported.
PROGRAMS = ("__main__", "locustfile", "desk.main")


def api_pages(package: Path) -> dict[str, str]:
    """Return the text of ``api/index.md`` and one page a room, by path; all of it comes from docstrings."""
    pages, rows, placed = {}, [], {"__init__"}
    for stage, title, names in ROOMS:
        modules = [module for name in names for module in _modules(package, name)]
        placed.update(names)
        if not modules:
            continue
        page = title.lower().replace(" ", "-")
        listed = [name for name in names if _modules(package, name)]
        rows.append(f"| {stage} | [{title}]({page}.md) | {', '.join(f'`{name}`' for name in listed)} |")
        pages[f"api/{page}.md"] = _api_page(title, modules)
    if forgotten := {path.stem for path in package.iterdir() if _is_module(path)} - placed:
        raise CourseError(
            f"The API reference leaves out {', '.join(sorted(forgotten))}.",
            expected="every module of course_lib in a room",
            next_step="add it to ROOMS in docs/site/site_pages.py",
        )
    hidden = ["```{toctree}", ":hidden:", *(Path(name).stem for name in pages), "```", ""]
    pages["api/index.md"] = "\n".join(
        [
            "# API reference",
            "",
            "The library `course_lib` that the notebooks teach with, one room a stage of the lifecycle.",
            "",
            "| stage | room | modules |",
            "|---|---|---|",
            *rows,
            "",
            *hidden,
        ]
    )
    return pages


def _is_module(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").is_file()


def _modules(package: Path, name: str) -> list[str]:
    """Return the dotted names of a module, or of a package with all that it holds."""
    if (package / f"{name}.py").is_file():
        return [f"course_lib.{name}"]
    found = []
    for path in sorted((package / name).rglob("*.py")):
        if not all((folder / "__init__.py").is_file() for folder in _folders(path, package)):
            continue
        dotted = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        if not dotted.endswith(PROGRAMS):
            found.append(dotted)
    return sorted(found, key=lambda dotted: (dotted.count("."), dotted))


def _folders(path: Path, package: Path) -> Iterable[Path]:
    return (folder for folder in path.parents if folder.is_relative_to(package))


def _api_page(title: str, modules: Iterable[str]) -> str:
    lines = [f"# {title}", ""]
    for module in modules:
        lines += [f"## `{module}`", "", "```{eval-rst}", f".. automodule:: {module}", "```", ""]
    return "\n".join(lines)
