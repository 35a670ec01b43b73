"""A cure for live rules: the new rule goes in first, then the old one out; the way back turns that round.

The way back finds out for itself whether the cure is still there: an interface that went down since took it along.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from wizard.actions import Action, Run
from wizard.facts.nat import Rewriting
from wizard.facts.nat_rules import Flow, Rule, Table
from wizard.stages.firewall_nat_cure import Cure, exemptions, ranges


def live_actions(cures: tuple[tuple[Rewriting, Cure], ...]) -> Iterator[Action]:
    """From the last rule of a chain to the first, so that the places of the others stay what they are."""
    for found, cure in sorted(cures, key=lambda each: -each[0].rule.number):
        if found.table.tool == "nft":
            yield from _nft_change(found, cure) if cure.prefix else ()
        elif cure.prefix:
            yield from _iptables_change(found, cure)
    yield from _exempt(tuple(found for found, cure in cures if cure.before))


def _exempt(found: tuple[Rewriting, ...]) -> Iterator[Action]:
    """Once per chain, before the first rule of it that rewrites."""
    chains: dict[tuple[str, str, str, str], list[Rewriting]] = {}
    for each in found:
        key = (each.table.tool, each.table.family, each.table.name, each.chain)
        chains.setdefault(key, []).append(each)
    for group in chains.values():
        table, chain = group[0].table, group[0].chain
        flows: list[Flow] = [flow for each in group for flow in each.flows]
        first = min((each.rule for each in group), key=lambda rule: _place(table, chain, rule))
        for rule in exemptions(ranges(flows), table.tool == "nft"):
            yield _nft_insert(table, chain, first, rule) if table.tool == "nft" else _insert(table, chain, first, rule)


def _place(table: Table, chain: str, rule: Rule) -> int:
    return table.chains[chain].index(rule)


# ---------------------------------------------------------------- iptables


def iptables(table: Table, verb: str, chain: str, rule: str, place: int = 0) -> tuple[str, ...]:
    number = (str(place),) if place else ()
    return (table.tool, "-w", "-t", "nat", verb, chain, *number, *shlex.split(rule))


def _iptables_change(found: Rewriting, cure: Cure) -> Iterator[Action]:
    table, chain, old, new = found.table, found.chain, found.rule.text, cure.prefix + found.rule.text
    there = iptables(table, "-C", chain, new)
    was = iptables(table, "-C", chain, old)
    put_back = shlex.join(iptables(table, "-I", chain, old, found.rule.number))
    take_out = shlex.join(iptables(table, "-D", chain, new))
    back = f"if ! {shlex.join(was)} 2>/dev/null; then {put_back}; fi; {take_out}"
    yield Run(
        iptables(table, "-I", chain, new, found.rule.number),
        unless=there,
        undo=Run(("sh", "-c", f"if {shlex.join(there)} 2>/dev/null; then {back}; fi")),
    )
    yield Run(iptables(table, "-D", chain, old), unless=("sh", "-c", f"! {shlex.join(was)}"))


def _insert(table: Table, chain: str, first: Rule, rule: str) -> Run:
    there = iptables(table, "-C", chain, rule)
    gone = Run(iptables(table, "-D", chain, rule), unless=("sh", "-c", f"! {shlex.join(there)}"))
    return Run(iptables(table, "-I", chain, rule, _place(table, chain, first) + 1), unless=there, undo=gone)


# ---------------------------------------------------------------- nft, which knows a rule by a number that changes


def _nft_change(found: Rewriting, cure: Cure) -> Iterator[Action]:
    old, new = found.rule.text, cure.prefix + found.rule.text
    undo = Run(("sh", "-c", _nft(found.table, found.chain, new, "replace", old)))
    yield Run(("sh", "-c", _nft(found.table, found.chain, old, "replace", new)), words=_words(found, new), undo=undo)


def _nft_insert(table: Table, chain: str, first: Rule, rule: str) -> Run:
    undo = Run(("sh", "-c", _nft(table, chain, rule, "delete")))
    there = ("sh", "-c", f"nft -s -a list chain {_chain(table, chain)} | grep -qF -- {shlex.quote(rule + ' # handle')}")
    words = f"nft insert rule {table.family} {table.name} {chain} {rule}"
    return Run(("sh", "-c", _nft(table, chain, first.text, "insert", rule)), words=words, unless=there, undo=undo)


def _nft(table: Table, chain: str, known: str, verb: str, rule: str = "") -> str:
    """What to do with the first rule that reads `known`; nothing where there is none.

    `nft replace` of 1.0.6 (Debian 12) aborts over a set of networks; the two commands are one transaction as well.
    """
    where = _chain(table, chain)
    pattern = f"s/^[[:space:]]*{_literal(known)} # handle //p"
    handle = f"handle=$(nft -s -a list chain {where} 2>/dev/null | sed -n {shlex.quote(pattern)} | head -n 1)"
    insert = f"insert rule {where} handle $handle {_within_quotes(rule)}"
    delete = f"delete rule {where} handle $handle"
    deed = {"insert": insert, "delete": delete, "replace": f"{insert}; {delete}"}[verb]
    return f'{handle}; if [ -n "$handle" ]; then nft "{deed}"; fi'


def _within_quotes(text: str) -> str:
    """A rule's text has quotes, and in a comment anything."""
    return re.sub(r'["\\`$]', lambda sign: "\\" + sign[0], text)


def _chain(table: Table, chain: str) -> str:
    return shlex.join((table.family, table.name, chain))


def _literal(text: str) -> str:
    return re.sub(r"[][\\/.*^$]", lambda sign: "\\" + sign[0], text)


def _words(found: Rewriting, new: str) -> str:
    return f"nft replace rule {found.table.family} {found.table.name} {found.chain} {new}"
