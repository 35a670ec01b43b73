"""What would no longer be reachable once ufw is on, said before: ports that close, and flows that stop."""

from __future__ import annotations

from collections.abc import Iterator

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
        *_tunnels(ctx, section, rules),
        *_forwarding(ctx, section, seen),
        *_policies(seen),
    )


def _closing(ctx: Context, seen: Seen, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    """Named whether they are closed by this or are closed already: it is the same list that has to be right."""
    ports = {tunnel.port for tunnel in ctx.see(WIREGUARD).tunnels}
    closed = [
        str(socket)
        for socket in ctx.see(SOCKETS)
        if not socket.local
        and not open_to(rules, socket.port, socket.proto)
        and (socket.proto, socket.port) not in _BY_ITSELF
        and not (socket.proto == "udp" and socket.port in ports)
    ]
    if closed and seen.input_policy != "ACCEPT":
        state = "stay closed" if seen.enabled and seen.live else "are closed"
        yield f"These listen, and {state} to other machines: {', '.join(dict.fromkeys(closed))}. `allow` opens them."


def _tunnels(ctx: Context, section: Ufw, rules: tuple[UfwRule, ...]) -> Iterator[str]:
    bridge = ctx.cluster.bridge
    for tunnel in ctx.see(WIREGUARD).tunnels:
        if tunnel.port and not open_to(rules, tunnel.port, "udp"):
            line = f"{{from: any, port: {tunnel.port}, proto: udp, comment: WireGuard {tunnel.name}}}"
            yield f"Nobody can begin a connection to {tunnel.name} any more. For `allow`: - {line}"
        pair = (tunnel.name, bridge.name) if bridge else None
        if pair and pair not in [(route.in_on, route.out_on) for route in section.routes]:
            line = f"{{in: {pair[0]}, out: {pair[1]}}}"
            yield f"What comes in over {pair[0]} is passed to {pair[1]} by rules of others only. For `routes`: - {line}"


def _forwarding(ctx: Context, section: Ufw, seen: Seen) -> Iterator[str]:
    tunnels = ctx.see(WIREGUARD).interfaces
    ways = [link for link in _ways(ctx.see(LINKS)) if link not in tunnels]
    if seen.ip_forward and len(ways) > 1 and seen.forward_policy != "ACCEPT" and not section.routes:
        yield (
            f"The host passes packets on (net.ipv4.ip_forward is 1). Between {', '.join(ways)} that stops, unless "
            "`routes` names the pair, or rules of libvirt's, docker's or your own let them pass."
        )


def _ways(links: Links) -> list[str]:
    """The interfaces with an address of their own, which packets can be routed between."""
    return [link.name for link in links if link.addresses and not link.master and link.name != "lo"]


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
