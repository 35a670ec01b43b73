"""Step `verify.pods`: a pod on every node reaches all others, names, a Service, and can be asked (DOMAIN S14).

The test itself is templates/verify/pods.sh; here its answers become verdicts. Its image comes from Docker Hub, also
where `kubernetes.images` names a mirror: nobody says that the mirror has it. Where a node cannot get it, that is said
with the two ways to bring it there. Behind a mirror that is something to weigh as long as pods on other nodes reach
each other; where nothing could be tried between pods, the step waits for its owner to bring the image: that the cluster
does what it is for would be said of what nobody has seen, here and after the restart test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wizard.checks.question import Answer, Question, answered, ok, stop, verdict_of, warn
from wizard.cluster import Cluster
from wizard.facts.kube_nodes import KUBE_NODES
from wizard.facts.pods_tried import IMAGE, PODS_TRIED, Found, PodsTried
from wizard.model import AnyFact, Blocked, Check, Context, Plan, Step
from wizard.stages import nodes

NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    return {target: (KUBE_NODES, PODS_TRIED)}


def checks(ctx: Context, target: str) -> tuple[Check, ...]:
    return answered(ctx, QUESTIONS)


def plan(ctx: Context, target: str) -> Plan:
    if not ctx.see(KUBE_NODES, target).there:
        return Blocked("join.init", "there is no cluster yet")
    return verdict_of(ctx, QUESTIONS)


def _tried(ctx: Context) -> PodsTried:
    return ctx.see(PODS_TRIED, nodes.first(ctx.cluster)[0])


# ---------------------------------------------------------------- a pod on every node


def pods(ctx: Context) -> Answer:
    found = _tried(ctx).of("pod")
    bad = [each for each in found if not each.ok]
    if not bad:
        return ok(f"one runs on each of {_names(found)}")
    said = _said(bad)
    if any(word in each.words for each in bad for word in NO_IMAGE):
        lacks, running = f"the image {IMAGE} is not to be had: {said}", len(found) - len(bad)
        if running < 2:
            return stop(f"nothing could be tried between pods, {lacks}", _bring_image(bad))
        behind_mirror = ctx.cluster.kubernetes is not None and ctx.cluster.kubernetes.images is not None
        return (warn if behind_mirror else stop)(lacks, _bring_image(bad))
    return stop(
        said, f"on {bad[0].node}: `journalctl -u kubelet -n 50`, `crictl pods`; homek8s-wizard check verify.nodes"
    )


def _bring_image(bad: list[Found]) -> str:
    return (
        f"let {_names(bad)} reach docker.io (/etc/containerd/certs.d/docker.io/hosts.toml names mirrors); or bring it: "
        f"elsewhere `docker save {IMAGE} -o busybox.tar`, there `ctr -n k8s.io images import busybox.tar`"
    )


# ---------------------------------------------------------------- from pod to pod


def across(ctx: Context) -> Answer | None:
    """The cure goes from what is most often the matter to what is least often (DOMAIN 7)."""
    return _pairs(
        ctx,
        "http",
        "each reaches each other over HTTP",
        "homek8s-wizard check verify.peers (BGP: which session, from which address, which NAT rule); "
        "homek8s-wizard check firewall (bridged packets that the hypervisor filters: ping works, TCP hangs); "
        "then on both nodes `iptables -S FORWARD`, `nft list ruleset`, `ip route` (a route to the other's pods?)",
    )


def large(ctx: Context) -> Answer | None:
    tried = _tried(ctx)
    mtus = sorted(set(tried.mtu.values()))
    said = f"packets of {' and '.join(map(str, mtus))} bytes, the pods' MTU, arrive unfragmented"
    lower = (
        f"give pods a smaller MTU than {max(mtus, default=1500)}: Calico `spec.calicoNetwork.mtu` of the Installation, "
    )
    cure = (
        f"{lower}Cilium `mtu` of cilium-config, others in /etc/cni/net.d; or raise that of the link between "
        "(`ip link`; a VPN or VXLAN takes 50 to 80 bytes)"
    )
    return _pairs(ctx, "large", said, cure)


def bulk(ctx: Context) -> Answer | None:
    return _pairs(
        ctx,
        "bulk",
        "1 MiB arrives whole",
        "an MTU that is too large on the way back, or a firewall that drops ICMP `fragmentation needed`",
    )


def _pairs(ctx: Context, kind: str, good: str, cure: str) -> Answer | None:
    """About every ordered pair of nodes; None where there is one node alone, or nobody could be asked."""
    found = _tried(ctx).of(kind)
    bad = [each for each in found if not each.ok]
    if bad:
        return stop(f"{len(bad)} of {len(found)} ways: {_said(bad)}", cure)
    count = f"{len(found)} {'way' if len(found) == 1 else 'ways'} between {_names(found)}"
    return ok(f"{count}: {good}") if found else None


# ---------------------------------------------------------------- from every node


def _from_each(
    kind: str, good: str, cure: str, verdict: Callable[[str, str], Answer] = stop
) -> Callable[[Context], Answer | None]:
    def ask(ctx: Context) -> Answer | None:
        found = _tried(ctx).of(kind)
        bad = [each for each in found if not each.ok]
        if bad:
            return verdict(f"not from {_said(bad)}", cure.format(node=bad[0].node))
        return ok(f"{good} {_names(found)}") if found else None

    return ask


def _names(found: Iterable[Found]) -> str:
    return ", ".join(dict.fromkeys(each.node for each in found))


def _said(bad: list[Found]) -> str:
    return "; ".join(f"{each.where}: {each.words}" if each.words else each.where for each in bad)


dns = _from_each(
    "dns",
    "kubernetes.default.svc.cluster.local is found from",
    "`kubectl -n kube-system get pods,endpoints -l k8s-app=kube-dns -o wide`; from some nodes only: kube-proxy on "
    "{node} (`kubectl -n kube-system get pods -l k8s-app=kube-proxy -o wide`), or a firewall that drops UDP 53",
)
outside = _from_each(
    "outside",
    "kubernetes.io is found from",
    "in a closed network that is as it should be; else see which name servers CoreDNS asks: /etc/resolv.conf on "
    "{node}, `kubectl -n kube-system get configmap coredns -o yaml`",
    warn,
)
service = _from_each(
    "service",
    "it answers from",
    "kube-proxy on {node}: `kubectl -n kube-system logs -l k8s-app=kube-proxy`, `iptables -t nat -S KUBE-SERVICES`",
)
KUBELET = "the API server must reach the kubelet at the InternalIP of {node}, TCP port 10250"
logs = _from_each(
    "logs",
    "`kubectl logs` works for pods on",
    f"{KUBELET}: a firewall there, or a wrong --node-ip",
)


def execs(ctx: Context) -> Answer | None:
    """All that a pod finds comes through it: where answers are missing, it broke off, and nobody knows them."""
    tried = _tried(ctx)
    said = {each.node: each.words for each in tried.of("exec") if not each.ok}
    said = {node: f"no answer about {', '.join(left)}" for node, left in tried.missing.items()} | said
    if said:
        words = "; ".join(f"{node}: {why}" for node, why in said.items())
        cure = f"{KUBELET}; where a proxy is between, one that passes upgrades and lasts for minutes"
        return stop(f"not from {words}", cure.format(node=", ".join(said)))
    found = tried.of("exec")
    return ok(f"`kubectl exec` works for pods on {_names(found)}") if found else None


BETWEEN = "Pods on two nodes find each other only over the pod network."
QUESTIONS = (
    Question("pods-run", "A pod on every node", "Where none starts, nothing will.", (PODS_TRIED,), pods, needed=True),
    Question("pods-http", "From pod to pod", BETWEEN, (PODS_TRIED,), across),
    Question(
        "pods-large", "Large packets", "Where they are lost, connections begin and then hang.", (PODS_TRIED,), large
    ),
    Question("pods-bulk", "Long answers", "As large packets, over TCP.", (PODS_TRIED,), bulk),
    Question("pods-dns", "Names in the cluster", "Programs find Services by name.", (PODS_TRIED,), dns),
    Question("pods-outside", "Names outside", "Most programs need some.", (PODS_TRIED,), outside),
    Question("pods-service", "A Service", "kube-proxy leads to one of its pods.", (PODS_TRIED,), service),
    Question("pods-logs", "kubectl logs", "The API asks the kubelet of the pod's node.", (PODS_TRIED,), logs),
    Question("pods-exec", "kubectl exec", "The API asks the kubelet of the pod's node.", (PODS_TRIED,), execs),
)


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    kubectl = f"ssh {cluster.destination(target) or target} sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf"
    return (f"{kubectl} run try --rm -it --restart=Never --image={IMAGE} -- nslookup kubernetes.default",)


STEP = Step(
    id="verify.pods",
    title="Pods",
    why="What a cluster is for: pods on every node that reach each other, names and Services. The test pods go again.",
    plan=plan,
    facts=facts,
    needs=("join.cni", "join.nodes", "verify.nodes"),
    targets=nodes.first,
    checks=checks,
    look=look,
    asks_about=("bridge", "firewall", "isolated", "guests", "join", "verify.reboot"),
)
