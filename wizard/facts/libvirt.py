"""What libvirt has: its networks, its domains and what their interfaces hang on. From the API, never from virsh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from wizard.model import LibvirtFact

if TYPE_CHECKING:
    import libvirt

INACTIVE = 1
"""VIR_NETWORK_XML_INACTIVE: the persistent definition."""
DOMAIN_INACTIVE = 2
"""VIR_DOMAIN_XML_INACTIVE: what the domain will be at its next start."""


@dataclass(frozen=True)
class Network:
    """A libvirt network. `xml` is its persistent definition, `live_xml` what runs now; empty where there is none."""

    name: str
    uuid: str
    active: bool
    autostart: bool
    xml: str = ""
    live_xml: str = ""

    @property
    def persistent(self) -> bool:
        return bool(self.xml)

    @property
    def bridge(self) -> str:
        """The bridge it is on, as defined; libvirt's own or one that is there already (forward mode `bridge`)."""
        return network_bridge(self.xml or self.live_xml)

    @property
    def live_bridge(self) -> str:
        return network_bridge(self.live_xml) if self.active else ""


def network_bridge(xml: str) -> str:
    node = ElementTree.fromstring(xml).find("bridge") if xml else None
    return node.get("name", "") if node is not None else ""


@dataclass(frozen=True)
class Networks:
    """All networks by name; `daemon` is False where no libvirtd answers."""

    all: tuple[Network, ...] = ()
    daemon: bool = True

    def __iter__(self) -> Iterator[Network]:
        return iter(self.all)

    def get(self, name: str) -> Network | None:
        return next((network for network in self.all if network.name == name), None)


def read_networks(connection: libvirt.virConnect | None) -> Networks:
    if connection is None:
        return Networks(daemon=False)
    found = (
        Network(
            name=network.name(),
            uuid=network.UUIDString(),
            active=bool(network.isActive()),
            autostart=bool(network.isPersistent() and network.autostart()),
            xml=network.XMLDesc(INACTIVE) if network.isPersistent() else "",
            live_xml=network.XMLDesc(0) if network.isActive() else "",
        )
        for network in connection.listAllNetworks()
    )
    return Networks(tuple(sorted(found, key=lambda network: network.name)))


NETWORKS: LibvirtFact[Networks] = LibvirtFact("libvirt-networks", read_networks)


@dataclass(frozen=True)
class Interface:
    """One NIC of a domain. `kind` is network, bridge or direct (macvtap); `source` what it hangs on."""

    kind: str
    source: str
    mac: str
    tap: str = ""
    """The host's end while the domain runs: vnet0."""
    bridge: str = ""
    """The bridge behind a network, while the domain runs."""


def interfaces(xml: str) -> tuple[Interface, ...]:
    """The NICs in a domain's XML, in order."""
    nodes = ElementTree.fromstring(xml).findall("./devices/interface") if xml else []
    return tuple(_interface(node) for node in nodes)


def _interface(node: ElementTree.Element) -> Interface:
    """On a running guest libvirt calls a NIC on a network of forward mode `bridge` type bridge, and names both."""
    source = node.find("source")
    attributes = source.attrib if source is not None else {}
    kind = "network" if "network" in attributes else node.get("type", "")
    return Interface(
        kind=kind,
        source=attributes.get({"direct": "dev"}.get(kind, kind), ""),
        mac=_attribute(node, "mac", "address"),
        tap=_attribute(node, "target", "dev"),
        bridge=attributes.get("bridge", ""),
    )


def _attribute(node: ElementTree.Element, child: str, name: str) -> str:
    found = node.find(child)
    return found.get(name, "") if found is not None else ""


PAUSED = 3
"""VIR_DOMAIN_PAUSED."""
STAYS_PAUSED = {1: "user", 5: "I/O error", 6: "watchdog"}
"""VIR_DOMAIN_PAUSED_*: what does not pass by itself, as a dump or a snapshot does."""
IO_ERROR = STAYS_PAUSED[5]
"""QEMU's way with a disk that cannot be written: most often the host's is full."""


@dataclass(frozen=True)
class Domain:
    """A guest as libvirt knows it: `xml` is what it will be at its next start, `live_xml` what it is while it runs."""

    name: str
    uuid: str
    active: bool
    autostart: bool = False
    xml: str = ""
    live_xml: str = ""
    persistent: bool = True
    """A domain that is not is gone once it stops: it has no definition that could be changed."""
    paused: str = ""
    """Why it stands still though it is active, as `virsh domstate --reason` says it; empty where it does not."""

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        return interfaces(self.xml)

    @property
    def live_interfaces(self) -> tuple[Interface, ...]:
        return interfaces(self.live_xml)

    def uses_network(self, name: str) -> bool:
        """Now, or at its next start."""
        return any(("network", name) == (each.kind, each.source) for each in self.interfaces + self.live_interfaces)

    def uses_bridge(self, name: str) -> bool:
        """Directly, or through a network whose bridge it is while the domain runs."""
        each = self.interfaces + self.live_interfaces
        return any(
            interface.bridge == name or ("bridge", name) == (interface.kind, interface.source) for interface in each
        )

    def uses_nic(self, name: str) -> bool:
        """As a macvtap on this NIC."""
        return any(("direct", name) == (each.kind, each.source) for each in self.interfaces + self.live_interfaces)


@dataclass(frozen=True)
class Domains:
    """All domains by name; `daemon` is False where no libvirtd answers."""

    all: tuple[Domain, ...] = ()
    daemon: bool = True

    def __iter__(self) -> Iterator[Domain]:
        return iter(self.all)

    def get(self, name: str) -> Domain | None:
        return next((domain for domain in self.all if domain.name == name), None)


def read_domains(connection: libvirt.virConnect | None) -> Domains:
    if connection is None:
        return Domains(daemon=False)
    found = (
        Domain(
            name=domain.name(),
            uuid=domain.UUIDString(),
            active=bool(domain.isActive()),
            autostart=bool(domain.isPersistent() and domain.autostart()),
            xml=domain.XMLDesc(DOMAIN_INACTIVE),
            live_xml=domain.XMLDesc(0) if domain.isActive() else "",
            persistent=bool(domain.isPersistent()),
            paused=_paused(*domain.state()),
        )
        for domain in connection.listAllDomains()
    )
    return Domains(tuple(sorted(found, key=lambda domain: domain.name)))


def _paused(state: int, reason: int) -> str:
    return STAYS_PAUSED.get(reason, "") if state == PAUSED else ""


DOMAINS: LibvirtFact[Domains] = LibvirtFact("libvirt-domains", read_domains)
