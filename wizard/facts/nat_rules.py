"""Rules that translate addresses, as every firewall program has them: conditions, a verdict, chains, and who is hit.

The parsers (`nat_iptables`, `nat_nft`) make these; the walk says which rules rewrite what a bridge forwards. It knows
three answers, since not every condition can be understood: never, sometimes, always.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network, summarize_address_range
from typing import Literal

Network = IPv4Network | IPv6Network
Verdict = Literal["rewrite", "jump", "goto", "return", "accept", "drop", "go-on"]
What = Literal["out", "in", "source", "destination", "bridged", "marked", "local", "other"]


class Fits(IntEnum):
    NEVER = 0
    SOMETIMES = 1
    ALWAYS = 2


@dataclass(frozen=True)
class Flow:
    """What guests say to each other over one bridge: packets from and to `network`, which leave on `bridge`.

    `network` None: their range is not known. Then a rule that names any source or destination is trusted not to mean
    them; only those that name none are seen.
    """

    bridge: str
    network: Network | None
    version: int = 4

    def __str__(self) -> str:
        return f"{self.network or 'all'} on {self.bridge}"


@dataclass(frozen=True)
class Condition:
    """One condition of a rule. Names end in `*` for "whatever begins so"; addresses are networks, or A-B ranges."""

    what: What
    values: tuple[str, ...] = ()
    negated: bool = False

    def fits(self, flow: Flow) -> Fits:
        found = self._plainly(flow)
        if self.what in ("source", "destination") and not _speaks(self.values, flow.version):
            return Fits.NEVER  # `ip saddr` in a table of both families is not about IPv6 at all, negated or not
        return Fits(Fits.ALWAYS - found) if self.negated else found

    def _plainly(self, flow: Flow) -> Fits:
        match self.what:
            case "out":
                named = any(fnmatchcase(flow.bridge, value) for value in self.values)
                return Fits.ALWAYS if named else Fits.NEVER
            case "source" | "destination":
                return _covers(self.values, flow)
            case "bridged":
                return Fits.ALWAYS
            case "in":
                # In postrouting, what is bridged has no incoming interface: `iif 0` matches (measured, kernel 6.18).
                return Fits.ALWAYS if self.values == ("0",) else Fits.NEVER
            case "marked" | "local":
                return Fits.NEVER  # what is bridged has no mark, and its addresses are not the host's
            case _:
                return Fits.SOMETIMES


@dataclass(frozen=True)
class Rule:
    """`text` is the rule in its program's own words, without its chain; `number` its handle, or its place from 1."""

    text: str
    conditions: tuple[Condition, ...]
    verdict: Verdict
    target: str = ""
    number: int = 0

    def fits(self, flow: Flow) -> Fits:
        return min((condition.fits(flow) for condition in self.conditions), default=Fits.ALWAYS)

    @property
    def sourced(self) -> bool:
        """Does it name a source already."""
        return any(condition.what == "source" for condition in self.conditions)


@dataclass(frozen=True)
class Table:
    """Chains of one table that belong together; `bases` are those that packets enter by themselves."""

    tool: str
    """What changes it: iptables-nft, iptables-legacy, ip6tables-nft, ip6tables-legacy, nft."""
    family: str
    """ip, ip6 or inet."""
    name: str
    chains: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    bases: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[int, ...]:
        return {"ip": (4,), "ip6": (6,), "inet": (4, 6)}.get(self.family, ())

    def rewriting(self, flow: Flow) -> Iterator[tuple[str, Rule]]:
        """The rules that can rewrite packets of this flow, each with its chain."""
        for base in self.bases:
            yield from _walk(self.chains, base, flow, ())[1]


def _walk(
    chains: Mapping[str, tuple[Rule, ...]], name: str, flow: Flow, above: tuple[str, ...]
) -> tuple[bool, list[tuple[str, Rule]]]:
    """Does every packet of the flow surely end in this chain, and the rules that may rewrite it before that.

    After a rule that rewrites the walk goes on: once that one is cured, the next would.
    """
    found: list[tuple[str, Rule]] = []
    if name in above:
        return False, found
    for rule in chains.get(name, ()):
        fits = rule.fits(flow)
        if fits is Fits.NEVER:
            continue
        over = rule.verdict in ("accept", "drop")
        if rule.verdict == "rewrite":
            found.append((name, rule))
        if rule.verdict in ("jump", "goto"):
            over, more = _walk(chains, rule.target, flow, (*above, name))
            found += more
        if fits is Fits.ALWAYS and (over or rule.verdict in ("return", "goto")):
            return over, found
    return False, found


def _speaks(values: tuple[str, ...], version: int) -> bool:
    networks = _networks(values)
    return networks is None or any(network.version == version for network in networks)


def _covers(values: tuple[str, ...], flow: Flow) -> Fits:
    networks = _networks(values)
    if networks is None:
        return Fits.SOMETIMES
    mine = [network for network in networks if network.version == flow.version]
    if any(network.prefixlen == 0 for network in mine):
        return Fits.ALWAYS
    if flow.network is None:
        return Fits.NEVER
    if any(_within(flow.network, network) for network in mine):
        return Fits.ALWAYS
    return Fits.SOMETIMES if any(flow.network.overlaps(network) for network in mine) else Fits.NEVER


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _networks(values: Iterable[str]) -> list[Network] | None:
    """None where one of them is no address: a host's name, or a set that is not known."""
    found: list[Network] = []
    try:
        for value in values:
            first, dash, last = value.partition("-")
            found += _range(first, last) if dash else [ip_network(value, strict=False)]
    except (ValueError, TypeError):
        return None
    four = [each for each in found if isinstance(each, IPv4Network)]
    six = [each for each in found if isinstance(each, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]


def _range(first: str, last: str) -> list[Network]:
    return list(summarize_address_range(ip_address(first), ip_address(last)))
