"""What the hypervisor would say of the guests when the turn of `guests.reach` and `guests.attach` comes.

Guests that are made here are as `guests.create` leaves them, on both networks; others run, as far as anyone can tell
before looking, on the LAN alone, and with a free slot.
"""

from __future__ import annotations

from wizard.cluster import Cluster, Guest
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Domains, Network, Networks
from wizard.facts.network import LINKS, Link, Links
from wizard.model import HYPERVISOR, Known
from wizard.stages.domain_xml import STEPS, Kept, kept
from wizard.stages.fresh import Values
from wizard.stages.guest_nics import isolated_mac, lan_mac

DOMAIN = (
    "<domain><devices><controller type='pci' index='1' model='pcie-root-port'/>{nics}</devices></domain>"  # a free port
)
READ_THERE = "READ-FROM-THE-HOST"
"""Stands for what only the host itself knows."""
NIC = "<interface type='network'><mac address='{mac}'/><source network='{network}'/></interface>"


def attach(cluster: Cluster) -> Values:
    """The network is there; guests that were made here have their NIC on it."""
    created = {
        (guest.name, LINKS.id): Known(Links((Link("enp2s0", isolated_mac(cluster, guest)),)))
        for guest in cluster.guests
        if guest.create
    }
    return {**on_hypervisor(cluster), **created}


def on_hypervisor(cluster: Cluster) -> Values:
    values: dict[tuple[str, str], Known[object]] = {
        (HYPERVISOR, NETWORKS.id): Known(Networks(tuple(_networks(cluster)))),
        (HYPERVISOR, DOMAINS.id): Known(Domains(tuple(_domain(cluster, guest) for guest in cluster.guests))),
    }
    for guest in cluster.guests:
        values |= {(HYPERVISOR, kept(guest.name, step).id): Known(Kept(False, None)) for step in STEPS}
    return values


def _networks(cluster: Cluster) -> list[Network]:
    wanted = [(cluster.bridge.network, cluster.bridge.name)] if cluster.bridge else []
    wanted += [(cluster.isolated.name, cluster.isolated.name)] if cluster.isolated else []
    xml = "<network><name>{0}</name><bridge name='{1}'/></network>"
    return [
        Network(name, "", True, True, xml.format(name, bridge), xml.format(name, bridge)) for name, bridge in wanted
    ]


def _domain(cluster: Cluster, guest: Guest) -> Domain:
    lan = lan_mac(cluster, guest) if guest.create else READ_THERE
    nics = [(lan, cluster.bridge.network)] if cluster.bridge else []
    if guest.create and guest.isolated_address and cluster.isolated:
        nics.append((isolated_mac(cluster, guest), cluster.isolated.name))
    xml = DOMAIN.format(nics="".join(NIC.format(mac=mac, network=network) for mac, network in nics))
    return Domain(guest.name, READ_THERE, True, True, xml, xml)
