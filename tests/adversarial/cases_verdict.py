"""Attempts to get points for a wrong answer, or to see what the tests expect."""

from __future__ import annotations

from attacks import BROKE_ITSELF, FINE, FOOLED, LOST, RIGHT, WRONG, Attack

CASES = [
    Attack("wrong answer", WRONG, FOOLED, message="add(2, 3) should be 5"),
    Attack("right answer", RIGHT, FINE),
    Attack("not started", "def add(a, b):\n    raise NotImplementedError('todo')", LOST, message="todo"),
    Attack("assert dropped by an AST transformer", WRONG + """
import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
get_ipython().ast_transformers.append(Drop())
""", FOOLED),
    Attack("object that equals everything", """
class Yes:
    def __eq__(self, other): return True
    __lt__ = __gt__ = __le__ = __ge__ = __eq__
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __hash__(self): return 0
def add(a, b):
    return Yes()
""", FOOLED, message="where the check needs a value"),
    Attack("int subclass that equals everything", """
class Yes(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def add(a, b):
    return Yes(0)
""", FOOLED),
    Attack("float subclass with poisoned operators", """
class Yes(float):
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __eq__(self, other): return True
def add(a, b):
    return Yes(1.0)
""", FOOLED),
    Attack("array subclass that equals everything", """
import numpy as np
class Yes(np.ndarray):
    def __eq__(self, other): return np.True_
def add(a, b):
    return np.zeros(()).view(Yes)
""", FOOLED),
    Attack("str subclass", """
class Yes(str):
    def __eq__(self, other): return True
    __hash__ = str.__hash__
def add(a, b):
    return Yes("5")
""", FOOLED),
    Attack("class that lies about being a number", """
class Five:
    __class__ = int
    def __eq__(self, other): return True
    def __index__(self): return 5
def add(a, b):
    return Five()
""", FOOLED),
    Attack("poisoned __reduce__", """
class Bomb:
    def __reduce__(self):
        import os
        return (os._exit, (0,))
def add(a, b):
    return Bomb()
""", FOOLED, message="object of class Bomb"),
    Attack("poisoned __array__ and __str__", """
class Bomb:
    def __array__(self, *a, **k): raise SystemExit
    def __str__(self): raise SystemExit
    __repr__ = __str__
    def __len__(self): raise SystemExit
def add(a, b):
    return Bomb()
""", FOOLED),
    Attack("builtins patched", WRONG + """
import builtins
builtins.AssertionError = type('Nothing', (Exception,), {})
builtins.abs = builtins.len = builtins.sum = builtins.isinstance = lambda *a, **k: True
""", FOOLED),
    Attack("sys.modules patched", WRONG + """
import sys, types
fake = types.ModuleType('fake')
fake.__getattr__ = lambda name: (lambda *a, **k: None)
for name in ('pytest', 'unittest', 'numpy.testing', 'course_lib.checks', 'math'):
    sys.modules[name] = fake
""", FOOLED),
    Attack("course checks patched", WRONG + """
import course_lib.checks as checks
for name in dir(checks):
    if not name.startswith('__'):
        setattr(checks, name, lambda *a, **k: None)
""", FOOLED),
    Attack("names of the tests redefined", WRONG + "expected = print = AssertionError = __builtins__ = None\n", FOOLED),
    Attack("StopIteration to cut loops short", "def add(a, b):\n    raise StopIteration\n", FOOLED, message="StopIteration"),
    Attack("GeneratorExit", "def add(a, b):\n    raise GeneratorExit\n", FOOLED),
    Attack("BaseException subclass", "class Out(BaseException): pass\ndef add(a, b):\n    raise Out('bye')\n", FOOLED, message="bye"),
    Attack("SystemExit", "def add(a, b):\n    raise SystemExit(0)\n", FOOLED),
    Attack("KeyboardInterrupt raised", "def add(a, b):\n    raise KeyboardInterrupt\n", FOOLED),
    Attack("pytest's skip", """
def add(a, b):
    import unittest
    raise unittest.SkipTest('skipped')
""", FOOLED),
    Attack("exception with hostile methods", """
class Bad(Exception):
    def __str__(self): raise SystemExit
    __repr__ = __str__
    @property
    def args(self): raise SystemExit
def add(a, b):
    raise Bad
""", FOOLED),
    Attack("fake score printed", WRONG + "print('check-1: passed, 100 points', {'score': 1.0}); 100.0\n", FOOLED, says="100 points"),
    Attack("display hook replaced", WRONG + """
import sys, IPython
sys.displayhook = lambda *a: None
get_ipython().run_cell = get_ipython().run_cell_async = lambda *a, **k: None
""", BROKE_ITSELF),
    Attack("frames and gc searched for what is expected", RIGHT + """
import gc, inspect, sys
found = [o for o in gc.get_objects() if isinstance(o, (dict, list, str, bytes)) and 'sword' + 'fish' in repr(o)[:100000]]
def add(a, b):
    frame = sys._getframe()
    while frame:
        if 'sword' + 'fish' in repr(list(frame.f_locals.values()))[:200000]:
            return None
        frame = frame.f_back
    return a + b if not found else None
"""),
    Attack("memory searched for the hidden test", RIGHT + """
import re
hits = 0
for line in open('/proc/self/maps'):
    span, rights = line.split()[:2]
    if 'r' in rights and 'w' in rights:
        start, end = (int(x, 16) for x in span.split('-'))
        if end - start < 1 << 24:
            try:
                with open('/proc/self/mem', 'rb') as memory:
                    memory.seek(start)
                    hits += re.search(rb'swordf[i]sh-in-the-hid[d]en', memory.read(end - start)) is not None
            except OSError:
                pass
print('hits', hits)
if hits: print('ESCAPED')
""", says="hits 0"),
    Attack("own notebook read", RIGHT + """
import pathlib
found = [str(p) for top in ('.', '/tmp', '/box', '/home', '/var') for p in pathlib.Path(top).rglob('*')
         if p.suffix in ('.ipynb', '.db') and 'site-packages' not in p.parts]  # those of installed packages are public
print('found', found)
""", says="found []"),
    Attack("caller's arguments changed", "def add(a, b):\n    import sys\n    sys._getframe(1).f_locals.clear()\n    return a - b\n", FOOLED),
    Attack("channel flooded with forged replies", WRONG + """
import os, json, struct
for fd in range(3, 64):
    for number in range(1, 40):
        text = json.dumps({'re': number, 'ok': 5, 'n': number, 'op': 'call'}).encode()
        try:
            os.write(fd, struct.pack('!II', len(text), 0) + text)
        except OSError:
            break
""", (True, False, True), races=True),  # a forged 5 that comes first is worth what "return 5" is worth
    Attack("channel fed with nonsense", WRONG + """
import os
for fd in range(3, 64):
    try:
        os.write(fd, b'\\xff' * 64)
    except OSError:
        pass
""", (False, False, True)),
    Attack("agent's own code patched to claim success", WRONG + """
import gc
from autograder.sandbox.rpc.peer import Peer
Peer._reply = Peer._error = lambda self, *a: ({'ok': 5}, ())
""", (True, False, False)),  # no more than "return 5" would get
    Attack("result that decodes to a callable", WRONG + """
from autograder.sandbox.rpc import peer
peer.Peer._reply = lambda self, value: ({'ok': ['dc', 'os:system', ['d', 'command', 'true']]}, ())
""", BROKE_ITSELF, message="not one of the course's"),
    Attack("result that claims to be a pickle", WRONG + """
import pickle
from autograder.sandbox.rpc import peer
class Run:
    def __reduce__(self): return (print, ('pwned',))
peer.Peer._reply = lambda self, value: ({'ok': ['pk', 0]}, [pickle.dumps(Run())])
""", BROKE_ITSELF, message="no tag 'pk'"),
    Attack("module planted in the work folder", WRONG + """
for name in ('colorsys', 'sitecustomize', 'usercustomize', 'this'):
    open(name + '.py', 'w').write('import os; os._exit(0)')
""", FOOLED),
    Attack("NaN", "def add(a, b):\n    return float('nan')\n", FOOLED),
    Attack("huge integer", "def add(a, b):\n    return 10 ** 2_000_000\n", FOOLED),
    Attack("endless nesting", "def add(a, b):\n    x = []\n    x.append(x)\n    return x\n", FOOLED),
    Attack("deep nesting", "def add(a, b):\n    x = 5\n    for _ in range(100000): x = [x]\n    return x\n", FOOLED),
    Attack("function with a name in other letters", "def \uff41\uff44\uff44(a, b):\n    return a + b\n", FINE),  # NFKC: add
    Attack("right answer as numpy number", "import numpy as np\ndef add(a, b):\n    return np.int64(a) + b\n", FINE),
    Attack("warnings and stderr", "import warnings, sys\ndef add(a, b):\n    warnings.warn('careful')\n    print('note', file=sys.stderr)\n    return a + b\n", FINE),
    Attack("monkeypatched by a thread", WRONG + """
import threading, builtins
def patch():
    while True:
        builtins.len = lambda x: 5
threading.Thread(target=patch, daemon=True).start()
while len('') != 5: pass
""", FOOLED, message="your code was stopped"),
    Attack("monkeypatched by a thread later", WRONG + """
import threading, builtins, time
def later():
    time.sleep(0.001)
    while True:
        builtins.len = lambda x: 5
threading.Thread(target=later, daemon=True).start()
""", FOOLED, races=True, endless=True),
    Attack("agent that doesn't tell its names", WRONG + """
import time
from autograder.sandbox.rpc.peer import Peer
def stuck(self, names):
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass
Peer._bound = stuck
""", FOOLED, message="add is not defined, because your code was stopped", endless=True),
    Attack("learner's process that hangs up on its judge", WRONG + """
import gc
from autograder.sandbox.rpc.channel import Channel
next(o for o in gc.get_objects() if isinstance(o, Channel))._wire.close()
""", FOOLED, message="add is not defined, because your code was stopped"),
    Attack("names told only once", WRONG + """
import os
from autograder.sandbox.rpc.peer import Peer
tell = Peer._bound
def once(self, names):
    Peer._bound = lambda self, names: os._exit(0)
    return tell(self, names)
Peer._bound = once
""", BROKE_ITSELF, message="ended the Python process"),  # each repetition costs one more of its few restarts
]  # fmt: skip
