"""Rules as iptables writes them, in `iptables-save` and in commands: what they match, and what becomes of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.facts.nat_rules import Condition, Rule, Table, Verdict

_REWRITES = ("MASQUERADE", "SNAT", "NETMAP")
_FLAGS = ("--random", "--random-fully", "--persistent", "--fully-random", "--wait")
_OF_TARGETS = ("--to", "--to-source", "--to-ports", *_FLAGS)
_SHORT = {
    "-o": "--out-interface",
    "-s": "--source",
    "--src": "--source",
    "-d": "--destination",
    "--dst": "--destination",
    "-j": "--jump",
    "-g": "--goto",
    "-m": "--match",
    "-p": "--protocol",
}
_VERDICTS: dict[str, Verdict] = {"RETURN": "return", "ACCEPT": "accept", "DROP": "drop", "LOG": "go-on"}
_NOT_FORWARDED = ("PREROUTING", "INPUT", "OUTPUT")


def parse_rule(text: str, number: int = 0) -> Rule:
    """From what follows the chain's name. Raises ValueError for an open quote."""
    conditions: list[Condition] = []
    verdict: Verdict = "go-on"
    target = ""
    for option, values, negated in _options(shlex.split(text)):
        if option == "--jump":
            target = values[0] if values else ""
            verdict = "rewrite" if target in _REWRITES else _VERDICTS.get(target, "jump")
        elif option == "--goto":
            verdict, target = "goto", values[0] if values else ""
        elif found := _condition(option, values, negated):
            conditions.append(found)
    return Rule(text, tuple(conditions), verdict, target if verdict in ("jump", "goto") else "", number)


def _options(words: list[str]) -> Iterator[tuple[str, list[str], bool]]:
    """Each option with its values; `!` may stand before the option, or, as of old, before the value."""
    negated, at = False, 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "!":
            negated = True
            continue
        option, _, given = word.partition("=") if word.startswith("--") else (word, "", "")
        values = [given] if given else []
        while at < len(words) and not words[at].startswith("-") and not _begins_next(words, at):
            values.append(words[at])
            at += 1
        if values[:1] == ["!"]:
            negated, values = True, values[1:]
        yield _SHORT.get(option, option), values, negated
        negated = False


def _begins_next(words: list[str], at: int) -> bool:
    return words[at] == "!" and at + 1 < len(words) and words[at + 1].startswith("-")


def _condition(option: str, values: list[str], negated: bool) -> Condition | None:
    """None for what is no condition: the name of a module, a comment, what the target is told."""
    if option in ("--match", "--comment", *_OF_TARGETS):
        return None
    if option == "--out-interface":
        return Condition("out", tuple(_glob(value) for value in values), negated)
    if option in ("--source", "--destination"):
        networks = tuple(part for value in values for part in value.split(","))
        return Condition("source" if option == "--source" else "destination", networks, negated)
    if option == "--physdev-is-bridged":
        return Condition("bridged", negated=negated)
    if option == "--mark" and not (values and re.match(r"0(x0+)?(/|$)", values[0])):
        return Condition("marked", negated=negated)
    if option in ("--src-type", "--dst-type") and values == ["LOCAL"]:
        return Condition("local", negated=negated)
    return Condition("other", tuple(values), negated)


def _glob(name: str) -> str:
    return f"{name[:-1]}*" if name.endswith("+") else name


def parse_save(tool: str, text: str) -> Table:
    """The table nat of `iptables-save`, or of a file in its format (ufw's before.rules)."""
    family = "ip6" if tool.startswith("ip6") else "ip"
    chains: dict[str, tuple[Rule, ...]] = {}
    for _, chain, rule in lines_of_nat(text):
        number = len(chains.get(chain, ())) + 1
        chains[chain] = (*chains.get(chain, ()), parse_rule(rule, number))
    return Table(tool, family, "nat", chains, ("POSTROUTING",))


def lines_of_nat(text: str) -> Iterator[tuple[int, str, str]]:
    """The rules in *nat: the line's number from 0, the chain, and what follows it."""
    table = ""
    for index, line in enumerate(text.splitlines()):
        if line.startswith("*"):
            table = line[1:].strip()
        elif table == "nat" and (found := re.match(r"(?:\[\d+:\d+\]\s*)?(?:-A|--append)\s+(\S+)\s+(.*)", line)):
            yield index, found[1], found[2].strip()


# ---------------------------------------------------------------- commands


@dataclass(frozen=True)
class Command:
    """One iptables command in a line of shell: `text[begin:end]` is the rule after the chain's name."""

    program: str
    verb: str
    """A, I or D."""
    chain: str
    head: int
    """Where the program's name begins, or what it is called with."""
    begin: int
    end: int
    place: int = 1
    """Where `-I` puts it."""


_WORD = r"(?:[^\s'\"\\]|\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\")+"
_COMMAND = re.compile(
    rf"(?P<program>(?:/\S*/)?(?:ip6?tables(?:-nft|-legacy)?))(?P<before>(?:\s+{_WORD})*?)\s+"
    r"(?P<verb>-[AID]|--append|--insert|--delete)\s+(?P<chain>[^\s;&|]+)(?:\s+(?P<place>\d+)(?=\s))?\s+(?P<rule>.*)",
    re.DOTALL,
)


def commands(line: str) -> Iterator[Command]:
    """The iptables commands about the table nat in a line of shell, such as PostUp of wg-quick(8)."""
    for begin, end in pieces(line):
        found = _COMMAND.search(line[begin:end])
        if not found:
            continue
        rule = found["rule"].rstrip()
        nat = re.compile(r"(?:^|\s)(?:-t\s*|--table[\s=]+)nat(?=\s|$)")
        if nat.search(found["before"] + " ") or nat.search(rule):
            verb = {"--append": "A", "--insert": "I", "--delete": "D"}.get(found["verb"], found["verb"][1:])
            start = begin + found.start("rule")
            program = found["program"].rpartition("/")[2]
            head = begin + len(line[begin:end]) - len(line[begin:end].lstrip())
            yield Command(program, verb, found["chain"], head, start, start + len(rule), int(found["place"] or 1))


def pieces(line: str) -> Iterator[tuple[int, int]]:
    """Where the single commands of a line of shell begin and end; quotes and backslashes are heeded."""
    begin, quote, at = 0, "", 0
    while at < len(line):
        sign = line[at]
        if sign == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in ";&|\n":
            yield begin, at
            begin = at + 1
        at += 1
    yield begin, len(line)


def parse_command(rule: str, number: int = 0) -> Rule:
    """A command's rule; what says the table again (`-A POSTROUTING -t nat -o br0`) is no condition."""
    found = parse_rule(re.sub(r"(?:^|\s)(?:-t\s*|--table[\s=]+)nat(?=\s|$)", " ", rule).strip(), number)
    return Rule(rule, found.conditions, found.verdict, found.target, number)


def forwarded(chain: str) -> bool:
    """Can packets that are forwarded come through a chain of this name."""
    return chain not in _NOT_FORWARDED
