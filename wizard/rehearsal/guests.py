"""The guests, or nodes, that a rehearsal's cluster.yaml names, and where they are on the LAN."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.rehearsal import network
from wizard.rehearsal.error import BadRequest

MOST = 3


@dataclass(frozen=True)
class Guest:
    """A virtual machine, or a node, by number: aki0 is the control plane, the others are workers."""

    number: int

    @property
    def name(self) -> str:
        return f"aki{self.number}"

    @property
    def role(self) -> str:
        return "worker" if self.number else "control-plane"

    @property
    def address(self) -> str:
        return f"{network.LAN}.{130 + self.number}"

    @property
    def isolated_address(self) -> str:
        return f"{network.ISOLATED}.{100 + self.number}"

    @property
    def isolated_mac(self) -> str:
        """Of a node's second NIC; a guest's is libvirt's to make."""
        return f"52:54:00:b6:be:{self.number:02x}"


def first(count: int) -> tuple[Guest, ...]:
    """So many guests, aki0 first; raise BadRequest for a number that there are no addresses for."""
    if not 0 <= count <= MOST:
        raise BadRequest(f"A rehearsal has 0 to {MOST} guests or nodes, not {count}.")
    return tuple(Guest(number) for number in range(count))
