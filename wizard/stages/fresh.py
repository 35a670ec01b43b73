"""What a freshly installed host would say when each step's turn comes, and how its owner looks for themselves.

The host is a Debian or Ubuntu whose network systemd-networkd manages; its card has the address that the bridge is to
have. With these values a plan can be made, and printed, before there is such a host (`wizard.runbook`).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any, cast

from wizard.cluster import Cluster
from wizard.cluster.sections import Bridge
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domains, Networks
from wizard.facts.network import LINKS, NAMESERVERS, ROUTES, SSH_PATH, Address, Link, Links, Route
from wizard.facts.network_owners import OWNERS, Owners
from wizard.facts.networkd import NETWORKD, Managed, Networkd
from wizard.facts.networkd_files import NETWORK_FILES, NetworkFiles
from wizard.facts.packages import HYPERVISOR_PACKAGES, PACKAGES, Packages
from wizard.facts.units import LIBVIRT_UNITS
from wizard.marks import read_there
from wizard.model import HYPERVISOR, AnyFact, Known, Seen
from wizard.stages.bridge_notes import mentions
from wizard.stages.libvirt_network import WantedNetwork, xml_file
from wizard.stages.preflight_packages import DROP_IN, DROP_INS

_EXAMPLE = ip_interface("2001:db8::10/64")

Values = Mapping[tuple[str, str], Seen]


def on_hypervisor(values: Mapping[AnyFact[Any], object]) -> Values:
    return {(HYPERVISOR, fact.id): Known(value) for fact, value in values.items()}


# ---------------------------------------------------------------- preflight


def packages(cluster: Cluster) -> Values:
    """apt knows all packages, none is installed, and its lists were never fetched."""
    return on_hypervisor(
        {
            PACKAGES: Packages(candidate={name: _candidate(name) for name in HYPERVISOR_PACKAGES}),
            LIBVIRT_UNITS: {},
            DROP_IN: dict.fromkeys(DROP_INS.values()),
            NETWORKS: Networks(daemon=False),
            DOMAINS: Domains(daemon=False),
        }
    )


def _candidate(package: str) -> str:
    return read_there(f'apt-cache policy {package} | sed -n "s/ *Candidate: //p"')


def look_at_machine(cluster: Cluster, target: str) -> tuple[str, ...]:
    return ("systemctl --version", "virt-host-validate qemu", "free -h", "df -h /var/lib/libvirt", "timedatectl")


def look_at_packages(cluster: Cluster, target: str) -> tuple[str, ...]:
    return ("virsh -c qemu:///system version", "systemctl status libvirtd --no-pager")


# ---------------------------------------------------------------- bridge


def bridge_port(cluster: Cluster) -> Values:
    """libvirt is there and has nothing; the card has its cable in, and no bridge yet."""
    wanted = cluster.bridge
    if wanted is None:
        return {}
    gateway = str(wanted.gateway) if wanted.gateway else ""  # of a lease, nobody can say
    iaid = cast(int, _iaid(wanted))  # it is only printed
    return on_hypervisor(
        {
            LINKS: Links((_card(wanted),)),
            ROUTES: (Route("default", gateway, wanted.port),) if gateway or wanted.dhcp else (),
            SSH_PATH: None,
            NAMESERVERS: (),
            OWNERS: Owners(),
            NETWORKD: Networkd(True, "enabled", {wanted.port: Managed("configured")}, {wanted.port: iaid}),
            NETWORK_FILES: NetworkFiles(),
            NETWORKS: Networks(),
            DOMAINS: Domains(),
            mentions(wanted.port): (),
        }
    )


def _card(wanted: Bridge) -> Link:
    # Not of the family that is leased: then nothing waits for, or announces, an address that is only an example.
    leased = (Address(_EXAMPLE, dynamic=True),) if wanted.dhcp else ()
    addresses = tuple(Address(each) for each in wanted.addresses)
    return Link(wanted.port, _mac(wanted.port), hardware=True, carrier=True, addresses=addresses or leased)


def _mac(link: str) -> str:
    return read_there(f"cat /sys/class/net/{link}/address")


def _iaid(wanted: Bridge) -> str:
    """Of the card's lease; once the bridge has it, of our own file."""
    ours = f"/etc/systemd/network/05-homek8s-{wanted.name}.network"
    lease = f'networkctl status {wanted.port} | sed -n "s,.*IAID:,,;s,/DUID.*,,p"'
    return read_there(f"(sed -n s,^IAID=,,p {ours}; {lease}) 2>/dev/null | head -n 1")


def bridge_network(cluster: Cluster) -> Values:
    """The bridge is there, and libvirt has no network yet."""
    wanted = cluster.bridge
    if wanted is None:
        return {}
    return {
        **on_hypervisor({LINKS: Links((Link(wanted.name, _mac(wanted.name), kind="bridge"),))}),
        **_no_network(wanted.network),
    }


def look_at_bridge(cluster: Cluster, target: str) -> tuple[str, ...]:
    wanted = cluster.bridge
    if wanted is None:
        return ()
    return (
        "networkctl list",
        "bridge link",
        f"ip address show dev {wanted.name}",
        f"networkctl status {wanted.port} --no-pager",
        "ip route",
    )


def look_at_bridge_network(cluster: Cluster, target: str) -> tuple[str, ...]:
    return _virsh(cluster.bridge.network) if cluster.bridge else ()


# ---------------------------------------------------------------- isolated


def isolated_network(cluster: Cluster) -> Values:
    """No link, route or network of that name or range."""
    wanted = cluster.isolated
    return {**on_hypervisor({LINKS: Links(()), ROUTES: ()}), **_no_network(wanted.name)} if wanted else {}


def look_at_isolated_network(cluster: Cluster, target: str) -> tuple[str, ...]:
    return _virsh(cluster.isolated.name) if cluster.isolated else ()


def _no_network(name: str) -> Values:
    wanted = WantedNetwork(name, "", "")
    files: dict[AnyFact[Any], object] = {xml_file(wanted.path): None, xml_file(wanted.before): None}
    return on_hypervisor({NETWORKS: Networks(), DOMAINS: Domains(), **files})


def _virsh(network: str) -> tuple[str, ...]:
    virsh = "virsh -c qemu:///system"
    return (f"{virsh} net-info {network}", f"{virsh} net-dumpxml {network}", f"{virsh} net-list --all")
