"""Who writes the guest's address on the isolated network, so that it is there after every boot: one writer, no more.

netplan concatenates the addresses of several files that speak of one link (DOMAIN E15), and of two files that networkd
finds for a link it takes the first by name: so a foreign file that speaks of our NIC is adopted or refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from wizard.facts.files import Contents, files
from wizard.facts.netplan import Definition, Interface, Netplan
from wizard.facts.network import Link
from wizard.facts.network_writers import NETWORK_WRITERS, NetworkWriters
from wizard.model import Blocked, Context, Fact, Finding

ID = "00-kubeiso"
"""networkd's file is named after it, and must come before `all-en` and the like (systemd.network(5))."""
IN_NETPLAN = "/etc/netplan/05-homek8s-isolated.yaml"
IN_NETWORKD = "/etc/systemd/network/05-homek8s-isolated.network"
OWN: Fact[Contents] = files("isolated-address", IN_NETPLAN, IN_NETWORKD)


@dataclass(frozen=True)
class Writer:
    """The program that brings the address about, and the file: ours, or one that says it already."""

    program: str
    path: str
    content: str = ""
    """What is to be in it; empty for a foreign file, which stays as it is."""
    by_networkd: bool = True
    """Is it networkd that does it in the end?"""

    @property
    def foreign(self) -> bool:
        return not self.content


def writer(ctx: Context, target: str, link: Link, wanted: Interface) -> Writer | Blocked | list[Finding]:
    """Who is to do it; else what the owner must do first, or what contradicts it."""
    runs = ctx.see(NETWORK_WRITERS, target)
    if runs.netplan.installed and runs.netplan.files and (runs.networkd or runs.network_manager):
        return _by_netplan(runs, link, wanted)
    if runs.networkd and not runs.network_manager:
        return _by_networkd(runs.taken.get(link.name, ""), link, wanted)
    program = "NetworkManager" if runs.network_manager else "ifupdown" if runs.ifupdown else ""
    if program and wanted in [each.interface for each in link.addresses]:
        return Writer(program, "")
    return _by_hand(target, program, link, wanted)


# ---------------------------------------------------------------- netplan


def _by_netplan(runs: NetworkWriters, link: Link, wanted: Interface) -> Writer | list[Finding]:
    try:
        found = list(_definitions(runs.netplan, link))
    except ValueError as error:
        cure = "put that file right (`netplan generate` says where it is wrong), then try again"
        return [Finding("unreadable", str(error), cure, "/etc/netplan")]
    if not found:
        return Writer("netplan", IN_NETPLAN, netplan_yaml(link, wanted), not runs.network_manager)
    if len(found) == 1 and found[0].addresses == (wanted,) and not found[0].dhcp:
        return Writer("netplan", found[0].path, by_networkd=not runs.network_manager)
    return [_other(each, link, wanted) for each in found]


def _definitions(netplan: Netplan, link: Link) -> Iterator[Definition]:
    """Those of others that count for this link: a general one does not where it comes after ours."""
    for file in netplan.files:
        for each in file.definitions():
            late = each.general and each.id > ID
            if file.path != IN_NETPLAN and each.speaks_of(link) and not late:
                yield each


def _other(each: Definition, link: Link, wanted: Interface) -> Finding:
    says = ", ".join(map(str, each.addresses)) or ("DHCP" if each.dhcp else "no address")
    why = f"{each.path} sets {link.name} ({link.mac}) up already: `{each.id}` below `{each.kind}` gives it {says}"
    cure = f"take `{each.id}` out of {each.path}, or let it have {wanted} alone and nothing else; then try again"
    return Finding("other-writer", why, cure, each.path)


def netplan_yaml(link: Link, wanted: Interface) -> str:
    """By MAC, so that a new name of the link changes nothing; no gateway and no DNS (DOMAIN S12)."""
    nic = {
        "match": {"macaddress": link.permanent_mac or link.mac},
        "addresses": [str(wanted)],
        "link-local": [],
        "optional": True,
    }
    said = {"network": {"version": 2, "ethernets": {ID: nic}}}
    return "# homek8s-wizard: the guest's address on the isolated network\n" + yaml.safe_dump(said, sort_keys=False)


# ---------------------------------------------------------------- networkd alone, or others


def _by_networkd(took: str, link: Link, wanted: Interface) -> Writer | list[Finding]:
    if took in ("", IN_NETWORKD) or took.rpartition("/")[2] > IN_NETWORKD.rpartition("/")[2]:
        return Writer("networkd", IN_NETWORKD, networkd_file(link, wanted))
    if [each.interface for each in link.addresses] == [wanted]:
        return Writer("networkd", took)
    why = f"{took} sets {link.name} ({link.mac}) up already, and comes before any file of ours"
    cure = f"let that file speak of other links only, or give it `Address={wanted}` alone; then try again"
    return [Finding("other-writer", why, cure, took)]


def networkd_file(link: Link, wanted: Interface) -> str:
    """A card keeps its own MAC whatever is done to it; only hardware has such a one (systemd.network(5))."""
    mac = f"MACAddress={link.mac}" if link.kind else f"PermanentMACAddress={link.permanent_mac or link.mac}"
    return f"""\
# homek8s-wizard: the guest's address on the isolated network
[Match]
{mac}

[Link]
RequiredForOnline=no

[Network]
LinkLocalAddressing=no
Address={wanted}
"""


def _by_hand(target: str, program: str, link: Link, wanted: Interface) -> Blocked:
    how = {
        "NetworkManager": f"nmcli con add type ethernet con-name isolated 802-3-ethernet.mac-address {link.mac} "
        f"ipv4.method manual ipv4.addresses {wanted} ipv4.never-default yes ipv6.method disabled && "
        "nmcli con up isolated",
        "ifupdown": f"write to /etc/network/interfaces.d/isolated the lines `auto {link.name}`, "
        f"`iface {link.name} inet static` and, below that, ` address {wanted}`; then ifup {link.name}",
    }
    named = program or "a program that the wizard does not know"
    why = f"in {target} {named} manages the network, which the wizard leaves to you"
    cure = f"in {target}, {how[program]}" if program else f"give {link.name} the address {wanted}, also after a restart"
    return Blocked("you", why, (Finding("by-hand", why, cure, target),))
