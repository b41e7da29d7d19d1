"""Kernel provisioners for Jupyter: ``course-warm`` and ``course-sandbox``.

jupyter_client finds them by entry point, so nbclient, papermill, nbval and JupyterLab can use them. Two ways:

* for one program: set ``JUPYTER_DEFAULT_PROVISIONER_NAME=course-warm``; every kernel it starts is then forked from a
process
  that has imported the course's libraries, whatever its kernel spec;
* by name: ``python -m autograder.sandbox.jupyter.provisioners`` writes the kernel specs ``course-warm`` and
``course-sandbox`` to
  this environment; choose them as any kernel (``papermill -k course-warm``).

Kernels talk over Unix sockets, not TCP. The warm process belongs to the program that started it and ends with it, so it
pays off where one program runs several notebooks. A warm kernel differs from a fresh one in what can't be undone:
modules that were imported already are in ``sys.modules``, string hashes are seeded alike in all of them, numerical
libraries were loaded with one thread each, and ``JPY_PARENT_PID`` is not set (the kernel ends with its parent by other
means).

A sandboxed kernel sees its own empty work folder, the course's library and nothing else of the machine; limits are set
with ``--CourseSandboxProvisioner.memory_mb=…`` or in the kernel spec's ``kernel_provisioner`` config.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Bool, Float, Integer

from autograder.sandbox.model import Limits

__all__ = ["CourseSandboxProvisioner", "CourseWarmProvisioner", "install_kernel_specs"]

_NAMES = {"course-warm": "Python 3 (course, warm)", "course-sandbox": "Python 3 (course, sandbox)"}


class CourseWarmProvisioner(LocalProvisioner):
    """Forks a real ipykernel from a process that has imported the course's libraries."""

    walls = False
    warm = Bool(True, help="Import the course's libraries in advance.").tag(config=True)
    _folder: Path | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Have the kernel manager use Unix sockets in a folder of their own."""
        from autograder.sandbox.jupyter.kernels import kernel_forkserver

        forkserver = kernel_forkserver(walls=self.walls, warm=self.warm)
        assert forkserver.kernels is not None
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(dir=forkserver.kernels))
        if forkserver.walls and os.getuid() == 0:
            os.chown(self._folder, 65534, 65534)
        if self.parent is not None:
            self.parent.transport = "ipc"
            self.parent.ip = str(self._folder / "k")
        self._environment = dict(kwargs.get("env") or os.environ)
        self._cwd = str(kwargs.get("cwd") or Path.cwd())
        prepared: dict[str, Any] = await super().pre_launch(**kwargs)
        return prepared

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork the kernel."""
        from autograder.sandbox.jupyter.kernels import KernelProcess, as_argv, kernel_forkserver

        assert self._folder is not None
        environment = dict(kwargs.get("env") or self._environment)
        environment.pop("JPY_PARENT_PID", None)
        connection = {
            key: value.decode() if isinstance(value, bytes) else value for key, value in self.connection_info.items()
        }
        process = KernelProcess(
            kernel_forkserver(walls=self.walls, warm=self.warm),
            folder=self._folder,
            connection=connection,
            argv=as_argv(cmd, self.parent.connection_file if self.parent else ""),
            environment=environment,
            cwd=self._cwd,
            limits=self.limits(),
        )
        self.process = process  # type: ignore[assignment]  # has what LocalProvisioner uses of Popen
        self.pid, self.pgid = process.pid, None
        return self.connection_info

    def limits(self) -> Limits:
        """Return the limits of a kernel; a warm one without walls has none that matter."""
        return Limits(wall_seconds=float(10**9), cpu_seconds=10**8, memory_mb=1 << 20, processes=10**6, file_mb=1 << 20)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the folder of the sockets, unless the kernel is started again."""
        await super().cleanup(restart)
        if self._folder is not None and not restart:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class CourseSandboxProvisioner(CourseWarmProvisioner):
    """The same behind walls."""

    walls = True
    memory_mb = Integer(2048, help="Memory of the kernel and all it starts, in MB.").tag(config=True)
    processes = Integer(128, help="Processes and threads.").tag(config=True)
    cpu_seconds = Integer(1200, help="Processor time, in seconds.").tag(config=True)
    wall_seconds = Float(3600.0, help="Life time, in seconds.").tag(config=True)
    disk_mb = Integer(512, help="Size of work folder and /tmp together, in MB.").tag(config=True)
    file_mb = Integer(256, help="Size of one file, in MB.").tag(config=True)

    def limits(self) -> Limits:
        """Return the configured limits."""
        names = ("memory_mb", "processes", "cpu_seconds", "wall_seconds", "disk_mb", "file_mb")
        return Limits(**{name: getattr(self, name) for name in names})


def install_kernel_specs(prefix: Path) -> list[Path]:
    """Write the two kernel specs below ``prefix``/share/jupyter/kernels and return their folders."""
    written = []
    for name, title in _NAMES.items():
        folder = prefix / "share" / "jupyter" / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": title,
            "language": "python",
            "metadata": {"debugger": True, "kernel_provisioner": {"provisioner_name": name}},
        }
        (folder / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n")
        written.append(folder)
    return written


if __name__ == "__main__":
    for path in install_kernel_specs(Path(sys.prefix)):
        print(path)
