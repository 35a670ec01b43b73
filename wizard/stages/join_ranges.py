"""The ranges of pods and services are nobody else's where a node's own routes lead (DOMAIN 2.1).

What cluster.yaml itself says of ranges is judged before (`cluster/ranges`); a LAN by DHCP, a VPN or docker's networks
are only seen here. A machine that is a node has routes to pods, and its ranges are settled.
"""

from __future__ import annotations

from collections.abc import Iterator

from wizard.facts.kubeadm import KUBEADM
from wizard.facts.network import LINKS, ROUTES, Route
from wizard.model import Context, Finding, Known
from wizard.stages import nodes
from wizard.stages.join_containerd import kubernetes_of

OF_PODS = ("cni", "cali", "flannel", "cilium", "tunl", "vxlan.", "wireguard.cali", "kube-", "nodelocaldns")
"""How the names of links begin that pod networks and kube-proxy make. docker's are not theirs."""


def contradictions(ctx: Context, target: str) -> Iterator[Finding]:
    if ctx.see(KUBEADM, target).joined:
        return
    kubernetes = kubernetes_of(ctx)
    routes = tuple(_of_others(ctx, target))
    for key, whose, cidr in (
        ("pod_cidr", "pods", kubernetes.pod_cidr),
        ("service_cidr", "services", kubernetes.service_cidr),
    ):
        taken = ", ".join(f"{route.to} on {route.device}" for route in routes if route.leads_into(cidr))
        if taken:
            why = (
                f"{target} has a route to {taken}, which overlaps {cidr} of the {whose}: one of the two is not reached"
            )
            cure = f"choose another range that no network at home uses, or take the route from {target}"
            yield Finding("range-taken", why, cure, f"kubernetes.{key}")


def _of_others(ctx: Context, target: str) -> Iterator[Route]:
    """Without those to pods, which may outlive a reset: through their own links, nowhere, or through another node."""
    seen = (ctx.look(LINKS, name) for name in nodes.every(ctx.cluster))
    ours = {each.ip for links in seen if isinstance(links, Known) for link in links.value for each in link.addresses}
    for route in ctx.see(ROUTES, target):
        if route.device and not route.device.startswith(OF_PODS) and route.gateway not in ours:
            yield route
