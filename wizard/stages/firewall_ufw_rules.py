"""The rules that ufw is to have, and the commands that add what is missing and take out what is no longer listed.

A rule of ours is known by its comment. A rule that somebody else made and that says the same is left as it is, and is
enough: ufw would only put our comment on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from wizard.actions import Action, Run
from wizard.cluster import Cluster
from wizard.cluster.sections import Allow, Ufw
from wizard.facts.ufw import ANYWHERE, MARK, UfwRule, inside
from wizard.facts.ufw import Ufw as Seen

SSH = f"{MARK}SSH"


@dataclass(frozen=True)
class Wanted:
    """One rule as cluster.yaml means it: the words after `ufw`, and the tuples that ufw makes of them."""

    words: tuple[str, ...]
    tuples: tuple[UfwRule, ...]
    first: bool = False
    """Goes before all others."""


def wanted_rules(cluster: Cluster, section: Ufw, ports: tuple[int, ...], ipv6: bool) -> tuple[Wanted, ...]:
    """SSH first; `ports` are those that sshd listens on."""
    ssh = (_allow(Allow.model_validate({"from": section.ssh_from, "port": port}), SSH, ipv6) for port in ports)
    opened = (_allow(rule, f"{MARK}{rule.comment or _described(rule)}", ipv6) for rule in section.allow)
    bridges = [part.name for part in (cluster.bridge, cluster.isolated) if part]
    pairs = [*((name, name) for name in bridges), *((route.in_on, route.out_on) for route in section.routes)]
    found = [Wanted(each.words, each.tuples, first=True) for each in ssh]
    found += [*opened, *(_route(*pair, ipv6) for pair in dict.fromkeys(pairs))]
    return tuple(each for each in found if each.tuples)


def _described(rule: Allow) -> str:
    return f"{rule.port or 'all'} from {rule.source}"


def _allow(rule: Allow, comment: str, ipv6: bool) -> Wanted:
    sources = ANYWHERE if rule.source == "any" else (rule.source,)
    port = str(rule.port) if rule.port else "any"
    proto = "any" if rule.port is None and rule.proto == "tcp" else rule.proto
    tuples = tuple(
        UfwRule("allow", proto, port, _anywhere(source), source=source, comment=comment)
        for source in sources
        if ipv6 or ":" not in source
    )
    words = ("allow", *(() if proto == "any" else ("proto", proto)), "from", rule.source, "to", "any")
    return Wanted((*words, *(("port", port) if rule.port else ())), tuples)


def _route(in_on: str, out_on: str, ipv6: bool) -> Wanted:
    comment = f"{MARK}{in_on} to {'itself' if in_on == out_on else out_on}"
    tuples = tuple(
        UfwRule("route:allow", to=to, source=to, in_on=in_on, out_on=out_on, comment=comment)
        for to in ANYWHERE
        if ipv6 or to != "::/0"
    )
    return Wanted(("route", "allow", "in", "on", in_on, "out", "on", out_on), tuples)


def _anywhere(source: str) -> str:
    return ANYWHERE[1] if ":" in source else ANYWHERE[0]


# ---------------------------------------------------------------- what is missing, what is too much


def rule_actions(seen: Seen, wanted: tuple[Wanted, ...]) -> Iterator[Action]:
    """Each as one command: what is opened before what is closed."""
    for each in wanted:
        yield from _add(seen, each)
    goal = {rule.key for each in wanted for rule in each.tuples}
    yield from (_delete(rule) for rule in seen.rules if rule.ours and rule.key not in goal)


def _add(seen: Seen, wanted: Wanted) -> Iterator[Action]:
    """In both families at once where both lack it; else by itself, since ufw would rename what somebody else made."""
    missing = [rule for rule in wanted.tuples if not _has(seen, rule)]
    late = [rule for rule in wanted.tuples if wanted.first and rule not in missing and _hidden(seen, rule)]
    yield from (_delete(rule) for rule in late)
    added = [*missing, *late]
    verb = ("prepend",) if wanted.first else ()
    for words in [wanted.words] if len(added) == len(wanted.tuples) else map(_spelled, added):
        yield _ufw(*verb, *words, "comment", wanted.tuples[0].comment)


def _delete(rule: UfwRule) -> Run:
    words = _spelled(rule)
    verb = ("route", "delete") if rule.forwards else ("delete",)
    return _ufw("--force", *verb, *words[len(verb) - 1 :])


def _has(seen: Seen, wanted: UfwRule) -> bool:
    """It is there, and called what it should be if it is ours."""
    return any(rule.same(wanted) and (not rule.ours or rule.comment == wanted.comment) for rule in seen.rules)


def _foreign(seen: Seen, wanted: UfwRule) -> bool:
    return any(rule.same(wanted) and not rule.ours for rule in seen.rules)


def _ours(seen: Seen, wanted: UfwRule) -> bool:
    return any(rule.same(wanted) and rule.ours for rule in seen.rules)


def _hidden(seen: Seen, wanted: UfwRule) -> bool:
    """Does a rule before it decide otherwise: ufw's first match counts."""
    source = "any" if wanted.source in ANYWHERE else wanted.source
    for rule in seen.rules:
        if rule.same(wanted):
            return False
        turned_away = rule.action.partition("_")[0] in ("deny", "reject", "limit")
        if (
            turned_away
            and rule.version == wanted.version
            and rule.concerns(int(wanted.port), "tcp")
            and rule.meets(source)
        ):
            return True
    return False


def out_of_reach(seen: Seen, wanted: tuple[Wanted, ...]) -> Iterator[UfwRule]:
    """Rules of others that let SSH in, but come too late: ufw adds no second one like them, and they are not ours."""
    for rule in (rule for each in wanted if each.first for rule in each.tuples):
        if _foreign(seen, rule) and not _ours(seen, rule) and _hidden(seen, rule):
            yield rule


def _spelled(rule: UfwRule) -> tuple[str, ...]:
    """The words that ufw knows a rule of ours by, in its own family: 0.0.0.0/0 and ::/0 are two rules (ufw(8))."""
    if rule.forwards:
        return ("route", "allow", "in", "on", rule.in_on, "out", "on", rule.out_on, "from", rule.source)
    proto = () if rule.proto == "any" else ("proto", rule.proto)
    port = () if rule.port == "any" else ("port", rule.port)
    return (rule.action, *proto, "from", rule.source, "to", "any", *port)


def _ufw(*words: str) -> Run:
    return Run(("ufw", *words))


def open_to(rules: tuple[UfwRule, ...], port: int, proto: str, versions: Collection[int] = (4, 6)) -> tuple[str, ...]:
    """From where rules let something in there over these versions of IP: `any` alone where none of them asks where."""
    allow = [rule for rule in rules if rule.action.partition("_")[0] in ("allow", "limit")]
    found = [rule for rule in allow if rule.version in versions and rule.concerns(port, proto)]
    whole = {rule.version for rule in found if rule.source in ANYWHERE}
    if whole == set(versions):
        return ("any",)
    return tuple(dict.fromkeys(each.source for each in found if each.source in ANYWHERE or each.version not in whole))


def reaches(client: str, section: Ufw) -> bool:
    return inside(client, section.ssh_from)
