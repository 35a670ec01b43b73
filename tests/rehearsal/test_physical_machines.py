"""Machines of their own beside the hypervisor: reached, and given their addresses, without a word to libvirt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.rehearsal.wizard_on import WizardOn
from wizard.rehearsal import Rehearsal


def addresses(machine: Rehearsal, host: str) -> list[str]:
    found = json.loads(machine.inside("ip -j addr show dev enp2s0", host=host))
    return [each["local"] for each in found[0]["addr_info"] if each["scope"] == "global"]


def test_addresses_on_the_isolated_network(hypervisor: Callable[..., Rehearsal], tmp_path: Path) -> None:
    machine = hypervisor(nodes=2)
    wizard = WizardOn(machine, tmp_path / "wizard")
    wizard.ok("apply", "guests", "--yes", timeout=400)
    assert addresses(machine, "aki0") == ["192.168.190.100"]
    machine.inside("ping -q -c 1 -W 5 192.168.190.101", host="aki0")
    assert machine.inside("virsh -q list --all --name").split() == []

    machine.reboot(host="aki1")
    assert addresses(machine, "aki1") == ["192.168.190.101"]
    said = wizard.json("plan", "guests")
    assert said["changes"] == 0, [each for each in said["steps"] if each["state"] != "done"]
    assert not [each for each in said["steps"] if each["step"] == "guests.attach"]

    wizard.ok("undo", "guests.address@aki1", "--yes")
    assert addresses(machine, "aki1") == []
