"""Train the first model: `python -m pumpwatch.train TABLE`."""

import csv
import sys
from pathlib import Path

import numpy as np

from pumpwatch.model import FEATURES, fit, save

STATE = Path("state")


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return readings and labels of a table."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(row[name]) for name in FEATURES] for row in rows]), np.array(
        [int(row["failed"]) for row in rows]
    )


def main() -> None:
    """Train on the table that the command line names."""
    model = fit(*read(Path(sys.argv[1])), version=1)
    save(model, STATE)
    print(f"accuracy at training: {model.accuracy:.3f}")


if __name__ == "__main__":
    main()
