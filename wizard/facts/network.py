"""The links of a host, its routes, its name servers, and the path on which our own connection arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Any

from wizard.model import Fact, FactError, Output

STACKED = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap")
"""Kinds of link that sit on top of another one."""


@dataclass(frozen=True)
class Address:
    """One address of a link; `dynamic` when it came by DHCP or router advertisement and can expire."""

    interface: IPv4Interface | IPv6Interface
    dynamic: bool = False

    @property
    def ip(self) -> str:
        return str(self.interface.ip)


@dataclass(frozen=True)
class Link:
    """One network link, as the kernel sees it now."""

    name: str
    mac: str
    kind: str = ""
    """What `ip link … type` calls it: bridge, bond, vlan, tun, veth, …; empty for hardware."""
    ethernet: bool = True
    hardware: bool = False
    wireless: bool = False
    up: bool = True
    """Administratively up."""
    carrier: bool | None = None
    """Is there a signal; None while the link is down, when nobody can tell."""
    speed: int | None = None
    """Mbit/s, as negotiated."""
    permanent_mac: str = ""
    master: str = ""
    """The bridge or bond that it is a port of."""
    port_state: str = ""
    """As a bridge port: disabled, listening, learning, forwarding, blocking."""
    parent: str = ""
    """The link that it is stacked on (VLAN, macvtap)."""
    addresses: tuple[Address, ...] = ()
    """Global addresses only, neither loopback nor link-local."""

    @property
    def nic(self) -> bool:
        """Is it a network card: a veth with a card's name is one, because that is what a container is given."""
        if self.kind == "veth":
            return self.name.startswith(("en", "eth"))
        return self.ethernet and not self.kind and self.name != "lo"

    @property
    def describe(self) -> str:
        """A few words for a form: "1 Gbit/s, cable in, 192.168.182.100/24"."""
        words = [wired(self), *(str(address.interface) for address in self.addresses)]
        if self.speed:
            words.insert(0, f"{self.speed / 1000:g} Gbit/s" if self.speed >= 1000 else f"{self.speed} Mbit/s")
        return ", ".join([*words, *([f"port of {self.master}"] if self.master else [])])


def wired(link: Link) -> str:
    """Whether a cable is in, in words."""
    if link.wireless:
        return "wireless"
    return {True: "cable in", False: "no carrier", None: "down"}[link.carrier]


@dataclass(frozen=True)
class Links:
    """All links of a host, in the kernel's order."""

    all: tuple[Link, ...]

    def __iter__(self) -> Iterator[Link]:
        return iter(self.all)

    def get(self, name: str) -> Link | None:
        return next((link for link in self.all if link.name == name), None)

    @property
    def nics(self) -> tuple[Link, ...]:
        return tuple(link for link in self.all if link.nic)

    def ports(self, bridge: str) -> tuple[Link, ...]:
        """What hangs in this bridge: NICs, guests' taps, anything."""
        return tuple(link for link in self.all if link.master == bridge)

    def on_top_of(self, name: str) -> tuple[Link, ...]:
        """VLANs, macvtaps and the like that use this link."""
        return tuple(link for link in self.all if link.parent == name and link.kind in STACKED)

    def with_address(self, ip: str) -> Link | None:
        return next((link for link in self.all if any(address.ip == ip for address in link.addresses)), None)


def parse_links(output: Output) -> Links:
    """From `ip -j -d addr` and one line per entry of /sys/class/net. Raises `FactError` when `ip` did not answer."""
    head, _, rest = output.text.partition("\n")
    if not head.startswith("["):
        raise FactError(output.complaint or "`ip -j -d addr` printed nothing")
    sysfs = dict(_sysfs(line) for line in rest.splitlines() if line)
    return Links(tuple(_link(entry, sysfs.get(entry["ifname"], {})) for entry in json.loads(head) if entry))


def _sysfs(line: str) -> tuple[str, dict[str, str]]:
    name, hardware, wireless, speed = line.split("\t")
    return name, {"hardware": hardware, "wireless": wireless, "speed": speed}


def _link(entry: dict[str, Any], sysfs: dict[str, str]) -> Link:
    info = entry.get("linkinfo", {})
    kind = info.get("info_kind", "")
    up = "UP" in entry["flags"]
    speed = sysfs.get("speed", "")
    return Link(
        name=entry["ifname"],
        mac=entry.get("address", ""),
        kind=kind,
        ethernet=entry.get("link_type") == "ether",
        hardware=bool(sysfs.get("hardware")),
        wireless=bool(sysfs.get("wireless")),
        up=up,
        carrier="LOWER_UP" in entry["flags"] and "NO-CARRIER" not in entry["flags"] if up else None,
        speed=int(speed) if speed.isdecimal() and int(speed) > 0 else None,
        permanent_mac=entry.get("permaddr", entry.get("address", "")),
        master=entry.get("master", ""),
        port_state=info.get("info_slave_data", {}).get("state", "") if info.get("info_slave_kind") == "bridge" else "",
        parent=entry.get("link", "") if kind in STACKED else "",
        addresses=tuple(_addresses(entry.get("addr_info", []))),
    )


def _addresses(entries: list[dict[str, Any]]) -> Iterator[Address]:
    for entry in entries:
        if entry.get("scope") == "global":
            interface = ip_interface(f"{entry['local']}/{entry['prefixlen']}")
            yield Address(interface, dynamic=bool(entry.get("dynamic")))


LINKS: Fact[Links] = Fact(
    id="links",
    command="""ip -j -d addr
cd /sys/class/net && for link in *; do
  [ -d "$link/" ] || continue
  printf '%s\\t%s\\t%s\\t%s\\n' "$link" "$([ ! -e "$link/device" ] || echo yes)" \\
    "$([ ! -e "$link/wireless" ] && [ ! -e "$link/phy80211" ] || echo yes)" "$(cat "$link/speed" 2>/dev/null)"
done""",
    parse=parse_links,
)
"""Every link with its addresses; on a host with thousands of links the output is cut at 1 MiB and is then unknown."""


@dataclass(frozen=True)
class Route:
    """One route of the main table; `to` is "default" or a prefix."""

    to: str
    gateway: str
    device: str
    metric: int = 0

    def leads_into(self, cidr: IPv4Network) -> bool:
        """Whether it is for some of these addresses; a default route is not meant, nor its halves, as VPNs write it."""
        there = None if self.to == "default" else ip_network(self.to, strict=False)
        return isinstance(there, IPv4Network) and there.prefixlen > 1 and there.overlaps(cidr)


def parse_routes(output: Output) -> tuple[Route, ...]:
    """From `ip -j route` and `ip -j -6 route`, one JSON list per line."""
    if output.rc or not output.text.strip():
        raise FactError(output.complaint or "`ip -j route` printed nothing")
    entries = [entry for line in output.text.splitlines() if line for entry in json.loads(line)]
    return tuple(
        Route(entry["dst"], entry.get("gateway", ""), entry.get("dev", ""), entry.get("metric", 0)) for entry in entries
    )


ROUTES: Fact[tuple[Route, ...]] = Fact("routes", "ip -j route && ip -j -6 route", parse_routes)


def parse_nameservers(output: Output) -> tuple[str, ...]:
    """The addresses after `nameserver` in resolv.conf(5); without the stub that systemd-resolved listens on."""
    words = [line.split() for line in output.text.splitlines()]
    found = [each[1] for each in words if len(each) > 1 and each[0] == "nameserver"]
    return tuple(dict.fromkeys(server for server in found if not _loopback(server)))


def _loopback(server: str) -> bool:
    return ip_address(server.partition("%")[0]).is_loopback


NAMESERVERS: Fact[tuple[str, ...]] = Fact(
    id="nameservers",
    command="cat /run/systemd/resolve/resolv.conf 2>/dev/null || cat /etc/resolv.conf 2>/dev/null || true",
    parse=parse_nameservers,
)


@dataclass(frozen=True)
class SshPath:
    """Where our own SSH connection arrives: the host's address, and the device that the answers leave on."""

    client: str
    address: str
    port: int
    device: str = ""

    @property
    def local(self) -> bool:
        """The wizard runs on this very host: the connection crosses no wire and proves nothing about one."""
        return ip_address(self.client) == ip_address(self.address) or ip_address(self.client).is_loopback


def parse_ssh_path(output: Output) -> SshPath | None:
    """From `SSH_CONNECTION` (sshd(8): client, its port, our address, our port) and `ip -j route get`; None: no SSH."""
    head, _, rest = output.text.partition("\n")
    if not head.strip():
        return None
    client, _, address, port = head.split()
    route = json.loads(rest) if rest.strip().startswith("[") else []
    device = route[0].get("dev", "") if route else ""
    return SshPath(_plain(client), _plain(address), int(port), device)


def _plain(address: str) -> str:
    """Without the zone and the IPv4-in-IPv6 prefix that sshd reports on a dual-stack socket."""
    parsed = ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


SSH_PATH: Fact[SshPath | None] = Fact(
    id="ssh-path",
    command="""process=$$ found=
while [ "${process:-0}" -gt 1 ] && [ -z "$found" ]; do
  found=$(tr '\\0' '\\n' 2>/dev/null </proc/$process/environ | sed -n 's/^SSH_CONNECTION=//p' | head -n1)
  process=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$process/status)
done
printf '%s\\n' "$found"
set -- $found
[ $# -lt 4 ] || ip -j route get "${1#::ffff:}" from "${3#::ffff:}" 2>/dev/null || true""",
    parse=parse_ssh_path,
)
"""sudo forgets SSH_CONNECTION, but every process keeps the environment that it was started with in /proc (proc(5)):
the nearest ancestor that has it, sudo itself at the latest, belongs to our own connection."""
