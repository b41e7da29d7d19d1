"""`python -m autograder`."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line."""
    if sys.version_info < (3, 11):  # noqa: UP036 — told before an import fails on newer syntax
        sys.exit(f"The course needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks ends no command
            stream.reconfigure(errors="backslashreplace")
    from autograder.cli import run

    run()


if __name__ == "__main__":
    main()
