"""YAML of strangers: plain values, and an error by name for documents that stand for more than they hold."""

from __future__ import annotations

import pytest
import yaml

from course_lib import safe_yaml
from course_lib.containers.reading.compose import ComposeError, read_compose
from course_lib.delivery import workflow

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGES = "a0: &a0 {k: 1, l: 2}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 10)
)
KEYS = "? &a [x, y]\n: 1\n? &b [*a, *a]\n: 2\n"
BOMBS = {
    "aliases of aliases": (LAUGHS, "aliases are written out"),
    "merged mappings": (MERGES, "aliases are written out"),
    "one alias, ten thousand times": ("a: &a [1, 2, 3]\nb: [" + "*a, " * 10_000 + "]", "aliases are written out"),
    "an alias in itself": ("a: &a [*a]", "inside what it names"),
    "a mapping in itself": ("a: &a {b: {c: *a}}", "inside what it names"),
    "lists in lists": ("[" * 5_000, "levels deep"),
    "sequences on one line": ("- " * 5_000, "levels deep"),
    "mappings in mappings": ("{a: " * 5_000, "levels deep"),
    "a very long text": ("x" * 300_000, "characters"),
    "many values": ("[" + "1, " * 30_000 + "]", "values"),
    "a number of 5,000 digits": ("a: " + "9" * 5_000, "cannot be read"),
    "a date that is none": ("a: 2026-99-99", "cannot be read"),
    "a key that is no value": (KEYS, "unhashable"),
    "a Python object": ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
    "two documents": ("a: 1\n---\nb: 2", "single document"),
    "control characters": ("a: \x00\x07", "special characters"),
}


@pytest.mark.parametrize(("text", "reason"), BOMBS.values(), ids=BOMBS)
@pytest.mark.timeout(60)
def test_what_stands_for_too_much_is_refused_by_name_before_anybody_walks_over_it(text, reason):
    with pytest.raises(yaml.YAMLError, match=reason):
        safe_yaml.load(text)


@pytest.mark.parametrize("text", [LAUGHS, MERGES, BOMBS["an alias in itself"][0], "[" * 5_000, "a: 2026-99-99"])
@pytest.mark.timeout(60)
def test_a_workflow_and_a_compose_file_of_that_kind_are_errors_of_the_learner(text):
    with pytest.raises(workflow.WorkflowError, match="no YAML"):
        workflow.read_workflow(f"name: x\non: push\njobs:\n  a: {{}}\nx:\n  {text.replace(chr(10), chr(10) + '  ')}")
    with pytest.raises(ComposeError, match="no YAML"):
        read_compose(text)


@pytest.mark.parametrize(
    "text",
    ["", "a: 1", "- 1\n- [2, {b: c}]", "base: &b {x: 1}\nown: {<<: *b, y: 2}", "on: push\nd: 2026-11-29",
     "a: |\n  x\n  y\n", "a: &a [1, 2]\nb: [*a, *a]", "[" * 30 + "]" * 30, "a: 1.5e3\nb: ~\nc: 'on'", "ü: \U0001f600"],
)  # fmt: skip
def test_what_people_write_is_read_as_before(text):
    assert safe_yaml.load(text) == yaml.safe_load(text)
