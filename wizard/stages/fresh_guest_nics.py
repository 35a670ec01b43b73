"""What the hypervisor would say of the guests when the turn of `guests.reach` and `guests.attach` comes.

Guests that are made here are as `guests.create` leaves them, on both networks; others run, as far as anyone can tell
before looking, on the LAN alone, and with a free slot.
"""

from __future__ import annotations

from wizard.cluster import Cluster, Guest
from wizard.facts.guests import ADDRESSES, UPTIMES, GuestAddresses
from wizard.facts.identity import IDENTITY, Identity
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Domains, Network, Networks
from wizard.facts.network import LINKS, Link, Links
from wizard.marks import read_there
from wizard.model import HYPERVISOR, Known, Seen
from wizard.stages.domain_xml import STEPS, Kept, kept
from wizard.stages.fresh import Values
from wizard.stages.guest_nics import isolated_mac, lan_mac
from wizard.stages.guests_reach_nic import file_of
from wizard.stages.libvirt_network import xml_file

DOMAIN = (
    "<domain><devices><controller type='pci' index='1' model='pcie-root-port'/>{nics}</devices></domain>"  # a free port
)
MACVTAP = "<interface type='direct'><mac address='{mac}'/><source dev='a card' mode='bridge'/></interface>"
UUID = "a uuid"
NIC = "<interface type='network'><mac address='{mac}'/><source network='{network}'/></interface>"


def attach(cluster: Cluster) -> Values:
    """The network is there; guests that were made here have their NIC on it."""
    created = {
        (guest.name, LINKS.id): Known(Links((Link("enp2s0", isolated_mac(cluster, guest)),)))
        for guest in cluster.guests
        if guest.create
    }
    return {**on_hypervisor(cluster), **created}


def reach(cluster: Cluster) -> Values:
    """Guests that were made here answer; the others run, and their first NIC is elsewhere if it is to be moved."""
    values: dict[tuple[str, str], Seen] = dict(on_hypervisor(cluster))
    values |= {(HYPERVISOR, ADDRESSES.id): Known(GuestAddresses()), (HYPERVISOR, UPTIMES.id): Known({})}
    for guest in cluster.guests:
        macs = _of_machine(guest) if guest.physical else _of_domain(cluster, guest)
        values[guest.name, IDENTITY.id] = Known(Identity(guest.name, f"{guest.name}'s own", "", "", macs))
        values[HYPERVISOR, xml_file(file_of(guest.name)).id] = Known(None)
    return values


def _of_domain(cluster: Cluster, guest: Guest) -> tuple[str, ...]:
    return tuple(each.mac for each in _domain(cluster, guest).live_interfaces)


def _of_machine(guest: Guest) -> tuple[str, ...]:
    return (guest.isolated_mac,) if guest.isolated_mac else ()


def on_hypervisor(cluster: Cluster) -> Values:
    values: dict[tuple[str, str], Known[object]] = {
        (HYPERVISOR, NETWORKS.id): Known(Networks(tuple(_networks(cluster)))),
        (HYPERVISOR, DOMAINS.id): Known(Domains(tuple(_domain(cluster, guest) for guest in cluster.domains))),
    }
    for guest in cluster.domains:
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
    lan = lan_mac(cluster, guest) if guest.create else _mac(guest)
    network = cluster.bridge.network if cluster.bridge else "default"
    nics = [(MACVTAP if guest.nic == "bridge" and not guest.create else NIC).format(mac=lan, network=network)]
    if guest.create and guest.isolated_address and cluster.isolated:
        nics.append(NIC.format(mac=isolated_mac(cluster, guest), network=cluster.isolated.name))
    xml = DOMAIN.format(nics="".join(nics))
    return Domain(guest.name, UUID, True, True, xml, xml)


def _mac(guest: Guest) -> str:
    """Of the first NIC of a guest that is there: only its host knows it."""
    return read_there(f'virsh domiflist {guest.name} --inactive | sed -n "3s/.* //p"')
