"""Step `join.pin`: nodes' addresses in the pod network are those on the isolated network (DOMAIN S13, E11).

How to read it: which software connects pods is seen, not asked (`_way`): an Installation that Calico's operator
follows, a calico-node from a manifest, or something that the wizard cannot tell. It moves only when every node has its
address there; a node without one would lose its pods. What was set before is put back by undo, which comes before the
isolated network is taken away: `undo --all` goes in that order.

Sources: docs.tigera.io, "Configure IP autodetection" (`kubernetes-internal-ip`, `cidrs`, `set env`); the operator's
render/node.go, which hands `cidrs` to calico-node as IP_AUTODETECTION_METHOD=cidr=…; Calico's startup.go, which looks
again every minute and writes the node's annotation projectcalico.org/IPv4Address.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_interface
from typing import Any

from wizard.actions import Action, OnUndo, Run, Wait
from wizard.cluster import Cluster
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode
from wizard.facts.pod_network import DETECTION, POD_NETWORK, Agent, PodNetwork
from wizard.model import AnyFact, Blocked, Context, Do, Nothing, Part, Plan, Risk, Step
from wizard.stages import node_addresses, nodes
from wizard.stages.guest_nics import guest
from wizard.stages.join_cni_fresh import fresh_pinned
from wizard.stages.join_cni_parts import KUBECTL

ANNOTATION = "projectcalico.org/IPv4Address"
RESTARTED = 300
"""Seconds for calico-node to be restarted on one node after the other."""
MOVED = 120
"""Seconds for nodes to look at their addresses again."""


@dataclass(frozen=True)
class Way:
    """How the pod network is told where nodes' addresses are."""

    title: str
    pinned: bool
    pin: Run
    """With its way back."""
    agent: Agent
    by_operator: bool = False


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    every = dict(node_addresses.facts(cluster))
    return every | {target: (*every[target], POD_NETWORK, KUBE_NODES)}


def plan(ctx: Context, target: str) -> Plan:
    isolated = ctx.cluster.isolated
    if isolated is None:
        return Nothing("cluster.yaml has no isolated network: nodes' addresses stay on the LAN")
    if names := node_addresses.unplanned(ctx.cluster):
        have = "has" if len(names) == 1 else "have"
        return Nothing(f"{', '.join(names)} {have} no `isolated_address`: addresses stay where all reach each other")
    network = ctx.see(POD_NETWORK, target)
    if not network.there:
        return Blocked("join.init", f"{target} has no cluster yet")
    way = _way(network, isolated.cidr)
    if isinstance(way, str):
        return Nothing(way)
    elsewhere = tuple(_elsewhere(ctx, target, isolated.cidr))
    if way.pinned and not elsewhere:
        return Nothing(f"{way.title} takes nodes' addresses from {isolated.cidr}")
    if blocked := _too_early(ctx, target):
        return blocked
    return _moved(ctx, target, way, elsewhere)


# ---------------------------------------------------------------- what is there


def _way(network: PodNetwork, cidr: IPv4Network) -> Way | str:
    """None that the wizard knows: then why not, in words."""
    calico = network.agent("calico-node")
    if calico and network.installation is not None:
        return _by_operator(network.detection, cidr, calico)
    if calico:
        return _by_environment(calico, cidr)
    if network.agent("cilium"):
        return (
            "Cilium connects nodes at their InternalIPs, which stay on the LAN: moving them means another node-ip for "
            "each kubelet, and the hypervisor could no longer reach them there"
        )
    names = ", ".join(agent.name for agent in network.agents if agent.name != "kube-proxy")
    return f"{names or 'the pod network'} has no address detection that the wizard knows"


def _by_operator(now: Mapping[str, Any], cidr: IPv4Network, agent: Agent) -> Way:
    """One method alone may be there, so each other one is taken away in the same breath (the definition's own rule)."""
    set_now = {key: value for key, value in now.items() if value not in (None, False, "", [])}
    wanted = {**dict.fromkeys(now), "firstFound": None, "cidrs": [str(cidr)]}
    back = {"cidrs": None, **set_now} if set_now else None
    pin = Run(_patch(wanted), undo=Run(_patch(back)))
    return Way("Calico's operator", set_now == {"cidrs": [str(cidr)]}, pin, agent, by_operator=True)


def _patch(detection: Mapping[str, Any] | None) -> tuple[str, ...]:
    spec = {"spec": {"calicoNetwork": {"nodeAddressAutodetectionV4": detection}}}
    return (*KUBECTL, "patch", "installation.operator.tigera.io", "default", "--type=merge", "-p", json.dumps(spec))


def _by_environment(agent: Agent, cidr: IPv4Network) -> Way:
    before, wanted = agent.env.get(DETECTION), f"cidr={cidr}"
    back = f"{DETECTION}={before}" if before is not None else f"{DETECTION}-"
    set_env = (*KUBECTL, "-n", agent.namespace, "set", "env", f"daemonset/{agent.name}")
    pin = Run((*set_env, f"{DETECTION}={wanted}"), undo=Run((*set_env, back)))
    return Way("calico-node", before == wanted, pin, agent)


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
    actions: tuple[Action, ...] = () if way.pinned else tuple(_pinned(ctx, way))
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


def _pinned(ctx: Context, way: Way) -> Iterator[Action]:
    words = f"wait until {way.agent.name} has been restarted on every node (at most {RESTARTED} s)"
    restarted = Run(("network_restarted", str(RESTARTED), way.agent.namespace, way.agent.name), words)
    wanted = f"cidr={ctx.cluster.isolated.cidr}" if ctx.cluster.isolated else ""
    yield OnUndo(restarted)
    if way.by_operator:
        yield OnUndo(Run(Wait(_told(way.agent, wanted, "!="), MOVED, "the operator has told calico-node").argv()))
    yield way.pin
    if way.by_operator:
        yield Wait(_told(way.agent, wanted, "="), MOVED, "the operator has told calico-node")
    yield restarted


def _told(agent: Agent, wanted: str, sign: str) -> tuple[str, ...]:
    path = f'{{.spec.template.spec.containers[*].env[?(@.name=="{DETECTION}")].value}}'
    ask = f"{' '.join(KUBECTL)} -n {agent.namespace} get daemonset {agent.name} -o jsonpath='{path}'"
    return ("sh", "-c", f'now=$({ask}) && [ "$now" {sign} {wanted} ]')


NOTES = (
    "calico-node is restarted on one node after the other; pods keep their connections, new ones may take a second.",
    "Undo it before the isolated network is undone: without it, nodes would lose each other. `undo --all` does.",
)


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    """What was set before; where the cluster is gone, so is what was set in it."""
    if not ctx.see(POD_NETWORK, target).there:
        return Do("the cluster is gone, and with it what was set", (Part(target, "close the notes", ()),))
    limit = RESTARTED + MOVED + 60
    part = Part(target, "the pod network goes back", inverses, risk=Risk.BRIEF_INTERRUPTION, limit=limit)
    return Do("the pod network finds nodes' addresses as before", (part,))


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
)
