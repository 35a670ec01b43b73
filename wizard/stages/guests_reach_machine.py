"""A node that is a machine of its own, such as a Raspberry Pi: it answers over SSH, and is not taken for another.

Whether it is on, and what it is plugged into, is its owner's business: libvirt is not asked, and nothing is done.
"""

from __future__ import annotations

from wizard.cluster import Cluster, Guest
from wizard.facts.identity import IDENTITY, Identity
from wizard.model import Context, Finding, Known, Nothing, Plan, Refused, Unknown, Unseen
from wizard.stages.guests_domain import yours
from wizard.stages.guests_reach_identity import doubles


def plan(ctx: Context, guest: Guest) -> Plan:
    seen = ctx.look(IDENTITY, guest.name)
    if isinstance(seen, Unseen):
        return _silent(ctx, guest, seen)
    if other := _the_same(ctx, guest, seen.value):
        return Refused((_another(ctx, guest, other),))
    if findings := list(doubles(ctx, guest)):
        return yours(*findings)
    return Nothing(as_it_is(guest, seen.value))


def as_it_is(guest: Guest, who: Identity) -> str:
    named = "" if who.hostname.partition(".")[0] == guest.name else f" It calls itself {who.hostname}."
    return (
        f"{guest.name} answers over SSH, and sudo works.{named} "
        "It is a machine of its own: libvirt was not asked about it, and does not start it."
    )


def _silent(ctx: Context, guest: Guest, seen: Unseen) -> Unknown:
    if not seen.unreachable:
        return Unknown(IDENTITY.id, seen.reason)
    why = (
        f"{guest.name} cannot be asked: {seen.reason}. It is a machine of its own: see that it is on, that its cable "
        f"is in, and that {ctx.cluster.destination(guest.name)} is its address."
    )
    return Unknown(IDENTITY.id, why, unreachable=True)


def _the_same(ctx: Context, guest: Guest, who: Identity) -> str:
    """The other guest that answers there: one boot of one machine has one id."""
    for other in ctx.cluster.guests:
        seen = ctx.look(IDENTITY, other.name)
        if other.name != guest.name and isinstance(seen, Known):
            theirs: Identity = seen.value
            if (theirs.boot_id, theirs.machine_id) == (who.boot_id, who.machine_id) and theirs.hostname == who.hostname:
                return other.name
    return ""


def _another(ctx: Context, guest: Guest, other: str) -> Finding:
    at, there = ctx.cluster.destination(guest.name), ctx.cluster.destination(other)
    why = f"{at} and {there} lead to one and the same machine: {guest.name} and {other} cannot both be it"
    return Finding("another-machine", why, f"correct `ssh` of {guest.name} or {other} in cluster.yaml", guest.name)


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    ssh = f"ssh {cluster.destination(target)}"
    return (f"{ssh} hostnamectl", f"{ssh} sudo -n true", f"{ssh} ip -br addr")
