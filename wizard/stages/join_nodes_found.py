"""What stands in the way of a node that is to join (DOMAIN S8, 2.1): each finding with its cure."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.facts.cgroup import CGROUP_DRIVER
from wizard.facts.identity import IDENTITY
from wizard.facts.kube_cluster import KUBE_CLUSTER
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode
from wizard.facts.kube_packages import minor
from wizard.facts.kubeadm import KUBEADM
from wizard.model import Blocked, Context, Finding, Known, Refused
from wizard.stages import nodes
from wizard.stages.join_addresses import lan_address, unresolved
from wizard.stages.join_config import host_port
from wizard.stages.join_init_config import kubernetes

BY = "join.prerequisites"


def first_of(ctx: Context) -> str:
    [first] = nodes.first(ctx.cluster)
    return first


def api(ctx: Context) -> str:
    """HOST:PORT at which nodes join: the cluster's endpoint; without one, the first control plane itself."""
    first = first_of(ctx)
    return ctx.see(KUBE_CLUSTER, first).endpoint or host_port(lan_address(ctx, first))


def itself(ctx: Context, target: str) -> KubeNode | None:
    """The node that is this machine, by its machine-id."""
    machine = ctx.see(IDENTITY, target).machine_id
    return next((node for node in ctx.see(KUBE_NODES, first_of(ctx)) if machine and node.machine_id == machine), None)


def misfit(ctx: Context, target: str) -> Blocked | Refused | None:
    """Programs or settings that do not go with the cluster's: the step before sees to it, if the file is right."""
    first = first_of(ctx)
    mine, theirs = ctx.see(KUBEADM, target).version, ctx.see(KUBE_CLUSTER, first).version
    try:
        if minor(mine) != minor(theirs):
            return _other_version(target, mine, theirs, kubernetes(ctx).version)
    except ValueError:  # marks, in a runbook made unconnected
        return None
    drivers = ctx.see(CGROUP_DRIVER, target), ctx.look(CGROUP_DRIVER, first)
    if isinstance(drivers[1], Known) and drivers[1].value != drivers[0]:
        why = f"containerd on {target} has the cgroup driver {drivers[0]}, and on {first} {drivers[1].value}"
        return Blocked(BY, why)
    return None


def _other_version(target: str, mine: str, theirs: str, wanted: str) -> Blocked | Refused:
    if minor(mine) != minor(wanted):
        return Blocked(BY, f"{target} has kubeadm {mine}, and the cluster is of Kubernetes {theirs}")
    why = f"the cluster is of Kubernetes {theirs}; cluster.yaml asks for {wanted}, and {target} has it (kubeadm {mine})"
    version = ".".join(map(str, minor(theirs)))
    cure = (
        f'write `version: "{version}"` and give {target} the same: undo join.prerequisites@{target}, then apply; '
        f"or upgrade the cluster to {wanted} first, with kubeadm"
    )
    return Refused((Finding("other-version", why, cure, "kubernetes.version"),))


def obstacles(ctx: Context, target: str) -> Iterator[Finding]:
    """What only the owner can put right."""
    if finding := unresolved(ctx, target):
        yield finding
    yield from _doubles(ctx, target)
    yield from _name_taken(ctx, target)
    if target in nodes.control_planes(ctx.cluster):
        yield from _no_second(ctx, target)


def _doubles(ctx: Context, target: str) -> Iterator[Finding]:
    twin = itself(ctx, target)
    if twin is not None and twin.name != target:
        why = f"{target} has the machine-id of the node {twin.name}: one was copied from the other"
        cure = (
            f"give {target} one of its own: sudo rm -f /etc/machine-id /var/lib/dbus/machine-id; "
            "sudo systemd-machine-id-setup; sudo reboot"
        )
        yield Finding("same-machine-id", why, cure, target)


def _name_taken(ctx: Context, target: str) -> Iterator[Finding]:
    """kubeadm refuses a name that a node has which is Ready; a node is so for 40 s after it was reset."""
    listed = ctx.see(KUBE_NODES, first_of(ctx)).get(target)
    if listed is None or not listed.ready:
        return
    if listed.machine_id == ctx.see(IDENTITY, target).machine_id:
        why = f"{target} was reset a moment ago, and is still listed as a Ready node"
        cure = f"wait a minute and look again, or: kubectl delete node {target}"
    else:
        why = f"another machine is the node {target} already, at {listed.internal_ip}"
        cure = f"if it is no more: kubectl delete node {target}; else give one of the two another name"
    yield Finding("name-taken", why, cure, target)


def _no_second(ctx: Context, target: str) -> Iterator[Finding]:
    first = first_of(ctx)
    endpoint = ctx.see(KUBE_CLUSTER, first).endpoint
    if endpoint in ("", host_port(lan_address(ctx, first))):
        why = f"the cluster has no endpoint but {first}'s own address, so it cannot have a second control plane"
        cure = f"make {target} a worker, or make the cluster anew with an `endpoint:` in cluster.yaml"
        yield Finding("no-endpoint", why, cure, "kubernetes.endpoint")
