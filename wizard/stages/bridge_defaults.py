"""What a form offers for the bridge: what was found on the host, best first, with where it was found."""

from __future__ import annotations

from collections.abc import Mapping

from wizard.facts.libvirt import NETWORKS, Networks
from wizard.facts.network import LINKS, NAMESERVERS, ROUTES, SSH_PATH, Link, Links, SshPath
from wizard.model import AnyFact, Context, Known, Suggestion, T

FACTS = (LINKS, ROUTES, SSH_PATH, NAMESERVERS, NETWORKS)


def defaults(ctx: Context) -> Mapping[str, tuple[Suggestion, ...]]:
    """For each key of `bridge`; a key about which nothing was seen is left out."""
    links = _value(ctx, LINKS, Links(()))
    ssh = _value(ctx, SSH_PATH, None)
    found = {
        "bridge.name": _names(links),
        "bridge.port": _ports(links, ssh),
        "bridge.addresses": _addresses(links, ssh),
        "bridge.dhcp": _dhcp(links, ssh),
        "bridge.gateway": _gateways(ctx),
        "bridge.nameservers": _nameservers(ctx),
        "bridge.network": _networks(ctx, links),
    }
    return {key: suggestions for key, suggestions in found.items() if suggestions}


def _value(ctx: Context, fact: AnyFact[T], otherwise: T) -> T:
    seen = ctx.look(fact)
    return seen.value if isinstance(seen, Known) else otherwise


def _bridges(links: Links) -> list[tuple[Link, Link]]:
    """Bridges that have a NIC as a port, each with that NIC."""
    found = [(links.get(nic.master), nic) for nic in links.nics if nic.master]
    return [(bridge, nic) for bridge, nic in found if bridge is not None and bridge.kind == "bridge"]


def _names(links: Links) -> tuple[Suggestion, ...]:
    there = [
        Suggestion(bridge.name, f"is there already, with port {nic.name}", "ip link") for bridge, nic in _bridges(links)
    ]
    return (*there, Suggestion("br0", "the usual name", "custom"))


def _ports(links: Links, ssh: SshPath | None) -> tuple[Suggestion, ...]:
    """The port of a bridge that is there; then NICs with a cable, first those that nothing depends on."""
    fit = [nic for nic in links.nics if not nic.wireless]

    def rank(nic: Link) -> tuple[bool, bool, bool]:
        return not nic.master, nic.carrier is False, bool(nic.addresses)

    return tuple(
        Suggestion(nic.name, nic.describe + (", carries SSH" if _carries(nic, ssh) else ""), "ip link")
        for nic in sorted(fit, key=rank)
    )


def _carries(nic: Link, ssh: SshPath | None) -> bool:
    return ssh is not None and (nic.name == ssh.device or any(each.ip == ssh.address for each in nic.addresses))


def _main(links: Links, ssh: SshPath | None) -> list[Link]:
    """The links whose address the bridge could take over: the one that carries SSH first."""
    return sorted(
        (link for link in links if link.addresses and (link.nic or link.kind == "bridge")),
        key=lambda link: not _carries(link, ssh),
    )


def _addresses(links: Links, ssh: SshPath | None) -> tuple[Suggestion, ...]:
    return tuple(
        Suggestion((str(each.interface),), f"now on {link.name}{' by DHCP' if each.dynamic else ''}", "ip addr")
        for link in _main(links, ssh)
        for each in link.addresses
        if each.interface.version == 4
    )


def _dhcp(links: Links, ssh: SshPath | None) -> tuple[Suggestion, ...]:
    for link in _main(links, ssh)[:1]:
        dynamic = any(each.dynamic and each.interface.version == 4 for each in link.addresses)
        return (Suggestion(dynamic, f"{link.name} has {'a lease' if dynamic else 'a fixed address'}", "ip addr"),)
    return ()


def _gateways(ctx: Context) -> tuple[Suggestion, ...]:
    routes = [route for route in _value(ctx, ROUTES, ()) if route.to == "default" and "." in route.gateway]
    return tuple(
        Suggestion(route.gateway, f"the default route now, on {route.device}", "ip route")
        for route in sorted(routes, key=lambda route: route.metric)
    )


def _nameservers(ctx: Context) -> tuple[Suggestion, ...]:
    servers = _value(ctx, NAMESERVERS, ())
    return (Suggestion(servers, "asked now", "resolv.conf"),) if servers else ()


def _networks(ctx: Context, links: Links) -> tuple[Suggestion, ...]:
    bridges = {bridge.name for bridge, _ in _bridges(links)}
    return tuple(
        Suggestion(network.name, f"libvirt has it over {network.bridge}", "libvirt")
        for network in _value(ctx, NETWORKS, Networks())
        if network.bridge in bridges
    )
