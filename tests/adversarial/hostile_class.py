r"""A class of hostile and unlucky learners: what each hands in of the tiny course, and the points that are right for it.

Exercise 1.1 (`mean`) is worth 3 points and 1.2 (`median`) 4. A learner who breaks nothing but the text around a right
answer has 7.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.authoring.assignments import grade_id_of

NAME = "01_tiny"
MEAN = "def mean(values):\n    return sum(values) / len(values)\n"
MEDIAN = "import statistics\ndef median(values):\n    return statistics.median(values)\n"
ANSWER = "When a few values are extreme: **one** delay of 100 minutes.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n$a < b$"
SHOW = "from IPython.display import display\n"


@dataclass(frozen=True)
class Learner:
    """What somebody hands in, and what is right: points, status, and words that the row says somewhere."""

    data: bytes
    points: float
    status: str = "graded"
    words: str = ""


def solved(release: NotebookNode, mean: str = MEAN, answer: str = ANSWER) -> NotebookNode:
    """Return a copy with answers written into it."""
    notebook = copy.deepcopy(release)
    for grade_id, text in (("ex-1-1", mean), ("ex-1-2", MEDIAN), ("interview-1", answer)):
        next(cell for cell in notebook.cells if grade_id_of(cell) == grade_id).source = text
    return notebook


RAISED = {  # the message of an exception, as a Python expression; the notebook loses exercise 1.1 and nothing else
    "half_a_pair": r"'bad \ud800 half'",
    "low_half": r"'\udfff' * 50",
    "null": r"'nul\x00nul'",
    "override": r"'\u202egnp.exe \u2066x\u2069 \u200f\u061c'",
    "terminal": r"'\x1b]0;owned\x07\x1b[2J\x1b[31mred \x9b31m \x08\x08'",
    "returns": r"'first\r\nsecond\rann, 01_tiny: graded\x0b\x0c\x1c\x85\u2028\u2029x'",
    "script": "'<script>alert(1)</script><img src=x onerror=alert(1)>'",
    "entity": "'&lt;script&gt;alert(1)&lt;/script&gt; &#60;svg onload=alert(1)&#62;'",
    "formula": "'=cmd|\\' /C calc\\'!A0'",
    "formula_space": '\' \\t=HYPERLINK("http://x","y")\'',
    "formula_part": "'x;=1+1;@SUM(A1);-2+3'",
    "formula_wide": "'＝1+1'",
    "quotes": '\'a","b\\n""=1+1\'',
    "markup": "'[/red] [bold]x[/bold] [link=http://x]y[/link] [[/]]'",
    "template": "'{{ 7 * 7 }} {% raw %} {0} %s %(x)s ${x} #{x}'",
    "link": "'[x](javascript:alert(1)) ![](http://t/x.png) <http://x>'",
    "megabyte": r"'x' * 3_000_000",
    "megabyte_wide": r"'\U0001f600\ud800' * 500_000",
    "mathjax": r"'$\\href{javascript:alert(1)}{x}$'",
    "private": r"'\ufffe\uffff\ufeff\U0010ffff\ue000'",
    "zalgo": r"'e' + '\u0301' * 5000",
}
ODD_RAISES = {  # statements
    "name_half": r"raise type('Bad\ud800Error', (Exception,), {})('x')",
    "name_tag": "raise type('<script>alert(1)</script>', (Exception,), {})('x')",
    "name_long": "raise type('E' * 1_000_000, (Exception,), {})('x')",
    "text_raises": "class E(Exception):\n    def __str__(self): raise ValueError('\\ud800')\nraise E()",
    "text_is_odd": "class S(str):\n    def __str__(self): return '\\ud800'\nclass E(Exception):\n    def __str__(self): return S('\\udc80')\nraise E()",
    "system_exit": "raise SystemExit('\\ud800')",
    "called_half": r"def mean(values): raise ValueError('bad \ud800 half \x00')",
    "called_assert": r"def mean(values): raise AssertionError('\ud800 =1+1 <script>')",
    "returned_half": r"def mean(values): return '\ud800' * len(values)",
    "returned_deep": "def mean(values):\n    x = []\n    for _ in range(50_000): x = [x]\n    return x",
    "returned_huge": "def mean(values): return 10 ** 5000",
    "huge_literal": "x = " + "9" * 5000,
    "minus": "x = " + "-" * 50_000 + "1",
    "sums": "x = " + "1+" * 50_000 + "1",
    "parentheses": "x = " + "(" * 50_000,
    "attributes": "x = a" + ".a" * 50_000,
}
_DEEP = "x = []\nfor _ in range({}): x = [x]\n"
SHOWN = {  # what runs after a right answer; no point moves
    "shows_deep": _DEEP.format(100_000) + "display({'application/json': {'a': x}}, raw=True)",
    "shows_900": _DEEP.format(900) + "display({'application/json': {'a': x}}, raw=True)",
    "shows_huge": "display({'application/json': {'a': 10 ** 5000}}, raw=True)",
    "shows_nan": "display({'application/json': {'a': float('nan'), 'b': [float('inf')]}}, raw=True)",
    "shows_object": "display({'application/json': {'a': object(), 1: {2}}}, raw=True)",
    "shows_large": "for _ in range(20): display({'text/html': 'x' * 900_000}, raw=True)",
    "shows_many": "for i in range(20_000): display({'text/plain': str(i)}, raw=True)",
    "shows_wide": "display({'application/json': {str(i): i for i in range(300_000)}}, raw=True)",
    "shows_half": r"display({'text/plain': '\ud800', 'text/html': '<b>\udfff</b>', '\ud800/x': 'y'}, raw=True)",
    "shows_script": "display({'text/html': '<script>alert(1)</script><table><tr><td>seen</td></tr></table>'}, raw=True)",
    "shows_svg": "display({'image/svg+xml': '<svg onload=alert(1)></svg>', 'application/javascript': 'alert(1)'}, raw=True)",
    "shows_fake_png": "display({'image/png': '\"><script>alert(1)</script>'}, raw=True)",
    "shows_mathjax": r"display({'text/html': '<p>$&#92;href{javascript:alert(1)}{x}$</p>', 'text/latex': '$x$'}, raw=True)",
    "prints_bytes": "import os\nos.write(1, bytes(range(256)) * 100)",
    "prints_half": r"import sys; sys.stdout.buffer.write('\ud800'.encode('utf-8', 'surrogatepass'))",
    "prints_returns": r"for i in range(20_000): print(f'\r{i} %\x1b[32m', end='')",
    "prints_tags": "print('<script>alert(1)</script>')",
    "result_half": r"'\ud800\x00\u202e'",
    "result_score": "class S:\n    def _repr_mimebundle_(self, **_): return {'application/vnd.mlops-course.score+json': {'message': 'x' * 999}, 'text/plain': '99'}\nS()",
    "repr_raises": "class R:\n    def __repr__(self): raise SystemError('\\ud800')\nR()",
    "form_feed": "\x0c\ny = 1",
    "escape_in_string": "assert '\x1b[31m' == chr(27) + '[31m'",
    "override_in_string": "assert '\u202e' == chr(0x202e)  # \u2066 comment",
}
ANSWERS = {  # the text of the written answer
    "answer_script": "My answer.\n\n<script>fetch('/api/contents/x', {method: 'PUT'})</script>\n\n<img src=x onerror=alert(1)>",
    "answer_links": "[x](javascript:alert(1)) ![t](http://t/x.png) [y][z]\n\n[z]: javascript:alert(1)",
    "answer_mathjax": r"$\href{javascript:alert(1)}{x}$ and &#36;&#92;href{javascript:alert(1)}{x}&#36;",
    "answer_half": "half \ud800 and \x00 and \u202eback",
    "answer_arabic": "المتوسط يضلل عندما تكون بعض القيم متطرفة\u200f.",
    "answer_megabyte": "x" * 2_000_000,
    "answer_formula": '=IMPORTXML("http://x", "//a")',
}


def _document(notebook: NotebookNode) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(nbformat.writes(notebook))
    return document


def _with(key: str, value: bytes) -> Callable[[dict[str, Any]], bytes]:
    """Put raw JSON, which a parser may not survive, at the place ``key`` of the first code cell or of the notebook."""

    def make(document: dict[str, Any]) -> bytes:
        code = next(cell for cell in document["cells"] if cell["cell_type"] == "code")
        place = (
            code
            if key in ("outputs", "execution_count")
            else code["metadata"]
            if key == "cell"
            else document["metadata"]
        )
        place[key] = "@@"
        return json.dumps(document).encode().replace(b'"@@"', value)

    return make


def _cells(*cells: Any, count: int = 1) -> Callable[[dict[str, Any]], bytes]:
    return lambda document: json.dumps({**document, "cells": document["cells"] + list(cells) * count}).encode()


def _markdown(**more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": "x", **more}


def _set(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda document: json.dumps({**document, **changes}).encode()


def _graded(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    """Change the nbgrader metadata of every cell that has some."""

    def make(document: dict[str, Any]) -> bytes:
        for cell in document["cells"]:
            if "nbgrader" in cell["metadata"]:
                cell["metadata"]["nbgrader"] |= changes
        return json.dumps(document).encode()

    return make


def _old(document: dict[str, Any]) -> bytes:
    old = _document(nbformat.convert(nbformat.from_dict(document), 3))
    code = next(cell for cell in old["worksheets"][0]["cells"] if cell["cell_type"] == "code")
    code["outputs"] = "@@"
    return json.dumps(old).encode().replace(b'"@@"', _NEST)


_NEST, _NEST_900 = b"[" * 50_000 + b"]" * 50_000, b'{"a":[' * 450 + b"]}" * 450
_KERNEL = {"kernelspec": {"name": "\ud800", "language": "python", "display_name": "<script>"}}
FILES: dict[
    str, tuple[Callable[[dict[str, Any]], bytes], float, str]
] = {  # of a right solution: points, words of the row
    "outputs_deep": (_with("outputs", _NEST), 7, ""),
    "outputs_many": (_with("outputs", b"[" + b"{}," * 2_000_000 + b"{}]"), 7, ""),
    "outputs_large": (_with("outputs", b'["' + b"A" * (40 << 20) + b'"]'), 7, "40 MB"),
    "outputs_huge": (_with("outputs", b"[" + b"9" * 1_000_000 + b"]"), 7, ""),
    "outputs_no_list": (_with("outputs", b'{"a": NaN}'), 7, ""),
    "widgets": (_with("widgets", b'{"state": "' + b"A" * (9 << 20) + b'"}'), 7, ""),
    "metadata_deep": (_with("x", _NEST), 7, "50 levels"),
    "metadata_900": (_with("x", _NEST_900), 7, ""),
    "metadata_huge": (_with("x", b"9" * 50_000), 7, "300 digits"),
    "metadata_nan": (_with("x", b"[NaN, Infinity, -Infinity]"), 7, "NaN"),
    "metadata_many": (_with("x", b"[" + b"{}," * 4_500_000 + b"{}]"), 7, "metadata were left out"),
    "cell_deep": (_with("cell", _NEST), 7, "50 levels"),
    "count_huge": (_with("execution_count", b"1e999"), 7, ""),
    "points_nan": (_graded(points=float("nan")), 7, "NaN"),
    "points_many": (_graded(points=1e300), 7, "restored"),
    "points_text": (_graded(points="\ud800<script>"), 7, "restored"),
    "schema_odd": (_graded(schema_version={"a": [[]]}, cell_type="\ud800"), 7, ""),
    "keys_twice": (lambda document: json.dumps(document).encode()[:-1] + b', "metadata": {}, "nbformat": 4}', 7, ""),
    "attachments_many": (
        _cells(_markdown(attachments={str(i): {"image/png": "AAAA"} for i in range(100_000)})),
        7,
        "100,000",
    ),
    "attachments_odd": (
        _cells(_markdown(attachments={'"><script>': {"text/html": "<script>"}, "\ud800": {"image/png": [[]]}})),
        7,
        "",
    ),
    "cells_many": (_cells(_markdown(), count=4_900), 7, ""),
    "cells_same": (lambda document: json.dumps({**document, "cells": document["cells"] * 100}).encode(), 7, "times"),
    "cells_odd": (_cells(None, 3, [], {"cell_type": "\ud800<script>", "source": 7, "metadata": 3}), 7, "unknown type"),
    "ids_odd": (_cells({**_markdown(), "id": "\ud800" * 100}, {**_markdown(), "id": 7}), 7, ""),
    "source_lines": (_cells(_markdown(source=["x\n"] * 100_000)), 7, ""),
    "tags_odd": (_cells(_markdown(metadata={"tags": ["\ud800", [[[[]]]]], "nbgrader": "x"})), 7, ""),
    "kernel_odd": (_set(metadata=_KERNEL), 7, ""),
    "language_odd": (_set(metadata={"kernelspec": {"language": "\u202e<script>"}}), 7, "kernel"),
    "metadata_none": (_set(metadata=None, nbformat_minor="\ud800"), 7, ""),
    "utf16": (lambda document: json.dumps(document).encode("utf-16"), 7, "UTF-16"),
    "bom": (lambda document: json.dumps(document).encode("utf-8-sig"), 7, ""),
    "latin": (
        lambda document: json.dumps({**document, "metadata": {"x": "ü"}}, ensure_ascii=False).encode(
            "cp1252", "replace"
        ),
        7,
        "Windows",
    ),
    "format_3": (_old, 7, "format 3"),
}
REJECTED = {  # bytes that are no notebook, and words of the reason
    "no_json": (b"hello \xff\x00\x1b[31m", "not JSON"),
    "nothing": (b"", "empty"),
    "only_deep": (_NEST, "not a notebook"),
    "open_deep": (b"[" * 200_000, "deeply"),
    "digits": (b"9" * 100_000, "not JSON"),
    "web_page": (b"<!doctype html><script>alert(1)</script>", "web page"),
    "cells_millions": (b'{"nbformat": 4, "cells": [' + b"{}," * 4_500_000 + b"{}]}", "values"),
    "cells_5001": (b'{"nbformat": 4, "cells": [' + b"{}," * 5_000 + b"{}]}", "5001 cells"),
    "format_huge": (b'{"nbformat": ' + b"9" * 299 + b', "cells": []}', "format"),
    "format_half": (b'{"nbformat": "\\ud800", "cells": []}', "format"),
    "source_large": (
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "' + b"x" * (11 << 20) + b'"}]}',
        "10 million",
    ),
    "merge": (b'{"cells": [\n<<<<<<< HEAD\n=======\n>>>>>>> \xe2\x80\xae\n', "merge"),
}
STRANGE_FILES = [  # in the folder of somebody without a notebook
    b"=1+1.txt", b"[x](javascript:alert(1)).txt", b"<svg onload=alert(1)>.txt", b"half\xff\xfe.txt", b"line\nbreak.txt",
    b"\x1b[31mred.txt", "\u202egnp.exe".encode(), b"[red]x.txt", b"-rf", "e\u0301.ipynb.txt".encode(),
]  # fmt: skip
STRANGE_NAMES = [  # of students who solved everything; the file system lets them in
    b"=HYPERLINK(1)", b"@sum", b"-rf", b"[bold]bob", b"{{ 7*7 }}", b"<img src=x onerror=alert(1)>", b"zo\xff", b"line\nbreak",
    b"esc\x1b[31m", "\u202enaf".encode(), "عمر".encode(), "Zoë Ünal".encode(), "\U0001f600".encode(), b"n" * 250, b"a;=1+1", b"%s %n",
]  # fmt: skip


def learners(release: NotebookNode) -> dict[str, Learner]:
    """Return every learner by name: honest ones among the others."""
    plain = nbformat.writes(solved(release)).encode()
    found = {f"honest{n}": Learner(plain, 7) for n in range(3)}
    found["empty"] = Learner(nbformat.writes(release).encode(), 0)
    for name, text in RAISED.items():
        found[name] = _written(solved(release, f"raise ValueError({text})"), 4)
    for name, source in ODD_RAISES.items():
        found[name] = _written(solved(release, source), 4)
    for name, source in SHOWN.items():
        found[name] = _written(solved(release, MEAN + SHOW + source), 7)
    for name, answer in ANSWERS.items():
        found[name] = _written(solved(release, answer=answer), 7)
    for name, (make, points, words) in FILES.items():
        found[name] = Learner(make(_document(solved(release))), points, words=words)
    for name, (data, words) in REJECTED.items():
        found[name] = Learner(data, 0, "rejected", words)
    return found


def _written(notebook: NotebookNode, points: float) -> Learner:
    return Learner(json.dumps(notebook).encode(), points)  # half a pair becomes an escape, as Jupyter writes it


def write_class(folder: Path, release: NotebookNode) -> dict[str, Learner]:
    """Write the class and return its learners, those with strange names left out."""
    found = learners(release)
    for name, learner in found.items():
        _write(folder / name / f"{NAME}.ipynb", learner.data)
    for raw in STRANGE_NAMES:
        _write(folder / os.fsdecode(raw) / f"{NAME}.ipynb", found["honest0"].data)
    for raw in STRANGE_FILES:
        _write(folder / "lost" / os.fsdecode(raw), b"x")
    (folder / "symlink").mkdir()
    (folder / "symlink" / f"{NAME}.ipynb").symlink_to("/etc/hostname")
    (folder / "pipe").mkdir()
    os.mkfifo(folder / "pipe" / f"{NAME}.ipynb")
    (folder / "honest1" / "timestamp.txt").write_bytes(b"\xff=1+1\x00")
    (folder / "honest2" / "timestamp.txt").write_text("\u202e<script>2026")
    return {**found, **{name: Learner(b"", 0, "rejected", "") for name in ("lost", "symlink", "pipe")}}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
