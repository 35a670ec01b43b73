"""Where the guests are: their addresses, as the hypervisor knows them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

from wizard.facts.libvirt import Domain
from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class GuestAddresses:
    """What the hypervisor knows: by domain what its guest agent says, and by MAC its own neighbour table."""

    agent: Mapping[str, tuple[IPv4Address, ...]] = field(default_factory=dict)
    neighbours: Mapping[str, IPv4Address] = field(default_factory=dict)

    def of(self, domain: Domain) -> tuple[IPv4Address, ...]:
        """The agent's word first, in the order of the guest's NICs."""
        seen = (self.neighbours.get(each.mac) for each in domain.live_interfaces)
        return tuple(dict.fromkeys((*self.agent.get(domain.name, ()), *filter(None, seen))))


def _addresses(output: Output) -> GuestAddresses:
    rows = [line.split("\t", 2) for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    entries = [entry for row in rows if row[0] == "neighbours" for entry in json.loads(row[1])]
    neighbours = {
        entry["lladdr"].lower(): address
        for entry in entries
        if "lladdr" in entry and "FAILED" not in entry.get("state", ()) and (address := _usable(entry["dst"]))
    }
    agent = {row[1]: tuple(filter(None, map(_usable, _by_agent(row[2])))) for row in rows if row[0] == "agent"}
    return GuestAddresses(agent, neighbours)


def _by_agent(answer: str) -> Iterator[str]:
    """From guest-network-get-interfaces (QEMU guest agent protocol), in the order of the guest's NICs."""
    for interface in json.loads(answer)["return"]:
        for address in interface.get("ip-addresses", ()):
            yield address["ip-address"]


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
