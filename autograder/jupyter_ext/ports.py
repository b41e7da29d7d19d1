"""A port for JupyterLab that no other JupyterLab of the course takes in the same moment.

Jupyter looks for a free port and opens it a little later: two that start at once find the same one. A file lock, held
as long as the server runs, makes them differ.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from pathlib import Path

__all__ = ["reserve"]

_FIRST, _TRIES = 8888, 50
_held: list[int] = []  # descriptors of locks: they go with the process


def reserve(first: int = _FIRST) -> int:
    """Return the first port from ``first`` on that is free and that no other server has reserved.

    Where that cannot be told (no file locks, no folder to write to) it is ``first``, and Jupyter looks on by itself.
    """
    try:
        import fcntl
    except ImportError:  # not a system with POSIX file locks
        return first
    for port in range(first, first + _TRIES):
        with contextlib.suppress(OSError):  # of another user, or locked: somebody has it
            handle = os.open(Path(tempfile.gettempdir()) / f"course-lab-{port}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            except OSError:
                os.close(handle)
                raise
            _held.append(handle)
            return port
    return first
