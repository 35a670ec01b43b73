"""Undoing what was done in a guest that does not answer: what is noted of it lies in the guest alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wizard.cluster import Cluster
from wizard.facts.libvirt import DOMAINS
from wizard.facts.ours import OURS
from wizard.model import HYPERVISOR, AnyFact, Blocked, Context, Finding, Nothing, Unseen
from wizard.stages.guest_nics import is_physical
from wizard.stages.guests_create_seen import made_here
from wizard.stages.guests_domain import yours


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    return {} if is_physical(cluster, target) else {HYPERVISOR: (DOMAINS,)}


def undone_without(ctx: Context, target: str) -> Nothing | Blocked | None:
    """Whether that is of no account, or must wait; None where the guest answers."""
    seen = ctx.look(OURS, target)
    if not (isinstance(seen, Unseen) and seen.unreachable):
        return None
    if is_physical(ctx.cluster, target):
        return _waits(target, f"{target} does not answer", f"see that {target} is on and its cable in, then undo again")
    domains = ctx.see(DOMAINS)
    if not domains.daemon:
        return Blocked("preflight.packages", "libvirt does not answer on the hypervisor")
    domain = domains.get(target)
    if domain is None:
        return Nothing(f"{target} is gone, and with it what was done in it")
    if domain.active:
        return _waits(target, f"{target} does not answer", f"look at it (virsh console {target}), then undo again")
    if made_here(ctx, domain):
        return Nothing(f"{target} is off: what was done in it stays there, and goes when guests.create is undone")
    return _waits(target, f"{target} is off", f"start it (virsh start {target}), then undo again")


def _waits(target: str, why: str, cure: str) -> Blocked:
    why = f"{why}, and what was done in it is noted there alone"
    return yours(Finding("silent", why, cure, target))
