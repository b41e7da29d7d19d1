"""The structure of CONTRIBUTING's map: no import circles, layers that hold, folders that say what they hold."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("autograder", "course_lib")
MOST = 14  # modules in one folder that a person has to know, __init__ and entry points left out


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one module (Tarjan 1972)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in sorted(imports[module] & imports.keys()):
            if other not in number:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], number[other])
        if low[module] == number[module]:
            cut = stack.index(module)
            if len(stack) - cut > 1:
                found.append(sorted(stack[cut:]))
            del stack[cut:]

    for module in sorted(imports):
        if module not in number:
            visit(module)
    return found


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Every import between our modules, those inside functions and for type checkers alone counted."""
    import grimp

    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({}, []),
        ({"a": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}}, [["d", "e"], ["a", "b", "c"]]),
        ({"a": {"b", "elsewhere"}, "b": set()}, []),
    ],
)
def test_circles_are_found(graph, expected):
    assert circles(graph) == expected


def test_no_modules_import_each_other_in_a_circle(imports):
    assert len(imports) > 300
    assert circles(imports) == []


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    command = [program, "--no-cache", "--no-logo", ROOT / "pyproject.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_the_layers_hold():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("autograder/model.py", "import autograder.grading.score", "model is not allowed to import autograder.grading"),
        ("autograder/sandbox/rpc/codec.py", "from autograder.sandbox import engine", "rpc is not allowed"),
        (
            "autograder/sandbox/isolation/seccomp.py",
            "def f():\n    import autograder.sandbox.inside.judge",
            "isolation is",
        ),
        ("course_lib/data.py", "def f():\n    from autograder import cli", "course_lib is not allowed"),
        (
            "course_lib/training.py",
            "if False:\n    import course_lib.retraining.loop",
            "course_lib.training is not allowed",
        ),
    ],
)
def test_a_broken_layer_is_noticed(tmp_path, module, line, broken):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert broken in done.stdout.replace("\n", " ")


def folders() -> list[Path]:
    return [init.parent for package in PACKAGES for init in sorted((ROOT / package).rglob("__init__.py"))]


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_each_folder_says_what_it_holds_and_holds_few_modules(folder):
    if "templates" in folder.parts:  # a starting repository for learners, not a package of ours
        pytest.skip("a template")
    assert len(ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "") > 40
    modules = [path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")]
    assert len(modules) <= MOST or folder.name == "course_lib", modules


LISTED = re.compile(r"^May import: ((?:``[\w.]+``(?:, )?)+)\.$", re.M)


@pytest.mark.parametrize(
    "folder", [f for f in folders() if LISTED.search((f / "__init__.py").read_text())], ids=lambda folder: folder.name
)
def test_a_folder_imports_what_it_says_and_says_no_more(folder, imports):
    own = ".".join(folder.relative_to(ROOT).parts)
    (named,) = LISTED.findall((folder / "__init__.py").read_text())
    allowed = [f"autograder.{name}" for name in re.findall(r"[\w.]+", named)]
    below = {".".join(init.parent.relative_to(ROOT).parts) for init in folder.glob("*/__init__.py")}
    modules = [m for m in imports if within(m, own) and not any(within(m, b) for b in below)]
    used = {i for m in modules for i in imports[m] if within(i, "autograder") and not within(i, own)}
    assert {i for i in used if not any(within(i, name) for name in allowed)} == set()
    assert [name for name in allowed if not any(within(i, name) for i in used)] == []


def within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def test_no_private_name_is_imported_from_another_module():
    found = []
    for package, path in ((p, f) for p in PACKAGES for f in sorted((ROOT / p).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
                private = [alias.name for alias in node.names if alias.name.startswith("_")]
                found += [f"{path.relative_to(ROOT)}: {node.module}.{name}" for name in private]
        assert package in PACKAGES
    assert found == []


@pytest.mark.parametrize(("package", "word"), [*product(PACKAGES, ("warden", "mending", "cage", "zygote", "twin"))])
def test_the_words_of_the_old_house_are_gone(package, word):
    command = ["git", "grep", "-liE", f"(^|[^a-z]){word}", "--", package]  # also as a part of a longer name
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert said.stdout.split() == []
