"""Gradescope's ``submission_metadata.yml``: who handed in which folder, and when.

The file also holds all output of the autograder, text from learners included, and not always as valid YAML (a closing
quote at the left margin, several documents). So only the few lines that are needed are read, at the indentation where
Gradescope writes them and no quoted text can stand.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime

from autograder.grading.identity.layouts import Owner

__all__ = ["METADATA", "submitters"]

METADATA = "submission_metadata.yml"
_FOLDER = re.compile(r"(['\"]?)(?P<key>[^\s:'\"][^:'\"]*)\1:\s*\Z")
_FIELD = re.compile(r"  (?P<dash>- |  ):(?P<key>name|sid|email): ?(?P<value>.*)\Z")
_TIME = re.compile(r"  :created_at: (?P<day>\S+)[ T](?P<clock>\d\d:\d\d:\d\d)\S* ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d)\Z")


def submitters(text: str) -> dict[str, tuple[Owner, ...]]:
    """Return the people of each submission's folder; several for a group."""
    people: dict[str, list[dict[str, str]]] = defaultdict(list)
    times: dict[str, str] = {}
    folder, listing = "", False
    for line in text.splitlines():
        if match := _FOLDER.fullmatch(line):
            folder, listing = match["key"], False
            if folder in people:
                people[folder], folder = [], ""  # named twice: nobody can say whose it is
        elif not folder:
            continue
        elif line.startswith("  :") and not line.startswith("   "):
            listing = line.rstrip() == "  :submitters:" and folder not in people
            if listing:
                people[folder] = []
            if match := _TIME.match(line):
                times.setdefault(folder, _utc(match))
        elif listing and (match := _FIELD.fullmatch(line)):
            if match["dash"] == "- ":
                people[folder].append({})
            if people[folder]:
                people[folder][-1].setdefault(match["key"], _scalar(match["value"]))
    return {
        folder: tuple(_owner(person, times.get(folder, "")) for person in own if any(person.values()))
        for folder, own in people.items()
    }


def _owner(person: dict[str, str], timestamp: str) -> Owner:
    ident = person.get("sid") or person.get("email", "")
    return Owner(person.get("name") or ident, ident=ident, timestamp=timestamp)


def _scalar(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", _escaped, text[1:-1])
    return "" if text in ("~", "null") else text


def _escaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(min(int(code, 16), 0x10FFFF)) if code else match[4]


def _utc(match: re.Match[str]) -> str:
    zone = match["zone"].replace("UTC", "+0000").replace("Z", "+0000").replace(":", "")
    try:
        when = datetime.strptime(f"{match['day']} {match['clock']} {zone}", "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return ""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
