"""Who sets the links of a guest up: which program, from which files. One script, as an emulated guest is slow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wizard.facts.netplan import NETPLAN_COMMAND, Netplan, parse_netplan
from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class NetworkWriters:
    """The programs that run, and what they are told."""

    networkd: bool = False
    network_manager: bool = False
    ifupdown: tuple[str, ...] = ()
    """The links in /etc/network/interfaces."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """By link, the .network file that networkd took for it."""
    netplan: Netplan = field(default_factory=Netplan)


def parse_network_writers(output: Output) -> NetworkWriters:
    rows = [line.split("\t") for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    return NetworkWriters(
        networkd=["networkd", "active"] in rows,
        network_manager=["nm", "active"] in rows,
        ifupdown=tuple(row[1] for row in rows if row[0] == "ifupdown" and row[1] not in ("", "lo")),
        taken={row[1]: row[2] for row in rows if row[0] == "taken"},
        netplan=parse_netplan(rows),
    )


NETWORK_WRITERS: Fact[NetworkWriters] = Fact(
    "network-writers",
    f"""printf 'networkd\\t%s\\nnm\\t%s\\n' $(systemctl is-active systemd-networkd.service NetworkManager.service)
cd /sys/class/net && for link in *; do
  state=/run/systemd/netif/links/$(cat "$link/ifindex" 2>/dev/null)
  [ ! -f "$state" ] || sed -n "s|^NETWORK_FILE=|taken\t$link\t|p" "$state"
done
cat /etc/network/interfaces /etc/network/interfaces.d/* 2>/dev/null |
  sed -nE 's/^[[:space:]]*iface[[:space:]]+([^[:space:]]+).*/ifupdown\t\\1/p'
{NETPLAN_COMMAND}
echo end""",
    parse_network_writers,
    limit=60,
)
"""networkd keeps under /run/systemd/netif/links, by the link's number, which file it took (sd-network(3))."""
