"""A machine as a whole, to be compared: what `undo --all` must bring back."""

from __future__ import annotations

import re
from typing import Any

from tests.rehearsal import firewall_on
from tests.rehearsal.wizard_on import picture
from wizard.rehearsal import Rehearsal


def whole(machine: Rehearsal) -> dict[str, Any]:
    """All that undo must bring back: as for the host alone, its rules, and what libvirt has of the guests."""
    names = machine.inside("virsh list --all --name").split()
    domains = {
        name: machine.inside(
            f"virsh dumpxml --inactive {name}; virsh dominfo {name} | grep -E '^(State|Autostart|Persistent)'"
        )
        for name in names
    }
    firewall = firewall_on.picture(machine)
    # libvirt makes its chains with the first network and leaves them, empty, for the next.
    rules = [line for line in firewall.pop("rules") if not re.search("-j LIBVIRT_...$", line)]
    host = picture(machine)
    # virt-install tells libvirt of the directory that it finds images in, and that stays.
    host["files"] = [line for line in host["files"] if "/etc/libvirt/storage/" not in line]
    # The taps of running guests are numbered anew at each start, and begin with what was the default then.
    host["links"] = {name: link for name, link in host["links"].items() if not name.startswith("vnet")}
    firewall["sysctls"] = [line for line in firewall["sysctls"] if ".vnet" not in line]
    return {**host, "domains": domains, "firewall": firewall, "rules": rules}
