"""Every attack gets the result it must get, and leaves nothing behind."""

from __future__ import annotations

import json
import time

import cases_limits
import cases_verdict
import cases_walls
import pytest
from arena import LIMITS, PATIENT, SECRET, Host, attacked, lives, plan_for, reference, settled
from attacks import Attack

from autograder.sandbox import Engine, ExecutedSubmission, capabilities
from autograder.sandbox.isolation.usage import descendants

ATTACKS = [*cases_verdict.CASES, *cases_walls.CASES, *cases_limits.CASES]


def test_there_are_enough_attacks() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 60


@pytest.mark.parametrize("attack", [pytest.param(a, id=a.name.replace(" ", "-")) for a in ATTACKS])
def test_attack_gets_its_result_and_leaves_nothing(
    attack: Attack, engine: Engine, processes: frozenset[int], host: Host
) -> None:
    runs = attacked(engine, attack, _aimed(attack.source, host))
    for done, limits in runs:
        assert all(allowed or not got for got, allowed in zip(_passed(done), attack.passes, strict=True)), _story(done)
        said = _said(done)
        assert "ESCAPED" not in said, said
        assert SECRET not in said
        assert done.seconds < limits.wall_seconds + 15
        assert done.peak_mb < limits.memory_mb * 1.5
    done, _ = runs[-1]
    assert attack.races or _passed(done) == attack.passes, _story(done)
    assert attack.says in _said(done), _said(done)
    check = done.outcome("check-1")
    assert attack.message in f"{check.error}: {check.message}", _story(done)
    assert host.reached() == []
    assert settled(engine, processes) == processes


def test_an_attack_does_not_touch_its_neighbour(engine: Engine, host: Host) -> None:
    import threading

    bomb = next(a for a in ATTACKS if a.name == "fork bomb")
    attacker = threading.Thread(
        target=engine.run, args=(plan_for(bomb.source),), kwargs={"limits": LIMITS, "reference": reference()}
    )
    attacker.start()
    done = engine.run(reference(), limits=PATIENT, reference=reference())
    attacker.join()
    assert all(outcome.ok for outcome in done.outcomes), _story(done)


def test_the_engine_ends_with_everything_below_it() -> None:
    engine = Engine(sandbox=capabilities().choose("auto"), preload=(), cache=None)
    engine.run(plan_for("def add(a, b):\n    return a + b"), limits=LIMITS)
    below = descendants(engine.pid)
    engine.close()
    deadline = time.monotonic() + 60
    while any(lives(pid) for pid in below) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in below if lives(pid)] == []


def _aimed(source: str, host: Host) -> str:
    for name in ("canary", "port", "abstract", "pid"):
        source = source.replace("{" + name + "}", str(getattr(host, name)))
    return source


def _passed(done: ExecutedSubmission) -> tuple[bool, ...]:
    return tuple(done.outcome(name).ok for name in ("check-1", "hidden-1", "check-2"))


def _said(done: ExecutedSubmission) -> str:
    """Return everything that a learner would get to see."""
    return json.dumps([(o.outputs, o.message) for o in done.outcomes], ensure_ascii=False, default=str)


def _story(done: ExecutedSubmission) -> str:
    return (
        "\n".join(f"{o.id}: {o.ok} {o.error}: {o.message[:300]} {o.stopped}" for o in done.outcomes)
        + f"\n{done.stopped} {done.reason}"
    )
