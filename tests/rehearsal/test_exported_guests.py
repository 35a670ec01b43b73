"""Exported scripts to the end, a guest included: on the hypervisor and in the guest, by sh alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rehearsal.by_hand import exported
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn


@pytest.mark.turns(at="guests, step by step")
@pytest.mark.long
def test_by_hand_to_a_guest_on_both_networks(hypervisor: Hypervisor, tmp_path: Path) -> None:
    wizard = WizardOn(hypervisor("trixie", guests=1), tmp_path / "owner")
    by_hand = exported(wizard)
    by_hand.all()
    planned = wizard.run("plan", "--accept-new-host-keys")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "Nothing to change." in planned.stdout
