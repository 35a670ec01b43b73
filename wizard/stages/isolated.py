"""Stage `isolated`: a network of the guests' own, a bridge of libvirt's without NIC or address (DOMAIN S12)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from wizard.actions import Action
from wizard.cluster import Cluster
from wizard.cluster.sections import Isolated
from wizard.facts.libvirt import NETWORKS
from wizard.facts.network import LINKS, ROUTES
from wizard.model import HYPERVISOR, AnyFact, Context, Do, Finding, Nothing, Plan, Refused, Stage, Step
from wizard.stages import fresh
from wizard.stages.libvirt_network import WantedNetwork, plan_network, undo_network


def wanted_network(isolated: Isolated) -> WantedNetwork:
    """Without `<forward>` and `<ip>`: guests reach each other on it and nothing else. No STP, as there is no uplink."""
    return WantedNetwork(isolated.name, "isolated/network.xml.j2", isolated.name)


def plan(ctx: Context, target: str) -> Plan:
    isolated = ctx.cluster.isolated
    if isolated is None:
        return Nothing("cluster.yaml asks for no isolated network")
    if findings := tuple(_taken_name(ctx, isolated.name)):
        return Refused(findings)
    found = plan_network(ctx, wanted_network(isolated))
    return replace(found, notes=(*found.notes, *_overlaps(ctx, isolated))) if isinstance(found, Do) else found


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    if ctx.cluster.isolated is None:
        why = "cluster.yaml has no `isolated` any more, so it is not known which network was meant"
        return Refused((Finding("no-isolated-section", why, "put the section back, then undo again", "isolated"),))
    return undo_network(ctx, wanted_network(ctx.cluster.isolated), inverses)


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    own = wanted_network(cluster.isolated).facts if cluster.isolated else ()
    return {HYPERVISOR: (LINKS, ROUTES, *own)}


def _taken_name(ctx: Context, name: str) -> Iterator[Finding]:
    """libvirt makes the bridge itself; a link of that name that is not libvirt's stands in the way."""
    link = ctx.see(LINKS).get(name)
    if link is not None and not any(network.live_bridge == name for network in ctx.see(NETWORKS)):
        what = "a network card" if link.nic else f"a {link.kind or 'loopback'} device of somebody else"
        yield Finding("name-taken", f"{name} is {what}", "choose another name for the network", "isolated.name")


def _overlaps(ctx: Context, isolated: Isolated) -> Iterator[str]:
    """Answers from the range would leave the wrong way (DOMAIN 2.1)."""
    for route in ctx.see(ROUTES):
        if route.device != isolated.name and route.leads_into(isolated.cidr):
            yield f"The host has a route to {route.to} on {route.device}, which overlaps {isolated.cidr}."


NETWORK = Step(
    id="isolated.network",
    title="The isolated network",
    why="Cluster traffic between guests on this host stays off the LAN, and no NAT or firewall of the host touches it.",
    plan=plan,
    facts=facts,
    needs=("preflight.packages",),
    fields=("isolated.name", "isolated.cidr"),
    undo=undo,
    fresh=fresh.isolated_network,
    look=fresh.look_at_isolated_network,
)

STAGE = Stage(
    id="isolated",
    title="Isolated network",
    why="A second network that only the guests are on, for what they say to each other.",
    steps=(NETWORK,),
)
