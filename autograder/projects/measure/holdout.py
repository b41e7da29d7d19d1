"""Holdout rows of a project: requests with the label that the service should give."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["holdout"]

_MAX_ROWS = 500


def holdout(text: str) -> list[dict[str, Any]]:
    """Return the first rows of a file with one JSON object a line; lines without `request` and `label` are left out."""
    rows = []
    for line in text.splitlines()[:_MAX_ROWS]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("request"), dict) and "label" in row:
            rows.append(row)
    return rows
