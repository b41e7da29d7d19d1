"""The switch policy: a pure function from what is seen to one action, so that it can be simulated and graded.

The hands (start a process, ask ``/ready``, command the proxy) are in ``bluegreen``; this is the head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ACTIONS", "Policy", "careful"]

ACTIONS = ("wait", "smoke test", "send traffic", "drain old", "done", "give up")

# A view holds plain data, see `careful`
Policy = Callable[[Mapping[str, Any]], str]


def careful(view: Mapping[str, Any]) -> str:
    """Return the next action of a health-gated switch.

    Parameters
    ----------
    view
        What is seen now:

        - ``alive`` (bool): the new process runs.
        - ``ready`` (list of bool): its answers on ``/ready`` so far, oldest first, one per look.
        - ``waited`` (float): seconds since it was started.
        - ``smoke`` (str): ``not run``, ``passed`` or ``failed``.
        - ``traffic`` (str): who gets new requests: ``old``, ``both`` or ``new``.
        - ``old_in_flight`` (int): requests that the old version is still answering.

    Returns
    -------
    str
        One of :data:`ACTIONS`. ``done`` lets the old server be stopped; ``give up`` leaves it in service.
    """
    if not view["alive"]:
        return "give up"  # whoever has the traffic: the old server is still there
    if view["traffic"] == "both":
        return "drain old"
    if view["traffic"] == "new":
        return "wait" if view["old_in_flight"] > 0 else "done"
    if view["smoke"] == "failed":
        return "give up"
    if view["ready"][-3:] != [True] * 3:  # one good answer may be luck: a server that flaps is not ready
        return "give up" if view["waited"] > 30 else "wait"
    return "send traffic" if view["smoke"] == "passed" else "smoke test"
