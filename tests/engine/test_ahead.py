"""Steps with nothing to do are seen together, by one look at connected hosts; what is to be done is looked at alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wizard.cluster import Cluster
from wizard.engine import observing
from wizard.engine.doing import Doer, Outcome
from wizard.engine.looking import Looker
from wizard.engine.planned import Planned
from wizard.engine.running import Control
from wizard.engine.settings import Settings
from wizard.events import State, StepFinished
from wizard.facts.ours import OURS, Ours
from wizard.journal import Journal
from wizard.model import HYPERVISOR, Context, Do, Fact, Known, Nothing, Part, Plan, Step

CLUSTER = Cluster.model_validate({"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}})


def step(name: str, host: str = HYPERVISOR, *, costly: bool = False) -> Step:
    """Has nothing to do once its fact says so."""
    fact: Fact[bool] = Fact(name, name, lambda output: True, costly=costly)

    def plan(ctx: Context, target: str) -> Plan:
        return Nothing("there") if ctx.see(fact, host) else Do("missing", (Part(host, "make it", ()),))

    return Step(f"try.{name}", name, "", plan, lambda cluster, target: {host: (fact,)})


A, B, C, D = (step(name) for name in "abcd")
AWAY, SLOW = step("away", "aki0"), step("slow", costly=True)


class Site:
    """Hosts whose looks are noted, by the ids of the facts that each asks for; `done` says what each fact finds."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done = {"a": True, "b": True, "c": True, "d": True, "away": True, "slow": True}
        self.looks: list[str] = []
        self.connected = {HYPERVISOR}
        self.journal = Journal(directory)
        monkeypatch.setattr(observing, "observe_host", self._observe)
        monkeypatch.setattr(observing, "measure", lambda host, fact, on_words: Known(True))
        hosts: Any = SimpleNamespace(
            connection=self._connection, secrets=lambda: (), connected=lambda: frozenset(self.connected)
        )
        file: Any = SimpleNamespace(cluster=CLUSTER)
        looker = Looker(file, hosts, self.journal, 120, lambda event: None)
        rest: Any = (lambda question: True, lambda event: None, Control.new())
        self.doer = Doer(looker, hosts, self.journal, Settings(state_dir=directory), *rest)
        monkeypatch.setattr(self.doer._applier, "apply", self._apply)

    def _connection(self, host: str) -> str:
        self.connected.add(host)
        return host

    def _observe(self, host: str, facts: Any) -> dict[str, Known[Any]]:
        if asked := "".join(fact.id[0] for fact in facts if fact.id != OURS.id):
            self.looks.append(asked)
        ours = Known(Ours("m", "b"))
        return {fact.id: ours if fact.id == OURS.id else Known(self.done[fact.id]) for fact in facts}

    def _apply(self, planned: Planned, again: Any) -> tuple[StepFinished, int]:
        self.looks.append("+")
        self.done[planned.step.title] = True
        return StepFinished(planned.step.id, planned.target, State.DONE, "", 0.0), 0

    def apply(self, *steps: Step) -> Outcome:
        return self.doer.apply(tuple((each, HYPERVISOR) for each in steps), {}, named=True)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path, monkeypatch)
    yield made
    made.journal.close()


def test_where_all_is_as_wanted_two_looks_are_enough(site: Site) -> None:
    ended = site.apply(A, B, C, D)
    assert [each.state for each in ended.steps] == [State.DONE] * 4
    assert site.looks == ["a", "bcd"]


def test_what_is_to_be_done_is_looked_at_just_before_and_all_after_it_anew(site: Site) -> None:
    site.done["b"] = False
    ended = site.apply(A, B, C, D)
    assert [each.state for each in ended.steps] == [State.DONE] * 4
    assert site.looks == ["a", "bcd", "b", "+", "c", "d"]


def test_a_host_is_not_asked_before_its_turn_nor_anything_measured(site: Site) -> None:
    site.apply(A, B, AWAY, SLOW, C, D)
    assert site.looks == ["a", "bcd", "a"]
