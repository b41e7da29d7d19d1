"""A soak test, many switches in a row under load, counted: the measurement behind "zero failed requests"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.errors import RolloutError
from course_lib.loadtest.traffic import Traffic, TrafficReport
from course_lib.rollout.bluegreen import BlueGreen
from course_lib.rollout.proxy import Proxy

__all__ = ["Endurance", "swap_under_load"]


@dataclass(frozen=True)
class Endurance:
    """What many switches cost.

    Attributes
    ----------
    swaps
        Times that all traffic moved from one version to the other.
    fresh
        Those among them for which a new server process was started, gated and smoke-tested; the others went back and
        forth between two running servers.
    engine
        The proxy.
    report
        What the clients saw.
    """

    swaps: int
    fresh: int
    engine: str
    report: TrafficReport


def swap_under_load(
    bundles: Sequence[Path],
    flights: Sequence[Mapping[str, Any]],
    *,
    swaps: int = 50,
    fresh_every: int = 5,
    requests_between: int = 50,
) -> Endurance:
    """Move the traffic ``swaps`` times between two versions while four clients keep asking.

    Parameters
    ----------
    bundles
        Two bundles of different versions.
    flights
        Request bodies, used in turn.
    swaps
        Number of switches.
    fresh_every
        Start a new process for every n-th switch; 1 for each of them.
    requests_between
        Requests that must end between two switches.

    Raises
    ------
    RolloutError
        A switch was refused.
    """
    with Proxy() as proxy, BlueGreen(proxy) as desk:
        desk.deploy(bundles[0])
        desk.deploy(bundles[1])
        number, fresh = 1, 0
        with Traffic(proxy.url + "/predict", flights, connections=4, pause=0.0) as traffic:
            for swap in range(swaps):
                number = 1 - number
                starts = (swap + 1) % fresh_every == 0
                switch = desk.deploy(bundles[number]) if starts else desk.rollback()
                fresh += starts
                if not switch.switched:
                    raise RolloutError(f"Switch {swap + 1} was refused: {switch.reason}")
                traffic.wait_for(requests_between)
        return Endurance(swaps, fresh, proxy.engine, traffic.report())
