"""What the hypervisor knows of its guests: their addresses, for how long they run, what their console says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Any

from wizard.facts.libvirt import Domain
from wizard.model import Fact, FactError, Output

ANSWERED = frozenset({"REACHABLE", "PERMANENT"})


@dataclass(frozen=True)
class GuestAddresses:
    """What the hypervisor knows: by domain what its guest agent says, and by MAC its own neighbour table."""

    agent: Mapping[str, tuple[tuple[str, IPv4Address], ...]] = field(default_factory=dict)
    """Each address with the MAC of the link that has it."""
    neighbours: Mapping[str, tuple[IPv4Address, ...]] = field(default_factory=dict)
    """Those that answered just now; where there are none, all that are remembered: one of them may be outdated."""

    def of(self, domain: Domain, lans: tuple[IPv4Network | IPv6Network, ...] = ()) -> tuple[IPv4Address, ...]:
        """The agent's word, which is the guest's own, what is in `lans` first; without it, the neighbour table's.

        A link on none of the domain's NICs, a bridge for containers or pods, leads nowhere from outside the guest.
        """
        macs = [each.mac for each in domain.live_interfaces]
        near = [ip for _, ip in self.agent.get(domain.name, ()) if any(ip in lan for lan in lans)]
        said = [ip for mac, ip in self.agent.get(domain.name, ()) if mac in macs]
        heard = [ip for mac in macs for ip in self.neighbours.get(mac, ())]
        return tuple(dict.fromkeys((*near, *said) or heard))


def _addresses(output: Output) -> GuestAddresses:
    rows = [line.split("\t", 2) for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    entries = [entry for row in rows if row[0] == "neighbours" for entry in json.loads(row[1])]
    agent = {row[1]: tuple(_by_agent(row[2])) for row in rows if row[0] == "agent"}
    return GuestAddresses(agent, _by_mac(entries))


def _by_mac(entries: Iterable[Mapping[str, Any]]) -> Mapping[str, tuple[IPv4Address, ...]]:
    """After a change of address the old one is still remembered, as STALE (ip-neighbour(8))."""
    found: dict[str, list[tuple[bool, IPv4Address]]] = {}
    for entry in entries:
        states, address = set(entry.get("state", ())), _usable(entry["dst"])
        if "lladdr" in entry and "FAILED" not in states and address:
            found.setdefault(entry["lladdr"].lower(), []).append((not ANSWERED.isdisjoint(states), address))
    return {mac: tuple(ip for answered, ip in pairs if answered == max(pairs)[0]) for mac, pairs in found.items()}


def _by_agent(answer: str) -> Iterator[tuple[str, IPv4Address]]:
    """From guest-network-get-interfaces (QEMU guest agent protocol), in the order of the guest's links."""
    for interface in json.loads(answer)["return"]:
        for each in interface.get("ip-addresses", ()):
            if address := _usable(each["ip-address"]):
                yield interface.get("hardware-address", "").lower(), address


def _usable(text: str) -> IPv4Address | None:
    address = ip_address(text)
    return address if isinstance(address, IPv4Address) and not (address.is_loopback or address.is_link_local) else None


ADDRESSES = Fact(
    "guest-addresses",
    r"""export LC_ALL=C LIBVIRT_DEFAULT_URI=qemu:///system
for name in $(virsh list --name 2>/dev/null); do
  answer=$(timeout 3 virsh qemu-agent-command --timeout 2 "$name" '{"execute":"guest-network-get-interfaces"}' \
    2>/dev/null | tr -d '\n') && [ -n "$answer" ] && printf 'agent\t%s\t%s\n' "$name" "$answer"
done
printf 'neighbours\t%s\n' "$(ip -j -4 neigh)"
echo end""",
    _addresses,
    limit=30,
)


def _uptimes(output: Output) -> Mapping[str, int]:
    rows = (line.split("\t") for line in output.text.splitlines())
    return {name: int(seconds) for name, seconds in rows if seconds.strip().isdecimal()}


UPTIMES = Fact(
    "guest-uptimes",
    r"""for file in /run/libvirt/qemu/*.pid; do
  [ -e "$file" ] || continue
  name=${file##*/}
  printf '%s\t%s\n' "${name%.pid}" "$(ps -o etimes= -p "$(cat "$file")" | tr -d ' ')"
done""",
    _uptimes,
)
"""Seconds for which each running guest's QEMU has run: how long ago it was switched on. A reboot does not count."""


def console_log(name: str) -> str:
    """Written by virtlogd, the only place where libvirt's AppArmor profiles let it (DOMAIN S3)."""
    return f"/var/log/libvirt/qemu/{name}-console.log"


def console(name: str) -> Fact[str]:
    """The last line on the console of a guest that was made here; "" where there is none."""
    plain = r"sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' | tr '\r' '\n' | tr -cd '[:print:]\n'"
    script = f"tail -c 2000 {console_log(name)} 2>/dev/null | {plain} | grep '[^ ]' | tail -n 1"
    return Fact(f"guest-console-{name}", script, lambda output: output.text.strip())
