"""What a run's events amount to."""

from __future__ import annotations

import pytest

from screens.progress import Progress, after, clock, lines
from tests.screens.scripted import HOSTILE
from wizard.events import (
    Checked,
    GuardArmed,
    GuardSettled,
    HostConnected,
    HostLost,
    Note,
    PartFinished,
    PartOutput,
    PartStarted,
    State,
    StepFinished,
    StepStarted,
    Waiting,
)
from wizard.model import Check, Verdict

EVENTS = (
    HostConnected("hypervisor", "192.168.182.100"),
    StepStarted("a.b", "aki0", "Do it"),
    PartStarted("a.b", "aki0", 1, 2, "hypervisor", "the first half", "x"),
    PartOutput("a.b", "aki0", "hypervisor", "one\ntwo\n"),
    PartFinished("a.b", "aki0", 1, "hypervisor", 0, 2.04),
    GuardArmed("a.b", "aki0", "hypervisor", 120),
    GuardSettled("a.b", "aki0", "hypervisor", True, "confirmed"),
    Checked("a.b", "aki0", Check("c", "Room", Verdict.WARN, "little")),
    Note("going on where it was"),
    Waiting("aki0", "waiting until the pods run\nasking one"),
    StepFinished("a.b", "aki0", State.DONE, "as wanted", 3.0),
)


def test_the_log_of_a_run():
    assert lines(EVENTS) == [
        "-- connected to hypervisor at 192.168.182.100",
        "== Do it (aki0)",
        "-- part 1 of 2 on hypervisor: the first half",
        "one",
        "two",
        "-- part 1 ended with 0 after 2.0 s",
        "-- guard: hypervisor goes back by itself in 120 s unless the change is confirmed",
        "-- guard: hypervisor kept the change: confirmed",
        "[warn] aki0: Room: little",
        "going on where it was",
        "aki0: waiting until the pods run",
        "aki0: asking one",
        "== aki0: done after 3.0 s. as wanted",
    ]


def test_where_a_run_is():
    progress = Progress()
    for event in EVENTS[:3]:
        progress = after(progress, event)
    assert progress.where == "part 1 of 2 on hypervisor: the first half"
    progress = after(progress, HostLost("hypervisor", "no answer", 5))
    assert progress.lost == "hypervisor: no answer"
    assert after(progress, EVENTS[3]).lost == ""
    assert after(progress, EVENTS[5]).reverts_in == 120
    assert after(after(progress, EVENTS[5]), EVENTS[6]).reverts_in == 0


def test_a_lost_connection_says_that_the_host_goes_on():
    assert "what runs there goes on" in lines([HostLost("hypervisor", "no answer", 5)])[0]


def test_nothing_hostile_comes_into_the_log():
    text = "\n".join(lines([PartOutput("a.b", "t", "h", HOSTILE), Note(HOSTILE), StepStarted("a", HOSTILE, HOSTILE)]))
    assert not set("\x1b\r\0\u202e\x9b") & set(text)


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00"), (67.9, "1:07"), (3723, "1:02:03"), (-1, "0:00")])
def test_elapsed(seconds, words):
    assert clock(seconds) == words
