"""Stage J, monitoring: data drift, concept drift, late labels, metrics, alert rules, and who is told.

Modules are loaded at first access; Evidently, which takes seconds to import, only when it is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Alertmanager": "servers",
    "Calibration": "concept",
    "ConceptMonitor": "concept",
    "DESK_PANELS": "dashboard",
    "DESK_RULES": "rules",
    "DriftDetector": "drift",
    "ErrorBudget": "quality",
    "Exporter": "exporter",
    "Inbox": "inbox",
    "PanelSpec": "dashboard",
    "Prometheus": "servers",
    "Rule": "rules",
    "Scrape": "samples",
    "Signal": "rules",
    "as_known": "quality",
    "as_yaml": "rules",
    "chi_square": "statistics",
    "compare": "statistics",
    "diagnose": "concept",
    "estimate": "quality",
    "fit_calibration": "concept",
    "holm": "drift",
    "naive_alarm": "drift",
    "performance": "quality",
    "play": "rules",
    "post": "inbox",
    "psi": "statistics",
    "scrape": "samples",
    "wasserstein": "statistics",
}
_MODULES = (
    "concept",
    "dashboard",
    "drift",
    "evidently_drift",
    "exporter",
    "figures",
    "inbox",
    "plant",
    "promtool",
    "quality",
    "rules",
    "samples",
    "servers",
    "statistics",
)

__all__ = sorted([*_HOMES, *_MODULES])  # noqa: PLE0605 - one list, not two


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"course_lib.monitoring.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"course_lib.monitoring.{name}")
    raise AttributeError(f"module 'course_lib.monitoring' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
