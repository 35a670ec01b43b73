"""What guests would say when they are to get their addresses: they run, their NICs are there, netplan manages them."""

from __future__ import annotations

from wizard.cluster import Cluster, Guest
from wizard.facts.guests import ADDRESSES, GuestAddresses
from wizard.facts.libvirt import DOMAINS, Domain, Domains
from wizard.facts.netplan import Netplan, NetplanFile
from wizard.facts.network import LINKS, ROUTES, Link, Links
from wizard.facts.network_writers import NETWORK_WRITERS, NetworkWriters
from wizard.model import HYPERVISOR, Known
from wizard.stages.fresh import Values
from wizard.stages.fresh_guest_nics import NIC, on_hypervisor
from wizard.stages.guest_nics import isolated_mac
from wizard.stages.guests_address_writer import IN_NETPLAN, IN_NETWORKD, OWN

NETPLAN = Netplan(True, (NetplanFile("/etc/netplan/50-cloud-init.yaml", ""),))


def fresh_addresses(cluster: Cluster) -> Values:
    domains = Domains(tuple(_domain(cluster, guest) for guest in cluster.domains))
    values = {
        **on_hypervisor(cluster),
        (HYPERVISOR, DOMAINS.id): Known(domains),
        (HYPERVISOR, ADDRESSES.id): Known(GuestAddresses()),
    }
    for guest in cluster.guests:
        values |= {
            (guest.name, LINKS.id): Known(Links((Link("enp2s0", isolated_mac(cluster, guest)),))),
            (guest.name, ROUTES.id): Known(()),
            (guest.name, NETWORK_WRITERS.id): Known(NetworkWriters(networkd=True, netplan=NETPLAN)),
            (guest.name, OWN.id): Known(dict.fromkeys((IN_NETPLAN, IN_NETWORKD))),
        }
    return values


def _domain(cluster: Cluster, guest: Guest) -> Domain:
    name = cluster.isolated.name if cluster.isolated else ""
    nic = NIC.format(mac=isolated_mac(cluster, guest), network=name)
    xml = f"<domain><devices>{nic}</devices></domain>"
    return Domain(guest.name, "", True, True, xml, xml)
