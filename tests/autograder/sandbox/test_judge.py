"""What exercises pass and return works through the judge, and the verdict is the judge's."""

# ruff: noqa: E501 - small programs read best on a line of their own
from __future__ import annotations

import pytest

from autograder.sandbox import Engine, Plan, PlanCell
from tests.autograder.sandbox.walled import LIMITS, plan, story

CASES = {
    "numbers, text and containers": ("def f(x): return {'a': [x, (1.5, None)], 'b': {x}}", "assert f(3) == {'a': [3, (1.5, None)], 'b': {3}}"),
    "arrays": ("import numpy as np\ndef f(a): return np.cumsum(a)", "import numpy as np\nnp.testing.assert_array_equal(f(np.ones(3)), [1, 2, 3])"),
    "frames": (
        "def f(d): return d.groupby('k', as_index=False)['v'].mean()",
        "import pandas as pd\nd = pd.DataFrame({'k': ['a', 'a', 'b'], 'v': [1.0, 3, 5]})\n"
        "pd.testing.assert_frame_equal(f(d), pd.DataFrame({'k': ['a', 'b'], 'v': [2.0, 5]}))",
    ),
    "callbacks": ("def f(call, n): return [call(i) for i in range(n)]", "seen = []\ndef note(i):\n    seen.append(i)\n    return i * 2\nassert f(note, 3) == [0, 2, 4] and seen == [0, 1, 2]"),
    "nested callbacks": ("def f(call, n): return call(n - 1) + 1 if n else 0", "def again(n):\n    return f(again, n)\nassert f(again, 6) == 6"),
    "expected exceptions": (
        "def f(x):\n    if x < 0: raise ValueError(f'{x} is negative')\n    return x",
        "import pytest\nwith pytest.raises(ValueError, match='-1 is negative'):\n    f(-1)",
    ),
    "course exceptions": (
        "from course_lib.errors import DataError\ndef f(): raise DataError('gone', next_step='look')",
        "from course_lib.errors import CourseError\ntry:\n    f()\nexcept CourseError as e:\n    assert 'gone' in str(e)\nelse:\n    raise AssertionError",
    ),
    "exit codes": ("import sys\ndef f(): sys.exit(3)", "try:\n    f()\nexcept SystemExit as e:\n    assert e.code == 3"),
    "generators": ("def f(n):\n    for i in range(n): yield i", "assert list(f(4)) == [0, 1, 2, 3]\nassert next(f(1)) == 0"),
    "context managers": (
        "import contextlib\nlog = []\n@contextlib.contextmanager\ndef f():\n    log.append('in')\n    yield log\n    log.append('out')",
        "with f() as log:\n    assert log == ['in']",
    ),
    "objects with state": (
        "class F:\n    def __init__(self): self.n = 0\n    def step(self, by=1):\n        self.n += by\n        return self.n\nf = F",
        "o = f()\no.step(); assert o.step(by=2) == 3 and o.n == 3\nassert isinstance(o, f)",
    ),
    "estimators from the test": (
        "def f(model, X, y): return model.fit(X, y).predict(X)",
        "import numpy as np\nfrom sklearn.linear_model import LinearRegression\nX = np.arange(6.0).reshape(3, 2)\nassert np.allclose(f(LinearRegression(), X, X[:, 0]), X[:, 0])",
    ),
    "estimators of the learner": (
        "from sklearn.linear_model import LinearRegression\ndef f(X, y): return LinearRegression().fit(X, y)",
        "import numpy as np\nfrom sklearn.linear_model import LinearRegression\nX = np.arange(6.0).reshape(3, 2)\nm = f(X, X[:, 0])\nassert isinstance(m, LinearRegression)\nassert np.allclose(m.predict(X), X[:, 0]) and m.coef_.shape == (2,)",
    ),
    "coroutines at once": (
        "import asyncio\nwaiting = []\nasync def f(x):\n    waiting.append(x)\n    while len(waiting) < 10: await asyncio.sleep(0.005)\n    return x",
        "import asyncio\nasync def all_of(): return await asyncio.gather(*[f(i) for i in range(10)])\nassert asyncio.run(all_of()) == list(range(10))",
    ),
    "threads at once": (
        "import threading\nbarrier = threading.Barrier(4, timeout=10)\ndef f(x):\n    barrier.wait()\n    return x",
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as pool:\n    assert list(pool.map(f, range(4))) == [0, 1, 2, 3]",
    ),
    "asynchronous generators": (
        "import asyncio\nasync def f(n):\n    for i in range(n):\n        await asyncio.sleep(0)\n        yield i",
        "assert [x async for x in f(3)] == [0, 1, 2]",
    ),
    "web applications": (
        "from contextlib import asynccontextmanager\nfrom fastapi import FastAPI, HTTPException\n"
        "@asynccontextmanager\nasync def life(app):\n    app.state.n = 7\n    yield\n"
        "def f():\n    app = FastAPI(lifespan=life)\n    @app.get('/n')\n    def n(q: int = 0):\n        if q < 0: raise HTTPException(422)\n        return {'n': app.state.n + q}\n    return app",
        "from fastapi import FastAPI\nfrom fastapi.testclient import TestClient\napp = f()\nassert isinstance(app, FastAPI)\n"
        "with TestClient(app) as c:\n    assert c.get('/n?q=1').json() == {'n': 8}\n    assert c.get('/n?q=-1').status_code == 422\n    assert c.get('/n?q=x').status_code == 422\n"
        "assert '/n' in app.openapi()['paths']",
    ),
    "schemas": (
        "from pydantic import BaseModel, Field\nclass F(BaseModel):\n    x: int = Field(ge=0)\nf = F",
        "import pytest\nfrom pydantic import ValidationError\nassert f(x=1).x == 1 and f.model_validate({'x': 2}).model_dump() == {'x': 2}\nassert f(x=1) == f(x=1)\n"
        "with pytest.raises(ValidationError) as e:\n    f(x=-1)\nassert e.value.errors()[0]['loc'] == ('x',)",
    ),
    "files": (
        "from pathlib import Path\ndef f(folder):\n    path = Path(folder) / 'model.txt'\n    path.write_text('42')\n    return path",
        "import tempfile\nfrom pathlib import Path\nassert f(tempfile.mkdtemp()).read_text() == '42'\nassert f('.').read_text() == '42' and Path('model.txt').exists()",
    ),
    "servers of the release": (
        "import urllib.request\ndef f(url): return urllib.request.urlopen(url).read().decode()",
        "import http.server, threading\nclass H(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        self.send_response(200); self.end_headers(); self.wfile.write(b'hello')\n    def log_message(self, *a): pass\n"
        "s = http.server.HTTPServer(('127.0.0.1', 0), H)\nthreading.Thread(target=s.serve_forever, daemon=True).start()\nassert f(f'http://127.0.0.1:{s.server_port}/') == 'hello'\ns.shutdown(); s.server_close()",
    ),
    "signatures": ("def f(a, *, b=2):\n    'Say it.'", "import inspect\nassert str(inspect.signature(f)) == '(a, *, b=2)' and f.__doc__ == 'Say it.'"),
    "dataclasses of the course": (
        "from course_lib.training import TrainingConfig\nimport dataclasses\ndef f(c): return dataclasses.replace(c, seed=c.seed + 1)",
        "from course_lib.training import TrainingConfig\nassert f(TrainingConfig(seed=4)) == TrainingConfig(seed=5)",
    ),
    "models as ONNX after a fork": (
        "import numpy as np, onnxruntime\ndef f(): return onnxruntime.get_available_providers()",
        "import onnxruntime\nassert f() == onnxruntime.get_available_providers()",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_exercises_exchange_works(case: str, walled_engine: Engine) -> None:
    learner, test = CASES[case]
    done = walled_engine.run(plan(learner, test), limits=LIMITS)
    assert done.outcome("t0").ok, story(done)


def test_messages_are_those_of_the_check_and_hold_no_source(walled_engine: Engine) -> None:
    done = walled_engine.run(
        plan("def f(): return 1", "secret = 2\nassert f() == secret, 'should be two'", "assert f() == 2"), limits=LIMITS
    )
    assert (done.outcome("t0").error, done.outcome("t0").message) == ("AssertionError", "should be two")
    assert done.outcome("t1").message == ""
    assert "secret" not in str(done.outcomes)


def test_an_error_of_the_learners_code_is_told_from_one_of_the_check(walled_engine: Engine) -> None:
    done = walled_engine.run(plan("def f():\n    return 1 / 0", "f()", "1 / 0"), limits=LIMITS)
    assert done.outcome("t0").remote
    assert "line 2 in f" in done.outcome("t0").message
    assert not done.outcome("t1").remote


def test_a_check_may_end_in_a_partial_score(walled_engine: Engine) -> None:
    done = walled_engine.run(plan("def f(): return 3", "f() / 4", "f()", "'text'", "True"), limits=LIMITS)
    assert [done.outcome(f"t{i}").value for i in range(4)] == [0.75, 3.0, None, None]


def test_data_is_read_anew_for_each_check(walled_engine: Engine) -> None:
    done = walled_engine.run(
        plan("log = []\ndef f(): log.append(1)", "f()", "assert log == [1]", names=("f", "log")), limits=LIMITS
    )
    assert done.outcome("t1").ok, story(done)


def test_the_learner_cannot_replace_what_the_release_defines(walled_engine: Engine) -> None:
    setup = "def truth():\n    return 5"
    done = walled_engine.run(
        plan("def truth():\n    return 0\ndef f(): return 0", "assert f() == truth()", setup=setup), limits=LIMITS
    )
    assert not done.outcome("t0").ok


def test_a_stored_object_that_would_run_code_is_not_loaded(walled_engine: Engine) -> None:
    learner = "import pickle, os\nclass Run:\n    def __reduce__(self): return (os.getcwd, ())\ndef f():\n    open('m.pkl', 'wb').write(pickle.dumps(Run()))"
    done = walled_engine.run(
        plan(learner, "import pickle\nf()\nwith open('m.pkl', 'rb') as m:\n    pickle.load(m)"), limits=LIMITS
    )
    assert done.outcome("t0").error == "UnsafePickle", story(done)


def test_a_stored_estimator_is_loaded(walled_engine: Engine) -> None:
    learner = (
        "import pickle\nfrom sklearn.linear_model import LinearRegression\n"
        "def f():\n    open('m.pkl', 'wb').write(pickle.dumps(LinearRegression().fit([[0], [1]], [0, 1])))"
    )
    done = walled_engine.run(
        plan(
            learner,
            "import pickle\nf()\nm = pickle.load(open('m.pkl', 'rb'))\nassert abs(m.predict([[2]])[0] - 2) < 1e-9",
        ),
        limits=LIMITS,
    )
    assert done.outcome("t0").ok, story(done)


def test_files_of_the_plan_lie_in_the_work_folder_of_both(walled_engine: Engine) -> None:
    cells = plan("def f(): return open('data/x.txt').read()", "assert f() == open('data/x.txt').read() == 'here'").cells
    done = walled_engine.run(Plan(cells=cells, files={"data/x.txt": b"here"}), limits=LIMITS)
    assert done.outcome("t0").ok, story(done)


def test_the_same_leading_cells_run_once_and_their_files_and_names_are_there(walled_engine: Engine) -> None:
    setup = "import uuid\nfrom pathlib import Path\nmark = str(uuid.uuid4())\nPath('mark.txt').write_text(mark)"
    cells = plan(
        "def f(): return mark, open('mark.txt').read()",
        "assert f() == (mark, mark), f()\nraise RuntimeError(mark)",
        setup=setup,
    ).cells
    marks = {walled_engine.run(Plan(cells=cells), limits=LIMITS).outcome("t0").message for _ in range(2)}
    assert len(marks) == 1


def test_a_cell_that_starts_a_process_is_not_shared(walled_engine: Engine) -> None:
    setup = "import subprocess, sys, uuid\nmark = str(uuid.uuid4())\nhelper = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)"
    cells = plan(
        "def f(): return mark",
        "assert helper.poll() is None\nassert f() != mark\nraise RuntimeError(mark)",
        setup=setup,
    ).cells
    marks = {walled_engine.run(Plan(cells=cells), limits=LIMITS).outcome("t0").message for _ in range(2)}
    assert len(marks) == 2


def test_random_numbers_differ_between_submissions(walled_engine: Engine) -> None:
    tests = "import random, numpy as np\nraise RuntimeError(f'{f()} {random.random()} {np.random.rand()}')"
    learner = "import random, numpy as np\ndef f(): return random.random(), np.random.rand()"
    seen = [walled_engine.run(plan(learner, tests), limits=LIMITS).outcome("t0").message for _ in range(2)]
    assert seen[0] != seen[1]


def test_a_seed_set_by_the_release_is_kept(walled_engine: Engine) -> None:
    cells = plan(
        "def f(): return random.random()", "raise RuntimeError(str(f()))", setup="import random\nrandom.seed(5)"
    ).cells
    seen = {walled_engine.run(Plan(cells=cells), limits=LIMITS).outcome("t0").message for _ in range(2)}
    assert len(seen) == 1


def test_every_cell_has_an_outcome_and_later_exercises_count_after_a_crash(walled_engine: Engine) -> None:
    cells = (
        PlanCell("a", "solution", "def f(): ...", "import os\ndef f(): os._exit(1)"),
        PlanCell("t", "test", "assert f() == 1"),
        PlanCell("b", "solution", "def g(): ...", "def g(): return 1"),
        PlanCell("u", "test", "assert g() == 1"),
    )
    done = walled_engine.run(Plan(cells=cells), limits=LIMITS)
    assert [(o.id, o.ok) for o in done.outcomes] == [("a", True), ("t", False), ("b", True), ("u", True)]
    assert done.outcome("t").stopped == "exit"
    assert done.restarts == 1
