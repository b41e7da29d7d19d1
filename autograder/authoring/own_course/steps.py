"""Steps of nbgrader's ``generate_assignment``, taken by nbgrader's own preprocessors with the course's configuration.

Tests that nbgrader makes from the solution (``### AUTOTEST``) need a kernel in which the instructor's solution runs;
what came of it is kept, so that this is done once for a notebook.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.authoring.own_course.folder import SourceError

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from traitlets.config import Config

__all__ = ["Steps"]

CONFIG_FILE = "nbgrader_config.py"
_AUTOTESTS = "autotests.yml"
_DELIMITER = "AUTOTEST"
# Settings of nbgrader that say which steps there are: here these are fixed.
_FIXED = (
    ("GenerateAssignment", "preprocessors"),
    ("GenerateAssignment", "pre_convert_hook"),
    ("GenerateAssignment", "post_convert_hook"),
    ("Autograde", "sanitize_preprocessors"),
    ("Autograde", "autograde_preprocessors"),
    ("Autograde", "pre_convert_hook"),
    ("Autograde", "post_convert_hook"),
    ("Autograde", "exclude_overwriting"),
)


class Steps:
    """nbgrader's steps for the notebooks of one course.

    Parameters
    ----------
    root
        The course's folder, with ``nbgrader_config.py`` and ``autotests.yml`` if it has them.
    kept
        A folder in which tests that were made from a solution are kept.
    """

    def __init__(self, root: Path, kept: Path | None = None) -> None:
        self.root, self.kept = root, kept
        self.config = _load_config(root)
        self.notes = tuple(self._not_applied())

    def with_tests(self, notebook: NotebookNode, path: Path) -> NotebookNode:
        """Return the source at ``path`` with header and footer, and with the tests that are made from its solution."""
        from nbgrader.preprocessors import IncludeHeaderFooter

        notebook = copy.deepcopy(notebook)
        notebook.metadata.setdefault(
            "kernelspec", {"name": "python3", "language": "python", "display_name": "Python 3"}
        )
        notebook = self._taken(notebook, path, [IncludeHeaderFooter])
        delimiter = self.config.get("InstantiateTests", {}).get("autotest_delimiter", _DELIMITER)
        asks = any(cell.cell_type == "code" and delimiter in cell.source for cell in notebook.cells)
        return self._instantiated(notebook, path) if asks else notebook

    def release(self, source: NotebookNode, path: Path) -> tuple[NotebookNode, NotebookNode]:
        """Return what learners are given of ``source``, and the same cells with the hidden tests in place."""
        from nbgrader.preprocessors import (
            CheckCellMetadata,
            ClearHiddenTests,
            ClearMarkScheme,
            ClearOutput,
            ClearSolutions,
            ComputeChecksums,
            LockCells,
        )

        before = [LockCells, ClearSolutions, ClearOutput, CheckCellMetadata, ComputeChecksums]
        graded = self._taken(copy.deepcopy(source), path, before)
        after = [ClearHiddenTests, ClearMarkScheme, ComputeChecksums, CheckCellMetadata]
        return self._taken(copy.deepcopy(graded), path, after), graded

    def _taken(self, notebook: NotebookNode, path: Path, steps: Sequence[Callable[..., Any]]) -> NotebookNode:
        resources: dict[str, Any] = {"metadata": {"path": str(path.parent)}}
        with contextlib.chdir(self.root):  # as nbgrader does: its settings name files from there
            for step in steps:
                with _refusals(path, step):
                    notebook, resources = step(config=self.config)(notebook, resources)
        return notebook

    def _instantiated(self, notebook: NotebookNode, path: Path) -> NotebookNode:
        import nbformat
        from nbgrader import __version__

        text = nbformat.writes(notebook)
        templates = [folder / _AUTOTESTS for folder in (path.parent, self.root) if (folder / _AUTOTESTS).is_file()]
        if not templates:
            raise SourceError(
                f"{path.name} asks nbgrader to make tests from its solution, and there is no {_AUTOTESTS}.",
                expected=f"{_AUTOTESTS}, with nbgrader's templates, beside the notebook or in {self.root}",
                next_step="copy the one of `nbgrader quickstart --autotest`",
            )
        parts = [text, templates[0].read_text(encoding="utf-8", errors="replace"), __version__, repr(self.config)]
        kept = self.kept / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.ipynb" if self.kept else None
        if kept is not None and kept.is_file():
            made: NotebookNode = nbformat.read(kept, as_version=4)
            return made
        with _without_stderr():
            made = self._taken(notebook, path, [_instantiate])
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            unfinished = kept.with_suffix(".new")
            unfinished.write_text(nbformat.writes(made), encoding="utf-8")
            unfinished.replace(kept)
        return made

    def _not_applied(self) -> Iterator[str]:
        for section, name in _FIXED:
            if name in self.config.get(section, {}):
                yield f"{CONFIG_FILE} sets {section}.{name}: that is not applied here."


def _load_config(root: Path) -> Config:
    from traitlets.config import Config
    from traitlets.config.loader import PyFileConfigLoader

    if not (root / CONFIG_FILE).is_file():
        return Config()
    try:
        loaded: Config = PyFileConfigLoader(CONFIG_FILE, path=str(root)).load_config()
    except Exception as error:  # it is a Python file: anything can be wrong in it
        raise SourceError(
            f"{root / CONFIG_FILE} cannot be read: {error}",
            expected="a configuration file of nbgrader",
            next_step="correct it: `nbgrader generate_assignment` says more",
        ) from error
    return loaded


@contextlib.contextmanager
def _refusals(path: Path, step: Callable[..., Any]) -> Iterator[None]:
    """Say what nbgrader does not like about the notebook at ``path``."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # each step has its own: RuntimeError, ValueError, ValidationError, KeyError …
        said = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
        name = getattr(step, "__name__", "")
        raise SourceError(
            f"{path.name} cannot be graded: nbgrader's step {name} refuses it: {said[:300]}",
            expected="a source of which `nbgrader generate_assignment` makes a release",
            next_step="correct the notebook, and try that command on it",
        ) from error


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Let the kernel that nbgrader starts say nothing on the terminal."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _instantiate(**options: Any) -> Callable[..., Any]:
    """Return nbgrader's step such that its kernel ends, and lets go of its sockets, whatever happens."""
    from nbgrader.preprocessors import InstantiateTests

    class Closing(InstantiateTests):  # type: ignore[misc]
        opened: Any = None

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "kc" and value is not None:
                self.opened = value
            super().__setattr__(name, value)

        def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> Any:
            try:
                return super().preprocess(nb, resources)
            finally:
                if self.kc is not None:  # a test could not be made: nbgrader leaves the kernel running then
                    self.kc.shutdown()
                if self.opened is not None:
                    self.opened.stop_channels()

    step: Callable[..., Any] = Closing(**options)
    return step


_instantiate.__name__ = "InstantiateTests"
