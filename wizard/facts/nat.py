"""The rules that would rewrite what guests say to each other: live ones, and those in files (DOMAIN S11, E8)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from wizard.facts.nat_files import NAT_FILES, NatFile, NatFiles, Written, goes_down, tables
from wizard.facts.nat_iptables import parse_save
from wizard.facts.nat_nft import parse_tables, texts_by_handle
from wizard.facts.nat_rules import Flow, Network, Rule, Table
from wizard.facts.network import LINKS
from wizard.model import AnyFact, Context, Fact, FactError, Output


def _live(output: Output) -> tuple[Table, ...]:
    found = dict(line.split("\t", 1) for line in output.text.splitlines() if "\t" in line)
    if "end" not in found:
        raise FactError(output.complaint or "nothing was said")
    said = {name: base64.b64decode(text).decode("utf-8", "surrogateescape") for name, text in found.items()}
    saved = [(tool, said[tool]) for tool in said if "tables-" in tool]
    readable = [(tool, text) for tool, text in saved if "incompatible" not in text]
    iptables = [parse_save(tool, text) for tool, text in readable]
    entries = json.loads(said["json"])["nftables"] if said.get("json") else []
    nft = parse_tables(entries, texts_by_handle(said.get("text", "")))
    theirs = {(table.family, table.name) for table in iptables if table.tool.endswith("-nft")}
    return (*iptables, *(table for table in nft if (table.family, table.name) not in theirs))


NAT_LIVE: Fact[tuple[Table, ...]] = Fact(
    "nat-live",
    # A table is never made by asking for it: iptables-legacy is only asked about what the kernel has (DOMAIN S11).
    r"""say() { printf '%s\t%s\n' "$1" "$(base64 -w0)"; }
if command -v nft >/dev/null; then
  nft -j list ruleset | say json
  nft -s -a list ruleset | say text
  for v in ip ip6; do
    if nft list tables | grep -qx "table $v nat" && command -v ${v}tables-nft-save >/dev/null; then
      ${v}tables-nft-save -t nat | say ${v}tables-nft
    fi
  done
elif command -v iptables-nft-save >/dev/null; then
  iptables-nft-save -t nat | say iptables-nft
  ip6tables-nft-save -t nat | say ip6tables-nft
fi
for v in ip ip6; do
  if grep -qsx nat /proc/net/${v}_tables_names && command -v ${v}tables-legacy-save >/dev/null; then
    ${v}tables-legacy-save -t nat | say ${v}tables-legacy
  fi
done
printf 'end\t\n'""",
    _live,
)

FACTS: tuple[AnyFact[Any], ...] = (LINKS, NAT_LIVE, NAT_FILES)
"""What `rewriting` looks at."""


@dataclass(frozen=True)
class Rewriting:
    """A rule that gives guests' packets the host's address, and where it is: live (`table`), or in a file."""

    rule: Rule
    chain: str
    flows: tuple[Flow, ...]
    """Whom it hits."""
    table: Table
    file: NatFile | None = None
    written: Written | None = None

    @property
    def where(self) -> str:
        if self.file and self.written:
            return f"{self.file.path}:{self.written.line.number}"
        program = "nft" if self.table.tool == "nft" else self.table.tool.removesuffix("-nft")
        table = f"{self.table.family} {self.table.name}" if self.table.tool == "nft" else self.table.name
        return f"{program}, table {table}, chain {self.chain}"

    def __str__(self) -> str:
        return f"`{self.rule.text}` ({self.where})"


def rewriting(ctx: Context) -> tuple[Rewriting, ...]:
    """All such rules, live ones first; whether bridged packets pass them now or not (DOMAIN S4)."""
    flows = flows_of(ctx)
    live = [found for table in ctx.see(NAT_LIVE) for found in _in_table(table, flows)]
    return (*live, *_in_files(ctx.see(NAT_FILES), flows))


def flows_of(ctx: Context) -> tuple[Flow, ...]:
    """What guests and pods say to each other over the bridges of cluster.yaml, in IPv4 and IPv6."""
    bridge, isolated = ctx.cluster.bridge, ctx.cluster.isolated
    pods: list[Network] = [ctx.cluster.kubernetes.pod_cidr] if ctx.cluster.kubernetes else []
    found: list[Flow] = []
    for name, networks in ((bridge.name, _lan(ctx)) if bridge else ("", []), (isolated and isolated.name, [])):
        ranges = [*networks, *([isolated.cidr] if isolated and name == isolated.name else [])]
        known = [Flow(name, each, each.version) for each in (*ranges, *pods)] if name else []
        spoken = {each.version for each in ranges}
        unknown = [Flow(name, None, version) for version in (4, 6) if version not in spoken] if name else []
        found += [*known, *unknown]
    return tuple(found)


def _lan(ctx: Context) -> list[Network]:
    """The networks on the bridge: of its own addresses, and of the guests that cluster.yaml names."""
    bridge = ctx.cluster.bridge
    link = ctx.see(LINKS).get(bridge.name) if bridge else None
    found: list[Network] = [each.network for each in bridge.addresses] if bridge else []
    found += [each.interface.network for each in link.addresses] if link else []
    found += [ip_interface(str(guest.create.address)).network for guest in ctx.cluster.guests if guest.create]
    for guest in ctx.cluster.guests:
        host = str(guest.ssh).rpartition("@")[2]
        if _is_address(host) and not any(ip_address(host) in network for network in found):
            found.append(ip_network(host))
    return list(dict.fromkeys(found))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _in_table(table: Table, flows: tuple[Flow, ...]) -> Iterator[Rewriting]:
    hit: dict[tuple[str, int], list[Flow]] = {}
    rules: dict[tuple[str, int], Rule] = {}
    for flow in flows:
        if flow.version in table.versions:
            for chain, rule in table.rewriting(flow):
                hit.setdefault((chain, rule.number), []).append(flow)
                rules[chain, rule.number] = rule
    for (chain, number), whom in hit.items():
        yield Rewriting(rules[chain, number], chain, tuple(dict.fromkeys(whom)), table)


def _in_files(found: NatFiles, flows: tuple[Flow, ...]) -> Iterator[Rewriting]:
    """What a file does when its interface goes up, and, of wg-quick's, what it does when it goes down."""
    for file in found.files:
        down = [each for each in file.rules if file.name and goes_down(each.line)]
        up = [each for each in file.rules if each not in down]
        for rules in (up, down):
            for table, numbered in tables(rules):
                for each in _in_table(table, flows):
                    yield Rewriting(each.rule, each.chain, each.flows, table, file, numbered[each.rule.number])
