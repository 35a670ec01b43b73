"""Is the card for the bridge fit, who manages it, and what filters or rewrites packets here (DOMAIN S0, 2.1)."""

from __future__ import annotations

from wizard.checks.machine import domains
from wizard.checks.question import Answer, Question, ok, stop, warn
from wizard.facts.firewall import FORWARDING
from wizard.facts.libvirt import DOMAINS
from wizard.facts.nat import FACTS as NAT_FACTS
from wizard.facts.nat import rewriting
from wizard.facts.network import LINKS, Link, Links
from wizard.facts.network_owners import OWNERS
from wizard.facts.networkd import NETWORKD
from wizard.facts.units import FIREWALL_UNITS
from wizard.facts.wireguard import WIREGUARD
from wizard.model import Context


def port_of(ctx: Context) -> Link | None:
    """The card that the bridge is to get, where one is asked for and is there."""
    bridge = ctx.cluster.bridge
    return ctx.see(LINKS).get(bridge.port) if bridge else None


def card(ctx: Context) -> Answer | None:
    bridge, links = ctx.cluster.bridge, ctx.see(LINKS)
    if bridge is None:
        return None
    port = links.get(bridge.port)
    if port is None or not port.nic:
        what = "is no network card" if port else "is not there"
        return stop(f"{bridge.port} {what}", _others(links), contradicts=True)
    if port.wireless:
        return stop(f"{port.name} is wireless", _others(links), contradicts=True)
    if port.master not in ("", bridge.name):
        cure = f"Set bridge.name to {port.master}, or take {port.name} out of it."
        return stop(f"{port.name} is a port of {port.master} already", cure, contradicts=True)
    if not port.carrier:
        return warn(
            f"{port.name}: {'no signal' if port.up else 'switched off'}", "Put a cable in, and see to its other end."
        )
    return ok(f"{port.name}: {port.describe}")


def _others(links: Links) -> str:
    fit = [f"{link.name} ({link.describe})" for link in links.nics if not link.wireless]
    return f"Set bridge.port to one of: {'; '.join(fit)}." if fit else "Put in a wired network card."


def stacked(ctx: Context) -> Answer | None:
    port = port_of(ctx)
    if port is None:
        return None
    direct = [domain for domain in domains(ctx) if domain.uses_nic(port.name)]
    names = ", ".join(domain.name for domain in direct)
    on_top = ctx.see(LINKS).on_top_of(port.name)
    move = f"Shut down {names} and connect them to another network; on the bridge they come back." if direct else ""
    if on_top:
        seen = ", ".join(f"{link.name} ({link.kind})" for link in on_top)
        cure = move or f"Remove {', '.join(link.name for link in on_top)}, or make it on top of the bridge instead."
        return stop(f"{seen} uses {port.name}", cure)
    if direct:
        return warn(f"{names} would use {port.name} alone (macvtap) at the next start", move)
    return ok(f"nothing else uses {port.name}")


def owner(ctx: Context) -> Answer | None:
    bridge, port = ctx.cluster.bridge, port_of(ctx)
    if bridge is None or port is None:
        return None
    other = ctx.see(OWNERS).of(port.name)
    managed = ctx.see(NETWORKD).links.get(port.name)
    networkd = managed is not None and managed.setup not in ("unmanaged", "")
    if other is None:
        return ok("systemd-networkd" if networkd else f"nobody manages {port.name} yet; systemd-networkd will")
    both = f"{other.program} ({other.evidence})" + (
        " and systemd-networkd" if networkd and other.program != "netplan" else ""
    )
    if port.master == bridge.name:
        return ok(f"{both}; {bridge.name} is there already")
    cure = f"Make {bridge.name} with {other.program} yourself, or hand {port.name} to systemd-networkd."
    return stop(f"{both} manages {port.name}; the bridge is made by systemd-networkd alone", cure, contradicts=True)


def bridges(ctx: Context) -> Answer:
    links, bridge = ctx.see(LINKS), ctx.cluster.bridge
    there = [link for link in links if link.kind == "bridge"]
    named = links.get(bridge.name) if bridge else None
    if named and named.kind != "bridge":
        return stop(f"{named.name} is there, and is no bridge", "Choose another bridge.name.", contradicts=True)
    ports = {link.name: [port.name for port in links.ports(link.name)] for link in there}
    if not there:
        return ok("none")
    return ok("; ".join(f"{name} ({', '.join(ports[name]) or 'no port'})" for name in ports))


def firewalls(ctx: Context) -> Answer:
    forwarding = ctx.see(FORWARDING)
    active = [name.partition(".")[0] for name, unit in ctx.see(FIREWALL_UNITS).items() if unit.is_active]
    running = [name for name in active if name != "ufw" or forwarding.ufw]
    if forwarding.legacy and forwarding.iptables == "nf_tables":
        running.append(f"iptables-legacy beside iptables (tables: {', '.join(forwarding.legacy)})")
    seen = ", ".join(running) or "none"
    if "firewalld" in running:
        return warn(seen, "Open what is needed in firewalld yourself; the wizard sets up ufw only.")
    if forwarding.drops:
        return warn(
            f"{seen}; forwarded packets are dropped by {'; '.join(forwarding.drops)}",
            "Nothing to do while bridged packets pass by it; the stage `firewall` sees to that.",
        )
    return ok(f"{seen}; forwarded packets pass")


def wireguard(ctx: Context) -> Answer:
    seen = ", ".join(ctx.see(WIREGUARD).interfaces) or "none"
    if found := rewriting(ctx):
        return warn(
            f"{seen}; guests' packets can be rewritten by {', '.join(dict.fromkeys(map(str, found)))}",
            "With filtered bridges such a rule rewrites traffic between guests; firewall.nat says what to do about it.",
        )
    return ok(seen)


QUESTIONS = (
    Question(
        "nic",
        "Network card",
        "It becomes the bridge's port: guests reach the LAN over it.",
        (LINKS,),
        card,
        needed=True,
    ),
    Question(
        "nic-in-use",
        "Use of the card",
        "A card that others are built on cannot join a bridge.",
        (LINKS, DOMAINS),
        stacked,
    ),
    Question(
        "nic-owner",
        "Network manager",
        "Two programs that manage one card undo each other's work.",
        (LINKS, OWNERS, NETWORKD),
        owner,
    ),
    Question("bridges", "Bridges", "The new one must not clash with what is there.", (LINKS,), bridges),
    Question(
        "firewalls",
        "Firewalls",
        "A firewall that drops forwarded packets can cut guests off, though ping works.",
        (FIREWALL_UNITS, FORWARDING),
        firewalls,
    ),
    Question(
        "wireguard",
        "WireGuard",
        "Its masquerade rules can give guests' packets the host's address, which breaks pod routes.",
        (WIREGUARD, *NAT_FACTS),
        wireguard,
    ),
)
