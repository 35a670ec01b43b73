"""What a node filters itself, of what is for it and of what it passes on for its pods: tables, and firewalld."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.model import Fact, FactError, Output

HOOKS = ("input", "forward")
"""What is for the node, and what it passes on."""


@dataclass(frozen=True)
class Filtering:
    """A table that drops or rejects what none of its rules names: by a chain's policy, or by a rule for everything."""

    table: str
    """ "inet filter"; iptables' and ufw's own are "ip filter" and "ip6 filter"."""
    hooks: tuple[str, ...]
    """At which of `HOOKS`."""
    tool: str = "nft"
    """Else what iptables calls itself: "iptables-legacy", or, where there is no nft, "ip6tables-nft"."""

    def __str__(self) -> str:
        return f"nftables' table {self.table}" if self.tool == "nft" else f"{self.tool}'s table filter"


@dataclass(frozen=True)
class NodeFirewall:
    firewalld: bool = False
    """It runs."""
    opened: tuple[str, ...] = ()
    """Ports that firewalld has open in its default zone, "6443/tcp"."""
    filtering: tuple[Filtering, ...] = ()


def _firewall(output: Output) -> NodeFirewall:
    rows = [line.split("\t", 1) for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    said = {row[0]: row[1] for row in rows if len(row) == 2}
    hooks: dict[tuple[str, str], list[str]] = {}
    for tool, table, hook in (*_by_nft(output.text), *_by_iptables(output.text)):
        hooks.setdefault((tool, table), []).append(hook)
    return NodeFirewall(
        firewalld=said.get("firewalld") == "active",
        opened=tuple(said.get("opened", "").split()),
        filtering=tuple(Filtering(table, tuple(dict.fromkeys(each)), tool) for (tool, table), each in hooks.items()),
    )


_CHAIN = re.compile(
    r"^table ((?:ip|ip6|inet|bridge) \S+) \{\n\t+type filter hook (\w+) .*policy (\w+);\n((?:\t.*\n)*)", re.MULTILINE
)
_OF_ALL = re.compile(
    r"""^\t\t\ *(?:counter\ (?:name\ \S+\ )?
    |log\ (?:prefix\ "[^"]*"\ )?(?:group\ \d+\ )?(?:level\ \w+\ )?(?:flags\ all\ )?)*
    (accept|drop|reject)\b""",
    re.MULTILINE | re.VERBOSE,
)
"""A rule without a condition: what it says becomes of every packet that comes that far."""


def _by_nft(text: str) -> Iterator[tuple[str, str, str]]:
    """Tool, table and hook of each chain that filters."""
    for table, hook, policy, rules in _CHAIN.findall(text):
        if _filters(_OF_ALL.findall(rules), policy):
            yield "nft", table, hook


def _by_iptables(text: str) -> Iterator[tuple[str, str, str]]:
    comments = r'(?:-m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+) )*'
    for tool, chain, policy in re.findall(r"^(\S+) :(INPUT|FORWARD) (\w+)", text, re.MULTILINE):
        of_all = re.findall(rf"^{tool} -A {chain} {comments}-j (ACCEPT|DROP|REJECT)(?!\S)", text, re.MULTILINE)
        if _filters(of_all, policy):
            yield tool, f"{tool.partition('tables')[0]} filter", chain.lower()


def _filters(of_all: list[str], policy: str) -> bool:
    return (*of_all, policy)[0].lower() in ("drop", "reject")


NODE_FIREWALL = Fact(
    "node-firewall",
    # nft's words, not its JSON, where REJECT of iptables was once `{"xt": null}`, as any of its conditions (0.9.8).
    # Only what hooks hold, and of that what may be a rule for everything: some nodes have tens of thousands of rules.
    # A table is never made by asking for it: iptables-legacy is only asked about what the kernel has (DOMAIN S11).
    r"""state=$(systemctl is-active firewalld.service 2>/dev/null)
printf 'firewalld\t%s\n' "$state"
[ "$state" != active ] || printf 'opened\t%s\n' "$(firewall-cmd --list-ports 2>/dev/null)"
filter_of() {
  command -v "$1-save" >/dev/null || return 0
  "$1-save" -t filter |
    awk -v tool="$1" '/^:(INPUT|FORWARD) / || /^-A (INPUT|FORWARD) (-m comment|-j) / { print tool, $0 }'
}
if command -v nft >/dev/null; then
  chains=$(nft list chains) || exit
  printf '%s\n' "$chains" |
    awk '/^table/ { t = $2 " " $3 } /^\tchain/ { c = $2 } /type filter hook (input|forward) / { print t, c }' |
    while read -r chain; do
      # Its three words are three arguments.
      nft -s list chain $chain </dev/null
    done |
    awk '/^table/ || /^\t\t *(type|counter|log|accept|drop|reject)/'
else
  filter_of iptables-nft
  filter_of ip6tables-nft
fi
for v in ip ip6; do
  grep -qsx filter /proc/net/${v}_tables_names && filter_of ${v}tables-legacy
done
echo end""",
    _firewall,
)
