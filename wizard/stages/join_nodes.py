"""Step `join.nodes`: every other node joins the cluster (DOMAIN S8); control planes first, one at a time.

How to read it: is there a cluster to join; is the node in it already, or in another one; what stands in the way
(`join_nodes_found`); then one part on the node (`join_nodes_parts`) with secrets minted just before (`join_secrets`).
The way back: drained, taken out of the list, reset (`join_nodes_undo`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.cluster import Cluster
from wizard.facts.cgroup import CGROUP_DRIVER
from wizard.facts.identity import IDENTITY
from wizard.facts.kube_cluster import KUBE_CLUSTER
from wizard.facts.kube_nodes import KUBE_NODES, KUBECTL, KubeNode
from wizard.facts.kubeadm import KUBEADM, Kubeadm
from wizard.facts.network import LINKS, SSH_PATH
from wizard.model import AnyFact, Blocked, Context, Do, Finding, Nothing, Plan, Refused, Step
from wizard.stages import guest_nics, nodes
from wizard.stages.guests_domain import yours
from wizard.stages.join_addresses import leads_to_first, resolution
from wizard.stages.join_found import remains, unaddressed, under_way, unprepared
from wizard.stages.join_fresh import fresh_nodes
from wizard.stages.join_nodes_found import api, first_of, itself, misfit, obstacles
from wizard.stages.join_nodes_parts import join
from wizard.stages.join_nodes_undo import ID, undo
from wizard.stages.join_reset import NOTES, reset


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    [first] = nodes.first(cluster)
    both = (KUBEADM, IDENTITY, SSH_PATH, LINKS, CGROUP_DRIVER)
    return {first: (*both, KUBE_CLUSTER, KUBE_NODES), target: (*both, *resolution(cluster))}


def plan(ctx: Context, target: str) -> Plan:
    node = ctx.see(KUBEADM, target)
    if unfit := unprepared(target, node) or _elsewhere(ctx, target, node):
        return unfit
    if found := _no_cluster(ctx) or under_way(ctx, target, ID):
        return found
    entry = itself(ctx, target)
    if node.joined and node.finished and entry is not None:
        return _in_it(ctx, target, entry)
    if unfit := misfit(ctx, target) or unaddressed(ctx, target):
        return unfit
    if findings := tuple(obstacles(ctx, target)):
        return yours(*findings)
    return _joins(ctx, target, node)


def _no_cluster(ctx: Context) -> Blocked | None:
    first = first_of(ctx)
    chief = ctx.see(KUBEADM, first)
    if not chief.admin:
        return Blocked("join.init", f"there is no cluster on {first} yet")
    if not chief.api_ready:
        return Blocked("join.init", f"the API server of {first} is not ready")
    if not ctx.see(KUBE_CLUSTER, first).joinable:
        return Blocked("join.init", f"the cluster on {first} is half made")
    return None


def _elsewhere(ctx: Context, target: str, node: Kubeadm) -> Refused | None:
    """What it trusts is another cluster's CA."""
    ours = ctx.see(KUBEADM, first_of(ctx)).ca_hash
    if not (node.ca_hash and ours) or node.ca_hash == ours:
        return None
    at = f", at {node.server}" if node.server else ""
    why = f"{target} belongs to another cluster{at}"
    cure = (
        f"leave it there and take another machine; or, if it is to leave that cluster: sudo kubeadm reset on {target}"
    )
    return Refused((Finding("another-cluster", why, cure, target),))


def _in_it(ctx: Context, target: str, entry: KubeNode) -> Plan:
    if entry.name != target:
        why = f"{target} is in the cluster already, under the name {entry.name}"
        cure = f"a node keeps its name; to change it: kubectl delete node {entry.name}, sudo kubeadm reset on {target}"
        return yours(Finding("other-name", why, cure, target))
    wanted = target in nodes.control_planes(ctx.cluster)
    if wanted != entry.control_plane:
        is_, to_be = ("a control plane", "a worker") if entry.control_plane else ("a worker", "a control plane")
        why = f"{target} is {is_} in the cluster, and {to_be} in cluster.yaml"
        cure = f"write its role as it is, or let it leave and join anew: undo {ID}@{target}, then apply"
        return yours(Finding("other-role", why, cure, f"guests[{target}].role"))
    ready = "Ready" if entry.ready else f"not Ready yet: {entry.reason or 'its kubelet has said nothing'}"
    return Nothing(f"{target} is a node of the cluster ({entry.kubelet}, {entry.internal_ip}), {ready}")


def _joins(ctx: Context, target: str, node: Kubeadm) -> Plan:
    part = join(ctx, target, api(ctx))
    notes = tuple(_notes(ctx, target))
    if node.untouched:
        return Do(f"{target} is not in the cluster yet", (part,), notes)
    why = f"{target} began to join and did not end, or was taken out of the list: there are {remains(node)}"
    lost = f"What pods have kept on {target} is lost."
    return Do(f"{why}. It is reset, and joins anew", (reset(target), part), (*NOTES, *notes), irreversible=lost)


def _notes(ctx: Context, target: str) -> Iterator[str]:
    if target in nodes.control_planes(ctx.cluster):
        yield from _losses(ctx, target)
    chief = ctx.see(KUBE_NODES, first_of(ctx)).get(first_of(ctx))
    if not (chief and chief.ready):
        yield f"{target} is NotReady until a pod network is there (join.cni)."


def _losses(ctx: Context, target: str) -> Iterator[str]:
    """What several control planes do not help against (DOMAIN S6, section 5)."""
    planes, first = nodes.control_planes(ctx.cluster), first_of(ctx)
    yield from nodes.even_note(ctx.cluster)
    guests = [name for name in planes if not guest_nics.is_physical(ctx.cluster, name)]
    if len(guests) > 1 and 2 * len(guests) >= len(planes):
        yield f"{', '.join(guests)} are guests of one host: when it is down, so is the API."
    if leads_to_first(ctx, target):
        yield (
            f"{api(ctx)} leads to {first} itself: when {first} is down, so is the API, until the name leads to another "
            "control plane. A virtual address that moves by itself (kube-vip, keepalived) is the way around that."
        )


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    [first] = nodes.first(cluster)
    on_first = f"ssh {cluster.destination(first) or first} sudo {KUBECTL}"
    on_node = f"ssh {cluster.destination(target) or target} sudo"
    return (
        f"{on_first} get nodes -o wide",
        f"{on_first} describe node {target}",
        f"{on_node} journalctl -u kubelet -n 20",
    )


def side_by_side(cluster: Cluster, target: str) -> bool:
    """Workers; a control plane changes the members of etcd, which goes one at a time."""
    return target not in nodes.control_planes(cluster)


STEP = Step(
    id=ID,
    title="Nodes",
    why="Every other guest joins, with a token minted seconds before and the hash of the cluster's CA.",
    plan=plan,
    facts=facts,
    needs=("join.prerequisites", "join.init"),
    fields=("guests[].role",),
    targets=nodes.others,
    fresh=fresh_nodes,
    look=look,
    undo=undo,
    side_by_side=side_by_side,
    undone_from_afar=True,
)
