"""Stage install: the project goes into a fresh environment, offline, and declares what it imports."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement as PackageRequirement
from packaging.utils import canonicalize_name

from autograder.projects.harness import NOT_CODE, Harness
from autograder.projects.model import Requirement
from autograder.projects.stage import Stage

__all__ = ["STAGE"]

REQUIREMENTS = (
    Requirement(
        "install.installs",
        "the package installs into a fresh environment",
        4,
        "Run `pip install -e .` in an empty environment. Only what the course's environment has can be a dependency:"
        " no registry can be reached while a project is graded.",
    ),
    Requirement(
        "install.declares",
        "every package that the code imports is declared in pyproject.toml",
        2,
        "Add it to `dependencies`, or to an extra such as `train` or `dev` where only training or tests need it.",
    ),
)


def _run(harness: Harness) -> None:
    done = harness.installed()
    missing = sorted(_unmet(harness))
    tail = "" if done.ok else f": {done.output_tail(1)}"
    evidence = f"`pip install --no-index --no-deps -e .` {'succeeded' if done.ok else done.description() + tail}"
    if missing:
        evidence += f"; not in the course's environment: {', '.join(missing)}"
    harness.record("install.installs", done.ok and not missing, evidence, f"{done.seconds:.1f} s")
    imported = _imported(harness.project.files)
    declared = {canonicalize_name(name) for name in harness.project.declared()}
    undeclared = sorted(name for name, packages in imported.items() if not declared & packages)
    evidence = f"undeclared: {', '.join(undeclared)}" if undeclared else f"{len(imported)} imported, all declared"
    harness.record("install.declares", not undeclared, evidence)


def _unmet(harness: Harness) -> Iterator[str]:
    """Yield the declared requirements that the course's environment does not meet."""
    own = canonicalize_name(str(harness.project.metadata.get("project", {}).get("name", "")))
    for name, text in harness.project.declared().items():
        try:
            wanted = PackageRequirement(text)
            applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
            if (
                canonicalize_name(name) != own
                and applies
                and not wanted.specifier.contains(importlib.metadata.version(name), prereleases=True)
            ):
                yield text
        except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
            yield text


def _imported(files: Mapping[str, bytes]) -> dict[str, set[str]]:
    """Return the outside modules that the project's Python files import, with the packages that bring each."""
    own = {
        part
        for path in files
        if path.endswith(".py")
        for part in (*PurePosixPath(path).parts[:-1], PurePosixPath(path).stem)
    }
    brings = importlib.metadata.packages_distributions()
    found: dict[str, set[str]] = {}
    for path, data in files.items():
        if path.endswith(".py"):
            for name in _modules(data) - own - sys.stdlib_module_names:
                found[name] = {canonicalize_name(package) for package in brings.get(name, [name])}
    return found


def _modules(data: bytes) -> set[str]:
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names


STAGE = Stage("install", REQUIREMENTS, _run, excluded=tuple(part for part in NOT_CODE if part != "tests"))
