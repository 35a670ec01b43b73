"""What can be claimed of a bridge and its ports. Each claim is one truth in three forms: in words, what the facts say
of it, and a test that the host itself can run while it waits."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wizard.facts.network import Link
from wizard.stages.bridge_scene import Scene, uplink

FORWARDING = 3
"""BR_STATE_FORWARDING in /sys/class/net/PORT/brport/state (linux/if_bridge.h)."""


@dataclass(frozen=True)
class Claim:
    otherwise: str
    """What is the case if it does not hold: "enp4s0 is not a port of br0"."""
    holds: bool
    test: str
    """A command of sh that succeeds when it holds."""


def as_wanted(scene: Scene) -> tuple[Claim, ...]:
    """All that must hold once the step is done."""
    wanted, port = scene.wanted, scene.port
    assert port is not None
    return (
        bridge_exists(scene),
        forwards(scene, port),
        *(is_out(scene, link) for link in scene.former),
        *(has_address(scene, wanted.name, str(address)) for address in wanted.addresses),
        *([has_lease(scene, wanted.name)] if wanted.dhcp else []),
        has_no_address(scene, wanted.port),
        *([leads_out(scene, wanted.name, str(wanted.gateway))] if wanted.gateway else []),
    )


def as_now(scene: Scene) -> dict[str, tuple[Claim, ...]]:
    """For each link that will change, what holds of it now: on the way back, all of it must hold again."""
    found = {link.name: _holding(scene, link) for link in scene.touched}
    return found if scene.bridge else {**found, scene.wanted.name: (no_bridge(scene),)}


def _holding(scene: Scene, link: Link) -> tuple[Claim, ...]:
    return tuple(claim for claim in _about(scene, link) if claim.holds)


def _about(scene: Scene, link: Link) -> Iterator[Claim]:
    if uplink(link):
        yield forwards(scene, link)
        yield is_out(scene, link)
    yield has_no_address(scene, link.name)
    yield has_lease(scene, link.name)
    yield from (has_address(scene, link.name, str(each.interface)) for each in link.addresses if not each.dynamic)
    for route in scene.routes:
        if route.to == "default" and route.device == link.name and route.gateway:
            yield leads_out(scene, route.device, route.gateway)


def probe(claims: Iterable[Claim]) -> tuple[str, ...]:
    """One command that succeeds when all of these hold."""
    return ("sh", "-c", " && ".join(claim.test for claim in claims) or "true")


def missing(claims: tuple[Claim, ...]) -> tuple[str, ...]:
    return tuple(claim.otherwise for claim in claims if not claim.holds)


# ---------------------------------------------------------------- the claims


def bridge_exists(scene: Scene) -> Claim:
    name = scene.wanted.name
    return Claim(
        f"there is no {name}" if scene.bridge is None else f"{name} is down",
        scene.bridge is not None and scene.bridge.up,
        f"ip link show dev {name} up | grep -q .",
    )


def no_bridge(scene: Scene) -> Claim:
    name = scene.wanted.name
    return Claim(f"there is {name}", scene.bridge is None, f"test ! -e /sys/class/net/{name}")


def forwards(scene: Scene, nic: Link) -> Claim:
    """STP aside, a port forwards as soon as it has a carrier and the bridge is up."""
    name, inside = scene.wanted.name, nic.master == scene.wanted.name
    sysfs = "/sys/class/net"
    return Claim(
        f"{nic.name} does not forward ({nic.port_state})" if inside else f"{nic.name} is not a port of {name}",
        inside and nic.port_state == "forwarding",
        f"test -e {sysfs}/{name}/brif/{nic.name} && grep -qx {FORWARDING} {sysfs}/{nic.name}/brport/state",
    )


def is_out(scene: Scene, nic: Link) -> Claim:
    name = scene.wanted.name
    return Claim(
        f"{nic.name} is a port of {name} too",
        nic.master != name,
        f"test ! -e /sys/class/net/{name}/brif/{nic.name}",
    )


def has_address(scene: Scene, device: str, address: str) -> Claim:
    link = scene.links.get(device)
    return Claim(
        f"{device} does not have {address}",
        link is not None and address in [str(each.interface) for each in link.addresses],
        f"ip -o addr show dev {device} | grep -qF {shlex.quote(f' {address} ')}",
    )


def has_lease(scene: Scene, device: str) -> Claim:
    link = scene.links.get(device)
    return Claim(
        f"{device} has no address by DHCP",
        link is not None and any(each.dynamic and each.interface.version == 4 for each in link.addresses),
        f"ip -4 -o addr show dev {device} dynamic | grep -q .",
    )


def has_no_address(scene: Scene, device: str) -> Claim:
    """An address on a port would answer beside the bridge's (DOMAIN S1)."""
    link = scene.links.get(device)
    mine = [str(each.interface) for each in link.addresses] if link else []
    return Claim(
        f"{device} has {', '.join(mine)} itself",
        not mine,
        f'test -z "$(ip -o addr show dev {device} scope global)"',
    )


def leads_out(scene: Scene, device: str, gateway: str) -> Claim:
    family = "-6" if ":" in gateway else "-4"
    return Claim(
        f"the default route is not by {gateway} on {device}",
        any((route.to, route.gateway, route.device) == ("default", gateway, device) for route in scene.routes),
        f"ip {family} route show default dev {device} | grep -qF {shlex.quote(f'via {gateway} ')}",
    )
