"""The API reference: one page a room of `course_lib`, filled from docstrings by Sphinx."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

__all__ = ["api_pages"]

# Stage, title of the page, modules and packages of course_lib, in the order of the lifecycle.
ROOMS = (
    ("A–C", "Data and features", ("data", "validation", "features")),
    (
        "D–E",
        "Training and tracking",
        ("training", "tracking", "tracking_store", "tracking_rest", "wandb_offline", "provenance"),
    ),
    ("F–G", "Evaluation and registry", ("evaluation", "registry")),
    ("H", "Delivery", ("delivery",)),
    ("I", "Packaging", ("packaging",)),
    ("I", "Serving", ("serving",)),
    ("I", "Load tests", ("loadtest",)),
    ("I", "Rollout", ("rollout",)),
    ("I", "Containers", ("containers",)),
    ("I", "Cloud", ("cloud",)),
    ("I", "Language models", ("llm",)),
    ("J", "Monitoring", ("monitoring",)),
    ("K", "Retraining", ("retraining",)),
)
TOOLS = ("checks", "engines", "errors", "plots", "processes", "progress", "interview", "projects", "sse")
# Started as programs of their own. Locust's file replaces Python's socket functions when it is imported.
PROGRAMS = ("__main__", "locustfile", "desk.main")


def api_pages(package: Path) -> dict[str, str]:
    """Return the text of ``api/index.md`` and one page a room, by path; all of it comes from docstrings."""
    pages, rows = {}, []
    for stage, title, names in _rooms(package):
        modules = [module for name in names for module in _modules(package, name)]
        if not modules:
            continue
        page = title.lower().replace(" ", "-")
        listed = [name for name in names if _modules(package, name)]
        rows.append(f"| {stage} | [{title}]({page}.md) | {', '.join(f'`{name}`' for name in listed)} |")
        pages[f"api/{page}.md"] = _api_page(title, modules)
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


def _rooms(package: Path) -> Iterable[tuple[str, str, tuple[str, ...]]]:
    """Return the rooms; what has no place of its own yet stands with the tools, so that nothing is left out."""
    placed = {"__init__", *TOOLS, *(name for _, _, names in ROOMS for name in names)}
    others = sorted({path.stem for path in package.iterdir() if _is_module(path)} - placed)
    return [*ROOMS, ("all", "Tools", (*TOOLS, *others))]


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
        if not dotted.endswith(PROGRAMS) and _importable(path):
            found.append(dotted)
    return sorted(found, key=lambda dotted: (dotted.count("."), dotted))


def _importable(path: Path) -> bool:
    """Whether the packages are here that a module asks for at once; Airflow and vLLM have environments of their own."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "course_lib"]
        if any(find_spec(name.partition(".")[0]) is None for name in names):
            return False
    return True


def _folders(path: Path, package: Path) -> Iterable[Path]:
    return (folder for folder in path.parents if folder.is_relative_to(package))


def _api_page(title: str, modules: Iterable[str]) -> str:
    lines = [f"# {title}", ""]
    for module in modules:
        lines += [f"## `{module}`", "", "```{eval-rst}", f".. automodule:: {module}", "```", ""]
    return "\n".join(lines)
