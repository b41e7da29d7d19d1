"""Identity registry: who in an export is who, within one run and from one run to the next.

A person is the platform's number where the export gives one, otherwise the exact name; names are compared in Unicode's
composed form (NFC) and in no other way. Everybody has a *key*: the student id in the gradebook and the name of the
folders in ``--out``. It is the name itself where that is a harmless folder name that nobody else has; otherwise the
name made harmless, with the number or a hash behind it. Keys are kept in ``students.json``, so a second person of the
same name never takes over the row of the first.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from autograder.reports.files import write_atomically
from course_lib.errors import CourseError

__all__ = ["Claim", "IdentityError", "People", "Person", "Settled", "folder_name", "same_name"]

_FILE = "students.json"
_LONGEST = 100  # bytes of a key without its suffix
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # names that Windows gives to devices
# What Moodle calls everybody under blind marking (string "participant" of mod_assign, as clean_filename leaves it).
_NOBODY = {"participant", "teilnehmer/in", "teilnehmerin", "participante", "partecipante", "deelnemer", "uczestnik"}


class IdentityError(CourseError):
    """What is known about the students of an earlier run cannot be read."""


class Claim(NamedTuple):
    """Somebody in an export: the exact name, and the platform's number for them ("" if there is none)."""

    name: str
    ident: str = ""


@dataclass(frozen=True)
class Settled:
    """Who everybody in an export is, and what the instructor should know about it: of all, and of each key."""

    people: dict[Claim, Person]
    notes: tuple[str, ...]
    about: dict[str, tuple[str, ...]]


@dataclass
class Person:
    """Somebody who has a row: key, name as the export says it, and the numbers each platform knows them by."""

    key: str
    name: str
    ids: dict[str, list[str]] = field(default_factory=dict)


_Notes = list[tuple[Claim, str]]


def same_name(name: str) -> str:
    """Return the form in which two names are compared."""
    return unicodedata.normalize("NFC", name)


def folder_name(name: str) -> str:
    r"""Return ``name`` as one harmless path component; different names can give the same one.

    >>> folder_name("../Ann O'Neil\x00")
    "_Ann O'Neil"
    """
    cleaned = "".join("_" if c in '/\\:*?"<>|' else c for c in same_name(name) if c.isprintable())
    short = cleaned.strip().lstrip(".").strip().encode(errors="replace")[:_LONGEST].decode(errors="ignore")
    short = short.rstrip(". ") or "_"
    return f"_{short}" if _RESERVED.fullmatch(short) else short


class People:
    """Everybody who has a row in one ``--out``; :meth:`settle` gives those of an export their keys."""

    def __init__(self, known: Iterable[Person] = ()) -> None:
        self.known: list[Person] = []
        self._keys: set[str] = set()  # case does not tell folders apart everywhere
        self._named: dict[str, list[Person]] = defaultdict(list)  # by name and by key
        for person in known:
            self._add(person)

    @classmethod
    def read(cls, folder: Path) -> People:
        """Return the people of an earlier run into ``folder``.

        Raises
        ------
        IdentityError
            The file is damaged: to go on without it could give one person's row to another.
        """
        try:
            values = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            return cls(Person(str(v["key"]), str(v["name"]), dict(v["ids"])) for v in values)
        except FileNotFoundError:
            return cls(_from_results(folder))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise IdentityError(
                f"{folder / _FILE} cannot be read: {error}",
                expected="the students of the earlier runs, as grade wrote them",
                next_step="put it back from a backup, or grade into another --out",
            ) from error

    def write(self, folder: Path) -> None:
        """Keep the people for the next run, whole or not at all."""
        values = [asdict(person) for person in self.known]
        write_atomically(folder / _FILE, json.dumps(values, indent=1) + "\n")

    def settle(self, claims: Iterable[Claim], *, platform: str = "", lasting: bool = True) -> Settled:
        """Return who each claim of one export is, and what the instructor should know about it.

        Parameters
        ----------
        claims
            Everybody in the export.
        platform
            Whose numbers they are.
        lasting
            Whether a person has the same number in every assignment (Moodle's participants don't).
        """
        claims = list(dict.fromkeys(claims))
        unique = sorted({Claim(same_name(c.name), c.ident) for c in claims})
        crowds = Counter(claim.name for claim in unique)
        notes = _spelt_differently(claims)
        found = self._by_number(unique, platform, notes)
        present, renumbered = {person.key for person in found.values()}, 0
        earlier = set(self._keys)
        for claim in unique:
            if claim in found:
                continue
            alone = crowds[claim.name] == 1
            named = [p for p in self._named.get(claim.name, ()) if p.key.casefold() in earlier]
            person = self._earlier(claim, named, present, platform, notes, alone=alone, lasting=lasting)
            renumbered += bool(person and claim.ident and person.ids.get(platform))
            found[claim] = person or self._newcomer(claim, platform, alone=alone)
            present.add(found[claim].key)
            if claim.ident:
                found[claim].ids.setdefault(platform, []).append(claim.ident)
        notes += [
            (c, f"{crowds[c.name]} students are called {c.name!r}: their numbers tell them apart.")
            for c in found
            if crowds[c.name] > 1
        ]
        notes += [
            (c, f"The student {c.name!r} has the key {p.key!r}: the name alone cannot be a folder, or another has it.")
            for c, p in found.items()
            if p.key != c.name
        ]
        about: dict[str, list[str]] = defaultdict(list)
        for claim, text in notes:
            about[found[claim].key].append(text)
        texts = list(dict.fromkeys(text for _, text in notes))
        if renumbered:
            texts.append(f"{platform} numbers people anew: {renumbered} got the rows of earlier runs by their names.")
        people = {claim: found[Claim(same_name(claim.name), claim.ident)] for claim in claims}
        return Settled(people, tuple(texts), {key: tuple(own) for key, own in about.items()})

    def listed(self, names: Iterable[str], notes: list[str] | None = None) -> list[Person]:
        """Return the people on a roster, by key, name or number; who is not known yet becomes known.

        A name is taken exactly where somebody has it exactly; otherwise spaces around it are a slip of the file's.
        ``notes`` is given a line about each such name.
        """
        numbered: dict[str, list[Person]] = defaultdict(list)
        for person in self.known:
            for number in dict.fromkeys(number for numbers in person.ids.values() for number in numbers):
                numbered[number].append(person)

        def known(name: str) -> list[Person]:
            return self._named.get(name) or (numbered[name] if len(numbered[name]) == 1 else [])

        people: list[Person] = []
        for name in dict.fromkeys(map(same_name, names)):
            stripped, exact = name.strip(), known(name)
            people += exact or known(stripped) or [self._newcomer(Claim(stripped), "", alone=True)]
            if name != stripped and notes is not None:
                taken = "somebody is called exactly so" if exact else f"{stripped!r} was taken to be meant"
                notes.append(f"On the roster {name!r} has spaces around it: {taken}.")
        return list({person.key: person for person in people}.values())

    def _add(self, person: Person) -> Person:
        self.known.append(person)
        self._keys.add(person.key.casefold())
        for name in {same_name(person.name), person.key}:
            self._named[name].append(person)
        return person

    def _by_number(self, claims: Sequence[Claim], platform: str, notes: _Notes) -> dict[Claim, Person]:
        """Find those whose number is known. A number beside two names is two people, and said."""
        numbered: dict[str, list[Person]] = defaultdict(list)
        for person in self.known:
            for number in person.ids.get(platform, ()):
                numbered[number].append(person)
        names: dict[str, list[str]] = defaultdict(list)
        for claim in claims:
            names[claim.ident].append(claim.name)
        found: dict[Claim, Person] = {}
        for claim in claims:
            known = numbered[claim.ident] if claim.ident else []
            if same := [person for person in known if same_name(person.name) == claim.name]:
                found[claim] = same[0]
            elif len(known) == len(names[claim.ident]) == 1:
                found[claim] = known[0]
                text = f"Number {claim.ident} was {known[0].name!r} and is {claim.name!r} now: the row stays the same. "
                notes.append((claim, text + "If it is another person or a group, grade it into another --out."))
            several = names[claim.ident] if claim.ident else []
            if len(several) > 1:
                text = f"Number {claim.ident} stands beside several names ({', '.join(several)}): a row for each."
                notes.append((claim, text))
        return found

    def _earlier(
        self,
        claim: Claim,
        named: Sequence[Person],
        present: set[str],
        platform: str,
        notes: _Notes,
        *,
        alone: bool,
        lasting: bool,
    ) -> Person | None:
        """Return the one of those ``named`` so in earlier runs of whom there is no doubt."""
        if _is_nobody(claim) or not named:
            return None
        free = [p for p in named if p.key not in present and not (lasting and claim.ident and p.ids.get(platform))]
        if alone and len(free) == len(named) == 1:
            return free[0]
        if not claim.ident and free:
            text = f"{len(named)} rows are for {claim.name!r}; without a number the earliest was taken."
            notes.append((claim, text))
            return free[0]
        text = f"Another person called {claim.name!r} was there before, and keeps that row and its points."
        notes.append((claim, text))
        return None

    def _newcomer(self, claim: Claim, platform: str, *, alone: bool) -> Person:
        base = folder_name(claim.name)
        plain = base == claim.name
        choices = [base] if plain and alone and not _is_nobody(claim) else []
        if plain and claim.ident and folder_name(claim.ident) == claim.ident:
            choices.append(f"{base}_{claim.ident}")
        digest = hashlib.sha256("\0".join((platform, *claim)).encode(errors="surrogatepass")).hexdigest()
        choices += [f"{base}-{digest[:length]}" for length in range(8, 65, 8)]
        return self._add(Person(next(c for c in choices if c.casefold() not in self._keys), claim.name))


def _is_nobody(claim: Claim) -> bool:
    """Whether the name is what a platform calls everybody while marking is blind."""
    return bool(claim.ident) and claim.name.lower() in _NOBODY


def _spelt_differently(claims: Iterable[Claim]) -> _Notes:
    """Say which names stand there in two ways of writing the same characters."""
    forms: dict[Claim, set[str]] = defaultdict(set)
    for claim in claims:
        forms[Claim(same_name(claim.name), claim.ident)].add(claim.name)
    return [
        (claim, f"The name {claim.name!r} is spelt in {len(names)} Unicode forms (NFC and NFD): one student.")
        for claim, names in forms.items()
        if len(names) > 1
    ]


def _from_results(folder: Path) -> list[Person]:
    """Return the people of a run by a version that kept no list: a folder a student, with the platform's number."""
    people: dict[str, Person] = {}
    for path in sorted(folder.glob("results/*/*.json")):
        person = people.setdefault(path.parent.name, Person(path.parent.name, path.parent.name))
        try:
            number = str(json.loads(path.read_text(encoding="utf-8"))["lms_id"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for platform in ("Canvas", "Moodle") if number else ():  # the file does not say which
            if number not in person.ids.setdefault(platform, []):
                person.ids[platform].append(number)
    return list(people.values())
