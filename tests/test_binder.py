"""The small profile for a session of 2 GB: one list of versions, within its size, and notebooks run in it.

`scripts/binder_check.sh` runs all notebooks that way; here two light ones are run. What needs the installed profile is
for the night, to keep CI short.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LISTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["binder"]
GROUP = [name.partition("[")[0] for name in LISTED]
ENTRY = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>\S+)(?P<rest>[^\n]*(?:\n    --hash=\S+.*)*)", re.M)
MOST_MB = 800
LIGHT = "03,05"


def lock(name: str) -> dict[tuple[str, str], set[str]]:
    """The hashes of each package and version in a lock."""
    entries = ENTRY.finditer((ROOT / name).read_text())
    return {(e["name"], e["version"]): set(re.findall(r"sha256:[0-9a-f]{64}", e["rest"])) for e in entries}


@pytest.fixture(scope="module")
def profile():
    """The environment that binder/postBuild makes, in build/binder/env."""
    done = subprocess.run(
        [ROOT / "scripts" / "binder_check.sh", "none"], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build" / "binder"


def test_the_small_lock_is_part_of_the_lock():
    small, whole = lock("requirements-binder.lock"), lock("requirements.lock")
    assert len(small) > 100
    assert not {entry: hashes for entry, hashes in small.items() if not hashes or whole.get(entry) != hashes}, (
        "versions differ: run `make lock`"
    )


def test_every_package_of_the_group_is_in_the_small_lock_and_none_has_a_version_of_its_own():
    assert not [name for name in GROUP if not re.fullmatch(r"[a-z0-9-]+", name)]
    assert not set(GROUP) - {name for name, _ in lock("requirements-binder.lock")}


def test_binder_finds_what_it_looks_for():
    # repo2docker takes binder/ alone once it exists; a Dockerfile there would replace everything else.
    assert sorted(path.name for path in (ROOT / "binder").iterdir()) == ["environment.yml", "postBuild", "start"]
    for name in ("postBuild", "start"):
        assert os.access(ROOT / "binder" / name, os.X_OK)
    environment = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())
    assert environment["dependencies"] == ["python=3.11", "pip"]
    assert (ROOT / "binder" / "start").read_text().rstrip().endswith('exec "$@"')


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_the_profile_is_small(profile):
    installed = int(re.search(r"Installed: (\d+) MB", (profile / "size.txt").read_text())[1])
    assert installed <= MOST_MB


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_what_a_notebook_imports_without_a_question_is_in_the_profile(profile):
    imported = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and not source.startswith("%"):
                imported |= {root: path.name for node in ast.parse(source).body for root in _roots(node)}
    look = "import importlib.util, sys; print([n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])"
    command = [profile / "env" / "bin" / "python", "-c", look, *imported]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd="/")
    missing = ast.literal_eval(found.stdout)
    assert len(imported) > 20
    assert not {name: imported[name] for name in missing}


def _roots(node):
    """The packages that a statement imports, if it does so whatever is installed."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return {node.module.partition(".")[0]} if isinstance(node, ast.ImportFrom) else set()


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_every_package_still_imports_there_and_the_doctor_says_what_is_left_out(profile):
    done = subprocess.run(
        [profile / "env" / "bin" / "python", "-m", "autograder", "doctor"],
        capture_output=True, text=True, timeout=300, check=False, cwd=profile / "mlops-course",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line.split()[2]: line for line in done.stdout.splitlines() if " package " in line}
    assert {name for name, line in lines.items() if "is left out here" in line} >= {"mlflow", "evidently", "wandb"}
    assert all(lines[name].startswith("✓") for name in GROUP if name in lines)


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_light_notebooks_earn_everything_there_without_any_engine(profile):
    done = subprocess.run(
        [ROOT / "scripts" / "binder_check.sh", LIGHT], capture_output=True, text=True, timeout=1100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((profile / "mlops-course" / "build" / "course-report.json").read_text())
    found = {engine["key"]: engine["version"] for engine in report["engines"]}
    assert [notebook["name"][:2] for notebook in report["notebooks"]] == LIGHT.split(",")
    for notebook in report["notebooks"]:
        assert notebook["status"] == "passed"
        assert notebook["points"] == notebook["max_points"] > 0
        assert notebook["peak_mb"] <= 1200
    assert not [key for key in ("mlflow", "wandb", "ray", "haproxy", "podman", "prometheus", "chromium") if found[key]]
    assert "The small profile in 2 GB" in (profile / "evidence.md").read_text()


def test_slimming_deletes_what_its_rules_name_and_nothing_else(tmp_path):
    packages = tmp_path / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    gone = (
        "a/tests/test_a.py",
        "a/b/test/data.bin",
        "a/page.js.map",
        "pyarrow/include/x.h",
        "pyarrow/libarrow_flight.so.1",
    )
    kept = ("a/testing/helper.py", "a/page.js", "a/tests.py", "pyarrow/libarrow.txt", "babel/locale-data/en.dat")
    for name in (*gone, *kept):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("x")
    program = [sys.executable, ROOT / "scripts" / "binder_slim.py", tmp_path]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert "site-packages:" in done.stdout
    assert sorted(str(p.relative_to(packages)) for p in packages.rglob("*") if p.is_file()) == sorted(kept)


def test_the_image_takes_the_steps_of_binder_and_hadolint_is_content():
    text = (ROOT / "scripts" / "binder.Dockerfile").read_text()
    assert "RUN binder/postBuild" in text
    assert 'ENTRYPOINT ["binder/start"]' in text
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "-"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_codespace_uses_commands_that_exist():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text()
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"make (\w+)", container["updateContentCommand"])) <= targets
    for name in container["customizations"]["codespaces"]["openFiles"]:
        assert (ROOT / name).is_file()
    assert re.fullmatch(r"\d+gb", container["hostRequirements"]["memory"])
