"""What a node filters itself, of what is for the node: chains that drop what no rule lets in, and firewalld."""

from __future__ import annotations

import json
from dataclasses import dataclass

from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class NodeFirewall:
    firewalld: bool = False
    """It runs."""
    opened: tuple[str, ...] = ()
    """Ports that firewalld has open in its default zone, "6443/tcp"."""
    drops: tuple[str, ...] = ()
    """Tables whose chain for incoming packets drops by default, "inet filter"; ufw's own is "ip filter"."""


def _firewall(output: Output) -> NodeFirewall:
    rows = [line.split("\t", 1) for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    said = {row[0]: row[1] for row in rows if len(row) == 2}
    chains = (
        [each["chain"] for each in json.loads(said["chains"])["nftables"] if "chain" in each]
        if "chains" in said
        else []
    )
    dropping = (each for each in chains if each.get("hook") == "input" and each.get("policy") == "drop")
    return NodeFirewall(
        firewalld=said.get("firewalld") == "active",
        opened=tuple(said.get("opened", "").split()),
        drops=tuple(dict.fromkeys(f"{each['family']} {each['table']}" for each in dropping)),
    )


NODE_FIREWALL = Fact(
    "node-firewall",
    r"""state=$(systemctl is-active firewalld.service 2>/dev/null)
printf 'firewalld\t%s\n' "$state"
[ "$state" != active ] || printf 'opened\t%s\n' "$(firewall-cmd --list-ports 2>/dev/null)"
command -v nft >/dev/null && printf 'chains\t%s\n' "$(nft -j list chains | tr -d '\n')"
echo end""",
    _firewall,
)
