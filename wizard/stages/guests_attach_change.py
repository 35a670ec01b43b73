"""What `guests.attach` does: into the definition, into the running machine, and then the guest is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wizard.actions import Action, OnUndo, Run, Wait
from wizard.model import HYPERVISOR, Part, Risk
from wizard.stages.domain_xml import changing
from wizard.stages.guests_attach_nics import Nics
from wizard.stages.guests_domain import BOOT, LIMIT, cold_boot, has_nic, start
from wizard.stages.hotplug import has_room

ID = "guests.attach"
APPEARS = 60
"""Seconds for the guest's kernel to show a NIC that was plugged in."""


@dataclass(frozen=True)
class MissingFrom:
    """Where the NIC is missing."""

    definition: bool = False
    machine: bool = False
    guest: bool = False

    def needs_cold_boot(self, there: Nics) -> bool:
        """Where a NIC of another MAC is plugged in already, a second one would be too many."""
        return self.guest or (self.machine and (bool(there.live) or not has_room(there.domain.live_xml)))


def parts(there: Nics, lacks: MissingFrom) -> tuple[Part, ...]:
    name = there.domain.name
    cold = lacks.needs_cold_boot(there)
    on_host = Part(
        HYPERVISOR,
        f"a NIC for {name} on {there.network}",
        tuple(_on_host(there, lacks, cold)),
        always=(start(name),) if cold else (),
        risk=Risk.RESTARTS_MACHINE if cold else Risk.NONE,
        limit=LIMIT if cold else 60,
    )
    return (on_host, _seen(there)) if there.domain.active else (on_host,)


def _on_host(there: Nics, lacks: MissingFrom, cold: bool) -> Iterator[Action]:
    name = there.domain.name
    if lacks.definition:
        yield from changing(name, ID, _attach(there, "--config"))
    if lacks.machine and (lacks.definition or not cold):  # The way back unplugs first, then defines.
        yield OnUndo(Run(("unplug", name, there.mac)))
    if cold:
        yield from cold_boot(name, "false" if lacks.guest else has_nic(name, mac=there.mac))
    elif lacks.machine:
        yield _attach(there, "--live")


def _attach(there: Nics, how: str) -> Run:
    """Left out where the guest has a NIC there: each run of the command would add one more (DOMAIN E10)."""
    name, network = there.domain.name, there.network
    argv = ("virsh", "attach-interface", name, "network", network, "--model", "virtio", "--mac", there.mac, how)
    return Run(argv, unless=("sh", "-c", has_nic(name, network, inactive=how == "--config")))


def _seen(there: Nics) -> Part:
    name, mac = there.domain.name, there.mac
    seen = Wait(("sh", "-c", f"grep -qxF {mac} /sys/class/net/*/address"), APPEARS, f"{name} sees the NIC {mac}")
    return Part(name, f"{name} sees its NIC on {there.network}", (seen,), limit=APPEARS + 30, answers_within=BOOT)
