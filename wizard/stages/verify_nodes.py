"""Step `verify.nodes`: the nodes are those of cluster.yaml and Ready, and Kubernetes' own pods run (DOMAIN S14).

Whether they have the addresses that were planned, `verify_addresses` says; whether their versions may be together,
`verify_versions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.checks.question import Answer, Question, answered, ok, stop, verdict_of, warn
from wizard.cluster import Cluster
from wizard.facts.kube_certificates import CERTIFICATES, Certificate
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode, KubeNodes
from wizard.facts.kube_system import API_VERSION, SYSTEM_PODS, SystemPod
from wizard.facts.network import LINKS, SSH_PATH
from wizard.model import AnyFact, Blocked, Check, Context, Known, Plan, Step
from wizard.stages import nodes
from wizard.stages.verify_addresses import addresses
from wizard.stages.verify_versions import versions

SOON = 30
"""Days before the end of a certificate from which on it is said."""
RENEW = (
    "on that node: `sudo kubeadm certs renew all`, then restart it; an upgrade by kubeadm renews them too. "
    "The kubelet renews its own, kubelet-client-current.pem, as long as it reaches the API in time"
)


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    of_each = (CERTIFICATES, SSH_PATH, LINKS)
    others = dict.fromkeys(nodes.every(cluster), of_each)
    return {**others, target: (KUBE_NODES, API_VERSION, SYSTEM_PODS, *of_each)}


def checks(ctx: Context, target: str) -> tuple[Check, ...]:
    return answered(ctx, QUESTIONS)


def plan(ctx: Context, target: str) -> Plan:
    if not ctx.see(KUBE_NODES, target).there:
        return Blocked("join.init", "there is no cluster yet")
    return verdict_of(ctx, QUESTIONS)


def _nodes(ctx: Context) -> KubeNodes:
    return ctx.see(KUBE_NODES, nodes.first(ctx.cluster)[0])


def _there(ctx: Context) -> Iterator[KubeNode]:
    """The nodes of cluster.yaml that the cluster knows."""
    found = _nodes(ctx)
    return (node for name in nodes.every(ctx.cluster) if (node := found.get(name)))


# ---------------------------------------------------------------- who is there


def ready(ctx: Context) -> Answer:
    found = _nodes(ctx)
    if not found.there:
        return stop("there is no cluster yet", "homek8s-wizard apply join")
    wanted = nodes.every(ctx.cluster)
    missing = [name for name in wanted if found.get(name) is None]
    unready = [node for node in _there(ctx) if not node.ready]
    said = [f"{name} is not in the cluster" for name in missing]
    said += [f"{node.name} is not Ready: {_condition(node)}" for node in unready]
    if said:
        return stop("; ".join(said), _cure(missing, unready))
    cordoned = [node.name for node in _there(ctx) if not node.schedulable]
    if cordoned:
        return warn(
            f"{', '.join(cordoned)} takes no new pods (cordoned)", f"`kubectl uncordon {cordoned[0]}` when it may again"
        )
    return ok(f"{', '.join(wanted)}: {'all ' if len(wanted) > 1 else ''}Ready")


def _condition(node: KubeNode) -> str:
    return " ".join(node.reason.split()).rstrip(".") or "its kubelet has never said anything"


def _cure(missing: list[str], unready: list[KubeNode]) -> str:
    if missing:
        return "homek8s-wizard apply join.nodes"
    name = unready[0].name
    return (
        f"on {name}: `systemctl status kubelet`, `journalctl -u kubelet -n 50`; "
        f"is it the pod network: `kubectl -n kube-system get pods -o wide --field-selector spec.nodeName={name}`"
    )


def strangers(ctx: Context) -> Answer | None:
    wanted = set(nodes.every(ctx.cluster))
    found = [f"{node.name} ({node.internal_ip})" for node in _nodes(ctx) if node.name not in wanted]
    if not found:
        return None
    return warn(
        f"in the cluster, and not in cluster.yaml: {', '.join(found)}",
        "write it into cluster.yaml, or take it out: `kubectl drain NAME --ignore-daemonsets`, "
        "`kubectl delete node NAME`, and on it `kubeadm reset`",
    )


def control_planes(ctx: Context) -> Answer | None:
    """As many as there really are, also those that cluster.yaml does not name."""
    even = nodes.even(sum(node.control_plane for node in _nodes(ctx)))
    if not even:
        return None
    return warn(
        even,
        "let one more join, or make one a worker: `homek8s-wizard undo join.nodes@NAME`, write `role: worker` for it, "
        "`homek8s-wizard apply join.nodes`",
    )


# ---------------------------------------------------------------- Kubernetes' own pods


def system_pods(ctx: Context) -> Answer | None:
    found = ctx.see(SYSTEM_PODS, nodes.first(ctx.cluster)[0])
    down = {node.name for node in _nodes(ctx) if not node.ready}
    asked = [pod for pod in found if pod.node not in down]
    unready = [pod for pod in asked if not pod.running]
    if broken := [pod for pod in unready if not pod.starting]:
        return stop("; ".join(map(_words, broken)), _look_at(broken[0]))
    if unready:
        cure = "look again in a minute or two: what has only just begun may still be on its way"
        return warn("; ".join(map(_words, unready)), cure)
    return ok(f"{len(asked)} of Kubernetes' own pods run") if asked else None


def _words(pod: SystemPod) -> str:
    on = f" on {pod.node}" if pod.node else ""
    return f"{pod.namespace}/{pod.name}{on}: {pod.why}"


def _look_at(pod: SystemPod) -> str:
    of = f"-n {pod.namespace} {{}} {pod.name}"
    return f"`kubectl {of.format('describe pod')}`; `kubectl {of.format('logs')} --all-containers --previous`"


# ---------------------------------------------------------------- certificates


def certificates(ctx: Context) -> Answer | None:
    seen = {name: ctx.look(CERTIFICATES, name) for name in nodes.every(ctx.cluster)}
    found = {name: each.value for name, each in seen.items() if isinstance(each, Known) and each.value}
    if not found:
        ctx.see(CERTIFICATES, nodes.first(ctx.cluster)[0])
        return None
    first = {name: next((c for c in all_ if not c.is_ca), all_[0]) for name, all_ in found.items()}
    ends = [f"{name} {_until(each)}" for name, each in first.items()]
    over = [f"{each.name} of {name}" for name, all_ in found.items() for each in all_ if each.days < 0]
    if over:
        return stop(f"expired: {', '.join(over)}", RENEW)
    soon = [f"{name} {_until(each)}" for name, all_ in found.items() for each in all_ if each.days < SOON]
    if soon:
        return warn(f"within {SOON} days: {'; '.join(soon)}", RENEW)
    authority = [each for all_ in found.values() for each in all_ if each.is_ca]
    last = f"; the authorities until {min(each.until for each in authority):%Y-%m-%d}" if authority else ""
    silent = [name for name, each in seen.items() if not isinstance(each, Known)]
    return ok(f"good until: {'; '.join(ends)}{last}" + (f"; not seen: {', '.join(silent)}" if silent else ""))


def _until(each: Certificate) -> str:
    return f"{each.until:%Y-%m-%d} ({each.name}, {each.days} days)"


QUESTIONS = (
    Question(
        "nodes-ready",
        "Nodes",
        "A node that is listed and not Ready runs nothing new, and loses its pods after five minutes.",
        (KUBE_NODES,),
        ready,
        needed=True,
    ),
    Question(
        "nodes-strangers",
        "Nodes that nobody asked for",
        "The wizard neither looks after them nor takes them away.",
        (KUBE_NODES,),
        strangers,
    ),
    Question(
        "nodes-addresses",
        "Addresses of nodes",
        "The API reaches kubelets there, for `kubectl logs` and `exec`.",
        (KUBE_NODES, SSH_PATH, LINKS),
        addresses,
    ),
    Question(
        "nodes-control-planes",
        "Control planes",
        "Each of them has a member of etcd, and only more than half of the members together may write.",
        (KUBE_NODES,),
        control_planes,
    ),
    Question(
        "nodes-versions",
        "Versions",
        "Kubelets that are newer, or much older, than the API misunderstand it; so do API servers each other.",
        (KUBE_NODES, API_VERSION),
        versions,
    ),
    Question(
        "nodes-system-pods",
        "Kubernetes' own pods",
        "DNS, the way to services and the pod network are pods themselves.",
        (KUBE_NODES, SYSTEM_PODS),
        system_pods,
    ),
    Question(
        "nodes-certificates",
        "Certificates",
        "They are good for a year; with an expired one nobody reaches the API any more.",
        (CERTIFICATES,),
        certificates,
    ),
)


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    ssh = f"ssh {cluster.destination(target) or target} sudo"
    kubectl = f"{ssh} kubectl --kubeconfig=/etc/kubernetes/admin.conf"
    return (
        f"{kubectl} get nodes -o wide",
        f"{kubectl} -n kube-system get pods -o wide",
        f"{ssh} kubeadm certs check-expiration",
    )


STEP = Step(
    id="verify.nodes",
    title="Nodes",
    why="A node is there when it is Ready, not when it is listed.",
    plan=plan,
    facts=facts,
    needs=("join.init", "join.cni", "join.nodes"),
    targets=nodes.first,
    checks=checks,
    look=look,
)
