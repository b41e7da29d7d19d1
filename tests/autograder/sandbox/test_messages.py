"""Messages cross as they are, and what is no message that a process accepts is refused with a name."""

from __future__ import annotations

import contextlib
import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from autograder.sandbox import messages
from autograder.sandbox.messages import Malformed, Message, decode, dumps, loads
from autograder.sandbox.model import Limits

FAILURE = messages.Failure(error="ValueError", message="no", frames=("Cell In[2], line 1",), where="line 1")
DISPLAY = {"output_type": "display_data", "data": {"text/plain": "4"}, "metadata": {}}
KERNEL = messages.KernelStart(
    argv=("kernel", "-f", "x.json"), connection={"ip": "/kernels/k", "port": 1}, folder="tmp1"
)
EXAMPLES: tuple[Message, ...] = (
    messages.Launch(
        plan=(("ro", "/usr", "/usr"), ("proc", "/proc", "")),
        wall="bwrap",
        bwrap=None,
        command=("python",),
        environment={"A": "b"},
    ),
    messages.ForkserverSettings(
        walls=True, shell=False, base=(), preload=("numpy",), while_importing={"OMP_NUM_THREADS": "1"}
    ),
    messages.ForkserverReady(missing=("torch (ImportError)",)),
    messages.ForkSession(disk_mb=5, work="/w", tmp="/t", home="/h"),
    messages.SessionReady(),
    messages.Files(),
    messages.RunPrefix(),
    messages.PrefixRan(ran=3, safe=False),
    messages.Spawn(role=messages.Role.JUDGE, limits=Limits(wall_seconds=2.5)),
    messages.Spawn(role=messages.Role.KERNEL, limits=Limits(), kernel=KERNEL),
    messages.Stop(role=messages.Role.LEARNER),
    messages.Ended(role=messages.Role.LEARNER, status=-9),
    messages.Failed(what="Files", why="OSError: full"),
    messages.StartProgram(),
    messages.PollProgram(),
    messages.SignalProgram(number=15),
    messages.DialProgram(port=8000),
    messages.ProgramState(code=None, why="no such file"),
    messages.ProgramState(code=-9),
    messages.Dialled(errno=111),
    messages.Connect(question=1),
    messages.Guard(question=1),
    messages.Bind(names=("f", "g"), question=2),
    messages.RunCell(source="x = 1", number=4, question=3),
    messages.RunTest(source="assert x", number=5, seed="f00d", question=4),
    messages.Done(gone=False, question=1),
    messages.CellRan(failure=FAILURE, outputs=(DISPLAY,), question=3),
    messages.CellRan(failure=None, outputs=(), question=3),
    messages.Verdict(failure=None, outputs=(), remote=False, value=0.5, gone=False, missing="", question=4),
)
KINDS = {type(example) for example in EXAMPLES}
FORGED = messages.CellRan(failure=FAILURE, outputs=(DISPLAY,), question=3)


def on_the_wire(example: Message) -> dict[str, Any]:
    wire: dict[str, Any] = json.loads(dumps(example))
    return wire


def names(example: Message) -> str:
    return type(example).__name__


def test_there_is_an_example_of_every_message() -> None:
    public = {getattr(messages, name) for name in messages.__all__}
    declared = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Message)}
    assert declared - {Message, messages.Command, messages.Answer} == KINDS


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_a_message_comes_back_equal(example: Message) -> None:
    assert loads(dumps(example), type(example)) == example
    assert decode(on_the_wire(example), *KINDS) == example


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_an_additional_field_is_refused_by_name(example: Message) -> None:
    with pytest.raises(Malformed, match=f"{names(example)} has no field 'planted'"):
        decode({**on_the_wire(example), "planted": 1}, type(example))


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_a_missing_field_is_refused_by_name(example: Message) -> None:
    for field in fields(example):
        wire = on_the_wire(example)
        del wire[field.name]
        with pytest.raises(Malformed, match=f"{names(example)} lacks the field '{field.name}'"):
            decode(wire, type(example))


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_a_field_of_another_type_is_refused_by_name(example: Message) -> None:
    for field in fields(example):
        with pytest.raises(Malformed, match=f"{names(example)}.{field.name} can't be of type object"):
            decode({**on_the_wire(example), field.name: object()}, type(example))


@pytest.mark.parametrize(
    ("example", "field", "wrong"),
    [
        (messages.Ended(role=messages.Role.JUDGE, status=1), "status", True),
        (messages.Ended(role=messages.Role.JUDGE, status=1), "status", 1.0),
        (messages.Ended(role=messages.Role.JUDGE, status=1), "role", "grader"),
        (messages.Ended(role=messages.Role.JUDGE, status=1), "role", ["judge"]),
        (messages.PrefixRan(ran=1, safe=True), "safe", 1),
        (messages.Failed(what="a", why="b"), "why", None),
        (messages.Bind(names=("f",)), "names", "f"),
        (messages.Bind(names=("f",)), "names", {"f": 1}),
        (messages.Bind(names=("f",)), "names", ["f", 1]),
        (EXAMPLES[0], "plan", [["ro", "/usr"]]),
        (EXAMPLES[0], "plan", [["ro", "/usr", "/usr", "/usr"]]),
        (EXAMPLES[0], "wall", "none"),
        (EXAMPLES[0], "environment", {"A": 1}),
        (EXAMPLES[-1], "value", "1"),
        (EXAMPLES[-1], "value", True),
    ],
)
def test_a_type_that_is_nearly_right_is_refused(example: Message, field: str, wrong: Any) -> None:
    with pytest.raises(Malformed, match=f"{names(example)}.{field} can't be"):
        decode({**on_the_wire(example), field: wrong}, type(example))


@pytest.mark.parametrize(
    ("wire", "complaint"),
    [
        ({"op": "CellRan2"}, "the message 'CellRan2' is not accepted"),
        ({"op": "Spawn", "role": "judge"}, "the message 'Spawn' is not accepted"),
        ({"op": "__class__"}, "not accepted"),
        ({"op": ["CellRan"]}, "of type list"),
        ({}, "of type NoneType"),
        ([], "no object"),
        (None, "no object"),
    ],
)
def test_what_a_process_does_not_accept_is_refused(wire: Any, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        decode(wire, *messages.FROM_LEARNER)


@pytest.mark.parametrize(
    "change",
    [
        {"failure": {"error": "E", "message": "m", "frames": [], "where": "", "ok": True}},
        {"failure": {"error": "E"}},
        {"failure": {"error": "E", "message": 5, "frames": [], "where": ""}},
        {"failure": {"error": "E", "message": "m", "frames": [["x"]], "where": ""}},
        {"outputs": ["x"]},
        {"outputs": {"0": {}}},
        {"question": True},
    ],
)
def test_what_a_learner_forges_inside_a_message_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode({**on_the_wire(FORGED), **change}, *messages.FROM_LEARNER)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\xff", '{"op": "CellRan"'])
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        loads(text, *messages.FROM_LEARNER)


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["error", "message", "frames", "where", "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine drawing takes long
@given(st.dictionaries(st.sampled_from(["failure", "outputs", "question", "n"]), json_trees))
def test_any_object_is_a_message_or_refused(wire: dict[str, Any]) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(decode({"op": "CellRan", **wire}, *messages.FROM_LEARNER), messages.CellRan)
