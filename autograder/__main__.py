"""`python -m autograder`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    if sys.version_info < (3, 11):  # noqa: UP036 — told before an import fails on newer syntax
        sys.exit(f"The course needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    # jsonschema loads a grammar for international web addresses: two seconds of every start, and no notebook has one.
    # A None in sys.modules makes its import fail, which jsonschema takes as "not installed".
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from autograder.cli import run

    run()


if __name__ == "__main__":
    main()
