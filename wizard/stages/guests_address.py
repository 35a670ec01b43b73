"""Step `guests.address`: the guest's address on the isolated network, now and after every boot (DOMAIN S12).

How to read it: which NIC is it (`guests_attach_nics`, by its MAC on the hypervisor; of a machine of its own, by the
MAC in cluster.yaml), has anybody else the address, who
is to write it down in the guest (`guests_address_writer`), and then one guarded part in the guest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_interface, ip_network
from typing import Any

from wizard.actions import Action, OnUndo, Run, Wait, WriteFile
from wizard.cluster import Cluster, Guest
from wizard.facts.guests import ADDRESSES
from wizard.facts.libvirt import DOMAINS, NETWORKS
from wizard.facts.netplan import Interface
from wizard.facts.network import LINKS, ROUTES, Link
from wizard.facts.network_writers import NETWORK_WRITERS
from wizard.model import (
    HYPERVISOR,
    AnyFact,
    Blocked,
    Context,
    Do,
    Finding,
    Guard,
    Known,
    Nothing,
    Part,
    Plan,
    Probe,
    Refused,
    Risk,
    Step,
)
from wizard.stages import guest_nics
from wizard.stages.guests_address_fresh import fresh_addresses
from wizard.stages.guests_address_writer import IN_NETPLAN, OWN, Writer, writer
from wizard.stages.guests_attach_nics import nics
from wizard.stages.guests_defaults import defaults
from wizard.stages.guests_domain import missing, yours
from wizard.stages.guests_silent import undone_without

SETTLE = 20
"""Seconds for the network manager to bring about what its files say."""
GOES = 5
LIMIT = 120


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    """The other guests too: one of them may have the address."""
    others = {guest.name: (LINKS,) for guest in cluster.guests if guest.name != target}
    in_libvirt = {} if guest_nics.is_physical(cluster, target) else {HYPERVISOR: (DOMAINS, NETWORKS, ADDRESSES)}
    return {**in_libvirt, **others, target: (LINKS, ROUTES, NETWORK_WRITERS, OWN)}


def plan(ctx: Context, target: str) -> Plan:
    guest, isolated = guest_nics.guest(ctx.cluster, target), ctx.cluster.isolated
    if isolated is None or guest.isolated_address is None:
        return Nothing(f"cluster.yaml gives {target} no address on an isolated network")
    link = _card(ctx, guest) if guest.physical else missing(ctx, guest) or _nic(ctx, target)
    if isinstance(link, Blocked):
        return link
    wanted = ip_interface(f"{guest.isolated_address}/{isolated.cidr.prefixlen}")
    if findings := (*_taken(ctx, target, link, wanted), *_crossed(ctx, target, link, wanted)):
        return Refused(findings)
    by = writer(ctx, target, link, wanted)
    if isinstance(by, Blocked):
        return by
    if isinstance(by, list):
        return Refused(tuple(by))
    return _brought_about(ctx, target, link, wanted, by)


def _nic(ctx: Context, target: str) -> Link | Blocked:
    """The guest's own link with the MAC that the hypervisor has for it."""
    there = nics(ctx, guest_nics.guest(ctx.cluster, target))
    if not there.domain.active:
        return Blocked("guests.reach", f"{target} is shut off")
    if not there.is_live:
        return Blocked("guests.attach", f"{target} has no NIC on {there.network} yet")
    link = next((each for each in ctx.see(LINKS, target) if there.mac in (each.mac, each.permanent_mac)), None)
    return link or Blocked("guests.attach", f"{target} runs without seeing its NIC {there.mac}")


def _card(ctx: Context, guest: Guest) -> Link | Blocked:
    """The card of a machine of its own, by the MAC that cluster.yaml has for it; libvirt is not asked."""
    links = ctx.see(LINKS, guest.name)
    same = [each for each in links if guest.isolated_mac in (each.mac, each.permanent_mac)]
    if same:
        return next((each for each in same if each.nic), same[0])
    cards = ", ".join(f"{each.name} ({each.mac})" for each in links.nics) or "none"
    why = f"{guest.name} has no card with the MAC {guest.isolated_mac}; it has: {cards}"
    cure = f"correct `isolated_mac` of {guest.name} in cluster.yaml, or plug the card in"
    return yours(Finding("no-card", why, cure, guest.name))


def _taken(ctx: Context, target: str, link: Link, wanted: Interface) -> Iterator[Finding]:
    """By another NIC of this guest, or by another guest as far as it, or its agent, says so."""
    cure = f"give one of them another `isolated_address`, or take {wanted.ip} away there"
    for other in ctx.see(LINKS, target):
        if other.name != link.name and any(each.ip == str(wanted.ip) for each in other.addresses):
            why = f"{target} has {wanted.ip} on {other.name}, which is not its NIC on the isolated network"
            yield Finding("address-taken", why, cure, target)
    for name in sorted(set(_holders(ctx, str(wanted.ip))) - {target}):
        yield Finding("address-taken", f"the guest {name} has {wanted.ip} already", cure, name)


def _crossed(ctx: Context, target: str, link: Link, wanted: Interface) -> Iterator[Finding]:
    """By another device of this guest, a second one in the same subnet or a VPN (DOMAIN 2.1).

    The longer prefix counts: a wider route takes nothing from an address that is there already.
    """
    isolated, has = ctx.cluster.isolated, wanted in [each.interface for each in link.addresses]
    for route in ctx.see(ROUTES, target):
        if isolated is None or route.device in ("", link.name) or not route.leads_into(isolated.cidr):
            continue
        if has and ip_network(route.to, strict=False).prefixlen < isolated.cidr.prefixlen:
            continue
        why = (
            f"{target} has a route to {route.to} on {route.device}, which overlaps {isolated.cidr}, the isolated "
            f"network's on {link.name}: one of the two is not reached"
        )
        cure = f"choose another `isolated.cidr`, or put {route.device} of {target} into another network"
        yield Finding("range-taken", why, cure, target)


def _holders(ctx: Context, ip: str) -> Iterator[str]:
    for guest in ctx.cluster.guests:
        seen = ctx.look(LINKS, guest.name)
        if isinstance(seen, Known) and seen.value.with_address(ip):
            yield guest.name
    known = ctx.look(ADDRESSES)
    if isinstance(known, Known):
        yield from (name for name, found in known.value.agent.items() if ip in [str(each) for _, each in found])


# ---------------------------------------------------------------- what is done


def _brought_about(ctx: Context, target: str, link: Link, wanted: Interface, by: Writer) -> Plan:
    has = wanted in [each.interface for each in link.addresses]
    was = ctx.see(OWN, target).get(by.path)
    if has and (by.foreign or was == by.content):
        from_ = f", from {by.path}{', which stays as it is' if by.foreign else ''}" if by.path else ""
        return Nothing(f"{target} has {wanted} on {link.name}, by {by.program}{from_}")
    actions = (
        *_way_back(link, wanted, by, has),
        *(() if by.foreign else (WriteFile(by.path, by.content, was, _mode(by)),)),
        *_apply(link, by),
        Wait(_has(link, wanted), SETTLE, f"{link.name} has {wanted}"),
    )
    what = f"is not on {link.name} yet" if not has else f"is on {link.name} only until the next boot"
    part = Part(
        target,
        f"{wanted} on {link.name}",
        actions,
        risk=Risk.MAY_CUT_SSH,
        guard=_guard(ctx, target, link),
        limit=LIMIT,
    )
    return Do(f"{wanted} {what}", (part,), tuple(_notes(ctx, target, link, by)))


def _mode(by: Writer) -> int:
    """netplan warns of files that others may read."""
    return 0o600 if by.path == IN_NETPLAN else 0o644


def _apply(link: Link, by: Writer) -> Iterator[Run]:
    """`netplan apply` would set all links up anew, SSH's too; networkd alone is told of the files that changed."""
    if by.program != "networkd":
        yield Run(("netplan", "generate"))
    if by.by_networkd:
        yield Run(("networkctl", "reload"))
        yield Run(("networkctl", "reconfigure", link.name))
    else:
        yield Run(("netplan", "apply"))


def _way_back(link: Link, wanted: Interface, by: Writer, has: bool) -> Iterator[OnUndo]:
    """Read from bottom to top: the file is as before, its program is told, and what it leaves behind goes."""
    if not link.up:
        yield OnUndo(Run(("ip", "link", "set", "dev", link.name, "down")))
    if not has:
        # networkd takes it away a moment after it was told, or leaves it there.
        gone = ("sh", "-c", f"! ip -o addr show dev {link.name} to {wanted.ip} | grep -q .")
        unless = Wait(gone, GOES, f"{wanted.ip} is gone from {link.name}").argv()
        yield OnUndo(Run(("ip", "addr", "del", str(wanted), "dev", link.name), unless=unless))
    yield OnUndo(Run(("networkctl", "reload") if by.by_networkd else ("netplan", "apply")))
    if by.program == "netplan":
        yield OnUndo(Run(("netplan", "generate")))


def _has(link: Link, wanted: Interface) -> tuple[str, ...]:
    return ("sh", "-c", f"ip -o addr show dev {link.name} to {wanted.ip} | grep -qF ' {wanted} '")


def _guard(ctx: Context, target: str, link: Link | None) -> Guard:
    """All of the guest's network is told again: its other addresses, SSH's among them, and the way out must stay."""
    return Guard((), tuple(_probes(ctx, target, link)))


def _probes(ctx: Context, target: str, link: Link | None) -> Iterator[Probe]:
    for other in ctx.see(LINKS, target):
        for each in other.addresses if other != link else ():
            there = ("sh", "-c", f"ip -o addr show dev {other.name} to {each.ip} | grep -q .")
            yield Probe(f"{other.name} still has {each.ip}", there)
    for route in ctx.see(ROUTES, target):
        if route.to == "default" and route.gateway:
            same = ("sh", "-c", f"ip route show default via {route.gateway} dev {route.device} | grep -q .")
            yield Probe(f"the default route leads to {route.gateway}", same)


def _notes(ctx: Context, target: str, link: Link, by: Writer) -> Iterator[str]:
    if by.program == "netplan":
        yield "It goes back by itself if SSH is lost."
    if guest_nics.is_physical(ctx.cluster, target) and ctx.cluster.isolated:
        yield (
            f"{target} is a machine of its own: {link.name} reaches the other nodes only if its cable leads to "
            f"{ctx.cluster.isolated.name} on the hypervisor, which cannot be seen from here."
        )


# ---------------------------------------------------------------- the way back


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    """The file is as it was before, and the address gone; guarded as the change was."""
    if found := undone_without(ctx, target):
        return found
    guest = guest_nics.guest(ctx.cluster, target)
    link = _card(ctx, guest) if guest.physical else _nic(ctx, target)
    part = Part(
        target,
        f"take the address of {target} back",
        inverses,
        risk=Risk.MAY_CUT_SSH,
        guard=_guard(ctx, target, link if isinstance(link, Link) else None),
        limit=LIMIT,
    )
    return Do(f"{target} is on the isolated network without an address of ours, as before", (part,))


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    ssh = f"ssh {cluster.destination(target) or target}"
    return (f"{ssh} ip -br addr", f"{ssh} ip route", f"{ssh} sudo cat {IN_NETPLAN}")


STEP = Step(
    id="guests.address",
    title="Addresses on the isolated network",
    why="The second NIC gets a fixed address by its MAC, without a gateway and without DNS: the way out stays the LAN.",
    plan=plan,
    facts=facts,
    needs=("guests.attach", "guests.reach"),
    fields=("guests[].isolated_address", "guests[].isolated_mac"),
    defaults=defaults,
    targets=guest_nics.isolated,
    fresh=fresh_addresses,
    look=look,
    undo=undo,
    undone_from_afar=True,
)
