"""Attempts to use more than is allowed, and code that breaks down by itself."""

from __future__ import annotations

from attacks import FINE, LOST, RIGHT, Attack

CASES = [
    Attack("endless loop in the cell", RIGHT + "while True: pass\n", FINE, endless=True),
    Attack("endless loop in the function", "def add(a, b):\n    while True: pass\n", LOST, message="longer than allowed", endless=True),
    Attack("sleep in the function", "import time\ndef add(a, b):\n    time.sleep(600)\n", LOST, message="longer than allowed", endless=True),
    Attack("KeyboardInterrupt swallowed", """
def add(a, b):
    while True:
        try:
            while True: int()  # around an empty loop Python 3.11 has no handler
        except BaseException:
            pass
""", LOST, message="longer than allowed", endless=True),
    Attack("signals ignored", """
import signal, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
    signal.signal(number, signal.SIG_IGN)
def add(a, b):
    time.sleep(600)
""", LOST, message="longer than allowed", endless=True),
    Attack("process ended in the cell", RIGHT + "import os; os._exit(0)\n", LOST),
    Attack("process ended in the function", "import os\ndef add(a, b):\n    os._exit(0)\n", LOST, message="ended the Python process"),
    Attack("process ended when the cell is repeated", """
import os
if os.path.exists('seen'): os._exit(0)
open('seen', 'w').close()
def add(a, b): os._exit(0)
""", LOST, message="ended the Python process"),
    Attack("process killed by itself", "import ctypes\ndef add(a, b):\n    ctypes.string_at(0)\n", LOST, message="ended the Python process"),
    Attack("exit handler", RIGHT + "import atexit, os; atexit.register(os._exit, 3); exit()\n", FINE),
    Attack("all descriptors closed", "import os\ndef add(a, b):\n    os.closerange(0, 1024)\n    return a + b\n", LOST, endless=True),
    Attack("memory in one process", "def add(a, b):\n    return len(bytearray(2_000_000_000)) * 0 + a + b\n", LOST, message="Memory"),
    Attack("memory piece by piece", "def add(a, b):\n    kept = []\n    while True: kept.append(bytearray(b'x') * 10_000_000)\n", LOST),
    Attack("memory over children", """
import os, time
def add(a, b):
    for _ in range(8):
        if os.fork() == 0:
            held = bytearray(b'x') * 80_000_000
            time.sleep(60)
    time.sleep(60)
""", LOST, message="more memory than allowed"),
    Attack("fork bomb", """
import os, time
def add(a, b):
    for made in range(200):
        try:
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
        except OSError as error:
            return ['refused after', made]
    return a + b
""", LOST),
    Attack("thread bomb", """
import threading, time
def add(a, b):
    for _ in range(500):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    return a + b
""", LOST),
    Attack("daemon left behind", RIGHT + """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(1); os.close(2)
        time.sleep(777)
    os._exit(0)
os.wait()
print('left')
""", FINE, says="left"),
    Attack("disk filled", RIGHT + """
try:
    for i in range(100):
        with open(f'big{i}', 'wb') as file:
            file.write(b'x' * 4_000_000)
    print('ESCAPED')
except OSError as error:
    print('contained:', error.strerror)
""", FINE, says="contained: No space"),
    Attack("one large file", RIGHT + """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with open('big', 'wb') as file:
        for _ in range(20): file.write(b'x' * 1_000_000)
    print('ESCAPED')
except OSError as error:
    print('contained:', error.strerror)
""", FINE, says="contained: File too large"),
    Attack("many small files", RIGHT + """
try:
    for i in range(60_000): open(f'f{i}', 'w').close()
    print('ESCAPED')
except OSError as error:
    print('contained:', error.strerror)
""", FINE, says="contained:"),
    Attack("much output", RIGHT + "print('x' * 1_000_000)\n", FINE, says="more bytes"),
    Attack("endless output", RIGHT + "while True: print('x' * 10_000)\n", LOST, message="printed more than allowed"),
    Attack("endless output in the function", "def add(a, b):\n    while True: print('x' * 10_000)\n", LOST),
    Attack("large display", RIGHT + "from IPython.display import HTML, display\ndisplay(HTML('x' * 30_000_000))\n", FINE),
    Attack("large result", "def add(a, b):\n    return 'x' * 60_000_000\n", LOST),
    Attack("endless generator", "def add(a, b):\n    while True: yield 1\n", LOST),
    Attack("deep recursion", "def add(a, b):\n    return add(a, b)\n", LOST, message="RecursionError"),
    Attack("deep recursion in C", "import sys\ndef add(a, b):\n    sys.setrecursionlimit(10**9)\n    return add(a, b)\n", LOST),
    Attack("catastrophic regular expression", "import re\ndef add(a, b):\n    return re.match('(a+)+$', 'a' * 60 + 'b')\n", LOST, endless=True),
    Attack("interpreter lock held", "def add(a, b):\n    return 9 ** (9 ** 9)\n", LOST, endless=True),
    Attack("syntax error", "def add(a, b)\n    return a + b\n", LOST, message="add is not defined"),
    Attack("error before the function", "1 / 0\n" + RIGHT, LOST, message="ZeroDivisionError"),
    Attack("empty cell", "", LOST, message="add is not defined"),
    Attack("null bytes", "def add(a, b):\n    return a + b\n\x00", LOST),
    Attack("half a surrogate", "def add(a, b):\n    return '\\ud800'\n", LOST),
    Attack("magic that doesn't exist", "%nonsense\n" + RIGHT, LOST, message="add is not defined"),
    Attack("shell line", "!echo from the shell\n" + RIGHT, FINE, says="from the shell"),
    Attack("await at top level", "import asyncio\nawait asyncio.sleep(0)\n" + RIGHT, FINE),
    Attack("asynchronous function", "async def add(a, b):\n    return a + b\n", LOST),
]  # fmt: skip
