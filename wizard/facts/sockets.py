"""Which programs listen for connections from outside, from `ss -H -tulnp` (ss(8))."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class Socket:
    """One listening socket; `address` is `*` for all of both families, 0.0.0.0 and :: for all of one.

    `program` is empty where it is not known (the kernel's own).
    """

    proto: str
    address: str
    port: int
    program: str = ""

    @property
    def local(self) -> bool:
        """Reachable from this host alone."""
        try:
            return ip_address(self.address.partition("%")[0]).is_loopback
        except ValueError:
            return False

    @property
    def versions(self) -> tuple[int, ...]:
        """Those of IP that it is reached over."""
        if self.address.startswith("*"):
            return (4, 6)
        return (6,) if ":" in self.address else (4,)

    def __str__(self) -> str:
        where = "" if self.address in ("*", "0.0.0.0", "::") else f" on {self.address}"
        return f"{self.program or 'the kernel'} ({self.port}/{self.proto}{where})"


def _sockets(output: Output) -> tuple[Socket, ...]:
    if output.rc:
        raise FactError(output.complaint or "`ss` did not answer")
    return tuple(dict.fromkeys(_socket(line) for line in output.text.splitlines() if line.strip()))


def _socket(line: str) -> Socket:
    proto, _, _, _, local, *rest = line.split(None, 6)
    address, _, port = local.rpartition(":")
    # [::]%eth0 is bound to a device; [::ffff:10.0.0.1] is reached over IPv4.
    address = re.sub(r"[][]", "", address).removeprefix("::ffff:")
    program = re.search(r'users:\(\("((?:[^"\\]|\\.)*)"', " ".join(rest))
    return Socket(proto, address or "*", int(port), program[1] if program else "")


SOCKETS: Fact[tuple[Socket, ...]] = Fact("sockets", "ss -H -tulnp", _sockets)
