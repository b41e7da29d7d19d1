"""Unit tests of alert rules with promtool, which needs no server."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from course_lib import engines
from course_lib.errors import MonitoringError
from course_lib.monitoring.rules import Rule, as_yaml

__all__ = ["available", "unit_test"]


def available() -> bool:
    """Whether promtool is on this machine."""
    return shutil.which("promtool") is not None


def unit_test(rules: Sequence[Rule], series: Mapping[str, str], expected: Mapping[str, Mapping[int, bool]]) -> str:
    """Unit-test rules: feed series to them, and say when each alert must be firing.

    Parameters
    ----------
    rules
        Rules under test.
    series
        Values by series, one a second, in promtool's notation: ``{"desk_auc": "0.7x5 0.5x20"}``.
    expected
        By name of the alert: seconds after the start, and whether it must be firing then.

    Raises
    ------
    MonitoringError
        An alert did not do what was expected.
    """
    import yaml

    by_name = {rule.name: rule for rule in rules}
    moments = []
    for name, states in expected.items():
        rule = by_name[name]
        for second, firing in states.items():
            alert = {"exp_labels": {"severity": rule.severity}, "exp_annotations": {"summary": rule.summary}}
            entry = {"eval_time": f"{second}s", "alertname": name}
            moments.append(entry | ({"exp_alerts": [alert]} if firing else {}))
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1s",
        "tests": [
            {
                "interval": "1s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": moments,
            }
        ],
    }
    files = {"rules.yml": as_yaml(rules), "test.yml": yaml.safe_dump(test, sort_keys=False)}
    return _promtool(["test", "rules", "test.yml"], files)


def _promtool(arguments: Sequence[str], files: Mapping[str, str]) -> str:
    engines.require("promtool")
    command = ["promtool", *arguments]
    with tempfile.TemporaryDirectory(prefix="course-promtool-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise MonitoringError(
            f"promtool refused it:\n{said}",
            expected="rules that parse and pass their tests",
            next_step="correct the line it names",
        )
    return said
