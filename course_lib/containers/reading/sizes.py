"""Estimate what each step of a Dockerfile adds to the image: real sizes of packages and files, no engine needed.

Base images and Debian packages come from a small table; Python packages are measured where they are installed, with
everything they need. Exact to about a fifth: enough to see what a change saves.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path, PurePosixPath

from course_lib.containers.reading.context import Context
from course_lib.containers.reading.dockerfile import Dockerfile, Instruction, Stage, parse
from course_lib.containers.reading.layers import Files, needed, sources

__all__ = ["BASES", "MB", "StepSize", "closure", "estimate", "installed_metadata", "packages_of", "total"]

MB = 1_000_000
# Unpacked, rounded, amd64. `slim` is the local Debian base that this course measured; the official one is close to it.
BASES = {
    "python:3.11": 1010,
    "python:3.11-slim": 145,
    "python:3.11-alpine": 55,
    "debian:bookworm-slim": 75,
    "scratch": 0,
}
_APT = {"build-essential": 320, "gcc": 190, "g++": 230, "git": 110, "curl": 15, "wget": 10, "cmake": 100, "vim": 40}
_APT_OTHER, _APT_LISTS, _APT_RECOMMENDS = 20, 20, 1.3
_PIP = re.compile(r"\bpip3?\b.*\b(install|wheel)\b")
_APT_INSTALL = re.compile(r"\bapt(-get)?\s+(?:-\S+\s+)*install\b")
_CACHED_SHARE = 0.35  # pip's cache keeps the wheel as well: about a third of its unpacked size


@dataclass(frozen=True)
class StepSize:
    """What one step adds to the image, in bytes, and why."""

    line: int
    text: str
    bytes: int
    why: str


@dataclass
class _Tree:
    """Sizes of what a stage's steps have written, by target path."""

    written: dict[str, int]

    def under(self, path: str) -> int:
        return sum(size for place, size in self.written.items() if _inside(place, path))


def estimate(text: str, files: Files) -> tuple[StepSize, ...]:
    """Return what the base and each step of the final stage add to the image.

    Parameters
    ----------
    text
        A Dockerfile.
    files
        The build context: a folder, or contents by path (a number stands for a file of that many bytes).
    """
    dockerfile, context = parse(text), Context.of(files)
    steps: dict[int, list[StepSize]] = {}
    trees: dict[int, _Tree] = {}
    for stage in dockerfile.stages:
        if stage.index in needed(dockerfile):
            steps[stage.index], trees[stage.index] = _stage(stage, dockerfile, context, steps, trees)
    return tuple(steps[dockerfile.final.index])


def total(steps: Iterable[StepSize]) -> int:
    """Return the size of the image in bytes: the sum of its layers, because a layer never shrinks the one below."""
    return sum(step.bytes for step in steps)


def closure(names: Iterable[str]) -> tuple[str, ...]:
    """Return installed packages with everything they need at run time, in alphabetical order.

    Names that are not installed here are left out.
    """
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    waiting: list[str] = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in found and (requires := _requires(name)) is not None:
            found.add(name)
            waiting.extend(requires)
    return tuple(sorted(found))


def installed_metadata(names: Iterable[str]) -> dict[str, bytes | None]:
    """Return the metadata files of installed packages and all they need, by the path they would have in an image."""
    texts = {name: metadata.distribution(name).read_text("METADATA") for name in closure(names)}
    return {f"{name}.dist-info/METADATA": text.encode() for name, text in texts.items() if text}


def packages_of(instruction: Instruction, context: Context) -> tuple[str, ...]:
    """Return the packages that a RUN step names, in its command line or in a requirements file of the context."""
    commands = _commands(instruction)
    pips = [command for command in commands if _PIP.search(command)]
    return tuple(name for command in pips for name in _installed(command, context, "/")[0])


def _stage(
    stage: Stage,
    dockerfile: Dockerfile,
    context: Context,
    steps: Mapping[int, list[StepSize]],
    trees: Mapping[int, _Tree],
) -> tuple[list[StepSize], _Tree]:
    parent = dockerfile.stage(stage.base)
    if parent and parent.index in steps:
        done, tree, here = list(steps[parent.index]), _Tree(dict(trees[parent.index].written)), "/"
    else:
        size = _base(stage.base)
        done, tree, here = [StepSize(stage.line, f"FROM {stage.base}", size, "the base image")], _Tree({}), "/"
    for instruction in stage.instructions:
        if instruction.name == "WORKDIR":
            here = str(PurePosixPath(here) / instruction.value)
        added, why = _added(instruction, dockerfile, context, trees, here)
        for place, size in added.items():
            tree.written[place] = tree.written.get(place, 0) + size
        done.append(StepSize(instruction.line, instruction.text, sum(added.values()), why))
    return done, tree


def _base(image: str) -> int:
    name = image.split("@", maxsplit=1)[0].removeprefix("docker.io/library/")
    if name in BASES:
        return BASES[name] * MB
    slim = "slim" if "slim" in name else "alpine" if "alpine" in name else ""
    return BASES[f"python:3.11-{slim}" if slim else "python:3.11"] * MB


def _added(
    instruction: Instruction, dockerfile: Dockerfile, context: Context, trees: Mapping[int, _Tree], here: str
) -> tuple[dict[str, int], str]:
    """Return the bytes that an instruction writes, by target path, and why."""
    if instruction.name in {"COPY", "ADD"}:
        return _copied(instruction, dockerfile, context, trees, here)
    if instruction.name == "RUN":
        return _run(instruction, context, here)
    return {}, "metadata only"


def _copied(
    instruction: Instruction, dockerfile: Dockerfile, context: Context, trees: Mapping[int, _Tree], here: str
) -> tuple[dict[str, int], str]:
    given, target = sources(instruction)
    place = str(PurePosixPath(here) / target)
    if reference := instruction.flag("from"):
        other = dockerfile.stage(reference)
        if other is None:
            return {place: 30 * MB}, f"from the image {reference}"
        return {place: sum(trees[other.index].under(path) for path in given)}, f"from stage {reference}"
    paths = dict.fromkeys(path for source in given for path in context.select(source))
    return {place: sum(context.files[path].size for path in paths)}, f"{len(paths)} files of the context"


def _run(instruction: Instruction, context: Context, here: str) -> tuple[dict[str, int], str]:
    written: dict[str, float] = {}
    why: dict[str, None] = {}
    cached = any("type=cache" in value for name, value in instruction.flags if name == "mount")
    for command in _commands(instruction):
        if _APT_INSTALL.search(command):
            written["/usr"] = written.get("/usr", 0) + _debian(command)
            if "/var/lib/apt/lists" not in instruction.value and not cached:
                written["/var/lib/apt"] = _APT_LISTS * MB
            why["Debian packages"] = None
        elif _PIP.search(command):
            names, place = _installed(command, context, here)
            size = sum(_size(name) for name in closure(names))
            written[place] = written.get(place, 0) + size * (_CACHED_SHARE if " wheel " in f" {command} " else 1)
            why["Python packages"] = None
            if not (cached or "--no-cache-dir" in command or "PIP_NO_CACHE_DIR" in instruction.value):
                # a path inside the image, where RUN steps are root's
                written["/root/.cache/pip"] = written.get("/root/.cache/pip", 0) + size * _CACHED_SHARE
                why["pip's cache of them"] = None
        elif command.split()[:1] == ["rm"]:
            why["rm: hides files of the layers below, frees nothing there"] = None
    return {place: int(size) for place, size in written.items()}, ", ".join(why) or "small files"


def _commands(instruction: Instruction) -> list[str]:
    text = instruction.value if instruction.argv is None else shlex.join(instruction.argv)
    return [command.strip() for command in re.split(r"&&|;|\n", text)]


def _debian(command: str) -> float:
    """Return the bytes that an apt-get command installs, from the table."""
    words = command.split()
    names = [word.split("=")[0] for word in words[words.index("install") + 1 :] if not word.startswith("-")]
    extra = 1 if "--no-install-recommends" in command else _APT_RECOMMENDS
    return sum(_APT.get(name, _APT_OTHER) for name in names) * MB * extra


def _installed(command: str, context: Context, here: str) -> tuple[list[str], str]:
    """Return the packages that a pip command names, and where it installs them."""
    words = shlex.split(command)
    verb = next(i for i, word in enumerate(words) if word in {"install", "wheel"})
    names: list[str] = []
    place = words[0].rsplit("/bin/", 1)[0] if "/bin/pip" in words[0] or "/bin/python" in words[0] else "/usr/local"
    if "--python" in words[:verb]:
        place = words[words.index("--python") + 1].rsplit("/bin/", 1)[0]
    rest = iter(words[verb + 1 :])
    for word in rest:
        option, _, value = word.partition("=")
        if option in {"-r", "--requirement"}:
            names += _requirements(value or next(rest, ""), context)
        elif option in {"-t", "--target", "--prefix", "-w", "--wheel-dir", "-d"}:
            place = str(PurePosixPath(here) / (value or next(rest, "")))
        elif option in {"--find-links", "-f", "-i", "--index-url", "-c", "--constraint"}:
            _ = value or next(rest, "")
        elif not word.startswith("-"):
            names.append(_name(word))
    return names, place


def _requirements(name: str, context: Context) -> list[str]:
    path = next((path for path in context.files if PurePosixPath(path).name == PurePosixPath(name).name), None)
    text = (context.files[path].text or "") if path else ""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [_name(line) for line in lines if line and not line.startswith("-")]


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return found[0] if found else requirement


def _inside(place: str, path: str) -> bool:
    return place == path.rstrip("/") or place.startswith(path.rstrip("/") + "/")


@lru_cache(maxsize=512)
def _requires(name: str) -> tuple[str, ...] | None:
    """Return what an installed package needs here, or ``None`` if it is not installed."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return None
    parsed = [Requirement(line) for line in lines]
    return tuple(canonicalize_name(one.name) for one in parsed if not one.marker or one.marker.evaluate({"extra": ""}))


@lru_cache(maxsize=512)
def _size(name: str) -> int:
    """Return the unpacked size of an installed package in bytes, from its own file list."""
    files = metadata.files(name) or []
    return sum(file.size or _on_disk(file.locate()) for file in files if not str(file).endswith(".pyc"))


def _on_disk(path: object) -> int:
    file = Path(str(path))
    return file.stat().st_size if file.is_file() else 0
