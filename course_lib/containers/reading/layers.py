"""The layer graph: which steps of a Dockerfile run again after a change, and what each adds to the image.

The rule is Docker's: a step is taken from the cache when its parent was, its text is the same, and, for COPY and ADD,
the copied files have the same names and contents. RUN is compared by its text alone, never by what it would do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from course_lib.containers.reading.context import Context
from course_lib.containers.reading.dockerfile import Dockerfile, DockerfileError, Instruction, Stage, expand, parse

__all__ = ["EXPENSIVE", "METADATA", "Layer", "expensive", "graph", "needed", "pairs", "rebuilt", "sources", "variables"]

Files = Mapping[str, str | bytes | int] | Path
METADATA = frozenset({"CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL"})
EXPENSIVE = re.compile(r"\b(pip3?\s+(install|wheel|download)|uv\s+(pip|sync)|apt(-get)?\s+install|conda\s+install)\b")


@dataclass(frozen=True)
class Layer:
    """One step of a build.

    Attributes
    ----------
    stage
        Number of its build stage.
    instruction
        What the step does.
    key
        Its cache key: equal keys mean that the step is not run again.
    reads
        Files of the context that it copies.
    """

    stage: int
    instruction: Instruction
    key: str
    reads: tuple[str, ...] = ()

    @property
    def expensive(self) -> bool:
        """Whether the step downloads or installs packages."""
        return expensive(self.instruction)


def expensive(instruction: Instruction) -> bool:
    """Return whether an instruction downloads or installs packages."""
    return instruction.name == "RUN" and EXPENSIVE.search(instruction.value) is not None


def graph(text: str, files: Files) -> tuple[Layer, ...]:
    """Return the steps that a builder would run for the final stage, in order, with their cache keys.

    Parameters
    ----------
    text
        A Dockerfile.
    files
        The build context: a folder, or contents by path.

    Raises
    ------
    DockerfileError
        It cannot be read, or copies a file that the context does not have.
    """
    dockerfile, context = parse(text), Context.of(files)
    keys: dict[int, str] = {}
    steps: list[Layer] = []
    wanted = needed(dockerfile)
    for stage in dockerfile.stages:
        if stage.index not in wanted:
            continue
        parent = dockerfile.stage(stage.base)
        key = keys[parent.index] if parent and parent.index in keys else _hash("FROM", stage.base)
        for instruction in stage.instructions:
            reads = _reads(instruction, context)
            others = _other_stages(instruction, dockerfile, keys)
            own = _hash(key, _canonical(instruction), context.digest(reads), *others)
            steps.append(Layer(stage.index, instruction, own, reads))
            if instruction.name not in METADATA:  # BuildKit: what writes no file spoils no later step
                key = own
        keys[stage.index] = key
    return tuple(steps)


def rebuilt(text: str, before: Files, after: Files, *, text_after: str | None = None) -> tuple[Layer, ...]:
    """Return the steps that run again when the context changes from ``before`` to ``after``.

    Parameters
    ----------
    text
        The Dockerfile.
    before, after
        Build contexts.
    text_after
        The Dockerfile afterwards, if it changes too.
    """
    cached = {layer.key for layer in graph(text, before)}
    return tuple(layer for layer in graph(text_after or text, after) if layer.key not in cached)


def needed(dockerfile: Dockerfile) -> frozenset[int]:
    """Return the numbers of the stages that the final stage uses; BuildKit skips the others."""
    found: set[int] = set()
    waiting = [dockerfile.final]
    while waiting:
        stage = waiting.pop()
        found.add(stage.index)
        references = [stage.base, *(name for instruction in stage.instructions for name in _references(instruction))]
        for reference in references:
            other = dockerfile.stage(reference)
            if other and other.index < stage.index and other.index not in found:
                waiting.append(other)
    return frozenset(found)


def sources(instruction: Instruction) -> tuple[tuple[str, ...], str]:
    """Return the sources and the target of COPY or ADD."""
    words = instruction.words
    if len(words) < 2:
        raise DockerfileError(
            f"Line {instruction.line}: {instruction.name} needs a source and a target.",
            expected="`COPY main.py .`",
            next_step="complete the line",
        )
    return words[:-1], words[-1]


def variables(dockerfile: Dockerfile, stage: Stage) -> dict[str, str]:
    """Return ARG defaults and ENV values at the end of a stage, inherited ones included."""
    known: dict[str, str] = {}
    for one in dockerfile.lineage(stage):
        for instruction in one.instructions:
            if instruction.name in {"ENV", "ARG"}:
                for name, value in pairs(instruction):
                    known[name] = expand(value, known)
    return known


def pairs(instruction: Instruction) -> Iterator[tuple[str, str]]:
    """Yield the names and values that ENV, ARG or LABEL set."""
    found = re.findall(r"([\w.-]+)=(\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S*)", instruction.value)
    if found:
        yield from ((name, value.strip("\"'")) for name, value in found)
    else:
        name, _, value = instruction.value.partition(" ")
        yield name, value.strip()


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _canonical(instruction: Instruction) -> str:
    return " ".join(instruction.text.split())


def _reads(instruction: Instruction, context: Context) -> tuple[str, ...]:
    """Return the files of the context that an instruction takes in."""
    found: dict[str, None] = {}
    if instruction.name in {"COPY", "ADD"} and instruction.flag("from") is None and "<<" not in instruction.value:
        for source in sources(instruction)[0]:
            if "://" in source:
                continue
            paths = context.select(source)
            if not paths:
                raise DockerfileError(
                    f"Line {instruction.line}: {instruction.text!r} copies {source!r}, not in the build context.",
                    expected="a file or folder beside the Dockerfile that .dockerignore does not leave out",
                    next_step=f"the context holds {', '.join(list(context.files)[:8])}",
                )
            found.update(dict.fromkeys(paths))
    for mount in (value for name, value in instruction.flags if name == "mount"):
        options = dict(part.partition("=")[::2] for part in mount.split(","))
        if options.get("type", "bind") == "bind" and "from" not in options:
            found.update(dict.fromkeys(context.select(options.get("source", options.get("src", ".")))))
    return tuple(found)


def _references(instruction: Instruction) -> list[str]:
    """Return the stages or images that an instruction takes files from."""
    from_flag = instruction.flag("from")
    mounts = [re.search(r"(?:^|,)from=([^,]+)", value) for name, value in instruction.flags if name == "mount"]
    return [*([from_flag] if from_flag else []), *(found[1] for found in mounts if found)]


def _other_stages(instruction: Instruction, dockerfile: Dockerfile, keys: Mapping[int, str]) -> list[str]:
    others = [dockerfile.stage(reference) for reference in _references(instruction)]
    return [keys.get(other.index, "") for other in others if other]
