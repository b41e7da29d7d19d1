"""A simulation of switches and rollbacks: both played on paper, against a server that behaves as a script says.

It counts the requests that a real one would lose, so a policy can be judged in microseconds before it is let loose on
processes. Time runs in ticks; new requests arrive in every tick, and each takes some ticks to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from course_lib.rollout.switch_policy import ACTIONS, Policy

__all__ = ["STEPS", "Rehearsal", "World", "rehearse_rollback", "rehearse_switch"]

STEPS = ("start", "await ready", "ready", "drain", "await empty", "stop")
_TICK = 0.05  # seconds
_LIMIT = 1000  # looks: 50 s


@dataclass(frozen=True, kw_only=True)
class World:
    """How the new server and the old one behave.

    Attributes
    ----------
    ready
        The new server's answers on ``/ready``, one per look; the last one holds from then on.
    dies_at
        Look at which its process ends, or ``None``.
    smoke
        Result of its smoke test: ``passed`` or ``failed``.
    finishing
        Requests that the old server is still answering after it was drained, one number per look.
    arrivals
        New requests per look.
    """

    ready: tuple[bool, ...] = (False, False, True)
    dies_at: int | None = None
    smoke: str = "passed"
    finishing: tuple[int, ...] = (4, 2, 0)
    arrivals: int = 10


@dataclass
class Rehearsal:
    """How a rehearsal went.

    Attributes
    ----------
    outcome
        ``done``, ``give up``, or ``never ended``.
    lost
        Lost requests by cause.
    actions
        What was done, in order.
    """

    outcome: str = "never ended"
    lost: dict[str, int] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)

    def lose(self, cause: str, requests: int) -> None:
        """Count lost requests."""
        if requests:
            self.lost[cause] = self.lost.get(cause, 0) + requests


def rehearse_switch(policy: Policy, world: World) -> Rehearsal:
    """Play a switch: the policy is called with a view of ``world`` until it says ``done`` or ``give up``."""
    played = Rehearsal()
    traffic, smoke, since_drain = "old", "not run", 0
    for look in range(1, _LIMIT + 1):
        alive = look < (world.dies_at or _LIMIT + 1)
        ready = [
            answer and at < (world.dies_at or _LIMIT + 1) for at, answer in enumerate(_first(world.ready, look), 1)
        ]
        left = _at(world.finishing, since_drain) if traffic == "new" else world.finishing[0]
        action = policy(
            {
                "alive": alive,
                "ready": ready,
                "waited": round(look * _TICK, 3),
                "smoke": smoke,
                "traffic": traffic,
                "old_in_flight": left,
            }
        )
        played.actions.append(action)
        if action not in ACTIONS:
            played.outcome = f"unknown action {action!r}"
            return played
        if action in ("done", "give up"):
            played.outcome = action
            _lose_at_the_end(played, action, traffic, left, world)
            return played
        smoke = world.smoke if action == "smoke test" else smoke
        if action == "smoke test" and not ready[-1]:
            smoke = "failed"  # nobody answers
        traffic = {"send traffic": "both", "drain old": "new"}.get(action, traffic)
        since_drain += traffic == "new" and action != "drain old"
        _lose_on_the_way(played, traffic, ready[-1], world)
    return played


def rehearse_rollback(plan: Sequence[str], *, good: str, bad: str, good_is_running: bool) -> Rehearsal:
    """Play a rollback plan such as ``["ready blue", "drain green", "await empty green", "stop green"]``.

    Each step is one of :data:`STEPS` and a colour. Two new requests arrive before each step; a request takes three
    steps, or as long as an ``await empty`` waits.
    """
    played = Rehearsal()
    slots = {good: _Slot(good_is_running, good_is_running), bad: _Slot(True, True, open=True)}
    for text in plan:
        _arrive(played, slots, 2)
        step, _, colour = str(text).rpartition(" ")
        played.actions.append(str(text))
        if step not in STEPS or colour not in slots:
            played.outcome = f"unknown step {text!r}"
            return played
        _DO[step](played, slots[colour])
        for slot in slots.values():
            slot.in_flight = [left - 1 for left in slot.in_flight if left > 1]
    _arrive(played, slots, 2)
    done = slots[good].open and not slots[bad].open
    played.outcome = "done" if done else f"{bad} still gets requests" if slots[bad].open else "nobody gets requests"
    return played


@dataclass
class _Slot:
    running: bool
    warm: bool
    open: bool = False
    in_flight: list[int] = field(default_factory=list)


def _arrive(played: Rehearsal, slots: Mapping[str, _Slot], requests: int) -> None:
    """Send new requests to the open slots in turn."""
    taking = [slot for slot in slots.values() if slot.open]
    for number in range(requests):
        if not taking:
            played.lose("no slot was open", 1)
        elif not (slot := taking[number % len(taking)]).running:
            played.lose("sent to a stopped server", 1)
        elif not slot.warm:
            played.lose("sent to a server that was not ready", 1)
        else:
            slot.in_flight.append(3)


def _start(played: Rehearsal, slot: _Slot) -> None:
    if slot.running:
        played.lose("started again although it was running", len(slot.in_flight) + 1)
        slot.warm = False
    slot.running = True


def _await_ready(played: Rehearsal, slot: _Slot) -> None:
    if slot.running:
        slot.warm = True
    else:
        played.lose("waited for a server that was never started", 1)


def _open(_: Rehearsal, slot: _Slot) -> None:
    slot.open = True


def _drain(_: Rehearsal, slot: _Slot) -> None:
    slot.open = False


def _await_empty(played: Rehearsal, slot: _Slot) -> None:
    if slot.open:
        played.lose("waited for a slot to empty that still got requests", 1)
    slot.in_flight = []


def _stop(played: Rehearsal, slot: _Slot) -> None:
    played.lose("stopped with requests in flight", len(slot.in_flight))
    slot.running, slot.warm, slot.in_flight = False, False, []


_DO: dict[str, Callable[[Rehearsal, _Slot], None]] = {
    "start": _start,
    "await ready": _await_ready,
    "ready": _open,
    "drain": _drain,
    "await empty": _await_empty,
    "stop": _stop,
}


def _first(values: tuple[Any, ...], count: int) -> list[Any]:
    return [_at(values, index) for index in range(count)]


def _at(values: tuple[Any, ...], index: int) -> Any:
    return values[min(index, len(values) - 1)]


def _lose_on_the_way(played: Rehearsal, traffic: str, ready: bool, world: World) -> None:
    share = {"old": 0.0, "both": 0.5, "new": 1.0}[traffic]
    if share and not ready:
        played.lose("sent to a server that was not ready", int(world.arrivals * share))
    elif share and world.smoke == "failed":
        played.lose("answered wrong by a version that fails its smoke test", int(world.arrivals * share))


def _lose_at_the_end(played: Rehearsal, action: str, traffic: str, left: int, world: World) -> None:
    if action == "done" and traffic == "new":
        played.lose("still in flight when the old server was stopped", left)
    elif action == "done":
        played.lose("sent to the old server after it was stopped", world.arrivals)
