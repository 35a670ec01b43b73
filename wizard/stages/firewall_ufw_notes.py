"""What would no longer be reachable once ufw is on, said before: ports that close, and flows that stop."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from wizard.cluster.sections import Ufw
from wizard.facts.network import LINKS, Links
from wizard.facts.sockets import SOCKETS, Socket
from wizard.facts.ufw import ANYWHERE, UfwRule
from wizard.facts.ufw import Ufw as Seen
from wizard.facts.wireguard import WIREGUARD
from wizard.model import Context
from wizard.stages.firewall_ufw_rules import Wanted, open_to

_BY_ITSELF = {("udp", 68), ("udp", 546), ("udp", 5353), ("udp", 1900)}
"""What ufw's own before.rules let in: answers of DHCP, and names and devices announced on the LAN."""
_WHOLE = dict(zip(ANYWHERE, ("all of IPv4", "all of IPv6"), strict=True))
"""A source that is none, in words: it is said where the other family is left out."""


def notes(ctx: Context, section: Ufw, seen: Seen, wanted: tuple[Wanted, ...]) -> tuple[str, ...]:
    rules = (
        *(rule for rule in seen.rules if not rule.ours),
        *(rule for each in wanted for rule in each.tuples),
        *_accepted(seen),
    )
    return (
        *_closing(ctx, seen, rules),
        *_tunnels(ctx, rules),
        *_forwarding(ctx, seen, rules),
        *_bridged(ctx, seen, rules),
        *_policies(ctx, seen),
    )


def _accepted(seen: Seen) -> Iterator[UfwRule]:
    """What ufw lets in without a rule, as rules."""
    if seen.input_policy == "ACCEPT":
        yield from (UfwRule("allow", to=to, source=to) for to in (ANYWHERE if seen.ipv6 else ANYWHERE[:1]))


def _closing(ctx: Context, seen: Seen, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    """Named whether they are closed by this or are closed already: it is the same list that has to be right."""
    listening = {name: _still_open(rules, sockets) for name, sockets in _listening(ctx).items()}
    said = []
    if closed := [name for name, sources in listening.items() if not sources]:
        state = "stay closed" if seen.enabled and seen.live else "are closed"
        said.append(f"These listen, and {state} to other machines: {', '.join(closed)}. `allow` opens them.")
    for name, sources in listening.items():
        if sources and sources != ("any",):
            said.append(f"{name} stays open only to {' and '.join(_WHOLE.get(each, each) for each in sources)}.")
    if said:
        yield " ".join(said)


def _listening(ctx: Context) -> dict[str, list[Socket]]:
    """By what they are called: a program may have one socket for IPv4 and one for IPv6."""
    ports = {tunnel.port for tunnel in ctx.see(WIREGUARD).tunnels}
    found: dict[str, list[Socket]] = {}
    for socket in ctx.see(SOCKETS):
        by_itself = (socket.proto, socket.port) in _BY_ITSELF
        if not socket.local and not by_itself and not (socket.proto == "udp" and socket.port in ports):
            found.setdefault(str(socket), []).append(socket)
    return found


def _still_open(rules: tuple[UfwRule, ...], sockets: list[Socket]) -> tuple[str, ...]:
    versions = {version for socket in sockets for version in socket.versions}
    return open_to(rules, sockets[0].port, sockets[0].proto, versions)


def _tunnels(ctx: Context, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    bridge = ctx.cluster.bridge
    for tunnel in ctx.see(WIREGUARD).tunnels:
        name = tunnel.name
        if tunnel.port and not open_to(rules, tunnel.port, "udp"):
            line = f"{{from: any, port: {tunnel.port}, proto: udp, comment: WireGuard {name}}}"
            yield f"Nobody can begin a connection to {name} any more. For `allow`: - {line}"
        if bridge and not _passes(rules, name, bridge.name, 4):
            line = f"For `routes`: - {{in: {name}, out: {bridge.name}}}"
            yield f"What comes in over {name} is passed to {bridge.name} by rules of others only. {line}"


def _forwarding(ctx: Context, seen: Seen, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    """ufw's policy is one for both families; what it does with IPV6=no is said with that."""
    if seen.forward_policy == "ACCEPT":
        return
    if seen.ip_forward:
        yield from _stopping(ctx, rules, 4, "net.ipv4.ip_forward")
    if seen.ip6_forward and seen.ipv6:
        yield from _stopping(ctx, rules, 6, "net.ipv6.conf.all.forwarding")


def _stopping(ctx: Context, rules: tuple[UfwRule, ...], version: int, setting: str) -> Iterator[str]:
    """Every way that packets may take through the host; one from a tunnel to the bridge may have been named before."""
    ways, bridge = _ways(ctx.see(LINKS), version), ctx.cluster.bridge
    tunnels = [(name, bridge.name) for name in ctx.see(WIREGUARD).interfaces if bridge]
    named = [pair for pair in tunnels if not _passes(rules, *pair, 4)]
    pairs = [pair for pair in permutations(ways, 2) if pair not in named and not _passes(rules, *pair, version)]
    if pairs:
        stops = [(one, ", ".join(to for each, to in pairs if each == one)) for one in ways]
        yield (
            f"The host passes IPv{version} on ({setting} is 1). It stops doing so "
            f"{'; '.join(f'from {one} to {others}' for one, others in stops if others)}, unless `routes` names the "
            "pair, or rules of libvirt's, docker's or your own let it pass."
        )


def _bridged(ctx: Context, seen: Seen, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    """What a bridge passes from port to port, where that is filtered like packets that are routed (DOMAIN E3)."""
    firewall = ctx.cluster.firewall
    if firewall is None or not firewall.filter_bridged or seen.forward_policy == "ACCEPT":
        return
    bridges = [link.name for link in ctx.see(LINKS) if link.kind == "bridge"]
    versions = (4, 6) if seen.ipv6 else (4,)
    if stops := [name for name in bridges if not all(_passes(rules, name, name, version) for version in versions)]:
        yield (
            f"What crosses {', '.join(stops)} is filtered too, because of filter_bridged, and stops, unless `routes` "
            "names the bridge as `in` and `out`, or rules of libvirt's, docker's or your own let it pass."
        )


def _ways(links: Links, version: int) -> list[str]:
    """The interfaces with such an address of their own, which packets can be routed between."""
    found = [link for link in links if not link.master and link.name != "lo"]
    return [link.name for link in found if any(each.interface.version == version for each in link.addresses)]


def _passes(rules: tuple[UfwRule, ...], one: str, other: str, version: int) -> bool:
    """Does a rule let everything of this version of IP through from one interface to another."""
    anywhere = ANYWHERE[0] if version == 4 else ANYWHERE[1]
    wanted = UfwRule("route:allow", to=anywhere, source=anywhere, in_on=one, out_on=other)
    return any(rule.same(wanted) for rule in rules)


def _policies(ctx: Context, seen: Seen) -> Iterator[str]:
    if seen.forward_policy == "ACCEPT":
        yield (
            "/etc/default/ufw has DEFAULT_FORWARD_POLICY=ACCEPT, which makes the host an open router between its "
            "networks. It is left so; the rules here do without it."
        )
    if seen.input_policy == "ACCEPT":
        yield "/etc/default/ufw has DEFAULT_INPUT_POLICY=ACCEPT: ufw closes nothing. It is left so."
    if seen.kernel_ipv6 and not seen.ipv6:
        firewall = ctx.cluster.firewall
        bridged = " or crosses a bridge" if firewall and firewall.filter_bridged else ""
        yield (
            "/etc/default/ufw has IPV6=no: whatever its rules and policies say, ufw drops all IPv6 that comes in, goes "
            f"out, is passed on{bridged}, except on loopback, and takes others' rules out of ip6tables' table filter."
        )
