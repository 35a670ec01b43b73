"""What another step stands on is not taken back under it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wizard import catalog
from wizard.actions import Action
from wizard.cluster import Cluster
from wizard.engine import observing
from wizard.engine.doing import Doer
from wizard.engine.looking import Looker, Targets
from wizard.engine.planned import Planned
from wizard.engine.running import Control
from wizard.engine.settings import Settings
from wizard.events import State
from wizard.facts.ours import OURS, Ours, Record
from wizard.journal import Journal
from wizard.model import (
    HYPERVISOR,
    Context,
    Do,
    Fact,
    Known,
    Nothing,
    Part,
    Plan,
    Refused,
    Seen,
    Stage,
    Step,
    Unseen,
    on_hypervisor,
)

CLUSTER = Cluster.model_validate({"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}})
LOAD = Fact("load", "weigh", lambda output: int(output.text))
OURS_SEEN = Ours("m", "b", records=(Record("a1", f"ground.work@{HYPERVISOR}", "undo", "dig", "-", None),))


def undo_wall(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    by_hand = Nothing("somebody else built it: pull it down yourself")
    return Do("the wall goes", (Part(HYPERVISOR, "pull down", ()),)) if ctx.see(LOAD) < 9 else by_hand


GROUND = Step("ground.work", "Ground", "", lambda ctx, target: Nothing("dug"), on_hypervisor())
WALL = Step(
    "house.wall",
    "Wall",
    "",
    lambda ctx, target: Nothing("built"),
    on_hypervisor(LOAD),
    undo=undo_wall,
    undone_as_seen=True,
    stands_on=("ground",),
    stands=lambda ctx, target, under: f"the wall weighs {ctx.see(LOAD)} t on {under}" if ctx.see(LOAD) else "",
)


class Site:
    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.load: Seen = Known(3)
        self.journal = Journal(directory)
        monkeypatch.setattr(catalog, "STAGES", (Stage("ground", "", "", (GROUND,)), Stage("house", "", "", (WALL,))))
        monkeypatch.setattr(catalog.steps, "__defaults__", (catalog.STAGES,))
        monkeypatch.setattr(observing, "observe_host", self._observe)
        hosts: Any = SimpleNamespace(connection=lambda host: host, secrets=lambda: ())
        file: Any = SimpleNamespace(cluster=CLUSTER)
        looker = Looker(file, hosts, self.journal, 120, lambda event: None)
        settings = Settings(state_dir=directory)
        self.looker = looker
        self.asked: list[object] = []
        rest = (self.asked.append, lambda event: None, Control.new())
        self.doer = Doer(looker, hosts, self.journal, settings, *rest)

    def _observe(self, host: Any, facts: Any) -> dict[str, Seen]:
        said: dict[str, Seen] = {OURS.id: Known(OURS_SEEN), LOAD.id: self.load}
        return {fact.id: said[fact.id] for fact in facts}

    def ground(self, *more: Step) -> Planned:
        targets: Targets = tuple((step, HYPERVISOR) for step in (*more, GROUND))
        return self.looker.plan_undo(targets)[-1]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path, monkeypatch)
    yield made
    made.journal.close()


def test_it_is_refused_and_the_way_out_is_named(site: Site) -> None:
    found = site.ground()
    assert isinstance(found.plan, Refused)
    [finding] = found.plan.findings
    assert finding.message == "the wall weighs 3 t on hypervisor"
    assert finding.cure == "first: homek8s-wizard undo house.wall"
    assert found.scripts == ()


def test_undo_ends_there_with_status_1_and_asks_nobody(site: Site) -> None:
    ended = site.doer.undo(((GROUND, HYPERVISOR),))
    assert ended.status == 1
    assert [(each.step, each.state) for each in ended.steps] == [("ground.work", State.BLOCKED)]
    assert ended.steps[0].next_steps == ("first: homek8s-wizard undo house.wall",)
    assert not site.asked


def test_named_together_it_is_taken_back_after_it(site: Site) -> None:
    assert isinstance(site.ground(WALL).plan, Do)


def test_what_stands_no_more_is_in_nobodys_way(site: Site) -> None:
    site.load = Known(0)
    found = site.ground().plan
    assert isinstance(found, Do)
    assert not found.notes


def test_what_undo_cannot_take_back_says_itself_what_to_do(site: Site) -> None:
    site.load = Known(9)
    found = site.ground().plan
    assert isinstance(found, Refused)
    assert found.findings[0].cure == "somebody else built it: pull it down yourself"


def test_where_nobody_knows_the_owner_is_told(site: Site) -> None:
    site.load = Unseen("no scales")
    found = site.ground().plan
    assert isinstance(found, Do)
    assert found.notes == ("Whether house.wall@hypervisor still needs it is not known: no scales.",)
