"""Kernels from the warm process look fresh, differ in their random numbers, and serve every Jupyter program."""

# ruff: noqa: E501 - small programs read best on a line of their own
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

STATE = """
import gc, json, locale, logging, os, resource, signal, sys, warnings
print(json.dumps(dict(
    names=sorted(name for name in globals() if not name.startswith("_")),
    env={k: v for k, v in os.environ.items() if k not in ("JPY_PARENT_PID", "JUPYTER_DEFAULT_PROVISIONER_NAME")},
    cwd=os.getcwd(),
    argv=[word if not word.endswith(".json") else "connection" for word in sys.argv],
    path=sys.path,
    flags=str(sys.flags),
    filters=[str((f[0], str(f[1]), f[2].__name__, str(f[3]), f[4])) for f in warnings.filters],
    signals=[str(signal.getsignal(s)).split(" at 0x")[0] for s in sorted(signal.valid_signals())],
    limits=[resource.getrlimit(k) for k in (resource.RLIMIT_NOFILE, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)],
    log=[logging.getLogger().level, len(logging.getLogger().handlers)],
    hooks=[str(type(sys.displayhook)), str(type(sys.excepthook)), sys.breakpointhook.__module__],
    misc=[__name__, sys.executable, sys.getrecursionlimit(), gc.isenabled(), gc.get_threshold(), locale.setlocale(locale.LC_ALL)],
    shell=[type(get_ipython()).__name__, get_ipython().execution_count, get_ipython().history_manager.enabled],
)))
"""
RANDOM = "import random, numpy as np, os\nprint(random.random(), np.random.rand(), np.random.default_rng().random(), os.getpid())"


def run_kernels(provisioner: str, *sources: str, warm: bool = True) -> list[str]:
    """Run each source in a kernel of its own, all from one program, and return what they print."""
    program = """
import json, sys
from jupyter_client import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_client.kernelspec import KernelSpec
def run(source):
    km = KernelManager(kernel_name="python3")
    km.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": sys.argv[1], "config": json.loads(sys.argv[3])}
    km.start_kernel()
    client = km.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    texts = []
    def hook(message):
        if message["msg_type"] in ("stream", "error"):
            texts.append(message["content"].get("text") or str(message["content"]))
    client.execute_interactive(source, output_hook=hook, timeout=60)
    client.stop_channels()
    km.shutdown_kernel(now=True)
    return "".join(texts)
print(json.dumps([run(source) for source in json.loads(sys.argv[2])]))
"""
    config = {} if provisioner == "local-provisioner" else {"warm": warm}
    command = [sys.executable, "-c", program, provisioner, json.dumps(sources), json.dumps(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_a_warm_kernel_starts_in_the_state_of_a_fresh_one() -> None:
    fresh, warm = (json.loads(run_kernels(name, STATE)[0]) for name in ("local-provisioner", "course-warm"))
    assert {key: (fresh[key], warm[key]) for key in fresh if fresh[key] != warm[key]} == {}


def test_warm_kernels_have_the_libraries_loaded_and_random_numbers_of_their_own() -> None:
    loaded = "import sys\nprint('sklearn.ensemble' in sys.modules, 'mlflow' in sys.modules)"
    one, two, modules = run_kernels("course-warm", RANDOM, RANDOM, loaded)
    assert all(a != b for a, b in zip(one.split(), two.split(), strict=True))
    assert modules.split() == ["True", "True"]


def test_a_sandboxed_kernel_sees_nothing_of_the_machine(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("here")
    source = f"import os, socket\nprint(os.path.exists({str(canary)!r}), os.listdir('.'), sorted(os.listdir('/kernels')), [n for _, n in socket.if_nameindex()])"
    escape = "import ctypes\nprint(ctypes.CDLL(None).unshare(0x10000000))"
    seen, unshared = run_kernels("course-sandbox", source, escape, warm=False)
    assert seen.startswith("False [] ['k-1'")
    assert seen.rstrip().endswith("['lo']")
    assert unshared.strip() == "-1"


@pytest.fixture
def specs(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which the kernel specs are found; their kernels start with nothing imported in advance."""
    from autograder.sandbox.jupyter.provisioners import install_kernel_specs

    for folder in install_kernel_specs(tmp_path):
        spec = json.loads((folder / "kernel.json").read_text())
        spec["metadata"]["kernel_provisioner"]["config"] = {"warm": False}
        (folder / "kernel.json").write_text(json.dumps(spec))
    return {**os.environ, "JUPYTER_PATH": str(tmp_path / "share" / "jupyter")}


def succeed(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kernel", ["course-warm", "course-sandbox"])
def test_papermill_and_nbclient_run_in_these_kernels(kernel: str, tmp_path: Path, specs: dict[str, str]) -> None:
    notebook = new_notebook(cells=[new_code_cell("n = 1", metadata={"tags": ["parameters"]}), new_code_cell("n * 21")])
    notebook.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    succeed(["papermill", "in.ipynb", "out.ipynb", "-k", kernel, "-p", "n", "2", "--no-progress-bar"], tmp_path, specs)
    outputs: list[Any] = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs
    assert outputs[0].data["text/plain"] == "42"


def test_one_variable_makes_any_program_use_warm_kernels(tmp_path: Path) -> None:
    notebook = new_notebook(cells=[new_code_cell("import sys\nassert 'mlflow' in sys.modules")])
    notebook.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    environment = {**os.environ, "JUPYTER_DEFAULT_PROVISIONER_NAME": "course-warm"}
    succeed(["papermill", "in.ipynb", "out.ipynb", "--no-progress-bar"], tmp_path, environment)


def test_nbval_runs_in_these_kernels(tmp_path: Path, specs: dict[str, str]) -> None:
    notebook = new_notebook(cells=[new_code_cell("6 * 7")])
    notebook.metadata.kernelspec = {"name": "course-warm", "language": "python", "display_name": "x"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    succeed(["pytest", "-q", "--nbval-lax", "-p", "no:cacheprovider", "in.ipynb"], tmp_path, specs)
