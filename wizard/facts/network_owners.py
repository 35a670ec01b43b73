"""Which program manages the network of a host, where it is not systemd-networkd alone (DOMAIN S0)."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field

from wizard.model import Fact, Output

DAEMONS = ("dhcpcd", "wicked", "wickedd", "connman", "ConnMan")
"""Services that take whatever link they find."""


@dataclass(frozen=True)
class Owner:
    """A program other than systemd-networkd that manages a link, and what tells so."""

    program: str
    evidence: str


@dataclass(frozen=True)
class Owners:
    """What other network managers say, or have written down."""

    network_manager: Mapping[str, str] = field(default_factory=dict)
    """Each device that NetworkManager manages, and its state."""
    ifupdown: tuple[str, ...] = ()
    """The names, or globs, in /etc/network/interfaces."""
    netplan: tuple[str, ...] = ()
    """netplan's own files."""
    daemons: tuple[str, ...] = ()
    """Of `DAEMONS`, those that run."""

    def of(self, link: str) -> Owner | None:
        """Who manages this link. netplan counts for every link: its files and ours may not stand side by side."""
        if self.netplan:
            return Owner("netplan", f"{self.netplan[0]} is there")
        if link in self.network_manager:
            return Owner("NetworkManager", f"`nmcli dev` shows it as {self.network_manager[link]}")
        if any(fnmatch.fnmatchcase(link, glob) for glob in self.ifupdown):
            return Owner("ifupdown", "it is named in /etc/network/interfaces")
        if self.daemons:
            return Owner(self.daemons[0], "its service is running")
        return None


def parse_owners(output: Output) -> Owners:
    """From lines of program, tab, what it says."""
    found: dict[str, list[list[str]]] = {}
    for line in output.text.splitlines():
        program, *words = line.split("\t")
        found.setdefault(program, []).append(words)
    devices = [words[0].split(":", 1) for words in found.get("nm", [])]
    return Owners(
        network_manager={device: state for device, state in devices if not _left_alone(state)},
        ifupdown=tuple(dict.fromkeys(name.removeprefix("/") for (name,) in found.get("ifupdown", []) if name != "lo")),
        netplan=tuple(path for (path,) in found.get("netplan", [])),
        daemons=tuple(unit.partition(".")[0].partition("@")[0] for (unit,) in found.get("daemon", [])),
    )


def _left_alone(state: str) -> bool:
    """What NetworkManager does not manage, or only watches ("connected (externally)": a bridge of somebody else's)."""
    return state == "unmanaged" or "externally" in state


OWNERS: Fact[Owners] = Fact(
    id="network-owners",
    command=f"""if systemctl is-active -q NetworkManager.service; then
  nmcli -t -f DEVICE,STATE dev | sed 's/^/nm\\t/'
fi
cat /etc/network/interfaces /etc/network/interfaces.d/* 2>/dev/null | tr '\\t' ' ' |
  sed -nE 's/^ *iface +([^ ]+).*/\\1/p; s/^ *(auto|allow-[a-z]+) +//p' | tr -s ' ' '\\n' |
  sed '/^$/d; s/^/ifupdown\\t/'
ls /etc/netplan/*.yaml /run/netplan/*.yaml /run/systemd/network/*-netplan-* 2>/dev/null | sed 's/^/netplan\\t/'
systemctl list-units --plain --no-legend --state=active {" ".join(f"'{name}*.service'" for name in DAEMONS)} |
  sed 's/ .*//; s/^/daemon\\t/'""",
    parse=parse_owners,
)
