"""A cure for live rules: the new rule goes in first, then the old one out; the way back turns that round.

The way back finds out for itself whether the cure is still there: an interface that went down since took it along,
and `ufw reload` adds what its before.rules has once more.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator

from wizard.actions import Action, Run
from wizard.facts.nat import Rewriting
from wizard.facts.nat_rules import Rule, Table
from wizard.stages.firewall_nat_cure import Cure, exemptions, ranges


def live_actions(cures: tuple[tuple[Rewriting, Cure], ...]) -> Iterator[Action]:
    """From the last rule of a chain to the first, so that the places of the others stay what they are."""
    ordered = sorted(cures, key=lambda each: -each[0].rule.number)
    for found, cure in ordered:
        if cure.prefix:
            yield from (_nft_change if found.table.tool == "nft" else _iptables_change)(found, cure)
    exempted = [(found, cure) for found, cure in ordered if cure.before]
    yield from _insertions([each for each in exempted if each[0].table.tool != "nft"])
    yield from _nft_insertions([found for found, _ in exempted if found.table.tool == "nft"])


# ---------------------------------------------------------------- iptables


def iptables(table: Table, verb: str, chain: str, rule: str, place: int = 0) -> tuple[str, ...]:
    number = (str(place),) if place else ()
    return (table.tool, "-w", "-t", "nat", verb, chain, *number, *shlex.split(rule))


def _iptables_change(found: Rewriting, cure: Cure) -> Iterator[Action]:
    table, chain, old, new = found.table, found.chain, found.rule.text, cure.prefix + found.rule.text
    there = iptables(table, "-C", chain, new)
    was = iptables(table, "-C", chain, old)
    put_back = shlex.join(iptables(table, "-I", chain, old, found.rule.number))
    at_the_end = shlex.join(iptables(table, "-A", chain, old))  # the chain may have become shorter
    put_back = f"if ! {put_back} 2>/dev/null; then {at_the_end}; fi"
    back = f"if ! {shlex.join(was)} 2>/dev/null; then {put_back}; fi; {_take_out(table, chain, new)}"
    yield Run(
        iptables(table, "-I", chain, new, found.rule.number),
        unless=there,
        undo=Run(("sh", "-c", f"if {shlex.join(there)} 2>/dev/null; then {back}; fi")),
    )
    yield Run(iptables(table, "-D", chain, old), unless=("sh", "-c", f"! {shlex.join(was)}"))


def _take_out(table: Table, chain: str, rule: str) -> str:
    """However often it is there; what cannot be taken out is a failure."""
    there, gone = (shlex.join(iptables(table, verb, chain, rule)) for verb in ("-C", "-D"))
    return f"while {there} 2>/dev/null && {gone}; do :; done; ! {there} 2>/dev/null"


def _insertions(exempted: list[tuple[Rewriting, Cure]]) -> Iterator[Run]:
    """Before each rule those of its own, as files have them: what goes down with one interface is none of another's."""
    copies: Counter[tuple[str, str, str]] = Counter()
    for found, cure in exempted:
        table, chain = found.table, found.chain
        for rule in reversed(cure.before):
            copies[table.tool, chain, rule] += 1
            wanted = copies[table.tool, chain, rule] + sum(each.text == rule for each in table.chains[chain])
            count = f"{table.tool} -w -t nat -S {chain} | grep -cxF -- {shlex.quote(f'-A {chain} {rule}')}"
            yield Run(
                iptables(table, "-I", chain, rule, found.rule.number),
                unless=("sh", "-c", f"test $({count}) -ge {wanted}"),
                undo=Run(("sh", "-c", _take_out(table, chain, rule))),
            )


# ---------------------------------------------------------------- nft, which knows a rule by a number that changes


def _nft_change(found: Rewriting, cure: Cure) -> Iterator[Action]:
    old, new = found.rule.text, cure.prefix + found.rule.text
    undo = Run(("sh", "-c", _nft(found.table, found.chain, new, "replace", old)))
    yield Run(("sh", "-c", _nft(found.table, found.chain, old, "replace", new)), words=_words(found, new), undo=undo)


def _nft_insertions(exempted: list[Rewriting]) -> Iterator[Run]:
    """Once per chain, before the first rule of it that rewrites."""
    chains: dict[tuple[str, str, str], list[Rewriting]] = {}
    for each in exempted:
        chains.setdefault((each.table.family, each.table.name, each.chain), []).append(each)
    for group in chains.values():
        table, chain = group[0].table, group[0].chain
        first = min((each.rule for each in group), key=table.chains[chain].index)
        for rule in exemptions(ranges(flow for each in group for flow in each.flows), nft=True):
            yield _nft_insert(table, chain, first, rule)


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
