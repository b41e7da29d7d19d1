"""Clean up after a notebook, whatever ends it.

``python -m course_lib.containers.engine.cleanup`` waits until its standard input closes, which happens when the kernel
ends in any way, and then removes all that the session left behind. It also starts a private engine where one is
wanted, and stops it last. Standard library only: it must not fail.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["LABEL", "PROJECT", "clean", "main"]

LABEL = "mlops-course.session"
PROJECT = "com.docker.compose.project"
_STOP_SECONDS = 40.0
_PR_SET_CHILD_SUBREAPER = 36  # Linux, prctl(2): orphans below this process become its children


def clean(client: Sequence[str], session: str, *, images: bool = True) -> None:
    """Remove the containers, networks, volumes and images of a session.

    Parameters
    ----------
    client
        The command line of the engine, such as ``["docker", "-H", "unix:///…"]``.
    session
        Value of the label that all of them carry.
    images
        Remove the images too; an engine that is about to be deleted with its storage need not.
    """
    for label in (f"{LABEL}={session}", f"{PROJECT}={session}"):
        for listing, removing in (
            (("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
            (("network", "ls", "--quiet"), ("network", "rm")),
            (("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
            (("images", "--all", "--quiet"), ("rmi", "--force")),
        ):
            if listing[0] == "images" and not images:
                continue
            names = dict.fromkeys(_run([*client, *listing, "--filter", f"label={label}"]).split())
            if names:
                _run([*client, *removing, *names])


def main() -> None:
    """Start the engine if one is given, wait for the end of the session, clean up, stop the engine."""
    order = json.loads(sys.argv[1])
    folder = Path(order["folder"])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.stdin.close())
    before = _links(), _rules()
    if order["engine"]:
        _adopt_orphans()
    engine = _start(order["engine"], folder)
    with contextlib.suppress(ValueError, OSError):
        sys.stdin.read()
    clean(order["client"], order["session"], images=engine is None)
    if engine is not None:
        _stop(engine)
        _end_children()
        _restore(*before)
    shutil.rmtree(folder, ignore_errors=True)


def _start(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes] | None:
    if not command:
        return None
    with (folder / "engine.log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _stop(engine: subprocess.Popen[bytes]) -> None:
    engine.terminate()
    try:
        engine.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()


def _adopt_orphans() -> None:
    """On Linux, become the parent of what the engine's processes leave behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_children() -> None:
    """End what outlives the engine: Podman keeps a watcher for five minutes after each command in a container."""
    while children := _children():
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except PermissionError:  # somebody else's now: waiting for it would be for ever
                return
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)  # its own children are ours now, if we adopt orphans


def _children() -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def _restore(links: set[str], rules: list[str]) -> None:
    """Remove the bridges and firewall rules that the engine added and does not remove itself."""
    for link in _links() - links:
        if link.startswith(("docker0", "br-", "cni-podman", "podman")):
            _run(["ip", "link", "delete", link])
    _remove_rules(rules)


def _remove_rules(before: list[str]) -> None:
    table, chains = "filter", []
    for line in _rules():
        if line.startswith("*"):
            table = line[1:]
        elif line in before or not any(word in line for word in ("CNI-", "NETAVARK", "DOCKER")):
            continue
        elif line.startswith("-A"):
            _run(["iptables", "-t", table, "-D", *shlex.split(line[3:])])
        elif line.startswith(":"):
            chains.append((table, line[1:].split()[0]))
    for where, chain in chains:
        _run(["iptables", "-t", where, "-F", chain])
    for where, chain in chains:
        _run(["iptables", "-t", where, "-X", chain])


def _rules() -> list[str]:
    text = _run(["iptables-save"]) if shutil.which("iptables-save") else ""
    return [line for line in text.splitlines() if not line.startswith("#")]


def _links() -> set[str]:
    folder = Path("/sys/class/net")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


if __name__ == "__main__":
    main()
