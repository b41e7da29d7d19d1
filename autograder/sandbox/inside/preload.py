"""Preloading of libraries: import first, fork later, and still look like a fresh kernel.

What importing libraries leaves behind is undone in the child: environment variables, warning filters, signal handlers,
random numbers, the module search path. The modules themselves stay: that is the point.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.sandbox.messages import ForkserverSettings, KernelStart

__all__ = ["COURSE_LIBRARIES", "RandomState", "WarmState", "become_kernel", "preload", "random_state", "reseed"]

COURSE_LIBRARIES = (
    "numpy", "pandas", "scipy.stats", "scipy.sparse", "sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline",
    "sklearn.compose", "sklearn.preprocessing", "sklearn.metrics", "sklearn.model_selection", "sklearn.calibration",
    "sklearn.inspection", "matplotlib.pyplot", "matplotlib_inline.backend_inline", "pyarrow.parquet", "mlflow",
    "mlflow.sklearn", "mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store", "pydantic", "fastapi", "fastapi.testclient", "uvicorn", "httpx",
    "onnxruntime", "pandera.pandas", "prometheus_client", "yaml",
    "course_lib", "course_lib.checks", "course_lib.data", "course_lib.features", "course_lib.training",
    "course_lib.tracking", "course_lib.evaluation", "course_lib.registry", "course_lib.retraining",
    "course_lib.validation", "course_lib.plots", "course_lib.engines", "course_lib.processes",
)  # fmt: skip


RandomState = tuple[tuple[Any, ...], tuple[Any, ...] | None]  # Python's, numpy's


class WarmState:
    """What a fresh kernel would have and imports change; taken before them, put back in every child."""

    def __init__(self, environment: Mapping[str, str], missing: list[str]) -> None:
        self._environment = {k: v for k, v in environment.items() if k not in ("PYTHONPATH", "PWD")}
        self._filters = list(warnings.filters)
        self._path = list(sys.path)
        self._signals = {
            number: signal.getsignal(number)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)
        }
        self.missing = missing

    def settle(self) -> None:
        """Undo in this process what all children would otherwise have to."""
        self._put_back(self._environment)

    def restore(self, *, random_state: RandomState | None, environment: Mapping[str, str] | None = None) -> None:
        """Make this forked child look fresh; ``random_state`` is what a notebook's own cells have set, if they have."""
        if environment is not None:
            self._put_back(environment)
        reseed(random_state)

    def _put_back(self, environment: Mapping[str, str]) -> None:
        os.environ.clear()
        os.environ.update(environment)
        warnings.filters[:] = self._filters  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]
        sys.path[:] = self._path
        for number, handler in self._signals.items():
            signal.signal(number, handler)


def random_state() -> RandomState:
    """Return the state of Python's and, if it is loaded, numpy's global random numbers."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return random.getstate(), None
    kind, keys, *rest = numpy.random.get_state()
    return random.getstate(), (kind, tuple(keys.tolist()), *rest)


def reseed(state: RandomState | None) -> None:
    """Set the global random numbers to ``state``, or to this process's own seed: a fork would repeat its siblings'."""
    numpy = sys.modules.get("numpy")
    if state is None:
        random.seed()
    else:
        random.setstate(state[0])
    if numpy is not None:
        if state is None or state[1] is None:
            numpy.random.seed()
        else:
            numpy.random.set_state(state[1])


def preload(settings: ForkserverSettings) -> WarmState:
    """Import the libraries named in the settings; those that aren't there are noted, not fatal."""
    environment = dict(os.environ)
    for name in settings.base:  # what a fresh kernel has imported as well when its first cell runs
        importlib.import_module(name)
    state = WarmState(environment, [])
    os.environ.update(settings.while_importing)
    for name in settings.preload:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                importlib.import_module(name)
            except Exception as error:
                state.missing.append(f"{name} ({type(error).__name__})")
    return state


def become_kernel(start: KernelStart) -> NoReturn:
    """Become a Jupyter kernel, as ``python -m ipykernel_launcher`` would with the arguments in ``start``."""
    from ipykernel.kernelapp import IPKernelApp

    sys.argv[:] = start.argv
    if start.connection is not None:  # behind walls: the connection file of outside isn't there
        path = Path(os.environ["HOME"]) / "kernel.json"
        path.write_text(json.dumps(start.connection))
        sys.argv[1:] = ["-f", str(path)]
    elif start.cwd is not None:
        os.chdir(start.cwd)
    app: Any = IPKernelApp.instance()
    app.initialize(sys.argv[1:])
    app.start()
    os._exit(0)
