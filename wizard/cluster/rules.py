"""What the values of cluster.yaml must be together, as far as that can be judged without a host (DOMAIN 2.1).

A rule is a pure function from values, of which any may be missing or invalid, to contradictions. It keeps silent about
what it cannot judge, so that all rules run however broken the file is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network

from wizard.cluster import ranges
from wizard.cluster.addresses import Address, Interface, literal_host
from wizard.cluster.mistakes import Contradiction, shown
from wizard.cluster.names import LABEL
from wizard.cluster.sizes import Size, gib
from wizard.cluster.values import Values

NODE_MEMORY, NODE_DISK, CONTROL_PLANE_VCPUS = gib(2), gib(20), 2
"""The least a node needs (DOMAIN 2.1, from kubeadm's installation guide)."""


def contradictions(values: Values) -> list[Contradiction]:
    return [found for rule in (*RULES, *ranges.RULES) for found in rule(values)]


def one_source_of_addresses(values: Values) -> Iterator[Contradiction]:
    if values.get("bridge.dhcp", bool) and values.has("bridge.addresses"):
        message = "the host cannot have both DHCP and fixed addresses on the bridge"
        yield Contradiction(("bridge.dhcp", "bridge.addresses"), message, "Keep `dhcp: true` or `addresses`, not both.")


def gateway_fits(values: Values) -> Iterator[Contradiction]:
    router = values.address("bridge.gateway")
    keys = ("bridge.gateway", "bridge.addresses", "bridge.dhcp")
    if router is None:
        return
    if values.get("bridge.dhcp", bool):
        yield Contradiction(keys, "the gateway comes with DHCP", "Remove the line, or use `addresses` instead of DHCP.")
    elif not values.has("bridge.addresses"):
        message = "the host has no address on the bridge, so it cannot use a gateway there"
        yield Contradiction(keys, message, "Add `addresses`, or remove the line.")
    else:
        mine = values.interfaces("bridge.addresses[]")
        if mine and len(mine) == len(values.every("bridge.addresses[]", object)):
            yield from reachable(router, mine, "bridge.gateway")


def reachable(router: Address, mine: list[tuple[str, Interface]], key: str) -> Iterator[Contradiction]:
    """The router lies in the subnet of one of the addresses, as neither its first nor its last."""
    same = [(where, one) for where, one in mine if one.version == router.version]
    networks = " or ".join(dict.fromkeys(str(one.network) for _, one in mine))
    if not any(router in one.network for _, one in same) and not (router.is_link_local and same):
        where = mine[0][0]
        yield Contradiction((key, where), f"{router} is outside {networks}", f"Use the router's address in {networks}.")
    for where, one in same:
        if isinstance(one, IPv4Interface) and router in (one.network.network_address, one.network.broadcast_address):
            yield Contradiction((key, where), f"{router} is no machine's address in {one.network}", "Use the router's.")


def guest_gateway_fits(values: Values) -> Iterator[Contradiction]:
    for key, mine in values.interfaces("guests[].create.address"):
        own = key.removesuffix("address") + "gateway"
        used = own if values.has(own) else "bridge.gateway"
        router = values.address(used)
        if router is not None and (router.version == mine.version or used == own):
            at, where = (own, key) if used == own else (key, used)
            for found in reachable(router, [(key, mine)], used):
                message = found.message if used == own else f"the bridge's gateway {found.message}"
                yield Contradiction((at, where), message, found.cure)


def nameservers_usable(values: Values) -> Iterator[Contradiction]:
    if not values.has("bridge.nameservers") or values.has("bridge.addresses"):
        return
    if values.get("bridge.dhcp", bool) is False:
        keys = ("bridge.nameservers", "bridge.addresses", "bridge.dhcp")
        message = "the host has no address on the bridge, so it cannot ask name servers over it"
        yield Contradiction(keys, message, "Add `addresses` or `dhcp: true`, or remove the line.")


def interfaces_differ(values: Values) -> Iterator[Contradiction]:
    first: dict[str, str] = {}
    for key in ("bridge.port", "bridge.name", "isolated.name"):
        name = values.get(key, str)
        if name is not None and (where := first.setdefault(name, key)) != key:
            yield Contradiction((key, where), f"{shown(name)} is also `{where}`", "Use different names.")


def networks_differ(values: Values) -> Iterator[Contradiction]:
    name = values.get("bridge.network", str)
    if name is not None and name == values.get("isolated.name", str):
        message = f"libvirt cannot have two networks named {shown(name)}"
        yield Contradiction(("bridge.network", "isolated.name"), message, "Use different names.")


def nothing_twice(values: Values) -> Iterator[Contradiction]:
    """Names of guests, their SSH destinations and MACs; and what stands in a list. (Addresses: `machines_apart`.)"""
    patterns = ("bridge.addresses[]", "bridge.nameservers[]", "hypervisor.accept[]", "guests[].name")
    groups = [values.every(pattern, object) for pattern in patterns]
    groups.append([(key, ssh) for key, ssh in values.every("guests[].ssh", str) if literal_host(ssh) is None])
    macs = ("guests[].create.mac", "guests[].create.isolated_mac", "guests[].isolated_mac")
    groups.append([found for pattern in macs for found in values.every(pattern, str)])
    for group in groups:
        first: dict[str, str] = {}
        for key, value in group:
            where = first.setdefault(str(value).lower(), key)
            if value is not None and where != key:
                yield Contradiction((key, where), f"{shown(value)} is already used (`{where}`)", "Use each only once.")


def guests_have_networks(values: Values) -> Iterator[Contradiction]:
    for key, where in values.every("guests[].nic", str):
        if where == "bridge" and not values.has("bridge"):
            yield Contradiction((key, "bridge"), "there is no bridge", "Add `bridge:`, or remove this line.")
    for key, _ in values.every("guests[].create", object):
        if not values.has("bridge"):
            yield Contradiction((key, "bridge"), "there is no bridge to connect it to", "Add `bridge:`.")
    for key, _ in values.every("guests[].create.isolated_mac", str):
        address = key.removesuffix("create.isolated_mac") + "isolated_address"
        if not values.has(address):
            message = "the guest has no address on the isolated network"
            yield Contradiction((key, address), message, "Add `isolated_address`, or remove this line.")


def created_guest_answers(values: Values) -> Iterator[Contradiction]:
    """An address in `ssh` is the address that the guest is created with."""
    for key, mine in values.interfaces("guests[].create.address"):
        ssh = key.removesuffix("create.address") + "ssh"
        spoken = literal_host(values.get(ssh, str) or "")
        if spoken is not None and spoken != mine.ip and spoken.version == mine.version:
            message = f"SSH goes to {spoken}, but the guest is created with {mine.ip}"
            yield Contradiction((ssh, key), message, "Use the same address in both.")


def physical_machines(values: Values) -> Iterator[Contradiction]:
    """What libvirt would do is not said of a machine of its own, and what it cannot do is."""
    for key, physical in values.every("guests[].physical", bool):
        guest = key.removesuffix("physical")
        second = (f"{guest}isolated_mac", f"{guest}isolated_address")
        if not physical:
            if values.has(second[0]):
                message = "a guest's NIC is libvirt's to make: its MAC is `create.isolated_mac`, or derived"
                yield Contradiction((second[0], key), message, "Remove the line, or add `physical: true`.")
            continue
        if not values.has(f"{guest}ssh"):
            message = "nobody knows the address of a machine of its own"
            yield Contradiction((key, f"{guest}ssh"), message, "Add `ssh: USER@ADDRESS`.")
        for word in ("create", "nic"):
            if values.get(f"{guest}{word}", object) not in (None, "leave"):
                message = f"a machine of its own is no libvirt guest, so `{word}` means nothing for it"
                yield Contradiction((f"{guest}{word}", key), message, "Remove one of the two lines.")
        if values.has(second[0]) != values.has(second[1]):
            missing, there = second if values.has(second[1]) else second[::-1]
            message = f"which card has which address? `{missing.rpartition('.')[2]}` is missing"
            yield Contradiction((there, missing), message, f"Add `{missing.rpartition('.')[2]}`, or remove this line.")


def guest_names_fit(values: Values) -> Iterator[Contradiction]:
    """A guest's name becomes its host's and its node's name: a lower-case RFC 1123 label (DOMAIN 2.1)."""
    for key, name in values.every("guests[].name", str):
        create = key.removesuffix("name") + "create"
        user = create if values.has(create) else "kubernetes"
        if values.has(user) and not re.fullmatch(LABEL, name):
            message = f"{shown(name)} cannot be a node's name"
            cure = "Use lower-case letters, digits and inner `-` (`virsh domrename` renames a guest that is off)."
            yield Contradiction((key, user), message, cure)


def guest_sizes(values: Values) -> Iterator[Contradiction]:
    """Small guests are refused unless the owner accepts them."""
    if any(found == "small-guest" for _, found in values.every("hypervisor.accept[]", str)):
        return
    for key, size in values.every("guests[].create.memory", Size):
        if size < NODE_MEMORY:
            yield too_small(key, f"a node needs {NODE_MEMORY} of memory", str(NODE_MEMORY))
    for key, size in values.every("guests[].create.disk", Size):
        if size < NODE_DISK:
            yield too_small(key, f"a node needs a disk of {NODE_DISK}", str(NODE_DISK))
    for key, vcpus in values.every("guests[].create.vcpus", int):
        role = key.removesuffix("create.vcpus") + "role"
        if vcpus < CONTROL_PLANE_VCPUS and values.get(role, str) == "control-plane":
            yield too_small(key, "a control plane needs 2 CPUs", "2", role)


def too_small(key: str, message: str, least: str, *others: str) -> Contradiction:
    cure = f"Use {least} or more, or add small-guest to `hypervisor.accept`."
    return Contradiction((key, *others, "hypervisor.accept"), message, cure)


def images_checked(values: Values) -> Iterator[Contradiction]:
    for key, image in values.every("guests[].create.image", str):
        digest = key.removesuffix("image") + "sha256"
        if not image.startswith("/") and not values.has(digest):
            yield Contradiction((key, digest), "a downloaded image needs its checksum", "Add `sha256:` beside it.")


def several_control_planes(values: Values) -> Iterator[Contradiction]:
    """Without a name or address of its own the API goes with the first of them (DOMAIN section 5)."""
    planes = [key for key, role in values.every("guests[].role", str) if role == "control-plane"]
    if len(planes) > 1 and values.has("kubernetes") and not values.has("kubernetes.endpoint"):
        message = "several control planes need an address of the API that is none of theirs"
        cure = "Add `endpoint:` with a name or a virtual address, or make the others workers."
        yield Contradiction((planes[1], "kubernetes"), message, cure)


def kubernetes_has_nodes(values: Values) -> Iterator[Contradiction]:
    guests, roles = values.every("guests[]", object), values.every("guests[].role", object)
    if not values.has("kubernetes") or not guests:
        return
    if len(roles) == len(guests) and all(role == "worker" for _, role in roles):
        yield Contradiction(
            ("guests", *(key for key, _ in roles)), "no guest is a control plane", "Make one of them one."
        )
    pods = values.get("kubernetes.pod_cidr", IPv4Network)
    needed = 24 - math.ceil(math.log2(len(guests)))
    if pods is not None and pods.prefixlen > needed:
        message = f"{pods} is too small for {len(guests)} nodes, each of which takes a /24 of it"
        yield Contradiction(("kubernetes.pod_cidr", "guests"), message, f"Use a range of /{needed} or larger.")


RULES = (
    one_source_of_addresses,
    gateway_fits,
    guest_gateway_fits,
    nameservers_usable,
    interfaces_differ,
    networks_differ,
    nothing_twice,
    guests_have_networks,
    created_guest_answers,
    physical_machines,
    guest_names_fit,
    guest_sizes,
    images_checked,
    several_control_planes,
    kubernetes_has_nodes,
)
