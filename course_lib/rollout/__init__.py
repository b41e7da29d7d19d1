"""Stage I, rollout: a new version takes over from the old one under load, and goes back by itself if it is bad.

Blue/green and canary with real server processes behind HAProxy (where it is not installed: a small Python proxy that
obeys the same commands), health-gated, with a sequential stop rule, and a load generator that counts lost requests.
"""

from __future__ import annotations

from course_lib.loadtest.traffic import Sample, Traffic, TrafficReport
from course_lib.rollout.bluegreen import BlueGreen
from course_lib.rollout.canary import CanaryReport, Look, release, watch
from course_lib.rollout.fakes import FAULTS, faulty
from course_lib.rollout.figures import alarm_figure, evidence_figure, timeline_figure
from course_lib.rollout.proxy import COLOURS, Counts, Proxy
from course_lib.rollout.sequential import HARMS, Window, Witness, first_alarm, peeking_alarm, simulate
from course_lib.rollout.simulation import STEPS, Rehearsal, World, rehearse_rollback, rehearse_switch
from course_lib.rollout.smoke import Case, SmokeTest, ask, flight_bodies, known_answers, smoke_test
from course_lib.rollout.soak import Endurance, swap_under_load
from course_lib.rollout.switch import Step, Switch, launch
from course_lib.rollout.switch_policy import ACTIONS, careful

__all__ = [
    "ACTIONS",
    "COLOURS",
    "FAULTS",
    "HARMS",
    "STEPS",
    "BlueGreen",
    "CanaryReport",
    "Case",
    "Counts",
    "Endurance",
    "Look",
    "Proxy",
    "Rehearsal",
    "Sample",
    "SmokeTest",
    "Step",
    "Switch",
    "Traffic",
    "TrafficReport",
    "Window",
    "Witness",
    "World",
    "alarm_figure",
    "ask",
    "careful",
    "evidence_figure",
    "faulty",
    "first_alarm",
    "flight_bodies",
    "known_answers",
    "launch",
    "peeking_alarm",
    "rehearse_rollback",
    "rehearse_switch",
    "release",
    "simulate",
    "smoke_test",
    "swap_under_load",
    "timeline_figure",
    "watch",
]
