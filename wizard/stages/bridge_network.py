"""Step `bridge.network`: libvirt offers the bridge to guests under a name (DOMAIN S2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wizard.actions import Action
from wizard.cluster import Cluster
from wizard.cluster.sections import Bridge
from wizard.facts.network import LINKS
from wizard.model import HYPERVISOR, AnyFact, Blocked, Context, Finding, Nothing, Plan, Refused, Step
from wizard.stages import fresh
from wizard.stages.bridge_defaults import defaults
from wizard.stages.libvirt_network import WantedNetwork, plan_network, undo_network


def wanted_network(bridge: Bridge) -> WantedNetwork:
    return WantedNetwork(bridge.network, "bridge/network.xml.j2", bridge.name)


def plan(ctx: Context, target: str) -> Plan:
    """The bridge must be there first: libvirt would start the network without it, and guests would fail (DOMAIN S2)."""
    bridge = ctx.cluster.bridge
    if bridge is None:
        return Nothing("cluster.yaml asks for no bridge")
    link = ctx.see(LINKS).get(bridge.name)
    if link is None or link.kind != "bridge":
        return Blocked("bridge.port", f"there is no bridge {bridge.name} yet")
    return plan_network(ctx, wanted_network(bridge))


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    if ctx.cluster.bridge is None:
        why = "cluster.yaml has no `bridge` any more, so it is not known which network was meant"
        return Refused((Finding("no-bridge-section", why, "put the section back, then undo again", "bridge"),))
    return undo_network(ctx, wanted_network(ctx.cluster.bridge), inverses)


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    own = wanted_network(cluster.bridge).facts if cluster.bridge else ()
    return {HYPERVISOR: (LINKS, *own)}


STEP = Step(
    id="bridge.network",
    title="The bridge as a libvirt network",
    why="Guests name a network, not a bridge: their definition stays the same if the bridge ever changes.",
    plan=plan,
    facts=facts,
    needs=("preflight.packages", "bridge.port"),
    fields=("bridge.network",),
    defaults=defaults,
    undo=undo,
    fresh=fresh.bridge_network,
    look=fresh.look_at_bridge_network,
)
