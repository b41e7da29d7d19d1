"""Read a Dockerfile into stages and instructions, without an engine.

The grammar is the one of the Dockerfile reference (docs.docker.com/reference/dockerfile): comments, line continuation,
flags, exec and shell form, heredocs, build stages, ``$VARIABLES``. It is read, not run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from course_lib.errors import CourseError

__all__ = ["Dockerfile", "DockerfileError", "Instruction", "Stage", "expand", "parse"]

KNOWN = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"}
    | {"ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
_FLAG = re.compile(r"--([a-z][a-z-]*)(?:=(\S*))?(?:\s+|$)")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")
_VARIABLE = re.compile(r"\\\$|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")


class DockerfileError(CourseError):
    """A Dockerfile cannot be read; the message names the line."""


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes
    ----------
    line
        Line number, from 1.
    name
        Upper-case keyword, such as ``COPY``.
    value
        Everything after keyword and flags, continuation lines joined.
    flags
        ``--name=value`` pairs in the order given; a flag can be there more than once (``--mount``).
    """

    line: int
    name: str
    value: str
    flags: tuple[tuple[str, str], ...] = ()

    @property
    def argv(self) -> tuple[str, ...] | None:
        """The words of the exec form (a JSON list), or ``None`` for the shell form."""
        text = self.value
        if self.name == "HEALTHCHECK":
            text = text.removeprefix("CMD").strip()
        if not text.startswith("["):
            return None
        try:
            words = json.loads(text)
        except ValueError:
            return None  # as Docker does: broken JSON is run by a shell
        return tuple(words) if all(isinstance(word, str) for word in words) else None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the instruction, in either form."""
        return self.argv if self.argv is not None else tuple(self.value.split())

    @property
    def text(self) -> str:
        """The instruction in one line."""
        flags = "".join(f"--{name}={value} " if value else f"--{name} " for name, value in self.flags)
        return f"{self.name} {flags}{self.value}"

    def flag(self, name: str) -> str | None:
        """Return the first value of a flag, or ``None``."""
        return next((value for key, value in self.flags if key == name), None)


@dataclass(frozen=True)
class Stage:
    """One build stage: what it starts from, and its instructions after ``FROM``."""

    index: int
    name: str
    base: str
    line: int
    instructions: tuple[Instruction, ...] = ()

    def last(self, name: str) -> Instruction | None:
        """Return the last instruction called ``name``: the one that counts for CMD, USER and HEALTHCHECK."""
        return next((found for found in reversed(self.instructions) if found.name == name), None)


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile that was read: its stages, in order, and the arguments before the first of them."""

    stages: tuple[Stage, ...]
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def final(self) -> Stage:
        """The stage that becomes the image."""
        return self.stages[-1]

    def stage(self, reference: str) -> Stage | None:
        """Return the stage called ``reference``, or with that number; ``None`` if it is an image."""
        by_number = (stage for stage in self.stages if str(stage.index) == reference)
        return next((stage for stage in self.stages if stage.name == reference.lower()), next(by_number, None))

    def lineage(self, stage: Stage) -> tuple[Stage, ...]:
        """Return the stages that ``stage`` is built upon by ``FROM``, itself last."""
        parent = self.stage(stage.base)
        return (*(self.lineage(parent) if parent and parent.index < stage.index else ()), stage)


def parse(text: str) -> Dockerfile:
    r"""Read a Dockerfile.

    Parameters
    ----------
    text
        Its content.

    Raises
    ------
    DockerfileError
        It is empty, has no ``FROM``, or has a line that is no instruction.

    Examples
    --------
    >>> parse("FROM python:3.11-slim\nCMD python").final.base
    'python:3.11-slim'
    """
    if not isinstance(text, str):
        raise DockerfileError(
            f"A Dockerfile is text, and this is {type(text).__name__}.",
            expected="a string that starts with FROM",
            next_step="return the Dockerfile as a string",
        )
    arguments: dict[str, str] = {}
    stages: list[tuple[Instruction, list[Instruction]]] = []
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif instruction.name == "ARG":
            name, _, default = instruction.value.partition("=")
            arguments[name.strip()] = default.strip().strip("\"'")
        else:
            raise DockerfileError(
                f"Line {instruction.line}: {instruction.name} stands before the first FROM.",
                expected="FROM as the first instruction (only ARG may come before it)",
                next_step="start with `FROM python:3.11-slim`",
            )
    if not stages:
        raise DockerfileError(
            "The Dockerfile has no FROM.", expected="a base image", next_step="start with `FROM python:3.11-slim`"
        )
    return Dockerfile(tuple(_stage(i, start, body, arguments) for i, (start, body) in enumerate(stages)), arguments)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$NAME``, ``${NAME}``, ``${NAME:-default}`` and ``${NAME:+other}``.

    Examples
    --------
    >>> expand("python:${VERSION:-3.11}-slim", {})
    'python:3.11-slim'
    """

    def value(found: re.Match[str]) -> str:
        if found[0] == "\\$":
            return "$"
        known = variables.get(found[1] or found[2], "")
        if found[3] == "-":
            return known or found[4]
        if found[3] == "+":
            return found[4] if known else ""
        return known

    return _VARIABLE.sub(value, text)


def _stage(index: int, start: Instruction, body: list[Instruction], arguments: Mapping[str, str]) -> Stage:
    words = expand(start.value, arguments).split()
    if not words or len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise DockerfileError(
            f"Line {start.line}: `FROM {start.value}` names no base image.",
            expected="`FROM image` or `FROM image AS stage`",
            next_step="correct the line",
        )
    return Stage(index, words[2].lower() if len(words) == 3 else "", words[0], start.line, tuple(body))


def _instructions(text: str) -> Iterator[Instruction]:
    for number, line in _logical_lines(text):
        keyword, _, rest = line.strip().partition(" ")
        name = keyword.upper()
        if name not in KNOWN:
            raise DockerfileError(
                f"Line {number}: {keyword!r} is not an instruction.",
                expected="one of " + ", ".join(sorted(KNOWN)),
                next_step="does a line above lack the backslash that continues it?",
            )
        flags, rest = [], rest.strip()
        while found := _FLAG.match(rest):
            flags.append((found[1], found[2] or ""))
            rest = rest[found.end() :]
        if not rest.strip():
            raise DockerfileError(
                f"Line {number}: {name} stands alone.", expected=f"{name} and what it acts on", next_step="complete it"
            )
        yield Instruction(number, name, rest.strip(), tuple(flags))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) with continuations joined, comments and empty lines left out, heredocs kept whole."""
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, raw in lines:
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        joined = raw.rstrip()
        while joined.endswith("\\"):
            _, more = next(lines, (0, ""))
            if more.lstrip().startswith("#"):
                continue
            joined = joined[:-1].rstrip() + " " + more.strip()
        if joined.split(None, 1)[0].upper() in {"RUN", "COPY", "ADD"}:
            for found in _HEREDOC.finditer(joined):
                for _, more in lines:
                    joined += "\n" + more
                    if more.strip() == found[2]:
                        break
        yield number, joined.replace("\t", " ")
