"""Which guests a step is about, and the MACs of their NICs: the owner's, or ones derived from the names."""

from __future__ import annotations

import hashlib

from wizard.cluster import Cluster, Guest


def guest(cluster: Cluster, name: str) -> Guest:
    return next(guest for guest in cluster.guests if guest.name == name)


def created(cluster: Cluster) -> tuple[str, ...]:
    """The guests that are made here."""
    return tuple(guest.name for guest in cluster.guests if guest.create)


def every(cluster: Cluster) -> tuple[str, ...]:
    """All guests, workers first: a control plane is restarted last (DOMAIN S12)."""
    return tuple(guest.name for guest in sorted(cluster.guests, key=lambda guest: guest.role == "control-plane"))


def isolated(cluster: Cluster) -> tuple[str, ...]:
    """Those of them with a NIC on the isolated network."""
    on_it = {guest.name for guest in cluster.guests if cluster.isolated and guest.isolated_address}
    return tuple(name for name in every(cluster) if name in on_it)


def attached(cluster: Cluster) -> tuple[str, ...]:
    """Those of them whose NIC libvirt gives; a machine of its own has its card already."""
    domains = {guest.name for guest in cluster.domains}
    return tuple(name for name in isolated(cluster) if name in domains)


def is_physical(cluster: Cluster, name: str) -> bool:
    """Is it a machine of its own, which libvirt knows nothing of?"""
    return any(guest.name == name and guest.physical for guest in cluster.guests)


def lan_mac(cluster: Cluster, guest: Guest) -> str:
    """Of a guest that is made here."""
    return (guest.create.mac if guest.create else None) or _derived(cluster, guest, "lan")


def isolated_mac(cluster: Cluster, guest: Guest) -> str:
    """As planned; a NIC that is there already keeps its own, and a machine of its own has the card it has."""
    if guest.isolated_mac:
        return guest.isolated_mac
    return (guest.create.isolated_mac if guest.create else None) or _derived(cluster, guest, "isolated")


def _derived(cluster: Cluster, guest: Guest, network: str) -> str:
    """Stable, so that planning twice means the same NIC; 52:54:00 is QEMU's range (DOMAIN 2.1)."""
    three = hashlib.sha256(f"{cluster.name}/{guest.name}/{network}".encode()).digest()[:3]
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in three)
