"""What `verify.nodes` makes of versions: API servers and kubelets that may be together (DOMAIN S5).

Source: kubernetes.io, "Version Skew Policy". Of several API servers one answers; what each of them is, its pod's image
says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wizard.checks.question import Answer, ok, stop
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode
from wizard.facts.kube_packages import minor
from wizard.facts.kube_system import API_VERSION, SYSTEM_PODS
from wizard.model import Context, Known
from wizard.stages import nodes
from wizard.stages.version_skew import kubelet_misfit


def versions(ctx: Context) -> Answer | None:
    [first] = nodes.first(ctx.cluster)
    api, there = ctx.see(API_VERSION, first), tuple(ctx.see(KUBE_NODES, first))
    if not (api and there):
        return None
    of_nodes = _servers(ctx, first)
    servers = sorted({api, *of_nodes.values()}, key=minor)
    if wrong := (*_apart(servers, of_nodes), *_skewed(servers, there)):
        return stop(
            "; ".join(wrong),
            "bring them to one minor version, never more than one at a time: kubernetes.io, Upgrading kubeadm clusters",
        )
    return ok(f"the API {', '.join(servers)}, kubelets {', '.join(sorted({node.kubelet for node in there}))}")


def _servers(ctx: Context, first: str) -> Mapping[str, str]:
    """By node, as far as its image has a version for its tag."""
    seen = ctx.look(SYSTEM_PODS, first)
    pods = seen.value if isinstance(seen, Known) else ()
    return {pod.node: pod.version for pod in pods if pod.name.startswith("kube-apiserver-") and pod.version}


def _apart(servers: list[str], of_nodes: Mapping[str, str]) -> Iterator[str]:
    if minor(servers[-1])[1] - minor(servers[0])[1] > 1:
        each = ", ".join(f"{version} on {name}" for name, version in of_nodes.items())
        yield f"the API servers are more than one minor version apart: {each}"


def _skewed(servers: list[str], there: tuple[KubeNode, ...]) -> Iterator[str]:
    """No kubelet may be newer than the oldest of them, or too old for the newest."""
    for node in there:
        for server in (servers[0], servers[-1]):
            if words := kubelet_misfit(node.kubelet, server, joined=True):
                yield f"the kubelet of {node.name} ({node.kubelet}) is {words} than the API ({server})"
                break
