"""Late rule: what lateness costs is nbgrader's plugin, and its setting stands in the course folder's configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.grading.book.database import GradebookError
from autograder.reports.files import write_atomically

if TYPE_CHECKING:
    from nbgrader.plugins import LateSubmissionPlugin
    from traitlets.config import Config

__all__ = ["CONFIG_FILE", "late_plugin", "set_rule"]

CONFIG_FILE = "nbgrader_config.py"
_RULE = re.compile(r"^\w+(?:\(\))?\.LateSubmissionPlugin\.penalty_method\s*=.*$", re.M)


def late_plugin(folder: Path) -> LateSubmissionPlugin:
    """Return what says how much lateness costs, as the folder's configuration chooses it."""
    from nbgrader.preprocessors import AssignLatePenalties

    step = AssignLatePenalties(config=_load_config(folder))
    step.init_plugin()
    return step.plugin_inst


def set_rule(folder: Path, rule: str) -> LateSubmissionPlugin:
    """Make ``rule`` the penalty of nbgrader's plugin in the folder's configuration; return the plugin.

    Raises
    ------
    GradebookError
        The configuration sets another one after all; it is left as it was.
    """
    path = folder / CONFIG_FILE
    before = path.read_text(encoding="utf-8")
    _write_rule(path, rule)
    try:
        plugin = late_plugin(folder)
    except GradebookError:
        write_atomically(path, before)
        raise
    if getattr(plugin, "penalty_method", "") != rule:
        write_atomically(path, before)
        raise GradebookError(
            f"{path} does not take the late rule {rule!r}.",
            expected="a configuration that leaves LateSubmissionPlugin.penalty_method to its last line",
            next_step="set it there yourself, and leave --late out",
        )
    return plugin


def _write_rule(path: Path, rule: str) -> None:
    text = path.read_text(encoding="utf-8")
    line = f'get_config().LateSubmissionPlugin.penalty_method = "{rule}"  # noqa: F821'
    once = len(_RULE.findall(text)) == 1
    changed = _RULE.sub(line, text) if once else _RULE.sub("", text).rstrip("\n") + f"\n{line}\n"
    if changed != text:
        write_atomically(path, changed)


def _load_config(folder: Path) -> Config:
    """Read the instructor's ``nbgrader_config.py`` as nbgrader does."""
    from traitlets.config import Config
    from traitlets.config.loader import PyFileConfigLoader

    try:
        loaded: Config = PyFileConfigLoader(CONFIG_FILE, path=str(folder)).load_config()
    except FileNotFoundError:
        return Config()
    except Exception as error:  # it is a Python file: anything can be wrong in it
        raise GradebookError(
            f"{folder / CONFIG_FILE} cannot be read: {error}",
            expected="a configuration file of nbgrader",
            next_step="fix it, or delete it to have it written anew",
        ) from error
    return loaded
