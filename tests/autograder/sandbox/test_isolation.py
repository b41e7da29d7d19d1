"""The walls themselves: what is built, in which order of preference, and what is said where nothing can be."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import re
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autograder.sandbox import Engine, capabilities, open_engine
from autograder.sandbox.capabilities import Option
from autograder.sandbox.errors import ExecutionError, SandboxUnavailable
from autograder.sandbox.isolation import usage
from autograder.sandbox.isolation.mounts import layout, packages
from autograder.sandbox.isolation.seccomp import DENIED, program
from tests.autograder.sandbox.walled import LIMITS, plan

PROBE = """
from autograder.sandbox import Limits, capabilities, open_engine
from autograder.sandbox.model import Plan, PlanCell
assert {who}
source = "import os; print(os.getuid(), str(sorted(os.listdir('/home'))).replace(' ', ''), os.path.exists('/run'))"
with open_engine(sandbox={sandbox!r}, preload=()) as engine:
    done = engine.run(Plan(cells=(PlanCell("a", "free", "", source),)), limits=Limits(memory_mb=300))
print(done.outcomes[0].outputs[0]["text"] if done.outcomes[0].ok else done)
"""
BECOME_NOBODY = """
import os, sys
from autograder.sandbox.isolation import syscalls
shown = {sys.base_prefix, sys.prefix, *sys.argv[2:]}
syscalls.unshare(syscalls.CLONE_NEWNS)
syscalls.make_mounts_private()
handles = {path: os.open(path, os.O_PATH) for path in shown}
for top in {"/" + path.split("/")[1] for path in shown} - {"/usr"}:
    if not os.stat(top).st_mode & 1:
        syscalls.mount("tmpfs", top, "tmpfs", 0, "mode=755")
for path, handle in handles.items():
    if not os.path.exists(path):
        os.makedirs(path)
        syscalls.bind(f"/proc/self/fd/{handle}", path)
syscalls.become(65534, 65534)
os.environ.update(HOME="/tmp", PYTHONPATH=os.pathsep.join(sys.argv[2:]))
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False, cwd="/"
    )


def homes() -> list[str]:
    """What a submission may see below /home: its own, and the way to the course where that lies in somebody's home."""
    inside = [Path(sys.prefix), Path(sys.base_prefix), *packages()]
    return sorted({"learner"} | {path.parts[2] for path in inside if path.parts[1] == "home"})


@pytest.mark.parametrize("sandbox", ["bwrap", "native"])
def test_both_walls_work_as_the_current_user(sandbox: str) -> None:
    done = run(PROBE.format(who="True", sandbox=sandbox))
    assert done.stdout.split() == [str(os.getuid() or 65534), str(homes()).replace(" ", ""), "False"], (
        done.stdout + done.stderr
    )


@pytest.mark.skipif(os.getuid() != 0, reason="the tests above ran as an unprivileged user already")
@pytest.mark.parametrize("sandbox", ["bwrap", "native"])
def test_both_walls_work_as_an_unprivileged_user(sandbox: str) -> None:
    root = str(packages()[0].parent)
    done = run(BECOME_NOBODY, PROBE.format(who="__import__('os').getuid() == 65534", sandbox=sandbox), root)
    assert done.stdout.split() == ["65534", "['learner']", "False"], done.stdout + done.stderr


def test_where_namespaces_are_refused_it_says_so_and_what_to_do() -> None:
    code = """
from autograder.sandbox import capabilities, open_engine, SandboxUnavailable
from autograder.sandbox.isolation.seccomp import install
install()  # denies unshare, mount and clone with namespaces, as containers do
found = capabilities()
print(found.best, bool(found.advice), "·".join(found.options[1].reason.split()))
try:
    open_engine(sandbox="auto")
except SandboxUnavailable as error:
    print("refused", "--sandbox none" in str(error))
"""
    done = run(code)
    best, advice, reason, *rest = done.stdout.split()
    assert (best, advice, rest) == ("None", "True", ["refused", "True"]), done.stdout + done.stderr
    assert re.fullmatch(r"PermissionError:.*Operation·not·permitted", reason)  # the kernel's word, not a traceback


def test_what_a_container_is_told_to_be_started_with_is_enough_for_its_root(monkeypatch) -> None:
    """Tried with Docker 20.10: without CAP_SYS_ADMIN root may not even make a mount namespace."""
    module = importlib.import_module("autograder.sandbox.capabilities")  # the package has a function of this name
    nothing = tuple(Option(name, works=False, reason="") for name in ("bwrap", "native"))
    monkeypatch.setattr(module, "_reads", lambda path: "0::/docker/1" if "cgroup" in path else None)
    for uid, wanted in ((0, True), (1000, False)):
        monkeypatch.setattr(os, "getuid", lambda uid=uid: uid)
        advice = module._advice(nothing)
        assert "--security-opt systempaths=unconfined" in advice
        assert ("--cap-add SYS_ADMIN" in advice) is wanted


def test_an_unknown_sandbox_is_refused() -> None:
    with pytest.raises(SandboxUnavailable):
        capabilities().choose("firejail")


def test_without_walls_submissions_still_run() -> None:
    from tests.autograder.sandbox.walled import LIMITS, plan

    with open_engine(sandbox="none", preload=()) as engine:
        done = engine.run(plan("def f(): return 1", "assert f() == 1"), limits=LIMITS)
        assert (done.sandbox, done.outcome("t0").ok) == ("none", True)


def test_nothing_of_the_course_but_its_packages_is_shown(tmp_path: Path) -> None:
    sources = {mount.source for mount in layout(etc=tmp_path) if mount.kind in ("ro", "rw")}
    root = packages()[0].parent
    assert str(root) not in sources
    assert not any(
        Path(source).is_relative_to(root / name)
        for source in sources
        for name in ("solutions", "tests", "build", ".git")
    )
    assert not any(mount.kind == "rw" for mount in layout(etc=tmp_path))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_denies_each_call_and_every_other_machines_numbers(machine: str) -> None:
    code = program(machine)
    column = ("x86_64", "aarch64").index(machine)
    arch = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    for name, numbers in DENIED.items():
        if numbers[column] is not None:
            assert verdict(code, arch, numbers[column]) == 0x50001, name
    read = {"x86_64": 0, "aarch64": 63}[machine]
    assert verdict(code, arch, read) == 0x7FFF0000
    assert verdict(code, 0x40000003, read) == 0x80000000
    clone = {"x86_64": 56, "aarch64": 220}[machine]
    assert verdict(code, arch, clone, 0x11) == 0x7FFF0000
    assert verdict(code, arch, clone, 0x10000011) == 0x50001
    sock = {"x86_64": 41, "aarch64": 198}[machine]
    assert [verdict(code, arch, sock, family) == 0x7FFF0000 for family in (1, 2, 10, 16, 17, 38, 40)] == [True] * 4 + [
        False
    ] * 3
    assert verdict(code, arch, sock, 16, 3, 6) != 0x7FFF0000


def verdict(code: bytes, arch: int, number: int, *args: int) -> int:
    """Run a classic BPF program as the kernel would; a jump beyond its end is an error."""
    data = struct.pack("<IIQ", number, arch, 0) + b"".join(
        struct.pack("<Q", a) for a in (*args, *[0] * (6 - len(args)))
    )
    steps = [struct.unpack_from("HBBI", code, i) for i in range(0, len(code), 8)]
    place, loaded = 0, 0
    while True:
        op, yes, no, k = steps[place]
        place += 1
        if op == 0x20:
            loaded = struct.unpack_from("<I", data, k)[0]
        elif op == 0x06:
            return int(k)
        else:
            hit = {0x15: loaded == k, 0x35: loaded >= k, 0x45: bool(loaded & k)}[op]
            place += yes if hit else no


@pytest.mark.skipif(platform.machine() != "x86_64", reason="compares with this machine's own table")
def test_the_numbers_are_those_of_the_kernels_headers() -> None:
    header = next(
        (
            p
            for p in (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h"))
            if p.exists()
        ),
        None,
    )
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    known = {
        w[1].removeprefix("__NR_"): int(w[2])
        for line in header.read_text().splitlines()
        if len(w := line.split()) == 3 and w[0] == "#define" and w[2].isdigit()
    }
    assert {name: n[0] for name, n in DENIED.items() if n[0] is not None and name in known} == {
        name: known[name] for name, n in DENIED.items() if n[0] is not None and name in known
    }


@pytest.mark.parametrize("setup", ["", "import math"], ids=["forked by the forkserver", "forked by a snapshot"])
def test_what_a_killed_session_leaves_is_reaped(walled_engine: Engine, setup: str) -> None:
    sleeps = plan("import time\ndef f(): time.sleep(600)", "f()", setup=setup)
    if setup:
        walled_engine.run(plan("def f(): pass", "f()", setup=setup), limits=LIMITS)  # the snapshot is there from now on
    before = set(usage.descendants(walled_engine.pid))
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(walled_engine.run, sleeps, limits=LIMITS)
        sessions: list[int] = []
        while not sessions and not run.done():
            new = set(usage.descendants(walled_engine.pid)) - before
            sessions = [pid for pid in new if len(usage.children(pid)) > 1]  # it has a judge and a learner's process
            time.sleep(0.02)
        for pid in sessions:
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ExecutionError):
            run.result(60)
    walled_engine._snapshots.close()  # a run that is killed while it starts is tried again, from a new snapshot
    deadline = time.monotonic() + 30
    while (left := set(usage.descendants(walled_engine.pid)) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sessions
    assert not left
