"""The types of the library as a type checker sees them: what a package exports lazily keeps its real type."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FACADES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in (ROOT / "course_lib").rglob("__init__.py")
    if "lazy.attach(__name__)" in path.read_text()
)
NAMES = [f"{package}.{name}" for package in FACADES for name in import_module(package).__all__]


@pytest.fixture(scope="module")
def revealed(tmp_path_factory) -> dict[str, str]:
    """What mypy says of each exported name, with the project's own settings and its cache (`make check` fills it)."""
    file = tmp_path_factory.mktemp("types") / "uses_the_library.py"
    lines = [f"import {package}" for package in FACADES]
    lines += [f"reveal_type({name})" for name in NAMES]
    file.write_text("\n".join([*lines, "course_lib.monitoring.psi(1, 2, 3, nonsense=True)"]))
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", "--no-error-summary", file]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    found = re.findall(r'^[^\n]*:(\d+): note: Revealed type is "(.*)"$', said.stdout, flags=re.MULTILINE)
    first = len(FACADES) + 1
    return {NAMES[int(number) - first]: kind for number, kind in found} | {"errors": said.stdout + said.stderr}


def test_every_lazily_exported_name_has_a_type(revealed):
    assert len(FACADES) >= 8
    assert [name for name in NAMES if revealed.get(name, "Any") == "Any"] == [], revealed["errors"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("monitoring.psi", r"def \(reference: numpy\..*, current: numpy\..*, \*, bins: int =\) -> float"),
        ("llm.open_server", r"def \(.*\) -> course_lib\.llm\.servers\.server\.LLMServer"),
        ("serving.create_app", r"def \(.*\) -> fastapi\.applications\.FastAPI"),
        ("cloud.Emulators", r"def \(.*\) -> course_lib\.cloud\.providers\.emulators\.Emulators"),
    ],
)
def test_a_name_at_the_door_has_the_type_of_its_home(revealed, name, kind):
    assert re.fullmatch(kind, revealed[f"course_lib.{name}"])


def test_a_wrong_argument_at_the_door_is_an_error_that_names_it(revealed):
    errors = [line for line in revealed["errors"].splitlines() if ": error: " in line]
    assert any('Unexpected keyword argument "nonsense" for "psi"' in line for line in errors), revealed["errors"]
