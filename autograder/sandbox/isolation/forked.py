"""Forked children: they end where they are, never return into their parent's code, and are reaped by process 1."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["exit_code", "fatal", "reap_until"]


@contextlib.contextmanager
def fatal(status: int) -> Iterator[None]:
    """End the process with ``status`` whatever happens in the block, and say on stderr what raised."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(BaseException):
            os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="backslashreplace"))
    finally:
        os._exit(status)


def exit_code(status: int) -> int:
    """Return what ``waitpid`` says as a shell says it: above 128 for a signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def reap_until(child: int) -> int:
    """Reap whatever ends until ``child`` has; return its exit status."""
    while True:
        with contextlib.suppress(InterruptedError):
            pid, status = os.waitpid(-1, 0)
            if pid == child:
                return exit_code(status)
