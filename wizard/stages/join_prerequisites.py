"""Step `join.prerequisites`: every node has what kubeadm asks of it, and all of it stays so (DOMAIN S5).

How to read it: areas (`join_area`) say what is lacking, and what is done about it: `join_swap`, `join_kernel`,
`join_names` and `join_firewall` for the system itself, `join_containerd`, and `join_packages` for Kubernetes's own
programs. Before any of that, what contradicts cluster.yaml (another version, or somebody's network in its ranges:
`join_ranges`), and what only the owner can put right (`join_obstacles`). A machine that is a node already is held to
the same, and loses nothing of what makes it one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.actions import Action
from wizard.cluster import Cluster
from wizard.facts.containerd import CONTAINERD
from wizard.facts.kube_images import kube_images
from wizard.facts.kube_packages import KUBE_PACKAGES
from wizard.facts.kubeadm import KUBEADM
from wizard.facts.network import LINKS, ROUTES
from wizard.facts.node_clock import NODE_CLOCK
from wizard.facts.node_firewall import NODE_FIREWALL
from wizard.facts.node_kernel import NODE_KERNEL
from wizard.facts.node_names import NODE_NAMES, leads_to
from wizard.facts.node_swap import SWAP
from wizard.facts.storage import ETCD_FSYNC
from wizard.facts.ufw import UFW
from wizard.model import (
    OWNER,
    AnyFact,
    Context,
    Do,
    Finding,
    Nothing,
    Part,
    Plan,
    Refused,
    Risk,
    Step,
)
from wizard.stages import (
    guests_silent,
    join_containerd,
    join_firewall,
    join_kernel,
    join_names,
    join_network_manager,
    join_obstacles,
    join_packages,
    join_prerequisites_fresh,
    join_ranges,
    join_swap,
    nodes,
)
from wizard.stages.guests_domain import yours
from wizard.stages.join_area import NODE_FILES, Area

ID = "join.prerequisites"
ALWAYS: tuple[AnyFact[Any], ...] = (
    *(SWAP, NODE_KERNEL, NODE_NAMES, NODE_FILES, NODE_FIREWALL, UFW, join_network_manager.UNITS),
    *(CONTAINERD, KUBE_PACKAGES, KUBEADM, NODE_CLOCK, LINKS, ROUTES),
)


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    """The others say where they are; the first control plane also how its containers are grouped."""
    found: dict[str, tuple[AnyFact[Any], ...]] = dict.fromkeys(nodes.every(cluster), (LINKS, ROUTES))
    found |= {name: (*found[name], NODE_KERNEL) for name in nodes.first(cluster)}
    if (key := join_packages.key_file(cluster.kubernetes)) is not None:
        found[OWNER] = (key,)
    return {**found, **guests_silent.facts(cluster, target), target: (*ALWAYS, *_asked_of(cluster, target))}


def _asked_of(cluster: Cluster, target: str) -> Iterator[AnyFact[Any]]:
    kubernetes = cluster.kubernetes
    if kubernetes is None:
        return
    yield kube_images(kubernetes.version, kubernetes.images or "")
    if name := join_names.endpoint_name(cluster):
        yield leads_to(name)
    if target in nodes.control_planes(cluster):
        yield ETCD_FSYNC


def plan(ctx: Context, target: str) -> Plan:
    if found := (*join_packages.contradictions(ctx, target), *join_ranges.contradictions(ctx, target)):
        return Refused(found)
    if found := tuple(_obstacles(ctx, target)):
        return yours(*found)
    areas = tuple(area for area in _areas(ctx, target) if area.actions)
    said = (*join_obstacles.notes(ctx, target), *join_firewall.others(ctx, target))
    if not areas:
        return Nothing(" ".join((_as_it_is(ctx, target), *said)))
    parts = tuple(
        Part(target, f"{area.title} on {target}", area.actions, risk=area.risk, limit=area.limit) for area in areas
    )
    lacks = tuple(each for area in areas for each in area.lacks)
    notes = tuple(each for area in areas for each in area.notes)
    return Do("; ".join(lacks), parts, (*notes, *said, *join_obstacles.unmeasured(ctx, target)))


def _obstacles(ctx: Context, target: str) -> Iterator[Finding]:
    for look in (join_obstacles, join_containerd, join_packages):
        yield from look.obstacles(ctx, target)


def _areas(ctx: Context, target: str) -> Iterator[Area]:
    system = (join_swap, join_kernel, join_names, join_network_manager, join_firewall)
    yield Area(
        "the system",
        tuple(each for area in system for each in area.lacks(ctx, target)),
        tuple(each for area in system for each in area.actions(ctx, target)),
        tuple(join_names.notes(ctx, target)),
    )
    runtime = tuple(join_containerd.lacks(ctx, target))
    yield Area(
        "containerd",
        runtime,
        tuple(join_containerd.actions(ctx, target)),
        tuple(join_containerd.notes(ctx, target)),
        Risk.BRIEF_INTERRUPTION if ctx.see(KUBEADM, target).joined else Risk.NONE,
        join_packages.LIMIT,
    )
    yield Area(
        "Kubernetes's programs",
        tuple(join_packages.lacks(ctx, target)),
        tuple(join_packages.actions(ctx, target)),
        tuple(join_packages.notes(ctx, target)),
        limit=join_packages.LIMIT,
    )


def _as_it_is(ctx: Context, target: str) -> str:
    driver = "systemd" if join_containerd.wants_systemd(ctx, target) else "cgroupfs"
    runtime = f"containerd {ctx.see(CONTAINERD, target).version} (control groups by {driver})"
    return f"{target} has {join_packages.as_it_is(ctx, target)}, held, {runtime}, no swap, and the names of all nodes."


# ---------------------------------------------------------------- the way back


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    """Item by item, as noted; not from under a node that runs."""
    if found := guests_silent.undone_without(ctx, target):
        return found
    if not ctx.see(KUBEADM, target).untouched:
        why = f"{target} is, or was becoming, a node of a cluster: without these programs it stops"
        cure = f"take it out of its cluster first: undo join.nodes@{target}, or join.init for the first control plane"
        return Refused((Finding("still-a-node", why, cure, target),))
    part = Part(target, f"{target} as it was before", inverses, limit=join_packages.LIMIT)
    stays = (
        "Images stay under /var/lib/containerd, and what programs wrote under /opt: remove them where you want room."
    )
    return Do(f"{target} gets back what it had: packages, files, settings, name and swap", (part,), (stays,))


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    ssh = f"ssh {cluster.destination(target) or target}"
    return (
        f"{ssh} kubeadm version -o short",
        f"{ssh} apt-mark showhold",
        f"{ssh} sudo ctr plugins ls",
        f"{ssh} swapon --show",
        f"{ssh} sysctl net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables",
        f"{ssh} cat /etc/hosts",
    )


STEP = Step(
    id=ID,
    title="What every node needs",
    why="No swap, a kernel that forwards packets, containerd as the kubelet wants it, Kubernetes's own programs in one "
    "version, and names that all nodes know each other by. All of it stays so after a restart.",
    plan=plan,
    facts=facts,
    needs=("guests.reach", "guests.address"),
    fields=(
        "kubernetes.version",
        "kubernetes.endpoint",
        "kubernetes.packages.repository",
        "kubernetes.packages.key",
        "kubernetes.images",
    ),
    defaults=join_prerequisites_fresh.defaults,
    targets=nodes.every,
    side_by_side=lambda cluster, target: True,
    fresh=join_prerequisites_fresh.fresh,
    look=look,
    undo=undo,
    undone_from_afar=True,
)
