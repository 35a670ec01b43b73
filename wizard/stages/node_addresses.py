"""Where nodes can speak to each other: which of them have their address on the isolated network, and their LAN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from wizard.cluster import Cluster
from wizard.facts.network import LINKS
from wizard.model import AnyFact, Context, Known
from wizard.stages import nodes
from wizard.stages.guest_nics import guest
from wizard.stages.guests_defaults import lan_address


def facts(cluster: Cluster) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    return dict.fromkeys(nodes.every(cluster), (LINKS,))


def unplanned(cluster: Cluster) -> tuple[str, ...]:
    """Nodes that cluster.yaml gives no address on the isolated network."""
    return tuple(name for name in nodes.every(cluster) if guest(cluster, name).isolated_address is None)


def without(ctx: Context) -> Iterator[str]:
    """Why the isolated network does not connect all nodes yet, in words; nothing when it does."""
    for name in nodes.every(ctx.cluster):
        wanted, seen = guest(ctx.cluster, name).isolated_address, ctx.look(LINKS, name)
        if wanted is None:
            yield f"{name} has no `isolated_address`"
        elif not isinstance(seen, Known):
            yield f"nobody knows whether {name} has {wanted}: {seen.reason}"
        elif seen.value.with_address(str(wanted)) is None:
            yield f"{name} has no {wanted} yet"


def isolated_range(ctx: Context) -> IPv4Network | None:
    """The isolated network's range, where every node has its address in it."""
    isolated = ctx.cluster.isolated
    return isolated.cidr if isolated and not any(without(ctx)) else None


def lan(ctx: Context, node: str) -> IPv4Network | None:
    """The network of the address by which the node is reached; None where it cannot be told."""
    host, seen = str(lan_address(ctx.cluster, guest(ctx.cluster, node)) or ""), ctx.look(LINKS, node)
    link = seen.value.with_address(host) if isinstance(seen, Known) else None
    found = [each.interface.network for each in link.addresses if each.ip == host] if link else []
    return found[0] if found and isinstance(found[0], IPv4Network) else None


def lan_range(ctx: Context) -> IPv4Network | None:
    """The LAN that all nodes share, as far as they answer."""
    found = {lan(ctx, name) for name in nodes.every(ctx.cluster) if isinstance(ctx.look(LINKS, name), Known)}
    return found.pop() if len(found) == 1 else None
