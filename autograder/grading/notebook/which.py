"""Which notebook of the course a handed-in file is: by its name, the folders around it, or its cells."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from autograder.grading.identity.layouts import known_notebook, plain_stem

__all__ = ["RESUBMITTED", "Notebooks"]

RESUBMITTED = re.compile(r"(?:-(?P<canvas>\d+)| \((?P<browser>\d+)\)|-Copy(?P<jupyter>\d*))$")


@dataclass(frozen=True)
class Notebooks:
    """The notebooks that can be graded.

    Attributes
    ----------
    names
        By which they are known.
    places
        nbgrader's assignment and notebook of each, where they are not its name.
    elsewhere
        nbgrader's assignments of the same course that are not among them.
    """

    names: tuple[str, ...]
    places: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()

    @property
    def words(self) -> list[str]:
        """What may stand in the name of a file or folder in place of a student."""
        places = [self._place(name) for name in self.names]
        return list(dict.fromkeys([*(own for _, own in places), *(whole for whole, _ in places), *self.elsewhere]))

    def of(self, file: str, folder: str, path: Path | None, *, only: Sequence[str] = ()) -> str:
        """Return which notebook a file is; nothing if it is none, or if that cannot be told.

        Parameters
        ----------
        file, folder
            Its name, and its path with the student's folder at the top.
        path
            Where it can be read; None where that is not to be done.
        only
            The notebooks that are graded now: the others are not meant where two have the same name.
        """
        stem, _, suffix = file.rpartition(".")
        if suffix.lower() != "ipynb":
            return ""
        candidates = self._in_folder(folder)
        for wanted in (stem, RESUBMITTED.sub("", stem)):
            if hits := [n for n in candidates if _folded(self._place(n)[1]) == _folded(wanted)]:
                return self._one(hits, only)
        _, found = known_notebook(plain_stem(file), [self._place(name)[1] for name in candidates])
        if hits := [name for name in candidates if found and self._place(name)[1] == found]:
            return self._one(hits, only)
        above = PurePosixPath(folder).name
        return above if above in candidates else _by_cells(path, candidates)

    def _place(self, name: str) -> tuple[str, str]:
        return self.places.get(name, (name, name))

    def _in_folder(self, folder: str) -> list[str]:
        """Return the notebooks that a file in ``folder`` can be: a folder may be called like an assignment."""
        top, *below = folder.split("/")
        around = {*below, *top.split("+")[1:-1]}  # nbgrader's exchange: STUDENT+ASSIGNMENT+TIME
        if named := [name for name in self.names if self._place(name)[0] in around]:
            return named
        return [] if around & self.elsewhere else list(self.names)

    @staticmethod
    def _one(hits: Sequence[str], only: Sequence[str]) -> str:
        chosen = [name for name in hits if name in only] or list(hits)
        return chosen[0] if len(chosen) == 1 else ""


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().replace(" ", "_").replace("-", "_")


def _by_cells(path: Path | None, names: Iterable[str]) -> str:
    """Recognise a renamed notebook by the numbers of its graded cells: ``ex-3-1`` belongs to notebook 03."""
    try:
        text = path.read_bytes()[: 4 << 20] if path is not None else b""
    except OSError:
        return ""
    numbers = re.findall(rb'"grade_id":\s*"(?:ex|check|hidden)-(\d+)-\d+"', text)
    for number in sorted(set(numbers), key=numbers.count, reverse=True):
        if hits := [name for name in names if re.match(rf"0*{number.decode()}_", name)]:
            return hits[0]
    return ""
