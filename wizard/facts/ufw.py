"""ufw's rules as its own files have them (`### tuple ###`, ufw's src/backend_iptables.py), and how it is set up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from wizard.model import Fact, FactError, Output

MARK = "homek8s: "
"""Begins the comment of each rule of ours; ufw shows it."""
ANYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class UfwRule:
    """One line of user.rules or user6.rules; `any` is written as it is there, an open network as 0.0.0.0/0 or ::/0."""

    action: str
    proto: str = "any"
    port: str = "any"
    to: str = ANYWHERE[0]
    from_port: str = "any"
    source: str = ANYWHERE[0]
    application: str = ""
    direction: str = "in"
    in_on: str = ""
    out_on: str = ""
    comment: str = ""

    @property
    def ours(self) -> bool:
        return self.comment.startswith(MARK)

    @property
    def version(self) -> int:
        return 6 if ":" in self.to else 4

    @property
    def forwards(self) -> bool:
        return self.action.startswith("route:")

    def same(self, other: UfwRule) -> bool:
        """Do both say the same, whatever they are called."""
        return self.key == other.key

    @property
    def key(self) -> tuple[str, ...]:
        place = (self.direction, self.in_on, self.out_on)
        return (self.action, self.proto, self.port, self.to, self.from_port, self.source, self.application, *place)

    def concerns(self, port: int, proto: str) -> bool:
        """Is it about what comes in at this port of the host itself."""
        if self.forwards or self.direction != "in" or self.proto not in ("any", proto):
            return False
        spans = (span.partition(":") for span in self.port.split(","))
        return self.port == "any" or any(int(first) <= port <= int(last or first) for first, _, last in spans)

    def meets(self, source: str) -> bool:
        """Is it about some of what comes from there: an address, a network, or `any`."""
        if source == "any" or self.source in ANYWHERE:
            return source == "any" or self.version == ip_network(source).version
        mine, theirs = ip_network(self.source, strict=False), ip_network(source)
        return mine.version == theirs.version and mine.overlaps(theirs)


def parse_rule(line: str) -> UfwRule:
    """From `### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=…`. Raises ValueError for another form."""
    words = line.split()
    comment = ""
    if words and words[-1].startswith("comment="):
        comment = bytes.fromhex(words.pop().removeprefix("comment=")).decode("utf-8", "replace")
    action, proto, port, to, from_port, source, *rest = words
    applications, place = rest[:-1], rest[-1]
    if len(applications) not in (0, 2):
        raise ValueError(f"a rule of ufw that is not understood: {line!r}")
    found = dict(re.findall(r"(in|out)_([^!\s]+)", place))
    direction = re.match(r"in|out", place)
    return UfwRule(
        action,
        proto,
        port,
        to,
        from_port,
        source,
        " ".join(each for each in applications if each != "-"),
        direction[0] if direction else "in",
        found.get("in", ""),
        found.get("out", ""),
        comment,
    )


@dataclass(frozen=True)
class Ufw:
    installed: bool = False
    enabled: bool = False
    """Its files say that it is on."""
    live: bool = False
    """Its rules are in the kernel."""
    rules: tuple[UfwRule, ...] = ()
    """In the order in which they count: those of IPv4, then those of IPv6, which ufw knows of with IPV6=yes only."""
    ipv6: bool = True
    """IPV6=yes; otherwise ufw drops all IPv6 but on loopback, without any chain of its own (ufw-init-functions)."""
    kernel_ipv6: bool = True
    """False with ipv6.disable=1: ufw then acts as with IPV6=no, and there is nothing for it to drop."""
    input_policy: str = "DROP"
    forward_policy: str = "DROP"
    ip_forward: bool = False
    """net.ipv4.ip_forward: the host passes packets on between its interfaces."""
    ip6_forward: bool = False
    """net.ipv6.conf.all.forwarding, for IPv6."""


def _ufw(output: Output) -> Ufw:
    rows = [line.split("\t", 1) for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    said = {row[0]: row[1].strip('"') for row in rows if len(row) == 2 and row[0] != "rule"}
    rules = (parse_rule(row[1]) for row in rows if row[0] == "rule")
    kernel_ipv6 = said.get("ip6_forward") != ""
    ipv6 = kernel_ipv6 and said.get("IPV6", "yes").lower() == "yes"
    return Ufw(
        installed=said.get("installed") == "yes",
        enabled=said.get("enabled", "").lower() == "yes",
        live=said.get("live") == "yes",
        rules=tuple(rule for rule in rules if ipv6 or rule.version == 4),
        ipv6=ipv6,
        kernel_ipv6=kernel_ipv6,
        input_policy=said.get("DEFAULT_INPUT_POLICY", "DROP"),
        forward_policy=said.get("DEFAULT_FORWARD_POLICY", "DROP"),
        ip_forward=said.get("ip_forward") == "1",
        ip6_forward=said.get("ip6_forward") == "1",
    )


UFW = Fact(
    "ufw",
    r"""command -v ufw >/dev/null && printf 'installed\tyes\n'
printf 'enabled\t%s\n' "$(sed -n 's/^ENABLED=//p' /etc/ufw/ufw.conf 2>/dev/null)"
if nft list chain ip filter ufw-user-input >/dev/null 2>&1 ||
  { grep -qsx filter /proc/net/ip_tables_names && iptables-legacy -S ufw-user-input >/dev/null 2>&1; }; then
  printf 'live\tyes\n'
fi
sed -n 's/^\(IPV6\|DEFAULT_INPUT_POLICY\|DEFAULT_FORWARD_POLICY\)=/\1\t/p' /etc/default/ufw 2>/dev/null
printf 'ip_forward\t%s\n' "$(cat /proc/sys/net/ipv4/ip_forward)"
printf 'ip6_forward\t%s\n' "$(cat /proc/sys/net/ipv6/conf/all/forwarding 2>/dev/null)"
sed -n 's/^### tuple ### /rule\t/p' /etc/ufw/user.rules /etc/ufw/user6.rules 2>/dev/null
echo end""",
    _ufw,
)


def inside(address: str, network: str) -> bool:
    """Does the address belong to the network, or to `any`."""
    return network == "any" or ip_address(address) in ip_network(network)
