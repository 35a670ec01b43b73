"""What would no longer be reachable once ufw is on, said before: ports that close, and flows that stop."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from wizard.cluster.sections import Ufw
from wizard.facts.network import LINKS, Links
from wizard.facts.sockets import SOCKETS
from wizard.facts.ufw import Ufw as Seen
from wizard.facts.ufw import UfwRule
from wizard.facts.wireguard import WIREGUARD
from wizard.model import Context
from wizard.stages.firewall_ufw_rules import Wanted, open_to

_BY_ITSELF = {("udp", 68), ("udp", 546), ("udp", 5353), ("udp", 1900)}
"""What ufw's own before.rules let in: answers of DHCP, and names and devices announced on the LAN."""


def notes(ctx: Context, section: Ufw, seen: Seen, wanted: tuple[Wanted, ...]) -> tuple[str, ...]:
    rules = (*(rule for rule in seen.rules if not rule.ours), *(rule for each in wanted for rule in each.tuples))
    return (
        *_closing(ctx, seen, rules),
        *_tunnels(ctx, rules),
        *_forwarding(ctx, seen, rules),
        *_bridged(ctx, seen, rules),
        *_policies(seen),
    )


def _closing(ctx: Context, seen: Seen, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    """Named whether they are closed by this or are closed already: it is the same list that has to be right."""
    ports = {tunnel.port for tunnel in ctx.see(WIREGUARD).tunnels}
    listening = {
        str(socket): open_to(rules, socket.port, socket.proto)
        for socket in ctx.see(SOCKETS)
        if not socket.local
        and (socket.proto, socket.port) not in _BY_ITSELF
        and not (socket.proto == "udp" and socket.port in ports)
    }
    if seen.input_policy == "ACCEPT":
        return
    said = []
    if closed := [name for name, sources in listening.items() if not sources]:
        state = "stay closed" if seen.enabled and seen.live else "are closed"
        said.append(f"These listen, and {state} to other machines: {', '.join(closed)}. `allow` opens them.")
    for name, sources in listening.items():
        if sources and sources != ("any",):
            said.append(f"{name} stays open only to {' and '.join(sources)}.")
    if said:
        yield " ".join(said)


def _tunnels(ctx: Context, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    bridge = ctx.cluster.bridge
    for tunnel in ctx.see(WIREGUARD).tunnels:
        name = tunnel.name
        if tunnel.port and not open_to(rules, tunnel.port, "udp"):
            line = f"{{from: any, port: {tunnel.port}, proto: udp, comment: WireGuard {name}}}"
            yield f"Nobody can begin a connection to {name} any more. For `allow`: - {line}"
        if bridge and not _passes(rules, name, bridge.name):
            line = f"For `routes`: - {{in: {name}, out: {bridge.name}}}"
            yield f"What comes in over {name} is passed to {bridge.name} by rules of others only. {line}"


def _forwarding(ctx: Context, seen: Seen, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    """Every way that packets may take through the host; that from a tunnel to the bridge has been named before."""
    ways, bridge = _ways(ctx.see(LINKS)), ctx.cluster.bridge
    named = {(tunnel, bridge.name) for tunnel in ctx.see(WIREGUARD).interfaces if bridge}
    pairs = [pair for pair in permutations(ways, 2) if pair not in named and not _passes(rules, *pair)]
    if pairs and seen.ip_forward and seen.forward_policy != "ACCEPT":
        stops = [(one, ", ".join(to for each, to in pairs if each == one)) for one in ways]
        yield (
            "The host passes packets on (net.ipv4.ip_forward is 1). It stops doing so "
            f"{'; '.join(f'from {one} to {others}' for one, others in stops if others)}, unless `routes` names the "
            "pair, or rules of libvirt's, docker's or your own let them pass."
        )


def _bridged(ctx: Context, seen: Seen, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    """What a bridge passes from port to port, where that is filtered like packets that are routed (DOMAIN E3)."""
    firewall = ctx.cluster.firewall
    if firewall is None or not firewall.filter_bridged or seen.forward_policy == "ACCEPT":
        return
    bridges = [link.name for link in ctx.see(LINKS) if link.kind == "bridge"]
    if stops := [name for name in bridges if not _passes(rules, name, name)]:
        yield (
            f"What crosses {', '.join(stops)} is filtered too, because of filter_bridged, and stops, unless `routes` "
            "names the bridge as `in` and `out`, or rules of libvirt's, docker's or your own let it pass."
        )


def _ways(links: Links) -> list[str]:
    """The interfaces with an address of their own, which packets can be routed between."""
    return [link.name for link in links if link.addresses and not link.master and link.name != "lo"]


def _passes(rules: tuple[UfwRule, ...], one: str, other: str) -> bool:
    """Does a rule let everything through from one interface to another."""
    return any(rule.same(UfwRule("route:allow", in_on=one, out_on=other)) for rule in rules)


def _policies(seen: Seen) -> Iterator[str]:
    if seen.forward_policy == "ACCEPT":
        yield (
            "/etc/default/ufw has DEFAULT_FORWARD_POLICY=ACCEPT, which makes the host an open router between its "
            "networks. It is left so; the rules here do without it."
        )
    if seen.input_policy == "ACCEPT":
        yield "/etc/default/ufw has DEFAULT_INPUT_POLICY=ACCEPT: ufw closes nothing. It is left so."
    if not seen.ipv6:
        yield "/etc/default/ufw has IPV6=no: ufw then refuses all IPv6 of other machines."
