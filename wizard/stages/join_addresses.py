"""Where nodes and the Kubernetes API are reached: the node's own address on the LAN, and the API's endpoint.

The endpoint is part of every certificate and kubeconfig of the cluster, so it is chosen once (DOMAIN S6).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Address, IPv4Network, ip_address

from wizard.cluster import Cluster
from wizard.facts.network import LINKS, SSH_PATH
from wizard.marks import commands_in
from wizard.model import AnyFact, Context, Fact, FactError, Finding, Output
from wizard.stages import guest_nics, guests_defaults, nodes
from wizard.stages.join_config import host_port

Addresses = tuple[str, ...]


def lan_address(ctx: Context, name: str) -> str:
    """The node's own address on the LAN: where SSH arrives, if that is one; "" where it has none.

    A node with several cards would otherwise choose for itself (DOMAIN S6): never the isolated network, whose addresses
    may come later, and never what pods or a virtual address of the API brought.
    """
    path = ctx.see(SSH_PATH, name)
    arrives = (path.address,) if path else ()
    own = (address.ip for link in ctx.see(LINKS, name) for address in link.addresses)
    return next((each for each in (*arrives, *own) if _on_lan(ctx.cluster, each)), "")


def _on_lan(cluster: Cluster, address: str) -> bool:
    if commands_in(address):  # a mark, in a runbook made unconnected
        return True
    ip = ip_address(address)
    if not isinstance(ip, IPv4Address) or ip.is_loopback or ip.is_link_local:
        return False
    return not any(ip in taken for taken in _others(cluster)) and address != _virtual(cluster)


def _others(cluster: Cluster) -> Iterator[IPv4Network]:
    if cluster.isolated:
        yield cluster.isolated.cidr
    if cluster.kubernetes:
        yield cluster.kubernetes.pod_cidr
        yield cluster.kubernetes.service_cidr


def _endpoint(cluster: Cluster) -> str:
    return (cluster.kubernetes.endpoint if cluster.kubernetes else None) or ""


def _virtual(cluster: Cluster) -> str:
    """The endpoint, unless cluster.yaml has it as the only control plane's own address."""
    planes = (guest_nics.guest(cluster, name) for name in nodes.control_planes(cluster))
    own = [str(guests_defaults.lan_address(cluster, guest)) for guest in planes]
    return "" if _endpoint(cluster) in own else _endpoint(cluster)


def endpoint(ctx: Context) -> str:
    """HOST:PORT of the API as cluster.yaml has it, else at the first control plane's own address."""
    [first] = nodes.first(ctx.cluster)
    return host_port(_endpoint(ctx.cluster) or lan_address(ctx, first))


# ---------------------------------------------------------------- a name for it


def resolution(cluster: Cluster) -> tuple[AnyFact[Addresses], ...]:
    """What a node makes of the endpoint, where that is not simply the first control plane's address."""
    host = _endpoint(cluster)
    return (_resolved(host),) if host else ()


@cache
def _resolved(host: str) -> Fact[Addresses]:
    return Fact(f"endpoint {host}", f"getent ahosts {host}", _addresses)


def _addresses(output: Output) -> Addresses:
    """getent(1) ends with 2 where the name is unknown."""
    if output.rc not in (0, 2):
        raise FactError(output.complaint or f"getent ended with status {output.rc}")
    return tuple(dict.fromkeys(line.split()[0] for line in output.text.splitlines() if line.strip()))


def unresolved(ctx: Context, name: str) -> Finding | None:
    """The endpoint's name, if this node does not know it."""
    host = _endpoint(ctx.cluster)
    if not host or ctx.see(_resolved(host), name):
        return None
    why = f"{name} does not know the name {host}, the API's endpoint"
    cure = f"let your DNS answer for it, or add it to /etc/hosts of every node: ADDRESS {host}"
    return Finding("endpoint-unknown", why, cure, "kubernetes.endpoint")


def elsewhere(ctx: Context, name: str) -> Addresses:
    """The addresses of the endpoint, if none is this node's: something else must then pass connections on."""
    host = _endpoint(ctx.cluster)
    found = ctx.see(_resolved(host), name) if host else ()
    here = any(each == lan_address(ctx, name) or ctx.see(LINKS, name).with_address(each) for each in found)
    return () if here else found


def leads_to_first(ctx: Context, name: str) -> bool:
    """Whether this node takes the endpoint's name for the first control plane's own address, and for no other."""
    host = _endpoint(ctx.cluster)
    [first] = nodes.first(ctx.cluster)
    return bool(host) and ctx.see(_resolved(host), name) == (lan_address(ctx, first),)
