"""Hostile programs that a check starts: they can't see or move the judge, and leave nothing for the next box."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from autograder.sandbox import Engine, Limits, Plan, PlanCell, capabilities, open_engine
from autograder.sandbox.isolation.usage import descendants

SECRET = "secret-of-the-hidden-test-" + "7c1d"
BREAK_OUT = """
import ctypes, os, signal, socket, sys, time
SECRET = b"secret-of-the-hidden-test-" + bytes([55, 99, 49, 100])
found = []
for pid in sorted({int(n) for n in os.listdir("/proc") if n.isdigit()} | set(range(1, 400))):
    if pid == os.getpid():
        continue
    for name in ("mem", "environ", "maps", "fd", "root", "cwd"):
        path = f"/proc/{pid}/{name}"
        try:
            if name == "mem":
                for line in open(f"/proc/{pid}/maps"):
                    low, high = (int(x, 16) for x in line.split()[0].split("-"))
                    if " rw" in line and high - low < 1 << 28:
                        with open(path, "r+b", buffering=0) as memory:
                            memory.seek(low)
                            found += [("memory", pid)] if SECRET in memory.read(high - low) else [("readable", pid)]
            elif name in ("environ", "maps"):
                found += [(name, pid)] if open(path, "rb").read() else []
            else:
                found += [(name, pid)] if os.listdir(path) or True else []
        except OSError:
            pass
    try:
        os.kill(pid, signal.SIGKILL)
        found += [("killed", pid)] if pid != 1 else []
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
for pid in (1, os.getppid()):
    found += [("traced", pid)] if libc.ptrace(16, pid, 0, 0) == 0 else []
for port in PORTS:
    with socket.socket() as s:
        found += [("port", port)] if s.connect_ex(("127.0.0.1", port)) == 0 else []
for name in ABSTRACT:
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect("\\0" + name)
            found.append(("abstract", name))
        except OSError:
            pass
for folder in ("/box", "/tmp", "/home/learner", "/dev/shm", "/cache", "/cache-below", "/var/tmp", "/"):
    for top, _, names in os.walk(folder):
        if top.startswith(("/proc", "/sys", "/usr", "/dev")) or folder == "/" and top != "/":
            continue
        for name in names:
            if "planted-by-a-box" in name:
                found.append(("file", os.path.join(top, name)))
    try:
        open(os.path.join(folder, "planted-by-a-box-" + str(time.time_ns())), "w").close()
    except OSError:
        pass
for kind in (0x20000, 0x10000000, 0x20000000, 0x40000000):
    found += [("unshare", kind)] if libc.unshare(kind) == 0 else []
print("found", sorted(set(found)))
"""

CHECK = f'''
import socket, sys, tempfile, threading
from pathlib import Path
from course_lib import programs
SECRET = "{SECRET}"
listening = socket.create_server(("127.0.0.1", 0))
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\\0judge"); abstract.listen()
Path(tempfile.gettempdir(), "planted-by-a-box-judge").write_text(SECRET)
Path("planted-by-a-box-work").write_text(SECRET)
head = f"PORTS = [{{listening.getsockname()[1]}}]\\nABSTRACT = ['judge']\\n"
seen = []
for _ in range(2):
    with programs.start([sys.executable, "-I", "-S", "program.py"], files={{"program.py": head + program()}}) as running:
        programs.wait(running, 30)
        seen.append(running.output().strip())
'''


@pytest.fixture(scope="module", params=["bwrap", "native"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    try:
        capabilities().choose(request.param)
    except Exception as error:
        pytest.skip(f"no {request.param} here: {error}")
    with open_engine(sandbox=request.param, preload=["numpy"], probe=False) as opened:
        yield opened


def judged(engine: Engine, program: str, check: str, *, cell_seconds: float = 60) -> tuple[bool, str]:
    """Hand in ``program()`` and return whether ``check`` passed, and its message."""
    answer = f"def program(): return {program!r}"
    cells = (
        PlanCell(id="answer", kind="solution", release="def program(): ...", learner=answer),
        PlanCell(id="check", kind="test", release=check),
    )
    done = engine.run(Plan(cells=cells), limits=Limits(cell_seconds=cell_seconds))
    outcome = done.outcomes[-1]
    return outcome.ok, outcome.message


def test_a_program_finds_nothing_of_the_judge_and_nothing_of_the_box_before(engine: Engine) -> None:
    ok, message = judged(engine, BREAK_OUT, CHECK + "assert seen == ['found []'] * 2, seen")
    assert ok, message


def test_the_judge_can_still_read_what_the_program_printed_and_how_it_ended(engine: Engine) -> None:
    check = CHECK + "assert seen == ['hello'] * 2 and running.poll() == 7, (seen, running.poll())"
    ok, message = judged(engine, "import sys; print('hello'); sys.exit(7)", check)
    assert ok, message


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os._exit(0)", 0),
        ("import os; os.abort()", -6),
        ("raise SystemExit(3)", 3),
        ("1 / 0", 1),
        ("import os; os.closerange(0, 1000)", 0),
        ("import signal, os; os.kill(1, 9); os.kill(1, 15); os.kill(1, 19)", 0),
        ("import os\nif os.fork(): os._exit(5)\nimport time; time.sleep(600)", 5),
        ("import os, time\nif os.fork() == 0:\n os.setsid()\n time.sleep(600)", 0),
    ],
)
def test_how_it_ended_is_told_whatever_it_does(engine: Engine, program: str, code: int) -> None:
    ok, message = judged(engine, program, CHECK + f"assert running.poll() == {code}, running.poll()")
    assert ok, message


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time; time.sleep(600)",
        "import signal, time\nfor n in (1, 2, 10, 12, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(600)",
        "import os\nwhile True:\n try: os.fork()\n except OSError: pass",
        "kept = []\nwhile True: kept.append(bytearray(b'x') * 10_000_000)",
        "import sys\nwhile True: sys.stdout.write('x' * 100_000)",
        "i = 0\nwhile True:\n i += 1\n open(f'file{i}', 'wb').write(b'x' * 1_000_000)",
        "import socket\nkept = []\nwhile True: kept.append(socket.socket())",
        "import os\nwhile True: os.mkdir('d'); os.chdir('d')",
    ],
    ids=["busy", "asleep", "deaf", "forks", "memory", "output", "disk", "sockets", "folders"],
)
def test_a_program_without_end_is_over_when_its_box_is_closed(engine: Engine, program: str) -> None:
    check = """
import sys
from course_lib import programs
with programs.start([sys.executable, "-I", "-S", "-u", "p.py"], files={"p.py": program()}) as running:
    try:
        programs.wait(running, 2)
    except TimeoutError:
        running.send_signal(9)
        programs.wait(running, 10)
    text = running.output()
assert len(text) <= 1 << 20
"""
    before = set(descendants(engine.pid))
    ok, message = judged(engine, program, check)
    assert ok, message
    deadline = time.monotonic() + 20
    while (left := set(descendants(engine.pid)) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, [psutil.Process(pid).cmdline() for pid in left if psutil.pid_exists(pid)]


def test_a_judge_that_forgets_a_program_takes_it_along(engine: Engine) -> None:
    check = """
import sys
from course_lib import programs
running = programs.start([sys.executable, "-c", "import time; time.sleep(600)"], files={})
"""
    before = set(descendants(engine.pid))
    ok, message = judged(engine, "", check)
    assert ok, message
    deadline = time.monotonic() + 20
    while (left := set(descendants(engine.pid)) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.run([sys.executable, 'p.py'])",
        "subprocess.run([sys.executable, '-c', program()])",
        "subprocess.run([sys.executable, str(Path(tempfile.mkdtemp(), 'p.py'))])",
        "subprocess.run([sys.executable], input=program().encode())",
        "subprocess.run(program(), shell=True)",
        "subprocess.run(['sh', '-c', program()])",
        "subprocess.run(['/bin/bash', 'p.sh'])",
        "subprocess.run(['node', '-e', program()])",
        "subprocess.run(['act', 'push'])",
        "subprocess.run(['make'])",
        "subprocess.run(['git', 'status'])",
        "subprocess.run([str(Path.cwd() / 'tool')])",
        "subprocess.run(['./tool'])",
        "os.system(program())",
        "os.popen(program())",
        "os.posix_spawn('/bin/sh', ['sh', '-c', program()], {})",
        "os.execv('/bin/sh', ['sh', '-c', program()])",
    ],
)
def test_a_check_that_forgets_the_box_is_refused(engine: Engine, start: str) -> None:
    check = f"""
import os, subprocess, sys, tempfile
from pathlib import Path
Path("tool").write_text("#!/bin/sh\\ntouch /box/work/done\\n"); os.chmod("tool", 0o755)
for name in ("p.py", "p.sh"): Path(name).write_text(program())
try:
    {start}
except AssertionError as refusal:
    assert "course_lib.programs.start" in str(refusal), refusal
else:
    raise SystemError("it ran")
assert not Path("done").exists()
"""
    ok, message = judged(engine, "touch /box/work/done", check)
    assert ok, message


def test_the_courses_own_tools_may_run_beside_the_judge(engine: Engine) -> None:
    check = """
import subprocess, sys
assert subprocess.run([sys.executable, "-m", "course_lib", "--help"], capture_output=True).returncode in (0, 1)
assert subprocess.run(["git", "version"], capture_output=True).returncode in (0, 1)
"""
    ok, message = judged(engine, "", check)
    assert ok, message


def test_the_page_for_instructors_says_the_limits_that_hold() -> None:
    from autograder.sandbox.inside import program_box

    page = " ".join((Path(__file__).parents[2] / "docs/grading.md").read_text(encoding="utf-8").split())
    limits = program_box._LIMITS
    assert f"at most {limits['memory_mb']} MB a process and {limits['cpu_seconds']} s of processor time" in page
