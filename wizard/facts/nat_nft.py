"""Rules as nft says them: the JSON of the live ones (libnftables-json(5)), and the text of those in files (nft(8))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from wizard.facts.nat_rules import Condition, Rule, Table, Verdict, What

Key = tuple[str, str, str, int]
"""Family, table, chain, handle."""

_FIELDS: dict[str, What] = {"saddr": "source", "daddr": "destination"}
_METAS: dict[str, What] = {"oifname": "out", "oif": "out", "iifname": "in", "iif": "in", "mark": "marked"}
_VERDICTS: tuple[Verdict, ...] = ("accept", "drop", "return")
_REWRITES = ("masquerade", "snat")
_XT_REWRITES = ("MASQUERADE", "SNAT", "NETMAP")
_NO_CONDITION = ("counter", "log", "comment")


def parse_tables(entries: list[dict[str, Any]], texts: Mapping[Key, str]) -> Iterator[Table]:
    """Every table with a chain of type nat at postrouting, from the entries of `nft -j list ruleset`."""
    sets = {
        (entry["set"]["family"], entry["set"]["table"], entry["set"]["name"]): _values(entry["set"].get("elem", []))
        for entry in entries
        if "set" in entry
    }
    rules: dict[tuple[str, str], dict[str, list[Rule]]] = {}
    bases: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if "chain" in entry:
            chain = entry["chain"]
            rules.setdefault((chain["family"], chain["table"]), {}).setdefault(chain["name"], [])
            if chain.get("type") == "nat" and chain.get("hook") == "postrouting":
                bases.setdefault((chain["family"], chain["table"]), []).append(chain["name"])
        elif "rule" in entry:
            rule = entry["rule"]
            family, table, name, handle = (rule[key] for key in ("family", "table", "chain", "handle"))
            text = texts.get((family, table, name, handle), "")
            parsed = _rule(
                rule["expr"], text, handle, {key[2]: v for key, v in sets.items() if key[:2] == (family, table)}
            )
            rules.setdefault((family, table), {}).setdefault(name, []).append(parsed)
    for (family, name), found in bases.items():
        chains = {chain: tuple(each) for chain, each in rules[family, name].items()}
        yield Table("nft", family, name, chains, tuple(found))


def _rule(expressions: list[Any], text: str, handle: int, sets: Mapping[str, tuple[str, ...] | None]) -> Rule:
    conditions: list[Condition] = []
    verdict, target = "go-on", ""
    for expression in expressions:
        word, value = _word(expression)
        if word == "match":
            conditions.append(_condition(value, sets))
        elif word in _REWRITES or (word == "xt" and value.get("name") in _XT_REWRITES):
            verdict = "rewrite"
        elif word in ("jump", "goto"):
            verdict, target = word, value["target"]
        elif word in _VERDICTS:
            verdict = word
        elif word not in _NO_CONDITION and not (word == "xt" and value.get("name") == "comment"):
            conditions.append(Condition("other", (word,)))
    return Rule(text, tuple(conditions), verdict, target, handle)  # type: ignore[arg-type]


def _word(expression: Any) -> tuple[str, Any]:
    if isinstance(expression, str):
        return expression, {}
    [(word, value)] = expression.items()
    return word, value or {}


def _condition(match: dict[str, Any], sets: Mapping[str, tuple[str, ...] | None]) -> Condition:
    left, right, negated = match["left"], match["right"], match["op"] == "!="
    what: What = "other"
    if "meta" in left:
        what = _METAS.get(left["meta"]["key"], "other")
    elif "payload" in left and left["payload"].get("protocol") in ("ip", "ip6"):
        what = _FIELDS.get(left["payload"].get("field", ""), "other")
    if what == "other" or (what == "marked" and right == 0):
        return Condition("other")
    values = sets.get(right[1:]) if isinstance(right, str) and right.startswith("@") else _values(right)
    return Condition("other") if values is None else Condition(what, values, negated)


def _values(right: Any) -> tuple[str, ...] | None:
    """The plain values of an operand; None where it is something else."""
    match right:
        case str() | int():
            return (str(right),)
        case {"prefix": {"addr": address, "len": length}}:
            return (f"{address}/{length}",)
        case {"range": [first, last]}:
            return (f"{first}-{last}",)
        case {"elem": {"val": value}}:
            return _values(value)
        case {"set": values} | [*values]:
            found = [_values(value) for value in values]
            return None if None in found else tuple(each for group in found for each in group or ())
        case _:
            return None


def texts_by_handle(listing: str) -> dict[Key, str]:
    """The rules' own words, from `nft -s -a list ruleset`."""
    found: dict[Key, str] = {}
    family = table = chain = ""
    for line in listing.splitlines():
        if head := re.match(r"table (\w+) (\S+) \{", line):
            family, table = head[1], head[2]
        elif head := re.match(r"\tchain (\S+) \{", line):
            chain = head[1]
        elif rule := re.match(r"\t\t\s*(.*) # handle (\d+)$", line):
            found[family, table, chain, int(rule[2])] = rule[1].strip()
    return found


# ---------------------------------------------------------------- text

REWRITE = re.compile(r"\b(masquerade|snat)\b")
_TOKEN = re.compile(r'"[^"]*"|\{[^}]*\}|[^\s{}";]+')


def parse_text(text: str, number: int = 0) -> Rule:
    """One rule in nft's words: `ip saddr 10.8.0.0/24 oifname "br0" masquerade`."""
    words = _TOKEN.findall(text)
    conditions: list[Condition] = []
    verdict, target, at = "go-on", "", 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in _REWRITES:
            verdict = "rewrite"
            break
        if word in ("jump", "goto"):
            verdict, target = word, words[at] if at < len(words) else ""
            break
        if word in _VERDICTS:
            verdict = word
            break
        if word in ("meta", "ip", "ip6"):
            continue
        what = _METAS.get(word) or _FIELDS.get(word)
        if what is None:
            if word not in _NO_CONDITION:
                conditions.append(Condition("other", (word,)))
            at += word == "comment"
            continue
        negated = words[at : at + 1] == ["!="]
        at += negated or words[at : at + 1] == ["=="]
        values = tuple(_plain(words[at])) if at < len(words) else ()
        at += 1
        known = what in ("source", "destination") or not any(value.startswith(("@", "$")) for value in values)
        conditions.append(Condition(what, values, negated) if known else Condition("other", values))
    return Rule(text, tuple(conditions), verdict, target, number)  # type: ignore[arg-type]


def _plain(word: str) -> Iterator[str]:
    for part in word.strip("{}").split(","):
        if part.strip():
            yield part.strip().strip('"')
