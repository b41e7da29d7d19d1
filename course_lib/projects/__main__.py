"""Start a practice project: ``python -m course_lib.projects start model-api DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from course_lib.errors import CourseError
from course_lib.projects.start import KINDS, start

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, and return the exit code: 2 where nothing could be written."""
    parser = argparse.ArgumentParser(
        prog="python -m course_lib.projects", description="The course's practice projects."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="write a starting repository and make its first commit")
    starting.add_argument("kind", choices=KINDS)
    starting.add_argument("folder", type=Path, metavar="DIR", help="an empty folder, or one that does not exist yet")
    options = parser.parse_args(arguments)
    try:
        folder = start(options.kind, options.folder)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{folder} is ready: read its README.md. Grade it with `python -m autograder project {folder}`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
