"""What a form offers for a guest: images that are on the hypervisor, and addresses that nobody seems to have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import chain, islice

from wizard.cluster import Cluster
from wizard.facts.guests import ADDRESSES, GuestAddresses
from wizard.facts.images import IMAGES_FOUND
from wizard.facts.libvirt import DOMAINS, Domains
from wizard.facts.login_keys import LOGIN_KEYS
from wizard.facts.network import LINKS, Links
from wizard.model import AnyFact, Context, Known, Suggestion, T
from wizard.stages.guests_defaults import defaults as of_each_guest

FACTS = (IMAGES_FOUND, ADDRESSES, DOMAINS, LINKS, LOGIN_KEYS)
COUNT = 3


def defaults(ctx: Context) -> Mapping[str, tuple[Suggestion, ...]]:
    """For any guest ("guests[]"), and for those that are listed already; what is not known is left out."""
    lan, isolated = tuple(islice(_lan(ctx), COUNT)), tuple(islice(_isolated(ctx.cluster), COUNT))
    found = {
        "guests[].create.image": tuple(_images(ctx)),
        "guests[].create.address": tuple(
            Suggestion(str(each), "nobody known has it; not one that your router gives out", "ip neigh") for each in lan
        ),
        "guests[].isolated_address": tuple(Suggestion(str(each), "free", "cluster.yaml") for each in isolated),
    }
    return {**of_each_guest(ctx), **{key: suggestions for key, suggestions in found.items() if suggestions}}


def _value(ctx: Context, fact: AnyFact[T], otherwise: T) -> T:
    seen = ctx.look(fact)
    return seen.value if isinstance(seen, Known) else otherwise


def _images(ctx: Context) -> Iterator[Suggestion]:
    """Files that are no guest's disk, by use or by name; first those called as distributors call cloud images."""
    domains = _value(ctx, DOMAINS, Domains())
    used = "".join(domain.xml + domain.live_xml for domain in domains)
    for path in sorted(_value(ctx, IMAGES_FOUND, ()), key=lambda path: "cloud" not in path):
        if f"'{path}'" not in used and not any(_named_after(domain.name, path) for domain in domains):
            yield Suggestion(path, "on the hypervisor", "ls")


def _named_after(guest: str, path: str) -> bool:
    """As libvirt's tools name disks and snapshots: GUEST.qcow2, GUEST-1.qcow2, GUEST.SNAPSHOT."""
    return re.match(rf"{re.escape(guest)}(-\d+)?\.", path.rpartition("/")[2]) is not None


def _lan(ctx: Context) -> Iterator[IPv4Interface]:
    """After the host's own address, and once around."""
    own = _own(ctx)
    if own is None:
        return
    neighbours = chain.from_iterable(_value(ctx, ADDRESSES, GuestAddresses()).neighbours.values())
    here = (address.interface.ip for link in _value(ctx, LINKS, Links(())) for address in link.addresses)
    taken = {*_taken(ctx.cluster), *neighbours, *here}
    for address in _around(own.network, own.ip):
        if address not in taken:
            yield IPv4Interface(f"{address}/{own.network.prefixlen}")


def _own(ctx: Context) -> IPv4Interface | None:
    """The host's address on the bridge: as wanted, or where it has a lease, as it is."""
    bridge = ctx.cluster.bridge
    if bridge is None:
        return None
    link = _value(ctx, LINKS, Links(())).get(bridge.name)
    seen = [address.interface for address in link.addresses] if link else []
    return next((each for each in (*bridge.addresses, *seen) if isinstance(each, IPv4Interface)), None)


def _isolated(cluster: Cluster) -> Iterator[IPv4Address]:
    if cluster.isolated:
        taken = set(_taken(cluster))
        network = cluster.isolated.cidr
        start = network[min(99, network.num_addresses - 2)]
        yield from (each for each in _around(network, start) if each not in taken)


def _around(network: IPv4Network, start: IPv4Address) -> Iterator[IPv4Address]:
    size = network.num_addresses
    for step in range(1, min(size, 256)):
        address = network[(int(start) - int(network.network_address) + step) % size]
        if address not in (network.network_address, network.broadcast_address):
            yield address


def _taken(cluster: Cluster) -> Iterator[object]:
    if cluster.bridge:
        yield from (each.ip for each in cluster.bridge.addresses)
        yield cluster.bridge.gateway
        yield from cluster.bridge.nameservers
    for guest in cluster.guests:
        yield guest.isolated_address
        if guest.create:
            yield guest.create.address.ip
            yield guest.create.gateway
        yield _spoken(guest.ssh or "")


def _spoken(destination: str) -> IPv4Address | None:
    """The address in what is typed after `ssh`, where it is one."""
    host = destination.removeprefix("ssh://").rpartition("@")[2].partition(":")[0]
    try:
        return IPv4Address(host)
    except ValueError:
        return None
