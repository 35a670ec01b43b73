"""The values of the first control plane's configuration: from cluster.yaml, and as the node is seen."""

from __future__ import annotations

from wizard.cluster import Kubernetes
from wizard.facts.cgroup import CGROUP_DRIVER
from wizard.model import Context
from wizard.stages import nodes
from wizard.stages.join_addresses import endpoint, lan_address
from wizard.stages.join_config import ClusterConfig, NodeConfig, Version, version_of


def kubernetes(ctx: Context) -> Kubernetes:
    """The section, which a cluster with nodes has."""
    assert ctx.cluster.kubernetes is not None
    return ctx.cluster.kubernetes


def installed(ctx: Context, version: str) -> Version:
    """What `kubeadm version` said; a runbook made unconnected has a mark there, and cluster.yaml the minor."""
    return version_of(version, kubernetes(ctx).version)


def node_config(ctx: Context, name: str, version: Version) -> NodeConfig:
    accepted = "small-guest" in ctx.cluster.hypervisor.accept
    return NodeConfig(name, lan_address(ctx, name), version, accepted and name in nodes.control_planes(ctx.cluster))


def cluster_config(ctx: Context, target: str) -> ClusterConfig:
    wanted = kubernetes(ctx)
    return ClusterConfig(
        endpoint=endpoint(ctx),
        pods=str(wanted.pod_cidr),
        services=str(wanted.service_cidr),
        driver=ctx.see(CGROUP_DRIVER, target),
        images=wanted.images or "",
    )
