"""Step `join.init`: the first control plane (DOMAIN S6). `kubeadm init` runs once: what is there is recognised.

How to read it: nothing of kubeadm on the node → init (`join_init_parts`); a whole cluster → adopted, with what differs
from cluster.yaml; a whole cluster that does not answer → waited for; half of one → a reset is offered, and the node's
name asked for. `join_config` has the configuration file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.actions import Action
from wizard.cluster import Cluster
from wizard.facts.cgroup import CGROUP_DRIVER
from wizard.facts.kube_cluster import KUBE_CLUSTER, KubeCluster
from wizard.facts.kube_nodes import KUBE_NODES, KUBECTL
from wizard.facts.kubeadm import KUBEADM, Kubeadm
from wizard.facts.network import LINKS, SSH_PATH
from wizard.facts.ours import OURS
from wizard.model import AnyFact, Context, Do, Finding, Known, Nothing, Plan, Refused, Step, Unknown
from wizard.stages import nodes
from wizard.stages.guests_domain import yours
from wizard.stages.join_addresses import elsewhere, endpoint, lan_address, resolution, unresolved
from wizard.stages.join_config import host_port
from wizard.stages.join_found import remains, unaddressed, under_way, unprepared
from wizard.stages.join_fresh import fresh_init
from wizard.stages.join_init_config import installed, kubernetes
from wizard.stages.join_init_parts import CONFIG, SETTLE, addons, init, wait
from wizard.stages.join_reset import NOTES, reset, taken_back

ID = "join.init"
MORE = "journalctl -u kubelet -n 50; crictl ps -a; tail /var/log/pods/kube-system_*/*/*.log"
LOST = "The cluster goes, and all that it knows: workloads, their settings and secrets, certificates, etcd's data."


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    about_node = (KUBEADM, SSH_PATH, LINKS, CGROUP_DRIVER, CONFIG, *resolution(cluster))
    return {target: (*about_node, KUBE_CLUSTER, KUBE_NODES)}


def plan(ctx: Context, target: str) -> Plan:
    node = ctx.see(KUBEADM, target)
    if found := unprepared(target, node) or under_way(ctx, target, ID):
        return found
    if not (node.admin or node.joined or node.manifests or node.etcd):
        return _fresh(ctx, target, node)
    if not_ours := _somebody_elses(target, node):
        return not_ours
    if node.api_ready:
        cluster = ctx.see(KUBE_CLUSTER, target)
        if node.finished or (cluster.configured and cluster.joinable):
            return _whole(ctx, target, node, cluster)
    elif node.finished:
        return _silent(target, node)
    return _half(ctx, target, node)


# ---------------------------------------------------------------- not yet


def _fresh(ctx: Context, target: str, node: Kubeadm) -> Plan:
    if finding := unresolved(ctx, target):
        return yours(finding)
    if found := unaddressed(ctx, target):
        return found
    part = init(ctx, target, installed(ctx, node.version))
    return Do(f"{target} is no control plane yet", (part,), tuple(_notes(ctx, target, node)))


def _notes(ctx: Context, target: str, node: Kubeadm) -> Iterator[str]:
    where = endpoint(ctx)
    if where == host_port(lan_address(ctx, target)):
        yield (
            f"The API is reached at {where}, the address of {target}, and that is for good: {target} must keep the "
            "address, and no second control plane can come. `endpoint:` in cluster.yaml gives it a name of its own."
        )
    if found := elsewhere(ctx, target):
        yield (
            f"The endpoint {where} is {', '.join(found)}, which {target} does not have: what has it must pass "
            f"connections on to {target}, or init does not end."
        )
    yield from nodes.even_note(ctx.cluster)
    if node.pki:
        yield "The certificates that lie in /etc/kubernetes/pki are used."
    if len(nodes.every(ctx.cluster)) == 1:
        yield (
            f"{target} is the only node, and ordinary pods keep off control planes. To let them run there: "
            "kubectl taint nodes --all node-role.kubernetes.io/control-plane- (up to 1.23: …/master-)."
        )
    yield "Nodes are listed as NotReady until a pod network is there: that is the next step."


def _half(ctx: Context, target: str, node: Kubeadm) -> Plan:
    """What an init that was cut off leaves cannot be gone on with: kubeadm refuses to start on it."""
    if finding := unresolved(ctx, target):
        return yours(finding)
    if found := unaddressed(ctx, target):
        return found
    answers = "its API server answers, but is not set up" if node.api_ready else "no API server answers there"
    why = f"kubeadm init began on {target} and did not end: there are {remains(node)}, and {answers}"
    parts = (reset(target), init(ctx, target, installed(ctx, node.version)))
    notes = (*NOTES, *_notes(ctx, target, Kubeadm()))
    return Do(f"{why}. It is taken away, and init begins anew", parts, notes, irreversible=LOST)


# ---------------------------------------------------------------- there already


def _somebody_elses(target: str, node: Kubeadm) -> Plan | None:
    if node.joined and not node.manifests and (not node.admin or (node.finished and not node.etcd)):
        why = f"{target} is a worker of the cluster at {node.server or 'an unknown place'}"
        cure = f"use another guest as the first control plane, or let {target} leave that cluster: sudo kubeadm reset"
        return Refused((Finding("another-cluster", why, cure, target),))
    if node.finished and not node.admin:
        why = f"{target} is a control plane, but has no /etc/kubernetes/admin.conf, so its cluster cannot be asked"
        cure = f"bring the file back; on {target}: sudo kubeadm init phase kubeconfig admin"
        return yours(Finding("no-admin", why, cure, target))
    return None


def _whole(ctx: Context, target: str, node: Kubeadm, cluster: KubeCluster) -> Plan:
    wanted = kubernetes(ctx).endpoint
    if wanted and cluster.endpoint and cluster.endpoint != host_port(wanted):
        why = f"the cluster of {target} has the endpoint {cluster.endpoint}, and keeps it; cluster.yaml has {wanted}"
        cure = f"write `endpoint: {cluster.endpoint.rpartition(':')[0]}`, or take the cluster down"
        return Refused((Finding("endpoint-differs", why, cure, "kubernetes.endpoint"),))
    if not cluster.dns and _made_here(ctx, target):
        part = addons(ctx, target, installed(ctx, node.version))
        return Do(
            f"init on {target} was cut off before its last phase: cluster DNS and kube-proxy are missing", (part,)
        )
    at = cluster.endpoint or node.server
    differs = list(_differences(ctx, target, cluster))
    but = f". Other than in cluster.yaml: {', '.join(differs)}" if differs else ""
    return Nothing(f"{target} is a control plane of Kubernetes {cluster.version}, and its API is ready, at {at}{but}")


def _made_here(ctx: Context, target: str) -> bool:
    ours = ctx.look(OURS, target)
    return isinstance(ours, Known) and bool(ours.value.of(f"{ID}@{target}"))


def _differences(ctx: Context, target: str, cluster: KubeCluster) -> Iterator[str]:
    wanted, listed = kubernetes(ctx), ctx.see(KUBE_NODES, target)
    if listed.there and listed.get(target) is None:
        yield f"its nodes are called {', '.join(node.name for node in listed)}, none of them {target}"
    if cluster.pod_cidr != str(wanted.pod_cidr):
        yield f"pods have {cluster.pod_cidr or 'no range'}, not {wanted.pod_cidr}"
    if cluster.service_cidr != str(wanted.service_cidr):
        yield f"services have {cluster.service_cidr}, not {wanted.service_cidr}"
    if not f"{cluster.version.removeprefix('v')}.".startswith(f"{wanted.version}."):
        yield f"it is {cluster.version}, not {wanted.version}"
    if not cluster.dns:
        yield "it has no CoreDNS"


def _silent(target: str, node: Kubeadm) -> Plan:
    """A whole cluster whose API server is not ready: after a boot, or under a heavy load, it becomes so."""
    if node.kubelet_active:
        since = f", {node.up} s after {target} started" if node.up < SETTLE else ""
        why = f"{target} has a cluster whose API server is not ready{since}; its kubelet says: {node.says or 'nothing'}"
        return Unknown(KUBE_CLUSTER.id, f"{why}. To see more, on {target}: {MORE}", wait=wait(target))
    why = f"{target} has a cluster, and its kubelet, which starts the API server, does not run"
    cure = f"on {target}: sudo systemctl start kubelet. It is not reset, since all of the cluster would be lost"
    return yours(Finding("no-kubelet", why, cure, target))


# ---------------------------------------------------------------- the way back


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    if busy := under_way(ctx, target, ID):
        return busy
    listed = ctx.look(KUBE_NODES, target)
    others = [node.name for node in listed.value if node.name != target] if isinstance(listed, Known) else []
    lose = (
        (f"Nodes that lose their cluster: {', '.join(others)}. Undo join.nodes first, and they leave it in peace.",)
        if others
        else ()
    )
    parts = (taken_back(target, inverses),)
    return Do(f"{target} is no control plane any more", parts, (*lose, *NOTES), irreversible=LOST)


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    ssh = f"ssh {cluster.destination(target) or target} sudo"
    return (f"{ssh} {KUBECTL} get nodes -o wide", f"{ssh} {KUBECTL} get pods -A", f"{ssh} journalctl -u kubelet -n 20")


STEP = Step(
    id=ID,
    title="First control plane",
    why="kubeadm makes the cluster's certificates, etcd and the Kubernetes API on the first control plane, once.",
    plan=plan,
    facts=facts,
    needs=("join.prerequisites",),
    fields=("kubernetes.endpoint", "kubernetes.pod_cidr", "kubernetes.service_cidr", "kubernetes.images"),
    targets=nodes.first,
    fresh=fresh_init,
    look=look,
    undo=undo,
)
