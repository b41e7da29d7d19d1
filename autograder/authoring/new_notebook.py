"""New notebook: a source with an example exercise, the answers that prove its check, and its place on the list.

All three are prepared beside their places first, and the list is changed last, so that a failure leaves nothing behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from string import Template

from autograder.authoring.course_list import FILE, NAME, CourseListError, Listed, parse_list
from autograder.authoring.format import answers_path, source_path
from course_lib.errors import CourseError, UnwritableError

__all__ = ["Made", "NewNotebookError", "start_notebook"]

_SKELETON = Path(__file__).parent / "skeleton"
_LONGEST = 80  # characters of a title
_MOST = 99  # notebooks: a name has two digits


class NewNotebookError(CourseError):
    """A notebook cannot be started under this name, with this title, or here."""


@dataclass(frozen=True)
class Made:
    """One file that was made or changed, and what it is."""

    path: Path
    what: str


def start_notebook(root: Path, name: str, title: str) -> list[Made]:
    """Write the skeleton of notebook ``name`` into the course at ``root``, and put it at the end of the list.

    Parameters
    ----------
    root
        The course's folder.
    name
        The next number and a topic, such as ``10_feature_stores``.
    title
        What the first heading says.

    Raises
    ------
    CourseError
        The name or the title does not fit, something is there already, or a file cannot be written. Nothing is left.
    """
    listing = _read(root)
    title, known = title.strip(), parse_list(listing)
    _require_name(name, known)
    _require_title(title, name)
    source, answers = source_path(root, name), answers_path(root, name, f"{int(name[:2])}.1")
    for path in (source, answers.parent, root / "notebooks" / f"{name}.ipynb"):
        if path.exists() or path.is_symlink():
            raise NewNotebookError(
                f"{path.relative_to(root)} is there already.",
                expected="a notebook that nobody has started",
                next_step=f"delete it if nobody needs it; if it is yours, list it in {FILE}; or choose another topic",
            )
    longer = listing.rstrip("\n") + "\n\n" + _entry(Listed(name, title))
    _require_same(longer, (*known, Listed(name, title)), name)
    values = {"number": int(name[:2]), "name": name, "title": title}
    texts = {source: _filled("notebook", values), answers: _filled("answers", values), root / FILE: longer}
    _write(texts)
    unwritten = len(re.findall(r"^.*\bTODO\b", texts[source], re.M))
    return [
        Made(source, f"the notebook: an example exercise that works, and {unwritten} lines to write, marked TODO"),
        Made(answers, "wrong and right answers that prove its check"),
        Made(root / FILE, f"the list of notebooks, with notebook {int(name[:2])} at its end"),
    ]


def _read(root: Path) -> str:
    try:
        if (root / "solutions").is_dir():
            return (root / FILE).read_text(encoding="utf-8")
        problem = "there is no folder solutions/"
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{FILE} cannot be read: {error}"
    raise NewNotebookError(
        f"{root} is no course that a notebook can be added to: {problem}",
        expected=f"a clone of the course, with {FILE} and solutions/",
        next_step="run the command there, or name that folder with --root",
    )


def _require_name(name: str, known: Sequence[Listed]) -> None:
    number = int(known[-1].name[:2]) + 1 if known else 1
    topic = "_".join(re.findall(r"[a-z0-9]+", re.sub(r"^\d+", "", name.lower()))) or "topic"
    better = f"name it {number:02}_{topic}"
    if number > _MOST:
        raise NewNotebookError(f"The course has {_MOST} notebooks.", expected="two digits", next_step="take one out")
    if NAME.fullmatch(name) is None:
        expected = "two digits and a topic in small letters, digits and single underscores"
        raise NewNotebookError(f"{name!r} is no name for a notebook.", expected=expected, next_step=better)
    if name in {one.name for one in known}:
        write = f"write on in solutions/{name}.py, or {better} for another"
        raise NewNotebookError(f"{name} is on the list already.", expected="a notebook to start", next_step=write)
    taken = [one.name for one in known if int(one.name[:2]) == int(name[:2])]
    if taken:
        expected = f"the next number, {number:02}"
        raise NewNotebookError(f"Number {name[:2]} is taken by {taken[0]}.", expected=expected, next_step=better)
    if int(name[:2]) != number:
        happened = f"{name} would not follow on {known[-1].name}." if known else f"{name} would be the first notebook."
        raise NewNotebookError(happened, expected=f"the next number, {number:02}", next_step=better)


def _require_title(title: str, name: str) -> None:
    say = f'say --title "{Listed.by_name(name).title}"'
    if not title:
        raise NewNotebookError(f"{name} has no title.", expected="what its first heading says", next_step=say)
    if not title.isprintable() or len(title) > _LONGEST:
        expected = f"one line of at most {_LONGEST} characters that can be seen"
        raise NewNotebookError(f"{title[:_LONGEST]!r} is no title.", expected=expected, next_step=say)


def _entry(one: Listed) -> str:
    # TOML's basic strings escape as JSON's do.
    name, title = json.dumps(one.name), json.dumps(one.title, ensure_ascii=False)
    return f"[[notebook]]\nname = {name}\ntitle = {title}\nbudget = {one.budget:g}\n"


def _require_same(text: str, wanted: Sequence[Listed], name: str) -> None:
    """Refuse to write a list that would not say what was there, and the new notebook."""
    try:
        same = list(parse_list(text)) == list(wanted)
    except CourseListError:
        same = False
    if not same:
        raise NewNotebookError(
            f"{name} cannot be added at the end of {FILE}.",
            expected="a list that ends with a table [[notebook]]",
            next_step="write every notebook as a table [[notebook]], then repeat the command",
        )


def _filled(name: str, values: dict[str, object]) -> str:
    return Template((_SKELETON / f"{name}.txt").read_text(encoding="utf-8")).substitute(values)


def _write(texts: Mapping[Path, str]) -> None:
    """Write all files or none: each is prepared beside its place, then all are moved there, the list last."""
    try:
        with ExitStack() as undo:
            for path, text in texts.items():
                for folder in reversed([folder for folder in path.parents if not folder.exists()]):
                    folder.mkdir()
                    undo.callback(folder.rmdir)
                undo.callback(_prepared(path).unlink, missing_ok=True)
                _prepared(path).write_text(text, encoding="utf-8")
            for path in texts:
                if path.name != FILE:
                    undo.callback(path.unlink, missing_ok=True)
                _prepared(path).replace(path)
            undo.pop_all()
    except OSError as error:
        raise UnwritableError.of(error.filename or FILE, error) from error


def _prepared(path: Path) -> Path:
    return path.with_name(f".new-{path.name}")
