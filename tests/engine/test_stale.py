"""When a measurement counts no more, what is done only when named, and what a costly fact says meanwhile."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wizard import catalog
from wizard.cluster import Cluster
from wizard.engine import observing
from wizard.engine.observing import Costly, observe
from wizard.engine.planning import plan_step
from wizard.engine.stale import last_applied, outdated_by
from wizard.events import State, Waiting
from wizard.journal import Journal, fold
from wizard.model import (
    HYPERVISOR,
    Blocked,
    Check,
    Context,
    Do,
    Fact,
    Known,
    Nothing,
    Output,
    Plan,
    Stage,
    Step,
    Unknown,
    Unseen,
    Verdict,
    on_hypervisor,
)

CLUSTER = Cluster.model_validate({"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}})
SPEED = Fact("speed", "measure", lambda output: int(output.text), costly=True)
BEFORE, AFTER = "2026-11-23T09:00:00.000Z", "2026-11-23T10:00:00.000Z"


def plan(ctx: Context, target: str) -> Plan:
    return Nothing("quick enough") if ctx.see(SPEED) > 5 else Blocked("you", "too slow")


LOOK = Step(
    "look.speed",
    "Is it quick?",
    "",
    plan,
    on_hypervisor(SPEED),
    checks=lambda ctx, target: (Check("speed", "Speed", Verdict.OK, "9"),),
    asks_about=("ground", "road.span"),
)


def planned(at: str, applied: dict[str, str], value: int = 9) -> Any:
    ctx = Context(CLUSTER, {(HYPERVISOR, "speed"): Known(value, at)})
    return plan_step(ctx, LOOK, HYPERVISOR, {}, 120, applied)


@pytest.mark.parametrize("later", ["ground.work", "road.span"])
def test_a_measurement_from_before_a_change_is_stale(later: str) -> None:
    found = planned(BEFORE, {later: AFTER})
    assert found.state is State.STALE
    assert found.reason == f"measured 2026-11-23 09:00 UTC, and {later} was applied since"
    assert found.measured == BEFORE
    assert found.checks, "what was measured is still shown"
    assert not found.scripts


@pytest.mark.parametrize(
    "applied",
    [{}, {"road.seal": AFTER}, {"road.span": BEFORE}, {"look.speed": AFTER}, {"groundwork.dig": AFTER}],
)
def test_other_changes_leave_it_as_it_is(applied: dict[str, str]) -> None:
    assert planned(BEFORE, applied).state is State.DONE
    assert planned("", {"road.span": AFTER}).state is State.DONE, "measured just now"


def test_what_was_wrong_before_the_change_stands_in_nobodys_way() -> None:
    assert planned(BEFORE, {}, value=1).state is State.BLOCKED
    found = planned(BEFORE, {"road.span": AFTER}, value=1)
    assert isinstance(found.plan, Nothing)
    assert found.state is State.STALE


def test_what_is_yet_to_be_measured_is_no_change_and_what_could_not_be_is_not_known() -> None:
    def seen(why: str) -> Any:
        return plan_step(Context(CLUSTER, {(HYPERVISOR, "speed"): Unseen(why)}), LOOK, HYPERVISOR, {}, 120)

    yet = seen(observing.NOT_MEASURED)
    assert isinstance(yet.plan, Nothing)
    assert (yet.state, yet.reason) == (State.CHECK, "not measured yet: speed")
    failed = seen("the disk does not answer")
    assert isinstance(failed.plan, Unknown)
    assert (failed.state, failed.reason) == (State.UNKNOWN, "speed: the disk does not answer")


def test_the_journal_knows_when_a_script_last_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("ended", "road.span", HYPERVISOR, "a1")
    first = journal.append("ended", "road.seal", HYPERVISOR, "a2")
    journal.append("done", "road.rest", HYPERVISOR)
    last = journal.append("ended", "road.span", HYPERVISOR, "a3")
    assert last_applied(journal) == {"road.span": last.utc, "road.seal": first.utc}
    assert outdated_by(first.utc, ("road",), {"road.seal": first.utc}) == ""
    assert fold(journal.entries())["road.rest", HYPERVISOR].state is State.DONE
    journal.close()


# ---------------------------------------------------------------- measuring


class Measured:
    """`observe`, with a host that counts how often it is measured and says what it waits for."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.journal, self.times, self.events = Journal(directory), 0, list[object]()
        monkeypatch.setattr(observing, "measure", self._measure)
        monkeypatch.setattr(
            observing, "observe_host", lambda connection, facts: {fact.id: Unseen("") for fact in facts}
        )

    def _measure(self, connection: object, fact: Fact[Any], on_words: Any) -> Known[Any]:
        self.times += 1
        on_words(b"waiting for the disk\nand for \x1b[31mmore")
        on_words(b"\n")
        return Known(fact.parse(Output(0, b"9")))

    def see(self, costly: Costly) -> Any:
        hosts: Any = SimpleNamespace(connection=lambda host: None, secrets=lambda: ())
        ctx = observe(CLUSTER, hosts, self.journal, ((LOOK, HYPERVISOR),), costly, self.events.append)
        return ctx.look(SPEED)


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    return Measured(tmp_path, monkeypatch)


def test_what_it_waits_for_is_told_line_by_line(measured: Measured) -> None:
    measured.see(Costly.ALWAYS)
    assert measured.events == [Waiting(HYPERVISOR, "waiting for the disk"), Waiting(HYPERVISOR, "and for more")]


def test_apply_measures_anew_what_is_stale_and_plan_never_does(measured: Measured) -> None:
    assert measured.see(Costly.NEVER) == Unseen("not measured yet")
    assert measured.see(Costly.WHERE_MISSING) == Known(9)
    first = measured.see(Costly.WHERE_MISSING)
    assert (first.value, measured.times) == (9, 1)
    assert first.at
    measured.journal.append("ended", "road.span", HYPERVISOR, "a1")
    assert measured.see(Costly.NEVER) == first, "plan shows what was measured"
    assert measured.see(Costly.WHERE_MISSING) == Known(9)
    assert measured.times == 2
    assert measured.see(Costly.WHERE_MISSING).at > first.at


def test_a_measurement_that_cannot_be_read_any_more_is_made_anew(measured: Measured) -> None:
    measured.journal.append("measured", target=HYPERVISOR, fact="speed", rc=0, out="bm8gbnVtYmVy")
    assert isinstance(measured.see(Costly.NEVER), Unseen)
    assert measured.see(Costly.WHERE_MISSING) == Known(9)


# ---------------------------------------------------------------- only when named


def test_what_is_done_only_when_named(monkeypatch: pytest.MonkeyPatch) -> None:
    restart = Step("look.restart", "Restart", "", lambda ctx, target: Do("not tried yet", ()), on_hypervisor())
    restart = dataclasses.replace(restart, only_named=True, needs=("look.speed",))
    monkeypatch.setattr(catalog, "STAGES", (Stage("look", "Look", "", (LOOK, restart)),))
    monkeypatch.setattr(catalog.steps, "__defaults__", (catalog.STAGES,))

    def ids(*names: str, **more: bool) -> list[str]:
        return [step.id for step, _ in catalog.chosen(names, **{"with_needs": False, **more})]

    assert ids() == ids("look") == ["look.speed"]
    assert ids(every=True) == ids("look", every=True) == ["look.speed", "look.restart"]
    assert ids("look.restart") == ids(f"look.restart@{HYPERVISOR}") == ["look.restart"]
    assert ids("look.restart", with_needs=True) == ["look.speed", "look.restart"]
    found = plan_step(Context(CLUSTER), restart, HYPERVISOR, {}, 120)
    assert (found.state, found.reason) == (State.CHECK, "not tried yet")
