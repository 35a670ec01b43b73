"""Addresses, networks and MACs: what makes each one usable (DOMAIN 2.1).

Every parser takes text (or the value itself), answers the value, and raises `Wrong` with the cure.
"""

from __future__ import annotations

import re
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Annotated

from wizard.cluster.mistakes import Wrong, shown
from wizard.cluster.names import checked, host_name, matching, text

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface

MAC = r"52:54:00(:[0-9a-f]{2}){3}"


def octal(word: str) -> bool:
    return re.search(r"(^|\.)0[0-9]", word) is not None and re.fullmatch(r"[0-9./]+", word) is not None


def address(value: object) -> Address:
    """An address of a machine, without prefix: no wildcard, loopback, multicast, link-local or reserved one."""
    if isinstance(value, IPv4Address | IPv6Address):
        return usable(value)
    word = text(value)
    try:
        return usable(ip_address(word))
    except ValueError as error:
        raise not_an_address(word, "192.168.182.1", error) from None


def address_v4(value: object) -> IPv4Address:
    found = address(value)
    if not isinstance(found, IPv4Address):
        raise Wrong(f"{shown(found)} is an IPv6 address", "Use an IPv4 address.")
    return found


def gateway(value: object) -> Address:
    """A router's address; for IPv6 that is often a link-local one (RFC 4861)."""
    try:
        found = ip_address(value) if isinstance(value, str) else value
    except ValueError:
        found = value
    if isinstance(found, IPv6Address) and found.is_link_local and found.scope_id is None:
        return found
    return address(value)


def host_interface(value: object) -> Interface:
    """A machine's address with its prefix: not its network's first or last, /8 to /30 (IPv6: /16 to /127)."""
    found = value if isinstance(value, IPv4Interface | IPv6Interface) else read_interface(text(value))
    usable(found.ip)
    low, high = (8, 30) if found.version == 4 else (16, 127)
    if not low <= found.network.prefixlen <= high:
        raise Wrong(
            f"the prefix /{found.network.prefixlen} leaves no room for a home network",
            f"Use a prefix from /{low} to /{high}, such as {found.ip}/{24 if found.version == 4 else 64}.",
        )
    if isinstance(found, IPv4Interface) and found.ip in (
        found.network.network_address,
        found.network.broadcast_address,
    ):
        which = "network" if found.ip == found.network.network_address else "broadcast"
        raise Wrong(
            f"{found.ip} is the {which} address of {found.network}",
            f"Use an address between {found.network[1]} and {found.network[-2]}.",
        )
    return found


def read_interface(word: str) -> Interface:
    if "/" not in word:
        found = address(word)
        raise Wrong(
            f"{shown(word)} has no prefix length",
            f"Write {found}/{24 if found.version == 4 else 64} if that is the network's.",
        )
    if not re.fullmatch(r"[^/]+/[0-9]{1,3}", word):
        raise not_an_address(word, "192.168.182.100/24")
    try:
        return ip_interface(word)
    except ValueError as error:
        raise not_an_address(word, "192.168.182.100/24", error) from None


def cidr(value: object) -> IPv4Network:
    """An IPv4 network that is nobody's on the internet, without host bits."""
    found = value if isinstance(value, IPv4Network) else read_network(text(value))
    first = found.network_address
    if first.is_loopback or first.is_link_local or first.is_multicast or first.is_reserved or int(first) < 1 << 24:
        raise Wrong(f"{found} is no range for a network of machines", "Use a private range, such as 192.168.190.0/24.")
    if found.is_global or found.prefixlen < 8:
        raise Wrong(
            f"{found} belongs to others on the internet",
            "Use a private range: within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.",
        )
    return found


def read_network(word: str) -> IPv4Network:
    if not re.fullmatch(r"[0-9.]+/[0-9]{1,2}", word):
        cure = (
            f"Write {word}/24 if that is its size."
            if re.fullmatch(r"[0-9.]+", word)
            else "Write it like 192.168.190.0/24."
        )
        raise Wrong(f"{shown(word)} is no IPv4 network with prefix length", cure)
    try:
        found = IPv4Network(word, strict=False)
    except ValueError as error:
        raise not_an_address(word, "192.168.190.0/24", error) from None
    if str(found) != word:
        raise Wrong(f"{shown(word)} is an address inside a network", f"Write {found}.")
    return found


def sized(value: object, low: int, high: int, what: str) -> IPv4Network:
    found = cidr(value)
    if not low <= found.prefixlen <= high:
        raise Wrong(f"/{found.prefixlen} does not suit {what}", f"Use a prefix from /{low} to /{high}.")
    return found


def isolated_cidr(value: object) -> IPv4Network:
    return sized(value, 8, 30, "the isolated network")


def pod_cidr(value: object) -> IPv4Network:
    """kubeadm gives each node a /24 of it; smaller is refused there (DOMAIN 2.1)."""
    return sized(value, 8, 24, "pods: each node takes a /24 of it")


def service_cidr(value: object) -> IPv4Network:
    """/12 to /24 (DOMAIN 2.1)."""
    return sized(value, 12, 24, "services")


def source(value: object) -> str:
    """Where a connection comes from: `any`, an address, or a network without host bits (ufw(8))."""
    word = text(value)
    if word == "any":
        return word
    if "/" not in word:
        return str(address(word))
    try:
        return str(ip_network(word))
    except ValueError as error:
        if "host bits" in str(error):
            raise Wrong(
                f"{shown(word)} is an address inside a network", f"Write {ip_network(word, strict=False)}."
            ) from None
        raise not_an_address(word, "192.168.182.0/24", error) from None


def endpoint(value: object) -> str:
    """Where the Kubernetes API answers: a DNS name, or an address that no machine has of its own (a VIP)."""
    word = text(value)
    if re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", word):
        if re.fullmatch(r"[^:]+:[0-9]+", word):
            raise Wrong(f"{shown(word)} names a port", "Leave it out; the API always answers on port 6443.")
        return str(address(word))
    if re.fullmatch(r"[^:]+:[0-9]+", word):
        raise Wrong(f"{shown(word)} names a port", "Leave it out; the API always answers on port 6443.")
    return host_name(word)


def literal_host(destination: str) -> Address | None:
    """The address in an SSH destination or endpoint, if it names one; None for names and where a port is given.

    (Behind one address, several machines may answer on different ports.)
    """
    host = destination.removeprefix("ssh://").rpartition("@")[2].strip("[]")
    try:
        return ip_address(host)
    except ValueError:
        return None


def usable(found: Address) -> Address:
    bad = {
        "the unspecified address": found.is_unspecified,
        "a loopback address": found.is_loopback,
        "a multicast address": found.is_multicast,
        "a link-local address, which changes or is ambiguous": found.is_link_local,
        "a reserved address": found.version == 4 and (found.is_reserved or int(found) < 1 << 24),
        "tied to one interface": isinstance(found, IPv6Address) and found.scope_id is not None,
        "an IPv4 address in IPv6 clothes": isinstance(found, IPv6Address) and found.ipv4_mapped is not None,
    }
    for what, is_so in bad.items():
        if is_so:
            raise Wrong(f"{shown(found)} is {what}", "Use an address that belongs to one machine on its network.")
    return found


def not_an_address(word: str, example: str, error: ValueError | None = None) -> Wrong:
    if isinstance(error, Wrong):
        return error
    if octal(word):
        return Wrong(
            f"{shown(word)} has a number with a leading zero, which some programs read as octal",
            "Write it without leading zeros.",
        )
    prefix = re.fullmatch(r"[0-9.]+/([0-9]+)", word)
    if prefix and int(prefix[1]) > 32:
        return Wrong(f"{shown(word)} has an impossible prefix length", f"Write it like {example}.")
    return Wrong(
        f"{shown(word)} is no IP address" + (" with prefix length" if "/" in example else ""),
        f"Write it like {example}.",
    )


def mac(value: object) -> str:
    """The MAC of a guest's NIC, in lower case: 52:54:00 is QEMU's own range, unicast (DOMAIN 2.1)."""
    word = text(value)
    if re.fullmatch(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", word) and not word.startswith("52:54:00:"):
        raise Wrong(
            f"{shown(word)} is outside the range of virtual machines",
            f"Begin with 52:54:00, such as 52:54:00:{word[9:].lower()}.",
        )
    return matching(word.lower(), MAC, 17, "six pairs of hexadecimal digits joined by `:`, such as 52:54:00:a0:00:10")


def any_mac(value: object) -> str:
    """The MAC of a real card, in lower case: unicast, and not all zeros."""
    word = matching(
        text(value).lower(), r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", 17, "six pairs of hexadecimal digits joined by `:`"
    )
    if int(word[:2], 16) & 1 or word == "00:00:00:00:00:00":
        raise Wrong(f"{shown(word)} is no card's MAC", "Run `ip -br link` on the machine to see the MACs there are.")
    return word


AnyAddress = Annotated[Address, *checked(address)]
Gateway = Annotated[Address, *checked(gateway)]
HostInterface = Annotated[Interface, *checked(host_interface)]
IsolatedCidr = Annotated[IPv4Network, *checked(isolated_cidr)]
PodCidr = Annotated[IPv4Network, *checked(pod_cidr)]
ServiceCidr = Annotated[IPv4Network, *checked(service_cidr)]
Source = Annotated[str, *checked(source)]
Endpoint = Annotated[str, *checked(endpoint)]
Mac = Annotated[str, *checked(mac)]
AnyMac = Annotated[str, *checked(any_mac)]
