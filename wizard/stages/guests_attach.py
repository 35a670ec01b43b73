"""Step `guests.attach`: every guest has exactly one NIC on the isolated network (DOMAIN S12, E9, E10).

How to read it: the NIC must be in the guest's definition, in the guest as it runs now, and seen by the guest's own
kernel. What is missing of the three is brought about in this order, always with one and the same MAC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.actions import Action
from wizard.cluster import Cluster
from wizard.facts.kubeadm import IS_NODE
from wizard.facts.libvirt import DOMAINS, NETWORKS
from wizard.facts.network import LINKS
from wizard.model import (
    HYPERVISOR,
    AnyFact,
    Blocked,
    Context,
    Do,
    Nothing,
    Part,
    Plan,
    Refused,
    Step,
)
from wizard.stages import domain_xml, fresh_guest_nics, guest_nics
from wizard.stages.guests_attach_change import ID, MissingFrom, parts
from wizard.stages.guests_attach_nics import Nics, duplicates, nics, taken
from wizard.stages.guests_defaults import defaults
from wizard.stages.guests_domain import missing, pods_stop, yours


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    return {HYPERVISOR: (NETWORKS, *domain_xml.facts(target)), target: (LINKS, IS_NODE)}


def plan(ctx: Context, target: str) -> Plan:
    return in_libvirt(ctx, target) or _inside(ctx, target)


def in_libvirt(ctx: Context, target: str) -> Plan | None:
    """What there is to do for the NIC on the hypervisor; None where it is there, and only the guest can say more."""
    guest, isolated = guest_nics.guest(ctx.cluster, target), ctx.cluster.isolated
    if isolated is None or guest.isolated_address is None:
        return Nothing(f"cluster.yaml gives {target} no address on an isolated network")
    if found := missing(ctx, guest) or _no_network(ctx, isolated.name):
        return found
    there = nics(ctx, guest)
    if findings := tuple(duplicates(there)):
        return yours(*findings)
    if findings := tuple(taken(ctx, there)):
        return Refused(findings)
    if not there.defined or (there.domain.active and not there.is_live):
        lacks = MissingFrom(definition=not there.defined, machine=there.domain.active and not there.is_live)
        return Do(_why(there), parts(there, lacks), tuple(_notes(ctx, there, lacks)))
    if not there.domain.active:
        return Nothing(f"{target} has its NIC on {there.network} ({there.mac}) from its next start on")
    return None


def _inside(ctx: Context, target: str) -> Plan:
    """The guest's word: QEMU may have plugged a NIC that the guest's kernel never took up."""
    there = nics(ctx, guest_nics.guest(ctx.cluster, target))
    link = next((each for each in ctx.see(LINKS, target) if there.mac in (each.mac, each.permanent_mac)), None)
    if link is None:
        lacks = MissingFrom(guest=True)
        return Do(
            f"{target} runs without seeing its NIC {there.mac}", parts(there, lacks), tuple(_notes(ctx, there, lacks))
        )
    return Nothing(f"{target} has one NIC on {there.network} ({there.mac}), and calls it {link.name}")


def _no_network(ctx: Context, name: str) -> Blocked | None:
    """attach-interface would accept a network that does not exist (DOMAIN E10)."""
    network = ctx.see(NETWORKS).get(name)
    if network is None or not network.active:
        return Blocked("isolated.network", f"the network {name} is not {'active' if network else 'there'} yet")
    return None


# ---------------------------------------------------------------- the way back


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    """The definition becomes what it was; a NIC of a running guest is unplugged where the guest lets go of it."""
    if findings := tuple(domain_xml.conflicts(ctx, target, ID, inverses)):
        return Refused(findings)
    part = Part(HYPERVISOR, f"take the NIC of {target} back", inverses, limit=120)
    domain = ctx.see(DOMAINS).get(target)
    stays = f"If {target} does not let go of the NIC while it runs, it has it until it is shut down: a reboot keeps it."
    return Do(f"{target} is defined as it was before", (part,), (stays,) if domain and domain.active else ())


# ---------------------------------------------------------------- what is said


def _why(there: Nics) -> str:
    name, network = there.domain.name, there.network
    if there.defined:
        return f"{name} gets its NIC on {network} only at its next start; a reboot is not enough"
    if there.live:
        return f"{name} has its NIC on {network} only until it is shut down: it is not in its definition"
    return f"{name} has no NIC on {network}"


def _notes(ctx: Context, there: Nics, lacks: MissingFrom) -> Iterator[str]:
    name = there.domain.name
    if lacks.needs_cold_boot(there):
        yield (
            f"{name} is shut down and started again: {_reason(there, lacks)}. A reboot would not do, it keeps the same "
            f"machine. {name} is not switched off by force; if it does not shut down within 3 minutes, nothing is lost."
        )
        yield from pods_stop(ctx, name)
    elif not there.domain.active:
        yield f"{name} is shut off; the NIC is there when it starts."


def _reason(there: Nics, lacks: MissingFrom) -> str:
    if lacks.guest:
        return "its kernel has not taken up the NIC"
    if there.live:
        return f"it runs with another NIC on {there.network} ({there.live[0].mac}) than its definition has"
    return "it has no free slot for a NIC while it runs"


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    virsh = "virsh -c qemu:///system"
    return (f"{virsh} domiflist {target}", f"{virsh} domiflist {target} --inactive")


ATTACH = Step(
    id=ID,
    title="Guests on the isolated network",
    why="A second NIC for what guests say to each other. A guest gets it once, with a MAC that stays.",
    plan=plan,
    facts=facts,
    needs=("isolated.network", "guests.reach"),
    fields=("guests[].isolated_address",),
    defaults=defaults,
    targets=guest_nics.attached,
    fresh=fresh_guest_nics.attach,
    look=look,
    undo=undo,
    changes_target=False,
)
