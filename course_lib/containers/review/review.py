"""Look at a learner's Dockerfile or Compose file as a reviewer would: the first thing that matters, and why.

Each function raises :class:`course_lib.checks.CheckFailed` with one message, or returns. They read text and plain data
and need no engine, so an answer is worth the same on a laptop with Docker and on one without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from course_lib import checks
from course_lib.containers.reading.compose import ComposeError, lint_compose, read_compose, start_times
from course_lib.containers.reading.context import IGNORE_FILE, Context
from course_lib.containers.reading.dockerfile import Dockerfile, DockerfileError, parse
from course_lib.containers.reading.layers import needed, rebuilt, sources
from course_lib.containers.reading.sizes import MB, estimate, total
from course_lib.containers.review.policy import lint
from course_lib.containers.stop_test import StopReport

__all__ = ["arrives", "budget", "cache", "compose", "policy", "reachable", "secret", "stop"]

Files = Mapping[str, str | bytes | int]


def readable(text: object) -> Dockerfile:
    """Return the Dockerfile, or fail with what the parser says."""
    if not isinstance(text, str):
        checks.fail(f"a Dockerfile is text, and your function returned {type(text).__name__}: return a string")
    try:
        return parse(str(text))
    except DockerfileError as error:
        raise checks.CheckFailed(str(error)) from None


def policy(text: str) -> None:
    """Fail on the first finding of the course's rules."""
    readable(text)
    for finding in lint(text):
        checks.fail(f"line {finding.line}: {finding.message} ({finding.rule})")


def reachable(text: str, *, port: int = 8000) -> None:
    """Fail unless the server listens where a published port and the health check can reach it."""
    final = readable(text).final
    start = final.last("CMD") or final.last("ENTRYPOINT")
    words = " ".join(start.words) if start else ""
    if "127.0.0.1" in words or "localhost" in words:
        checks.fail(
            "the server listens on the container's own loopback: a published port cannot reach it. Inside a container "
            "listen on 0.0.0.0; on the machine publish to 127.0.0.1"
        )
    checks.require("0.0.0.0" in words, "uvicorn listens on 127.0.0.1 unless told otherwise: add --host 0.0.0.0")  # noqa: S104
    checks.require(str(port) in words, f"the server does not listen on port {port}, which the task asks for")
    health = final.last("HEALTHCHECK")
    asked = re.search(r":(\d{2,5})\b", health.value) if health else None
    if asked and asked[1] != str(port):
        checks.fail(f"HEALTHCHECK asks port {asked[1]} and the server listens on {port}: it would never be healthy")


def arrives(text: str, files: Files, wanted: Iterable[str]) -> None:
    """Fail unless the final image gets every file of ``wanted``."""
    dockerfile, context = readable(text), Context.of(files)
    found: set[str] = set()
    for stage in dockerfile.stages:
        if stage.index in needed(dockerfile):
            for one in stage.instructions:
                if one.name in {"COPY", "ADD"} and one.flag("from") is None:
                    found.update(path for source in sources(one)[0] for path in context.select(source))
    if missing := [path for path in wanted if path not in found]:
        why = "; .dockerignore keeps it out" if missing[0] in files and missing[0] not in context.files else ""
        checks.fail(f"{missing[0]} never gets into the image, so the service cannot start{why}")


def cache(text: str, before: Files, after: Files, *, what: str, again: Iterable[str] = ()) -> None:
    """Fail unless a change runs exactly the expensive steps again that it has to.

    Parameters
    ----------
    text
        The Dockerfile.
    before, after
        Build contexts.
    what
        The change, for the message.
    again
        Words of which each must be in an expensive step that runs again, such as ``pip install``.
    """
    readable(text)
    must = list(again)
    try:
        steps = [layer.instruction for layer in rebuilt(text, before, after) if layer.expensive]
    except DockerfileError as error:
        raise checks.CheckFailed(str(error)) from None
    for step in steps:
        if not any(word in step.value for word in must):
            checks.fail(
                f"after {what}, line {step.line} runs again: `{step.value[:50]}`. A step runs again when a file copied "
                "above it has changed: copy above it only what it reads"
            )
    for word in must:
        if not any(word in step.value for step in steps):
            checks.fail(
                f"after {what}, no `{word}` runs again: the image would keep the old packages. RUN is compared by its "
                "text; let it read a file that is copied above it"
            )


def budget(text: str, files: Files, limit_mb: float) -> None:
    """Fail with the most wasteful step if the estimated image is above ``limit_mb``."""
    readable(text)
    try:
        steps = estimate(text, files)
    except DockerfileError as error:
        raise checks.CheckFailed(str(error)) from None
    size = total(steps) / MB
    if size <= limit_mb:
        return
    base, *rest = steps
    why = f"the image is about {size:.0f} MB, the budget is {limit_mb:.0f} MB: "
    if base.bytes > limit_mb * MB:
        checks.fail(f"{why}the base image alone has {base.bytes / MB:.0f} MB; take the slim one")
    tools = next((step for step in rest if "Debian packages" in step.why and step.bytes > 50 * MB), None)
    if tools:
        checks.fail(
            f"{why}line {tools.line} leaves {tools.bytes / MB:.0f} MB of build tools in the image. The wheels need no "
            "compiler; removing it in a later step frees nothing"
        )
    worst = max(rest, key=lambda step: step.bytes if "context" in step.why else 0)
    if "context" in worst.why and worst.bytes > 5 * MB:
        checks.fail(
            why + _junk(worst.bytes, any("rm: hides" in step.why for step in rest), str(files.get(IGNORE_FILE, "")))
        )
    cached = any("pip's cache" in step.why for step in rest)
    checks.fail(why + ("pip's cache stays in the layer: --no-cache-dir" if cached else f"look at {worst.text!r}"))


def stop(report: StopReport) -> None:
    """Fail unless every accepted request was answered and the server then ended by itself."""
    if report.killed:
        checks.fail(
            "the server was still there at the end of the grace period and had to be killed (exit code 137): "
            "it ignores SIGTERM, or its handler waits for itself. shutdown() waits for serve_forever(), which waits "
            "for the handler: call shutdown() from another thread"
        )
    if report.exit_code < 0:
        checks.fail(
            f"SIGTERM ended the process at once and {report.dropped} of {report.in_flight} requests were dropped: "
            "install a handler with signal.signal"
        )
    if report.dropped:
        checks.fail(
            f"it ended with code {report.exit_code} and dropped {report.dropped} of {report.in_flight} requests: "
            "the threads that answer are daemons and die with the main thread; wait for them, no fixed time"
        )
    if report.exit_code:
        checks.fail(f"every request was answered, but the exit code is {report.exit_code}: a clean stop is 0")


def compose(text: str, *, order: Iterable[Iterable[str]], ready_s: Mapping[str, float]) -> None:
    """Fail on the first rule of the course that a Compose file breaks, then unless it starts in ``order``.

    Parameters
    ----------
    text
        The Compose file.
    order
        Services that need each other: the second of each pair needs an answer of the first.
    ready_s
        Seconds from start to first answer, by service.
    """
    if not isinstance(text, str):
        checks.fail(f"a Compose file is text, and your function returned {type(text).__name__}")
    try:
        services = read_compose(text)
        times = start_times(text, ready_s)
    except ComposeError as error:
        raise checks.CheckFailed(str(error)) from None
    pairs = [tuple(pair) for pair in order]
    if missing := sorted({name for pair in pairs for name in pair} - set(services)):
        checks.fail(f"there is no service called {missing[0]}")
    for finding in lint_compose(text):
        checks.fail(finding.message)
    for first, second in pairs:
        up = times[first] + ready_s.get(first, 0.0)
        if times[second] < up:
            checks.fail(f"{second} starts at {times[second]:g} s and needs {first}, which answers from {up:g} s on")


def secret(text: str, files: Files, *, name: str, script: str) -> None:
    """Fail if a secret can get into a layer or the history, or does not reach ``script`` as a mount."""
    dockerfile, context = readable(text), Context.of(files)
    for finding in lint(text):
        if finding.rule == "DESK08":
            checks.fail(f"line {finding.line}: {finding.message}")
    for stage in dockerfile.stages:
        for one in stage.instructions:
            if one.name in {"COPY", "ADD"} and one.flag("from") is None:
                taken = [path for source in sources(one)[0] for path in context.select(source)]
                if ".env" in taken:
                    checks.fail(
                        f"line {one.line}: `{one.text}` takes .env along into a layer, and no later step gets it out: "
                        "copy by name what the service needs"
                    )
    runs = [
        one for stage in dockerfile.stages for one in stage.instructions if one.name == "RUN" and script in one.value
    ]
    checks.require(runs, f"no RUN step calls {script}, so the image has no weights")
    mounts = [value for one in runs for flag, value in one.flags if flag == "mount" and "type=secret" in value]
    if not any(re.search(rf"\bid={re.escape(name)}\b", mount) for mount in mounts):
        checks.fail(f"{script} needs the token while it runs: give that RUN --mount=type=secret,id={name}")
    for one in runs:
        if re.search(r"/run/secrets/\S+\s*(>|\S*\s+/?(app|tmp|root))|>\s*\S*\.env", one.value):
            checks.fail(
                f"line {one.line}: the mounted secret is written to a file of the image, which puts it in the layer"
            )


def _junk(size: int, removed: bool, rules: str) -> str:
    if removed:
        return (
            f"{size / MB:.0f} MB are copied, then removed. rm hides files of the layer below, which still ships them: "
            "keep them out with .dockerignore"
        )
    if re.search(r"^\*\.\w+$", rules, re.M):
        return (
            f"{size / MB:.0f} MB of files are copied. In .dockerignore a pattern without a slash is for the root: "
            "*.csv does not leave out data/a.csv; name the folder, or write **/*.csv"
        )
    return f"{size / MB:.0f} MB of files are copied that the service never reads: leave them out with .dockerignore"
