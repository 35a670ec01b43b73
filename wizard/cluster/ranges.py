"""Which addresses and ranges of a cluster stand in each other's way (DOMAIN 2.1).

The LAN is given; the ranges of the isolated network, pods and services are chosen, so they must avoid all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import combinations

from wizard.cluster.addresses import Address, Interface, literal_host
from wizard.cluster.mistakes import Contradiction
from wizard.cluster.values import Values

CHOSEN = {
    "isolated.cidr": "the isolated network",
    "kubernetes.pod_cidr": "the pods",
    "kubernetes.service_cidr": "the services",
}
TAKEN = {
    IPv4Network("192.168.122.0/24"): "libvirt's default network",
    IPv4Network("172.17.0.0/16"): "docker's default bridge",
}
"""Ranges that are in use on many hosts without anybody having chosen them (DOMAIN 2.1)."""


def chosen(values: Values) -> list[tuple[str, IPv4Network]]:
    return [(key, found) for key in CHOSEN if (found := values.get(key, IPv4Network)) is not None]


def interfaces(values: Values) -> list[tuple[str, Interface]]:
    """The addresses with prefix: the host's, then those of guests to be created."""
    return [
        *values.interfaces("bridge.addresses[]"),
        *values.interfaces("guests[].create.address"),
    ]


def chosen_ranges_apart(values: Values) -> Iterator[Contradiction]:
    for (one, first), (other, second) in combinations(chosen(values), 2):
        if first.overlaps(second):
            yield Contradiction(
                (other, one),
                f"{second} overlaps {first} of {CHOSEN[one]} (`{one}`)",
                "Use ranges that share no address.",
            )


def chosen_ranges_free(values: Values) -> Iterator[Contradiction]:
    """No chosen range overlaps the LAN or what libvirt and docker use."""
    lan = {found.network: key for key, found in reversed(interfaces(values)) if isinstance(found, IPv4Interface)}
    for key, mine in chosen(values):
        for network, where in lan.items():
            if mine.overlaps(network):
                yield Contradiction(
                    (key, where),
                    f"{mine} overlaps the LAN {network} (`{where}`)",
                    "Use a private range that is not in use.",
                )
        for network, whose in TAKEN.items():
            if mine.overlaps(network):
                yield Contradiction((key,), f"{mine} overlaps {network} of {whose}", "Use a range that is not in use.")


def lone_addresses(values: Values) -> list[tuple[str, Address]]:
    """Addresses on the LAN or beyond that are written without prefix."""
    plain = [
        *values.addresses("bridge.gateway"),
        *values.addresses("bridge.nameservers[]"),
        *values.addresses("guests[].create.gateway"),
    ]
    spoken = [*values.every("hypervisor.ssh", str), *values.every("guests[].ssh", str)]
    spoken += values.every("kubernetes.endpoint", str)
    return plain + [(key, found) for key, text in spoken if (found := literal_host(text)) is not None]


def lone_addresses_outside(values: Values) -> Iterator[Contradiction]:
    """A router, name server or machine inside a chosen range could no longer be reached."""
    lan = [found.network for _, found in interfaces(values)]
    for key, found in lone_addresses(values):
        for where, network in chosen(values):
            if found in network and not any(found in each for each in lan):
                message = f"{network} contains {found} (`{key}`)"
                yield Contradiction((where, key), message, "Use a private range that is not in use.")


def machines(values: Values) -> Iterator[tuple[str, str, Address]]:
    """(machine, key, address) of all that must not share an address on the LAN; one machine may say its own twice."""
    for key, found in values.interfaces("bridge.addresses[]"):
        yield "the hypervisor", key, found.ip
    for key, text in values.every("hypervisor.ssh", str):
        if (address := literal_host(text)) is not None:
            yield "the hypervisor", key, address
    for key, router in values.addresses("bridge.gateway"):
        yield "the gateway", key, router
    for key, router in values.addresses("guests[].create.gateway"):
        yield "the gateway", key, router
    for key, found in values.interfaces("guests[].create.address"):
        yield key.removesuffix(".create.address"), key, found.ip
    for key, text in values.every("guests[].ssh", str):
        if (address := literal_host(text)) is not None:
            yield key.removesuffix(".ssh"), key, address


def machines_apart(values: Values) -> Iterator[Contradiction]:
    first: dict[Address, tuple[str, str]] = {}
    for machine, key, address in machines(values):
        before, where = first.setdefault(address, (machine, key))
        if before != machine:
            yield Contradiction(
                (key, where),
                f"{address} is also the address of {before} (`{where}`)",
                "Give each machine its own address.",
            )


def endpoint_free(values: Values) -> Iterator[Contradiction]:
    """A virtual address belongs to no machine; the address of the only control plane is what leaving it out means."""
    text = values.get("kubernetes.endpoint", str)
    address = literal_host(text) if text else None
    roles = [key for key, role in values.every("guests[].role", str) if role == "control-plane"]
    for machine, key, taken in machines(values):
        own = f"{machine}.role"
        if taken != address or roles == [own]:
            continue
        whose = "is one control plane's own, and the API would be lost with it"
        message = f"{address} {whose if own in roles else 'already belongs to another machine'} (`{key}`)"
        yield Contradiction(("kubernetes.endpoint", key), message, "Use a free address of the LAN, or a name.")


def isolated_addresses(values: Values) -> Iterator[Contradiction]:
    """Each is a usable address inside isolated.cidr, and nobody else's."""
    network = values.get("isolated.cidr", IPv4Network)
    first: dict[IPv4Address, str] = {}
    for key, address in values.every("guests[].isolated_address", IPv4Address):
        if not values.has("isolated"):
            yield Contradiction(
                (key, "isolated"), "there is no isolated network", "Add `isolated:`, or remove this line."
            )
        elif network is not None and (
            address not in network or address in (network.network_address, network.broadcast_address)
        ):
            message = f"{address} is no address for a machine in {network} (`isolated.cidr`)"
            yield Contradiction((key, "isolated.cidr"), message, f"Use one from {network[1]} to {network[-2]}.")
        where = first.setdefault(address, key)
        if where != key:
            yield Contradiction(
                (key, where), f"{address} is already used (`{where}`)", "Give each guest its own address."
            )


RULES = (
    chosen_ranges_apart,
    chosen_ranges_free,
    lone_addresses_outside,
    machines_apart,
    endpoint_free,
    isolated_addresses,
)
