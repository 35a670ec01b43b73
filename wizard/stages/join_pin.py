"""Step `join.pin`: nodes' addresses in the pod network are those on the isolated network (DOMAIN S13, E11).

How to read it: which software connects pods is seen, not asked (`way_of`): an Installation that Calico's operator
follows, a calico-node from a manifest, or something that the wizard cannot tell. It moves only when every node has its
address there; a node without one would lose its pods, and is refused where it has moved already. As long as it is
there, the isolated network stays (`join_pin_undo`).

Source: Calico's startup.go, which looks again every minute and writes the node's annotation
projectcalico.org/IPv4Address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, ip_interface
from typing import Any

from wizard.actions import Action, OnUndo, Run
from wizard.cluster import Cluster
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode
from wizard.facts.pod_network import POD_NETWORK, PodNetwork
from wizard.model import AnyFact, Blocked, Context, Do, Finding, Nothing, Part, Plan, Refused, Risk, Step
from wizard.stages import node_addresses, nodes
from wizard.stages.guest_nics import guest
from wizard.stages.join_cni_fresh import fresh_pinned
from wizard.stages.join_pin_undo import STANDS_ON, stands, undo
from wizard.stages.join_pin_ways import MOVED, RESTARTED, Way, way_of

ANNOTATION = "projectcalico.org/IPv4Address"


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    every = dict(node_addresses.facts(cluster))
    return every | {target: (*every[target], POD_NETWORK, KUBE_NODES)}


def plan(ctx: Context, target: str) -> Plan:
    isolated = ctx.cluster.isolated
    if isolated is None:
        return Nothing("cluster.yaml has no isolated network: nodes' addresses stay on the LAN")
    network = ctx.see(POD_NETWORK, target)
    if names := node_addresses.unplanned(ctx.cluster):
        return _unplanned(names, network, isolated.cidr)
    if not network.there:
        return Blocked("join.init", f"{target} has no cluster yet")
    way = way_of(network, isolated.cidr)
    if isinstance(way, str):
        return Nothing(way)
    elsewhere = tuple(_elsewhere(ctx, target, isolated.cidr))
    if way.pinned and not elsewhere:
        return Nothing(f"{way.title} takes nodes' addresses from {isolated.cidr}")
    if blocked := _too_early(ctx, target):
        return blocked
    return _moved(ctx, target, way, elsewhere)


# ---------------------------------------------------------------- what is there


def _unplanned(names: tuple[str, ...], network: PodNetwork, cidr: IPv4Network) -> Plan:
    """Calico-node does not come up where it finds no address in the range that it is pinned to."""
    without = f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no `isolated_address`"
    way = way_of(network, cidr) if network.there else ""
    if isinstance(way, str) or not way.pinned:
        return Nothing(f"{without}: addresses stay where all reach each other")
    why = f"{without}, and {way.title} takes nodes' addresses from {cidr} alone: pods there get no network"
    cure = f"give {'it' if len(names) == 1 else 'each'} an `isolated_address`, or run `homek8s-wizard undo join.pin`"
    return Refused((Finding("no-isolated-address", why, cure, f"guests[{names[0]}].isolated_address"),))


def _elsewhere(ctx: Context, target: str, cidr: IPv4Network) -> Iterator[KubeNode]:
    """Nodes that still name another address to the others, where they name any."""
    for node in ctx.see(KUBE_NODES, target):
        address = node.annotations.get(ANNOTATION, "")
        if address and ip_interface(address).ip not in cidr:
            yield node


def _too_early(ctx: Context, target: str) -> Blocked | None:
    if missing := tuple(node_addresses.without(ctx)):
        return Blocked("guests.address", "; ".join(missing))
    strangers = [node.name for node in ctx.see(KUBE_NODES, target) if node.name not in nodes.every(ctx.cluster)]
    if strangers:
        why = f"{', '.join(strangers)} is a node of the cluster, but not in cluster.yaml: has it an address there?"
        return Blocked("you", why)
    return None


# ---------------------------------------------------------------- what is done


def _moved(ctx: Context, target: str, way: Way, elsewhere: tuple[KubeNode, ...]) -> Do:
    actions: tuple[Action, ...] = () if way.pinned else tuple(_pinned(way))
    addresses = tuple(f"{name}={guest(ctx.cluster, name).isolated_address}" for name in nodes.every(ctx.cluster))
    words = f"wait until nodes name their new addresses (at most {MOVED} s)"
    moved = Run(("network_moved", str(MOVED), *addresses), words)
    risk = Risk.BRIEF_INTERRUPTION if actions else Risk.NONE
    limit = RESTARTED + 2 * MOVED + 60
    part = Part(target, "the pod network moves to the isolated network", (*actions, moved), risk=risk, limit=limit)
    cidr = ctx.cluster.isolated.cidr if ctx.cluster.isolated else ""
    names = ", ".join(node.name for node in elsewhere)
    why = f"{names} still names an address outside {cidr}" if way.pinned else f"{way.title} is to look in {cidr} only"
    return Do(why, (part,), () if way.pinned else NOTES)


def _pinned(way: Way) -> Iterator[Action]:
    yield OnUndo(way.restarted)
    if way.by_operator:
        yield OnUndo(way.told_otherwise)
    yield way.pin
    if way.by_operator:
        yield way.told
    yield way.restarted


NOTES = (
    "calico-node is restarted on one node after the other; pods keep their connections, new ones may take a second.",
    "The isolated network cannot be undone before this is: nodes would lose each other.",
)


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    ssh = f"ssh {cluster.destination(target) or target} sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf"
    return (f"{ssh} get nodes -o yaml | grep {ANNOTATION}", f"{ssh} get daemonsets -A")


STEP = Step(
    id="join.pin",
    title="Pod network on the isolated network",
    why="Calico takes whichever address it finds first, which changes with every new interface; here it is told.",
    plan=plan,
    facts=facts,
    needs=("join.nodes", "join.cni", "guests.address"),
    targets=nodes.first,
    fresh=fresh_pinned,
    look=look,
    undo=undo,
    undone_as_seen=True,
    stands_on=STANDS_ON,
    stands=stands,
)
