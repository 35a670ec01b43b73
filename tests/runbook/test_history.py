"""What is told of a step's past, from the events that the engine writes."""

from __future__ import annotations

from typing import Any

from wizard.journal import Entry
from wizard.model import Probe
from wizard.runbook.history import Run, alike, histories, in_force

NAME = ("bridge.port", "hypervisor")


class Log:
    """Events of one step, a second apart."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, kind: str, attempt: str = "", **payload: Any) -> None:
        utc = f"2026-11-23T07:15:{len(self.entries):02}.000Z"
        self.entries.append(Entry(len(self.entries) + 1, utc, kind, *NAME, attempt, payload))

    def attempt(self, attempt: str, script: str = "true\n", rc: int | None = 0, kept: bool | None = None) -> None:
        """One part, as `Applier` and `Runner` write it down; `rc` None: its end was not seen."""
        self.add("running", attempt, before=[])
        self.add(
            "intent",
            attempt,
            host="hypervisor",
            part=1,
            parts=1,
            title="br0",
            script=script,
            limit=900,
            reach=["192.168.182.100"],
            probes=[["the gateway answers", "ping", "192.168.182.1"]],
        )
        if rc is not None:
            self.add("ended", attempt, word="ended", rc=rc, seconds=1.5)
        if kept is not None:
            self.add("guarded", attempt, reason="waits to be confirmed")
            self.add("settled", attempt, kept=kept, why="confirmed" if kept else "the time ran out")

    def runs(self) -> tuple[Run, ...]:
        return histories(self.entries)[NAME]


def test_a_guarded_change_that_was_kept() -> None:
    log = Log()
    log.add("started", digest="", undoing=False, reason="there is no br0")
    log.attempt("a1", kept=True)
    log.add("done", "a1", reason="br0 has port enp4s0")
    (run,) = log.runs()
    (tried,) = run.tried
    assert (run.outcome, run.reason) == ("done", "br0 has port enp4s0")
    assert (tried.outcome, tried.why, tried.seconds) == ("done and kept", "confirmed", 1.5)
    assert tried.reach == ("192.168.182.100",)
    assert tried.probes == (Probe("the gateway answers", ("ping", "192.168.182.1")),)
    assert in_force(log.runs()) == (tried,)


def test_what_went_back_failed_or_was_undone_is_not_in_force() -> None:
    log = Log()
    for attempt, rc, kept, outcome in (
        ("a1", 0, False, "reverted"),
        ("a2", 1, None, "failed"),
        ("a3", 0, None, "done"),
    ):
        log.add("started", undoing=False)
        log.attempt(attempt, rc=rc, kept=kept)
        log.add(outcome, attempt, reason="why")
    assert [tried.id for tried in in_force(log.runs())] == ["a3"]
    assert [run.tried[0].outcome for run in log.runs()] == ["**went back**", "**failed** with status 1", "done"]
    log.add("started", undoing=True)
    log.attempt("u1", script="undo\n")
    log.add("undone", "u1", reason="taken back")
    assert in_force(log.runs()) == ()
    log.add("started", undoing=False)
    log.attempt("a4")
    log.add("done", "a4")
    assert [tried.id for tried in in_force(log.runs())] == ["a4"]


def test_retries_with_the_same_script_and_end_are_one() -> None:
    log = Log()
    for attempt, script, rc in (
        ("a1", "x\n", 1),
        ("a2", "x\n", 1),
        ("a3", "x\n", 1),
        ("a4", "y\n", 1),
        ("a5", "y\n", 0),
    ):
        log.add("started", undoing=False)
        log.attempt(attempt, script, rc)
        log.add("done" if rc == 0 else "failed", attempt, reason="no such device" if rc else "")
    groups = alike(log.runs())
    assert [[run.tried[0].id for run in group] for group in groups] == [["a1", "a2", "a3"], ["a4"], ["a5"]]


def test_an_end_that_nobody_saw() -> None:
    log = Log()
    log.add("started", undoing=False)
    log.attempt("a1", rc=None)
    (run,) = log.runs()
    assert (run.outcome, run.tried[0].outcome) == ("", "its end was not seen")
    assert in_force(log.runs()) == ()


def test_a_script_that_was_picked_up_again_ends_where_it_began() -> None:
    log = Log()
    log.add("started", undoing=False)
    log.attempt("a1", rc=None)
    log.add("ended", "a1", word="ended", rc=0, seconds=4.0)
    log.add("interrupted", "a1", reason="its script has ended")
    log.add("done", reason="all is as wanted")
    first, second = log.runs()
    assert (first.outcome, first.tried[0].outcome) == ("interrupted", "done")
    assert (second.outcome, second.tried) == ("done", [])


def test_only_looked_at_or_skipped() -> None:
    log = Log()
    log.add("done", reason="was so already")
    log.add("skipped", reason="not now")
    assert [(run.outcome, run.tried) for run in log.runs()] == [("done", []), ("skipped", [])]
    assert histories([Entry(1, "", "measured", "", "hypervisor", "", {})]) == {}
