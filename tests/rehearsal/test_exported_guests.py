"""Exported scripts to the end, a guest included: on the hypervisor and in the guest, by sh alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.rehearsal.by_hand import BOOTS, exported
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.pictures import whole
from tests.rehearsal.test_exported import ALL_COMMANDS, OWN, to_do
from tests.rehearsal.wizard_on import WizardOn

IN_GUEST = """sudo sh -c 'hostname; cat /etc/netplan/* /etc/cloud/cloud.cfg.d/99-*; id owner; cat /home/owner/.ssh/*'
ip -o -4 addr | sed 's/ *valid_lft.*//'; ip route"""


def test_by_hand_to_a_guest_on_both_networks_as_the_wizard_brings_it(hypervisor: Hypervisor, tmp_path: Path) -> None:
    wizard = WizardOn(hypervisor(guests=1), tmp_path / "owner")
    before = whole(wizard.machine)
    by_hand = exported(wizard)
    by_hand.all()
    for name, said in by_hand.all().items():
        again = any(each in name for each in (*ALL_COMMANDS, "-aki0-guests.create"))
        assert again or "nothing to do; it ran before" in said, f"{name}: {said}"
    planned = wizard.run("plan", "--accept-new-host-keys")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "Nothing to change." in planned.stdout
    reached = everything(wizard)
    wizard.ok("undo", "--all", "--yes", "--destroy", "aki0", timeout=BOOTS)
    assert whole(wizard.machine) == before
    wizard.ok("apply", "--yes", timeout=BOOTS)
    assert to_do(wizard) == set()
    assert everything(wizard) == reached


def everything(wizard: WizardOn) -> dict[str, Any]:
    """The hypervisor's, and what the guest has of us; without what is each machine's own."""
    made = whole(wizard.machine)
    files = {re.sub("^[0-9a-f]{64} ", "", line) for line in made.pop("files")}
    domains = {name: OWN.sub("OWN", xml) for name, xml in made.pop("domains").items()}
    asked = wizard.machine.run_on_lan(
        wizard.machine.ssh(IN_GUEST, host="aki0"), capture_output=True, text=True, timeout=120
    )
    assert asked.returncode == 0, asked.stderr
    return {**made, "files": files, "domains": domains, "guest": OWN.sub("OWN", asked.stdout)}
