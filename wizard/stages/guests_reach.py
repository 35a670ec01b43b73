"""Step `guests.reach`: every guest runs, is on the LAN, and answers over SSH as itself (DOMAIN S3, 2.1).

How to read it: first what libvirt knows, and what is done there (`guests_reach_nic`, `guests_reach_change`); only when
that is as wanted, the guest's own word (`guests_reach_identity`). Of a machine of its own there is nothing but its word
(`guests_reach_machine`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.actions import Action
from wizard.cluster import Cluster, Guest
from wizard.facts.guests import ADDRESSES, UPTIMES
from wizard.facts.identity import IDENTITY, Identity
from wizard.facts.kubeadm import IS_NODE
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain
from wizard.model import (
    HYPERVISOR,
    AnyFact,
    Blocked,
    Context,
    Do,
    Finding,
    Nothing,
    Part,
    Plan,
    Refused,
    Risk,
    Step,
    Unknown,
    Unseen,
)
from wizard.stages import domain_xml, fresh_guest_nics, guest_nics, guests_reach_machine
from wizard.stages.guests_defaults import defaults, known_addresses, lan_address
from wizard.stages.guests_domain import BOOT, LIMIT, domain_of, missing, pods_stop, yours
from wizard.stages.guests_reach_change import ID, Lacks, answers, lacks, parts
from wizard.stages.guests_reach_identity import doubles, impostor, is_guest, shared_macs
from wizard.stages.guests_reach_nic import FirstNic, file_of, first_nic, trouble, where
from wizard.stages.libvirt_network import xml_file


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    said: dict[str, tuple[AnyFact[Any], ...]] = {guest.name: (IDENTITY,) for guest in cluster.guests}
    if guest_nics.is_physical(cluster, target):
        return said
    said[target] = (IDENTITY, IS_NODE)
    return {HYPERVISOR: (NETWORKS, ADDRESSES, UPTIMES, xml_file(file_of(target)), *domain_xml.facts(target)), **said}


def plan(ctx: Context, target: str) -> Plan:
    guest = guest_nics.guest(ctx.cluster, target)
    if guest.physical:
        return guests_reach_machine.plan(ctx, guest)
    if found := missing(ctx, guest):
        return found
    domain = domain_of(ctx, guest)
    nic = first_nic(ctx, guest, domain)
    if nic is None:
        return yours(_no_nic(ctx, target))
    if shared := list(shared_macs(ctx, domain)):
        return yours(*shared)
    needed = lacks(domain, nic)
    if (needed.place or needed.running_place) and not _is_active(ctx, nic.network):
        return Blocked("bridge.network", f"the network {nic.network} is not active yet")
    if needed:
        return Do(_why(target, nic, needed), parts(ctx, domain, nic, needed), tuple(_notes(ctx, target, nic, needed)))
    return _answer(ctx, guest, domain, nic)


def _no_nic(ctx: Context, name: str) -> Finding:
    network = ctx.cluster.bridge.network if ctx.cluster.bridge else "NETWORK"
    cure = f"give it one: virsh attach-interface {name} network {network} --model virtio --config; then shut it down"
    return Finding("no-nic", f"{name} has no NIC on the LAN", cure, name)


def _is_active(ctx: Context, network: str) -> bool:
    return any(each.name == network and each.active for each in ctx.see(NETWORKS))


# ---------------------------------------------------------------- its own word


def _answer(ctx: Context, guest: Guest, domain: Domain, nic: FirstNic) -> Plan:
    seen = ctx.look(IDENTITY, guest.name)
    if isinstance(seen, Unseen):
        return _silent(ctx, guest, nic, seen)
    if not is_guest(seen.value, domain):
        return Refused((impostor(ctx, guest, seen.value),))
    if findings := list(doubles(ctx, guest)):
        return yours(*findings)
    return Nothing(" ".join(_as_it_is(ctx, guest, nic, seen.value)))


def _silent(ctx: Context, guest: Guest, nic: FirstNic, seen: Unseen) -> Plan:
    """It runs, and nobody can log in: what is known about why."""
    if not seen.unreachable:
        return Unknown(IDENTITY.id, seen.reason)
    at, known = lan_address(ctx.cluster, guest), known_addresses(ctx, guest.name)
    if at and known and at not in known:
        return yours(_moved_away(ctx, guest, str(at), str(known[0])))
    since = ctx.see(UPTIMES).get(guest.name, BOOT)
    if since < BOOT:
        why = f"{guest.name} was started {since} s ago, and does not answer yet"
        return Unknown(IDENTITY.id, why, unreachable=True, wait=answers(guest.name, BOOT - since))
    known_of_it = [f"{guest.name} runs, but cannot be asked: {seen.reason}."]
    if not nic.runs_there:
        known_of_it.append(f"{where(guest.name, nic.defined)}. {trouble(ctx.cluster, nic.defined)}")
    known_of_it.append(f"Look at it: virsh console {guest.name} (leave with Ctrl+]), virsh domstate {guest.name}")
    return Unknown(IDENTITY.id, " ".join(known_of_it), unreachable=True)


def _moved_away(ctx: Context, guest: Guest, at: str, now: str) -> Finding:
    why = f"{guest.name} has {now} now, and does not answer at {at}: DHCP gave it another address"
    to = ctx.cluster.destination(guest.name).replace(at, now)
    cure = f"write `ssh: {to}` for it in cluster.yaml, or let it have {at} for good (in the guest or in the router)"
    return Finding("address-changed", why, cure, guest.name)


def _as_it_is(ctx: Context, guest: Guest, nic: FirstNic, who: Identity) -> Iterator[str]:
    yield f"{guest.name} answers over SSH, sudo works, and it starts with the hypervisor."
    if who.hostname.partition(".")[0] != guest.name:
        yield f"It calls itself {who.hostname}."
    if not nic.is_there:
        yield f"{where(guest.name, nic.defined)}. {trouble(ctx.cluster, nic.defined)}"
        yield "`nic: bridge` in cluster.yaml moves it."
    elif not nic.runs_there:
        yield f"As it runs, its first NIC is elsewhere still: it moves when {guest.name} is shut down and started."


# ---------------------------------------------------------------- the way back


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    """The definition and autostart as before; a guest that was off is shut down again."""
    if findings := tuple(domain_xml.conflicts(ctx, target, ID, inverses)):
        return Refused(findings)
    domains = ctx.see(DOMAINS)
    if domains.daemon and domains.get(target) is None:
        part = Part(HYPERVISOR, f"files of {target}", tuple(domain_xml.without_domain(inverses)))
        return Do(f"{target} is gone; what was kept of it goes too", (part,))
    risk = Risk.RESTARTS_MACHINE if _shuts_down(inverses) else Risk.NONE
    part = Part(HYPERVISOR, f"{target} as it was before", inverses, risk=risk, limit=LIMIT)
    return Do(f"{target} is defined and started as it was before", (part,), tuple(_undo_notes(ctx, target, inverses)))


def _shuts_down(inverses: tuple[Action, ...]) -> bool:
    return any("virsh shutdown" in each.summary for each in inverses)


def _undo_notes(ctx: Context, name: str, inverses: tuple[Action, ...]) -> Iterator[str]:
    if _shuts_down(inverses):
        yield f"{name} was off before, so it is shut down."
        yield from pods_stop(ctx, name)
        return
    domain = ctx.see(DOMAINS).get(name)
    if domain and domain.active and any("define_again" in each.summary for each in inverses):
        yield f"While {name} runs, its first NIC stays where it is: it goes back when {name} is shut down and started."


# ---------------------------------------------------------------- what is said


def _why(name: str, nic: FirstNic, needed: Lacks) -> str:
    if needed.place:
        return where(name, nic.defined)
    if needed.running_place:
        return f"{where(name, nic.live or nic.defined)} until {name} is shut down and started"
    return f"{name} is off" if needed.power else f"{name} does not start with the hypervisor"


def _notes(ctx: Context, name: str, nic: FirstNic, needed: Lacks) -> Iterator[str]:
    if needed.place:
        yield trouble(ctx.cluster, nic.defined)
        yield f"The NIC moves to {nic.network} with its MAC and its slot, so {name} finds it under the same name."
    if needed.running_place:
        yield (
            f"{name} is shut down and started again: it cannot be moved while it runs, and a reboot keeps it. "
            f"It is not switched off by force; if it does not shut down within 3 minutes, it goes on as it is."
        )
        yield from pods_stop(ctx, name)


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    if guest_nics.is_physical(cluster, target):
        return guests_reach_machine.look(cluster, target)
    virsh = "virsh -c qemu:///system"
    return (f"{virsh} dominfo {target}", f"{virsh} domiflist {target}", f"{virsh} domifaddr {target} --source agent")


REACH = Step(
    id=ID,
    title="Guests that answer",
    why="Every guest runs, starts with the hypervisor, is on the LAN, and answers over SSH as a machine of its own.",
    plan=plan,
    facts=facts,
    needs=("guests.create", "bridge.network"),
    fields=("guests[].ssh", "guests[].nic", "guests[].physical"),
    defaults=defaults,
    targets=guest_nics.every,
    fresh=fresh_guest_nics.reach,
    look=look,
    undo=undo,
    changes_target=False,
)
