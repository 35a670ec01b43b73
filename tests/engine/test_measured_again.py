"""A restart test whose machines are back: the engine measures anew, and only then is it passed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.test_stale import LOOK, SPEED
from tests.stages.test_verify_reboot import BOOTS, CLUSTER, context
from wizard.engine import observing
from wizard.engine.doing import Doer
from wizard.engine.looking import Looker
from wizard.engine.observing import Costly, observe
from wizard.engine.planned import Planned
from wizard.engine.running import Control
from wizard.engine.settings import Settings
from wizard.events import State
from wizard.facts.kube_nodes import KUBE_NODES
from wizard.facts.reboot_test import CameBack, RebootTest, UnderWay
from wizard.journal import Journal
from wizard.model import HYPERVISOR, Do, Fact, Known, Nothing, Output, Step
from wizard.stages import verify_reboot
from wizard.stages.verify_reboot import STEP, subject

AROUND = Step(
    "look.around",
    "Who is there?",
    "",
    lambda ctx, target: Nothing("all"),
    lambda cluster, target: {"aki0": (KUBE_NODES,), "aki1": ()},
)


class Restarted:
    """Machines that answer what a test says, and count how often their speed is measured."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.test, self.speed, self.times = RebootTest(), b"9", 0
        self.journal = Journal(directory)
        self.hosts: Any = SimpleNamespace(connection=lambda host: host, secrets=lambda: ())
        monkeypatch.setattr(verify_reboot, "EARLIER", (AROUND, LOOK))
        monkeypatch.setattr(observing, "measure", self._measure)
        monkeypatch.setattr(observing, "observe_host", self._observe)
        file: Any = SimpleNamespace(cluster=CLUSTER)
        looker = Looker(file, self.hosts, self.journal, 120, lambda event: None)
        settings = Settings(state_dir=directory)
        rest = (lambda question: None, lambda event: None, Control.new())
        self._doer = Doer(looker, self.hosts, self.journal, settings, *rest)

    def _observe(self, host: Any, facts: Any) -> dict[str, Any]:
        return {fact.id: context(self.test).seen[host, fact.id] for fact in facts}

    def _measure(self, host: object, fact: Fact[Any], on_words: object) -> Known[Any]:
        self.times += 1
        return Known(fact.parse(Output(0, self.speed)))

    def measured(self) -> datetime:
        """Once, before anything restarts, and when."""
        observe(CLUSTER, self.hosts, self.journal, ((LOOK, HYPERVISOR),), Costly.ALWAYS, lambda event: None)
        self.times = 0
        [entry] = self.journal.entries()
        assert (entry.kind, entry.payload["fact"]) == ("measured", SPEED.id)
        return datetime.fromisoformat(entry.utc)

    def came_back(self, at: datetime) -> None:
        self.test = RebootTest(CameBack(subject(CLUSTER), at, 95))

    def look(self) -> Planned:
        return self._doer.look(STEP, HYPERVISOR)


@pytest.fixture
def restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Restarted]:
    made = Restarted(tmp_path, monkeypatch)
    made.test = RebootTest(under_way=UnderWay(subject(CLUSTER), 240, BOOTS))
    yield made
    made.journal.close()


def test_nothing_is_measured_while_machines_are_still_to_restart(restarted: Restarted) -> None:
    restarted.measured()
    assert isinstance(restarted.look().plan, Do)
    assert restarted.times == 0


def test_once_they_are_back_it_is_measured_anew_and_that_is_remembered(restarted: Restarted) -> None:
    restarted.came_back(restarted.measured() + timedelta(microseconds=1))
    assert restarted.look().state is State.DONE
    assert restarted.times == 1
    assert restarted.look().state is State.DONE
    assert restarted.times == 1, "what was measured since counts"


def test_a_wizard_elsewhere_that_never_measured_does_it_too(restarted: Restarted) -> None:
    restarted.came_back(datetime.fromisoformat("2026-11-23T10:12:00Z"))
    assert restarted.look().state is State.DONE
    assert restarted.times == 1


def test_what_is_wrong_afterwards_is_no_passed_test(restarted: Restarted) -> None:
    restarted.came_back(restarted.measured() + timedelta(microseconds=1))
    restarted.speed = b"2"
    found = restarted.look()
    assert (found.state, restarted.times) == (State.BLOCKED, 1)
    assert found.reason.startswith(f"waits for look.speed@{HYPERVISOR}: on ")
    assert found.reason.endswith("; since then: too slow")
