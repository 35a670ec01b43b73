"""Where NAT rules are written down: wg-quick's PostUp and PostDown, ufw's, iptables-persistent's and nft's files."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.facts import nat_iptables, nat_nft
from wizard.facts.nat_rules import Rule, Table
from wizard.model import Fact, FactError, Output

KEY = "(key)"
"""Stands for what looks like a WireGuard key."""


@dataclass(frozen=True)
class Line:
    """A line of a file, its number from 1. Of a file with keys, only lines about NAT are known."""

    number: int
    text: str


@dataclass(frozen=True)
class Written:
    """One rule in a file, and the part of its line that it is: `line.text[begin:end]`."""

    line: Line
    begin: int
    end: int
    table: str
    """In words that tell tables apart: rules of one are looked at together."""
    program: str
    chain: str
    verb: str
    """A: goes to the end of its chain; I: to place `place`; D: taken out."""
    rule: Rule
    place: int = 1
    head: int = 0
    """Where its command begins: `line.text[head:begin]` is all of it but the rule."""


@dataclass(frozen=True)
class NatFile:
    """One file with rules. `name` is the WireGuard interface that its commands are about, `content` all of it."""

    path: str
    lines: tuple[Line, ...]
    name: str = ""
    content: str | None = None
    mode: int = 0o644
    symlink: bool = False

    @property
    def rules(self) -> tuple[Written, ...]:
        if self.name:
            return tuple(each for line in self.lines for each in _commands(line, self.name))
        saved = self.content is not None and re.search(r"^\*nat", self.content, re.MULTILINE)
        return tuple(_saved(self) if saved else _nft_file(self))


@dataclass(frozen=True)
class NatFiles:
    files: tuple[NatFile, ...] = ()
    masquerading: tuple[str, ...] = ()
    """Files of systemd-networkd with IPMasquerade=."""
    others: tuple[str, ...] = ()
    """Files in the usual places that name such rules, and are not understood: scripts."""


def tables(rules: list[Written]) -> Iterator[tuple[Table, dict[int, Written]]]:
    """The rules as they stand once the file has been read, or run; and each by the number that it has in there."""
    grouped: dict[tuple[str, str], list[Written]] = {}
    for each in rules:
        grouped.setdefault((each.program, each.table), []).append(each)
    for (program, name), group in grouped.items():
        chains: dict[str, list[Rule]] = {}
        numbered: dict[int, Written] = {}
        for number, each in enumerate(group):
            numbered[number] = each
            rule = Rule(each.rule.text, each.rule.conditions, each.rule.verdict, each.rule.target, number)
            chain = chains.setdefault(each.chain, [])
            chain.insert(0 if each.verb == "I" else len(chain), rule)
        targets = {rule.target for chain in chains.values() for rule in chain}
        bases = tuple(chain for chain in chains if chain not in targets and nat_iptables.forwarded(chain))
        family = "ip6" if program.startswith("ip6") else "ip" if program != "nft" else name.split(" ")[0]
        yield Table(program, family, name, {key: tuple(each) for key, each in chains.items()}, bases), numbered


# ---------------------------------------------------------------- kinds of file

_POST = re.compile(r"\s*(pre|post)(up|down)\s*=\s*", re.IGNORECASE)
_NFT = re.compile(r"\b(add|insert)\s+rule\s+((?:ip6?|inet)\s+)?(\S+)\s+(\S+)\s+")


def goes_down(line: Line) -> bool:
    """Is it for when the interface goes down."""
    found = _POST.match(line.text)
    return bool(found and found[2].lower() == "down")


def _commands(line: Line, name: str) -> Iterator[Written]:
    """`%i` is the interface (wg-quick(8)); what is spelled in the file stays as it is."""
    key = _POST.match(line.text)
    start = key.end() if key else 0
    for found in nat_iptables.commands(line.text):
        text = line.text[found.begin : found.end]
        try:
            rule = nat_iptables.parse_command(text.replace("%i", name))
        except ValueError:
            continue
        place, head = found.place, max(start, found.head)
        yield Written(line, found.begin, found.end, "nat", found.program, found.chain, found.verb, rule, place, head)
    for begin, end in nat_iptables.pieces(line.text):
        yield from _nft_commands(line, name, begin, end)


def _nft_commands(line: Line, name: str, begin: int, end: int) -> Iterator[Written]:
    """`nft add rule …`, or several of them within quotes, divided by `;`."""
    program = re.compile(r"\bnft\s").search(line.text, begin, end)
    if program is None:
        return
    for found in _NFT.finditer(line.text, begin, end):
        quoted = re.search("['\"]", line.text[program.start() : found.start()])
        head = found.start() if quoted else program.start()
        text = re.split("[;'\"]\\s*(?:$|add\\b|insert\\b)", line.text[found.end() : end].rstrip())[0].rstrip()
        rule = nat_nft.parse_text(text.replace("%i", name))
        table = f"{(found[2] or 'ip').strip()} {found[3]}"
        verb = "I" if found[1] == "insert" else "A"
        yield Written(line, found.end(), found.end() + len(text), table, "nft", found[4], verb, rule, head=head)


def _saved(file: NatFile) -> Iterator[Written]:
    """In the format of iptables-save."""
    program = "ip6tables" if "6" in file.path.rpartition("/")[2] else "iptables"
    for index, chain, text in nat_iptables.lines_of_nat(file.content or ""):
        line = file.lines[index]
        begin = line.text.index(text)
        try:
            rule = nat_iptables.parse_rule(text)
        except ValueError:
            continue
        yield Written(line, begin, begin + len(text), "nat", program, chain, "A", rule)


def _nft_file(file: NatFile) -> Iterator[Written]:
    """In nft's own format: one rule per line, or several divided by `;`."""
    table = chain = ""
    for line in file.lines:
        text = line.text.partition("#")[0]
        if head := re.match(r"\s*table\s+(?:(ip6?|inet|\w+)\s+)?(\S+)\s*\{", text):
            table = f"{head[1] or 'ip'} {head[2]}"
        if head := re.search(r"(?:^|\{|\s)chain\s+(\S+)\s*\{", text):
            chain = head[1]
        found = re.match(r"\s*add\s+rule\s+((?:ip6?|inet)\s+)?(\S+)\s+(\S+)\s+", text)
        here = (f"{(found[1] or 'ip').strip()} {found[2]}", found[3]) if found else (table, chain)
        start = found.end() if found else 0
        for begin, end in nat_iptables.pieces(text[start:]):
            piece = text[start + begin : start + end]
            if here[0] and (nat_nft.REWRITE.search(piece) or re.search(r"\b(return|accept|jump|goto)\b", piece)):
                first = start + begin + len(piece) - len(piece.lstrip())
                rule = nat_nft.parse_text(piece.strip().rstrip("}"))
                yield Written(line, first, first + len(piece.strip()), here[0], "nft", here[1], "A", rule)


# ---------------------------------------------------------------- the fact


def _parse(output: Output) -> NatFiles:
    rows = [line.split("\t") for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    files: dict[str, NatFile] = {}
    for word, path, *rest in (row for row in rows if len(row) > 1):
        if word == "file":
            files[path] = _file(path, rest)
        elif word == "line" and path in files:
            old = files[path]
            line = Line(int(rest[0]), _text(rest[1]).removesuffix("\n"))
            files[path] = NatFile(path, (*old.lines, line), old.name, None, old.mode, old.symlink)
    return NatFiles(
        tuple(files.values()),
        tuple(row[1] for row in rows if row[0] == "networkd"),
        tuple(row[1] for row in rows if row[0] == "other" and row[1] not in files),
    )


def _file(path: str, rest: list[str]) -> NatFile:
    mode, link, name, content = rest
    text = _text(content) if content else None
    lines = tuple(Line(number, line) for number, line in enumerate((text or "").split("\n"), 1))
    return NatFile(path, lines if text is not None else (), name, text, int(mode, 8), link == "yes")


def _text(content: str) -> str:
    return base64.b64decode(content, validate=True).decode("utf-8", "surrogateescape")


NAT_FILES = Fact(
    "nat-files",
    # A WireGuard file holds keys: only its lines about NAT are printed, and what looks like a key is blotted out.
    r"""file() { printf '%s\t%s\t%s\t%s\t%s\t' file "$1" "$(stat -Lc %a "$1")" "$([ ! -L "$1" ] || echo yes)" "$2"; }
for f in /etc/wireguard/*.conf; do
  [ -f "$f" ] || continue
  name=${f##*/}
  file "$f" "${name%.conf}"
  echo
  grep -inE '^[[:space:]]*(pre|post)(up|down)[[:space:]]*=.*(masquerade|snat|postrouting|nat)' "$f" |
    while IFS= read -r row; do
      rule=$(printf '%s\n' "${row#*:}" | sed -E 's#[A-Za-z0-9+/]{43}=#(key)#g' | base64 -w0)
      printf 'line\t%s\t%s\t%s\n' "$f" "${row%%:*}" "$rule"
    done
done
for f in /etc/ufw/before.rules /etc/ufw/after.rules /etc/ufw/before6.rules /etc/ufw/after6.rules \
  /etc/iptables/rules.v4 /etc/iptables/rules.v6 /etc/nftables.conf /etc/nftables/* /etc/nftables.d/*; do
  [ -f "$f" ] && grep -qiE 'masquerade|snat' "$f" && [ "$(wc -c <"$f")" -lt 131072 ] || continue
  file "$f" ""
  base64 -w0 <"$f"
  echo
done
grep -slE '^IPMasquerade=(yes|true|1|both|ipv4|ipv6)' /etc/systemd/network/*.network /run/systemd/network/*.network \
  /etc/systemd/network/*.d/*.conf | while read -r f; do printf 'networkd\t%s\n' "$f"; done
grep -slriE 'masquerade|snat|postrouting' /etc/wireguard /etc/network /etc/networkd-dispatcher /etc/rc.local \
  /etc/NetworkManager/dispatcher.d /usr/local/bin /usr/local/sbin 2>/dev/null |
  while read -r f; do printf 'other\t%s\n' "$f"; done
echo end""",
    _parse,
)
