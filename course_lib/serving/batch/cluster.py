"""A Ray cluster on this machine: started small, kept on the loopback address, and gone without a trace afterwards."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from course_lib.errors import EngineError

__all__ = ["ENVIRONMENT", "Cluster"]

T = TypeVar("T")

# Two libraries call home unless told not to; the cluster listens on this machine only.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Cluster:
    """A local Ray cluster, as small as it gets; it lives as long as the ``with`` block.

    Parameters
    ----------
    workers
        Processes that compute.
    attempts
        How often to try to start it.

    Raises
    ------
    EngineError
        Ray is not installed, or did not start.
    """

    def __init__(self, workers: int, *, attempts: int) -> None:
        try:
            os.environ.update(ENVIRONMENT)
            import ray
        except ImportError as error:
            raise EngineError(
                "Ray is not installed.",
                expected="the extra `cluster` of the course",
                next_step="run `pip install -e .[cluster]`, or use engine='plain': the answers are the same",
            ) from error
        self._ray: Any = ray
        self._workers = workers
        self._attempts = attempts
        self._scratch = tempfile.TemporaryDirectory(prefix="ray-")

    def __enter__(self) -> Self:
        """Start the cluster. On a busy machine Ray gives up on its own processes after 15 seconds, so try again."""
        for attempt in range(self._attempts):
            try:
                self._init()
                return self
            except Exception as error:  # Ray raises a bare Exception when it does not start in time
                self._ray.shutdown()
                _stop_children()  # a failed start leaves its server behind
                if attempt == self._attempts - 1:
                    self._scratch.cleanup()
                    raise EngineError(
                        f"Ray did not start: {str(error).splitlines()[0]}",
                        expected="a local cluster within a minute",
                        next_step="close what keeps this machine busy, or use engine='plain': the answers are the same",
                    ) from error
        raise AssertionError("unreachable")

    def _init(self) -> None:
        self._ray.init(
            num_cpus=self._workers,
            object_store_memory=80 * 1024 * 1024,
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=self._scratch.name,
        )
        _stop_children(_HELPERS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()
        _stop_children()
        self._scratch.cleanup()

    def map(self, function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
        """Call ``function`` with each of ``arguments`` in the workers; results are in the order of the arguments."""
        task = self._ray.remote(function)
        found: list[T] = self._ray.get([task.remote(*one) for one in arguments])
        return found


# Ray starts these in any case, 100 MB each: an autoscaler for one machine, a dashboard that is off, a log forwarder.
_HELPERS = ("/autoscaler/_private/monitor.py", "/dashboard/dashboard.py", "/_private/log_monitor.py")


def _stop_children(scripts: Sequence[str] = ("",)) -> None:
    """Stop the child processes whose command names one of ``scripts``; by default all."""
    import psutil

    from course_lib.processes import stop_tree

    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(script in " ".join(child.cmdline()) for script in scripts):
                stop_tree(child.pid, grace=1.0)
