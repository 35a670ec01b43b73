"""What filters and rewrites packets on a host, found without creating any table by looking (DOMAIN S0)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class Chain:
    """A chain of nf_tables that forwarded packets pass; `policy` is what becomes of those that no rule names."""

    family: str
    table: str
    name: str
    policy: str

    def __str__(self) -> str:
        return f"{self.name} in table {self.family} {self.table}"


@dataclass(frozen=True)
class Forwarding:
    """What becomes of packets that the host forwards, bridged ones too where bridge-nf-call-iptables is 1."""

    chains: tuple[Chain, ...] | None
    """None where there is no `nft` to ask."""
    iptables: str = ""
    """The flavour of the `iptables` command, "nf_tables" or "legacy"; empty without one."""
    legacy: tuple[str, ...] = ()
    """Tables of the old kind that exist; asking iptables-legacy about one would make it."""
    legacy_policy: str = ""
    ufw: bool = False
    """Is ufw switched on; its service counts as active even when it is not."""

    @property
    def drops(self) -> tuple[str, ...]:
        """Who drops forwarded packets unless a rule lets them pass, in words."""
        found = [str(chain) for chain in self.chains or () if chain.policy == "drop"]
        return (*found, "FORWARD of iptables-legacy") if self.legacy_policy == "DROP" else tuple(found)


def _forwarding(output: Output) -> Forwarding:
    rows = [line.split("\t", 1) for line in output.text.splitlines()]
    found = dict(row for row in rows if len(row) == 2)
    if "legacy" not in found:
        raise FactError(output.complaint or "nothing was said")
    flavour = re.search(r"\((\w+)\)", found["iptables"])
    version = found["iptables"].split()
    return Forwarding(
        chains=_chains(found["chains"]) if "chains" in found else None,
        iptables=flavour[1] if flavour else "legacy" if version else "",
        legacy=tuple(found["legacy"].split()),
        legacy_policy=found.get("policy", "").rpartition(" ")[2],
        ufw=found.get("ufw") == "yes",
    )


def _chains(text: str) -> tuple[Chain, ...]:
    entries = (entry["chain"] for entry in json.loads(text)["nftables"] if "chain" in entry)
    return tuple(
        Chain(each["family"], each["table"], each["name"], each.get("policy", "accept"))
        for each in entries
        if each.get("hook") == "forward"
    )


FORWARDING = Fact(
    "forwarding",
    """printf 'iptables\\t%s\\n' "$(iptables -V 2>/dev/null)"
printf 'legacy\\t%s\\n' "$(tr '\\n' ' ' </proc/net/ip_tables_names 2>/dev/null)"
printf 'ufw\t%s\n' "$(sed -n 's/^ENABLED=//p' /etc/ufw/ufw.conf 2>/dev/null)"
command -v nft >/dev/null && printf 'chains\\t%s\\n' "$(nft -j list chains | tr -d '\\n')"
grep -qx filter /proc/net/ip_tables_names 2>/dev/null &&
  printf 'policy\\t%s\\n' "$(iptables-legacy -S FORWARD | head -n 1)"
true""",
    _forwarding,
)
