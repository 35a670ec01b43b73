"""Which guests are nodes, and which of them speaks for the cluster. Without `kubernetes:` there are none."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.cluster import Cluster


def every(cluster: Cluster) -> tuple[str, ...]:
    """All nodes, control planes first, in the order of cluster.yaml."""
    if cluster.kubernetes is None:
        return ()
    return tuple(guest.name for guest in sorted(cluster.guests, key=lambda guest: guest.role != "control-plane"))


def control_planes(cluster: Cluster) -> tuple[str, ...]:
    planes = {guest.name for guest in cluster.guests if guest.role == "control-plane"}
    return tuple(name for name in every(cluster) if name in planes)


def first(cluster: Cluster) -> tuple[str, ...]:
    """The control plane that the cluster begins with, and that is asked about it; as the targets of a step."""
    return control_planes(cluster)[:1]


def others(cluster: Cluster) -> tuple[str, ...]:
    """Those that join it."""
    return tuple(name for name in every(cluster) if name not in first(cluster))


def even(control_planes: int) -> str:
    """What is wrong with an even number; "" for an odd one (etcd, FAQ, "Why an odd number of cluster members?")."""
    if control_planes % 2 or not control_planes:
        return ""
    return (
        f"{control_planes} control planes bear no more losses than {control_planes - 1}: etcd needs more than half of "
        "them"
    )


def even_note(cluster: Cluster) -> Iterator[str]:
    """Said before they are made."""
    if said := even(len(control_planes(cluster))):
        yield f"{said}. Use an odd number."
