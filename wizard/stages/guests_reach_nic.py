"""A guest's first NIC, the one on the LAN: what it hangs on, why that may be trouble, and how it is moved in place."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from xml.etree import ElementTree

from wizard.cluster import Cluster, Guest
from wizard.facts.libvirt import NETWORKS, Domain, Interface
from wizard.model import Context
from wizard.stages.domain_xml import DIRECTORY

OF_MACVTAP = ("target", "backend", "virtualport", "alias")
"""What only means something where the NIC was."""


@dataclass(frozen=True)
class FirstNic:
    """By the guest's definition, and while it runs. `network` is the libvirt network over the bridge."""

    defined: Interface
    live: Interface | None
    network: str
    is_there: bool
    """By its definition it is on the bridge, or no bridge is wanted at all."""
    runs_there: bool
    moves: bool
    """cluster.yaml wants it there: `nic: bridge`."""


def first_nic(ctx: Context, guest: Guest, domain: Domain) -> FirstNic | None:
    """None for a guest without a NIC on any but the isolated network."""
    isolated = ctx.cluster.isolated.name if ctx.cluster.isolated else ""
    defined = next((each for each in domain.interfaces if each.source != isolated), None)
    if defined is None:
        return None
    live = next((each for each in domain.live_interfaces if each.mac == defined.mac), None)
    places = _on_the_bridge(ctx)
    return FirstNic(
        defined,
        live,
        ctx.cluster.bridge.network if ctx.cluster.bridge else "",
        is_there=not places or (defined.kind, defined.source) in places,
        runs_there=not places or (live is not None and (live.kind, live.source) in places),
        moves=bool(places) and guest.nic == "bridge",
    )


def _on_the_bridge(ctx: Context) -> set[tuple[str, str]]:
    """Every place of a NIC that means the bridge: any libvirt network over it, or the bridge itself."""
    bridge = ctx.cluster.bridge
    if bridge is None:
        return set()
    over_it = {network.name for network in ctx.see(NETWORKS) if bridge.name in (network.bridge, network.live_bridge)}
    return {("bridge", bridge.name), ("network", bridge.network), *(("network", name) for name in over_it)}


def where(name: str, nic: Interface) -> str:
    """In words."""
    places = {
        "direct": f"is a macvtap on {nic.source}",
        "network": f"hangs on libvirt's network {nic.source}",
        "bridge": f"hangs in the bridge {nic.source}",
    }
    return f"{name}'s first NIC {places.get(nic.kind, f'is of the kind {nic.kind}')}"


def trouble(cluster: Cluster, nic: Interface) -> str:
    """Why that place is trouble."""
    if nic.kind == "direct":
        return (
            f"Over a macvtap the guest and its own host cannot talk to each other, and while one is in use "
            f"{nic.source} cannot become a bridge's port."
        )
    bridge = cluster.bridge.name if cluster.bridge else "a bridge"
    return f"There it is not on the LAN that {bridge} carries, so other nodes may not reach it."


# ---------------------------------------------------------------- moved


def file_of(name: str) -> str:
    """Where the moved NIC's XML lies for `virsh update-device`."""
    return f"{DIRECTORY}/{name}.first-nic.xml"


def moved(domain: Domain, nic: FirstNic) -> str:
    """The NIC's XML on the network: same MAC, model and PCI address, so the guest's name for it stays the same."""
    for node in ElementTree.fromstring(domain.xml).findall("./devices/interface"):
        mac = node.find("mac")
        if mac is not None and mac.get("address") == nic.defined.mac:
            return _on_network(deepcopy(node), nic.network)
    raise ValueError(f"{domain.name} has no NIC {nic.defined.mac}")


def _on_network(node: ElementTree.Element, network: str) -> str:
    for child in list(node):
        if child.tag in OF_MACVTAP:
            node.remove(child)
    node.set("type", "network")
    source = node.find("source")
    if source is None:
        source = ElementTree.SubElement(node, "source")
    source.clear()
    source.set("network", network)
    ElementTree.indent(node)
    node.tail = "\n"
    return ElementTree.tostring(node, encoding="unicode")
