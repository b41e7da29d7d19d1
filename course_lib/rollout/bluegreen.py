"""Blue/green: the new version starts beside the old one, proves itself, gets the traffic, and the old one drains.

Real processes behind a real proxy. The old server stays up and warm until the next deployment, so that going back
takes two commands and loses nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from course_lib import processes
from course_lib.errors import EngineError, RolloutError
from course_lib.rollout.proxy import COLOURS, Proxy
from course_lib.rollout.smoke import SmokeTest
from course_lib.rollout.switch import Candidate, Launch, Smoke, Step, Switch, launch, why_refused
from course_lib.rollout.switch_policy import ACTIONS, Policy, careful

__all__ = ["BlueGreen"]

_LOOK = 0.05  # seconds between two looks
_PATIENCE = 60.0  # seconds after which a switch that does not end is given up, whatever the policy says


class BlueGreen:
    """Two slots behind a proxy, of which one is live.

    Parameters
    ----------
    proxy
        A running proxy.
    smoke
        Called with the base URL of a new server before it gets traffic; by default every server passes.
    start
        Makes the server process for a bundle and a port.
    policy
        Decides each next action; see :func:`course_lib.rollout.switch_policy.careful`.

    Examples
    --------
    >>> with Proxy() as proxy, BlueGreen(proxy) as desk:  # doctest: +SKIP
    ...     desk.deploy(bundle)
    """

    def __init__(
        self, proxy: Proxy, *, smoke: Smoke | None = None, start: Launch = launch, policy: Policy = careful
    ) -> None:
        self.proxy = proxy
        self.live: str | None = None
        self.servers: dict[str, processes.Server] = {}
        self._smoke = smoke or (lambda _: SmokeTest(0, ()))
        self._start, self._policy = start, policy
        self._steps: list[Step] = []
        self._began = 0.0

    @property
    def idle(self) -> str:
        """The colour that is not live."""
        return "green" if self.live == "blue" else "blue"

    def deploy(self, bundle: Path, *, smoke: Smoke | None = None, start: Launch | None = None) -> Switch:
        """Start ``bundle`` in the idle slot and move the traffic to it if it proves itself.

        A version that is refused is stopped; the version that was live has all the traffic, and no request was lost.
        ``smoke`` and ``start`` replace those of the pair for this one deployment.
        """
        with self._recorded(f"start {bundle.name} as {self.idle}"):
            new = self._start_idle(bundle, start)
            reason = self._drive(new, smoke)
            return self._result(reason == "", reason or f"{new.colour} serves all traffic")

    def start_canary(
        self, bundle: Path, *, weight: int, smoke: Smoke | None = None, start: Launch | None = None
    ) -> Switch:
        """Start ``bundle`` in the idle slot and, if it proves itself, give it ``weight`` of 100 new requests."""
        with self._recorded(f"start {bundle.name} as {self.idle}"):
            new = self._start_idle(bundle, start)
            if reason := self._drive(new, smoke, until="send traffic"):
                return self._result(False, reason)
            self.share(weight)
            self.proxy.set_state(new.colour, "ready")
            return self._result(False, f"{new.colour} gets {weight} of 100 requests")

    def share(self, weight: int) -> None:
        """Give the idle slot ``weight`` of 100 new requests, the live one the rest."""
        self._note(f"{self.idle} gets {weight} % of new requests")
        self.proxy.set_weight(self.idle, weight)
        self.proxy.set_weight(str(self.live), 100 - weight)

    def finish(self) -> Switch:
        """Move all traffic to the idle slot, whose server must be running: the end of a good canary, and a rollback."""
        with self._recorded(f"move all traffic to {self.idle}"):
            self._running(self.idle)
            self._open(self.idle)
            self._drain(str(self.live))
            self.live = self.idle
            return self._result(True, f"{self.live} serves all traffic")

    def rollback(self) -> Switch:
        """Go back to the version before. It is still up, so nothing has to start, and no request is lost."""
        return self.finish()

    def abandon(self) -> Switch:
        """Take a canary out: it finishes what it has, gets nothing new, and is stopped."""
        with self._recorded(f"take {self.idle} out"):
            self.proxy.set_weight(str(self.live), 100)
            self.retire()
            return self._result(False, f"{self.live} serves all traffic")

    def step(self, text: str, *, bundle: Path | None = None) -> None:
        """Carry out one step of a plan by hand, such as ``"drain green"``.

        Parameters
        ----------
        text
            A verb of :data:`course_lib.rollout.STEPS` and a colour.
        bundle
            What ``start`` starts.

        Raises
        ------
        RolloutError
            The step is unknown, or cannot be done now.
        """
        verb, _, colour = text.rpartition(" ")
        hands: dict[str, Callable[[], object]] = {
            "start": lambda: self._start_in(colour, bundle),
            "await ready": lambda: self._running(colour).wait_ready(),
            "ready": lambda: self._open_by_hand(colour),
            "drain": lambda: self.proxy.set_state(colour, "drain"),
            "await empty": lambda: self._drain(colour),
            "stop": lambda: self._stop(colour),
        }
        if verb not in hands or colour not in COLOURS:
            raise RolloutError(f"There is no step {text!r}.", expected=f"one of {', '.join(hands)}, and a colour")
        hands[verb]()

    def retire(self) -> None:
        """Stop the server in the idle slot after it has finished what it was given."""
        if self.idle in self.servers:
            self._drain(self.idle)
            self._stop(self.idle)

    def close(self) -> None:
        """Stop both servers."""
        while self.servers:
            self.servers.popitem()[1].stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_idle(self, bundle: Path, start: Launch | None) -> Candidate:
        self.retire()
        server = self._start_in(self.idle, bundle, start)
        return Candidate(self.idle, server, time.monotonic())

    def _start_in(self, colour: str, bundle: Path | None, start: Launch | None = None) -> processes.Server:
        if bundle is None or colour in self.servers:
            raise RolloutError(f"{colour} cannot be started.", expected="a bundle, and a slot without a server")
        self.proxy.set_state(colour, "maint")
        self.servers[colour] = (start or self._start)(bundle, processes.free_port()).start()
        return self.servers[colour]

    def _open_by_hand(self, colour: str) -> None:
        if self.proxy.counts()[colour].status == "MAINT":
            self.proxy.point(colour, self._running(colour).port)
        self._open(colour)
        self.live = colour

    def _stop(self, colour: str) -> None:
        self.proxy.set_state(colour, "maint")
        self.servers.pop(colour).stop()
        self._note(f"{colour} stopped")

    def _drive(self, new: Candidate, smoke: Smoke | None, *, until: str = "done") -> str:
        """Do what the policy says until it says ``until``; return why it gave up, or nothing."""
        try:
            while time.monotonic() - new.began < _PATIENCE:
                action = self._policy(self._view(new))
                if action == "give up":
                    return self._refuse(new)
                if action == until == "send traffic":
                    self._point(new)
                    return ""
                if action == "done" and new.traffic == "new":
                    self.live = new.colour
                    return ""
                self._act(action, new, smoke or self._smoke)
        except BaseException:
            self._refuse(new)  # a policy that raises must not leave the traffic on an unproven server
            raise
        return self._refuse(new)

    def _view(self, new: Candidate) -> dict[str, Any]:
        """Look at the new server and the proxy; see :func:`.switch_policy.careful` for what is seen."""
        new.ready.append(new.server.answers())
        old = self.proxy.counts()[self.live].in_flight if self.live else 0
        smoke = "not run" if new.smoke is None else "passed" if new.smoke.passed else "failed"
        return {
            "alive": new.server.running,
            "ready": list(new.ready),
            "waited": time.monotonic() - new.began,
            "smoke": smoke,
            "traffic": new.traffic,
            "old_in_flight": old,
        }

    def _act(self, action: str, new: Candidate, smoke: Smoke) -> None:
        if action == "wait":
            time.sleep(_LOOK)
        elif action == "smoke test":
            new.smoke = smoke(new.server.url)
            self._note(f"smoke test of {new.colour}: {new.smoke.asked} cases, {len(new.smoke.problems)} wrong")
        elif action == "send traffic":
            self._point(new)
            self._open(new.colour)
            new.traffic = "both"
        elif action == "drain old":
            if self.live:
                self._note(f"{self.live} drains")
                self.proxy.set_state(self.live, "drain")
            new.traffic = "new"
        else:
            raise RolloutError(
                f"The policy said {action!r} while {new.traffic} got the traffic.",
                expected=f"one of {', '.join(map(repr, ACTIONS))}; 'done' only when the new version has it all",
                next_step="correct the policy; the version that was live still is",
            )

    def _point(self, new: Candidate) -> None:
        if self.proxy.counts()[new.colour].status == "MAINT":
            self.proxy.point(new.colour, new.server.port)

    def _open(self, colour: str) -> None:
        self._note(f"{colour} gets requests")
        self.proxy.set_weight(colour, 100)
        self.proxy.set_state(colour, "ready")

    def _drain(self, colour: str) -> None:
        """Send nothing new to a slot, and wait until it has answered what it has."""
        if self.proxy.counts()[colour].status != "MAINT":
            self._note(f"{colour} drains")
            self.proxy.set_state(colour, "drain")
        processes.wait_until(lambda: self.proxy.counts()[colour].in_flight == 0, timeout=30, what=f"draining {colour}")

    def _refuse(self, new: Candidate) -> str:
        """Stop the new server, put the old one back if need be, and say why."""
        reason = why_refused(new)
        self._note(f"{new.colour} refused: {reason}")
        if self.live:
            self._open(self.live)
        with contextlib.suppress(EngineError):  # it may hang with requests in flight: it is stopped anyway
            self._drain(new.colour)
        self.proxy.set_state(new.colour, "maint")
        self.servers.pop(new.colour).stop()
        return reason

    def _running(self, colour: str) -> processes.Server:
        server = self.servers.get(colour)
        if server is None or not server.running:
            raise RolloutError(
                f"There is no running server in the slot {colour}.",
                expected="a version that was live before, or a canary",
                next_step="deploy its bundle again",
            )
        return server

    @contextlib.contextmanager
    def _recorded(self, what: str) -> Iterator[None]:
        self._began, self._steps = time.monotonic(), []
        self._note(what)
        yield

    def _note(self, what: str) -> None:
        self._steps.append(Step(time.monotonic() - self._began, what))

    def _result(self, switched: bool, reason: str) -> Switch:
        return Switch(switched, self.live, reason, tuple(self._steps))
