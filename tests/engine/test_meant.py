"""What `apply` takes up: a step that is done only when named, where it was under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wizard.cluster.file import load
from wizard.engine.engine import Engine
from wizard.engine.settings import Settings
from wizard.model import HYPERVISOR

REBOOT = "verify.reboot"
CLUSTER = """\
name: aki
hypervisor:
  ssh: owner@127.0.0.1
kubernetes:
  version: "1.36"
  pod_cidr: 10.244.0.0/16
guests:
  - {name: aki0, role: control-plane, ssh: owner@192.168.182.130}
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Of hosts that nobody asks."""
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    settings = Settings(state_dir=tmp_path / "state")
    made = Engine(load(tmp_path / "cluster.yaml"), settings, lambda question: None, lambda event: None)
    yield made
    made.close()


def meant(engine: Engine, *names: str) -> list[str]:
    return [step.id for step, _ in engine._meant(names)]


def test_it_is_done_when_named_and_what_it_needs_before(engine: Engine) -> None:
    assert REBOOT not in meant(engine)
    assert REBOOT not in meant(engine, "verify")
    named = meant(engine, REBOOT)
    assert named[-1] == REBOOT
    assert "verify.pods" in named
    assert "join.init" in named


def test_one_that_was_under_way_comes_first(engine: Engine) -> None:
    engine.journal.append("running", REBOOT, HYPERVISOR, "a1", boot="b", before=[])
    assert meant(engine)[0] == meant(engine, REBOOT)[0] == REBOOT
    assert meant(engine).count(REBOOT) == 1


def test_one_that_the_owner_stopped_waits_to_be_named_again(engine: Engine) -> None:
    engine.journal.append("interrupted", REBOOT, HYPERVISOR, "a1", reason="stopped by you after part 2 of 11")
    assert REBOOT not in meant(engine)
    assert meant(engine, REBOOT)[0] == REBOOT
