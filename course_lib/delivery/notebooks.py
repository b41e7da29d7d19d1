"""Notebooks in CI: run one with parameters (papermill), and compare its outputs with the stored ones (nbval)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_lib.delivery.errors import DeliveryError

__all__ = ["compare_outputs", "parameters", "run_notebook"]


def parameters(notebook: Path) -> tuple[str, ...]:
    """Return the names that the cell tagged ``parameters`` assigns."""
    import ast

    import nbformat

    cells = nbformat.read(notebook, as_version=4).cells
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", ())]
    assigned = [node for source in tagged for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return tuple(target.id for node in assigned for target in node.targets if isinstance(target, ast.Name))


def run_notebook(notebook: Path, output: Path, values: Mapping[str, Any], *, timeout: int = 120) -> dict[str, Any]:
    """Run ``notebook`` with ``values`` into ``output`` and return what it recorded, by name.

    papermill only warns of a parameter that the notebook does not have: a misspelt one would be ignored, and the run
    would be green with the default. Here it is an error.

    Raises
    ------
    DeliveryError
        A parameter is unknown, or a cell failed; the message names the cell and its error.
    """
    known = parameters(notebook)
    if unknown := [name for name in values if name not in known]:
        raise DeliveryError(
            f"{notebook.name} has no parameter {', '.join(unknown)}.",
            expected=f"some of {', '.join(known) or 'none: no cell is tagged parameters'}",
            next_step="correct the name, or add it to the cell tagged `parameters`",
        )
    import papermill
    from papermill.exceptions import PapermillExecutionError

    try:
        done = papermill.execute_notebook(
            notebook,
            output,
            dict(values),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            execution_timeout=timeout,
            extra_arguments=["--log-level=ERROR"],  # else the kernel's own warnings stand among the outputs
        )
    except PapermillExecutionError as error:
        raise DeliveryError(
            f"Cell {error.exec_count} of {notebook.name} failed: {error.ename}: {error.evalue}",
            expected="a notebook that runs from top to bottom",
            next_step=f"read {output.name}, which ends at that cell",
        ) from error
    shown = [out for cell in done.cells for out in cell.get("outputs", ()) if out.output_type == "execute_result"]
    return {"cells": len(done.cells), "last": shown[-1].data.get("text/plain", "") if shown else ""}


def compare_outputs(notebook: Path, *, timeout: int = 120) -> list[str]:
    """Run ``notebook`` again with nbval and return the cells whose output differs from the stored one."""
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "-p", "no:cacheprovider", "-p", "no:randomly"]
    command += ["-W", "ignore", "-c", "/dev/null", "--rootdir", str(notebook.parent), str(notebook)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=notebook.parent)
    if done.returncode not in (0, 1):
        raise DeliveryError(f"nbval could not run: {(done.stdout + done.stderr)[-400:]}")
    return [
        line.split(" - ")[0].removeprefix("FAILED ") for line in done.stdout.splitlines() if line.startswith("FAILED")
    ]
