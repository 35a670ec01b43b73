"""What the owner should weigh before `bridge.port` changes the network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from wizard.model import Context, Fact, Known, Output
from wizard.stages.bridge_files import mac
from wizard.stages.bridge_scene import Scene

PLACES = (
    "/etc/wireguard",
    "/etc/ufw",
    "/etc/nftables.conf",
    "/etc/nftables.d",
    "/etc/iptables",
    "/etc/dnsmasq.conf",
    "/etc/dnsmasq.d",
    "/etc/exports",
    "/etc/sysctl.d",
)
"""Where rules are usually bound to an interface's name (DOMAIN S9)."""


@cache
def mentions(nic: str) -> Fact[tuple[str, ...]]:
    """The files whose rules name this NIC; only their names, they may hold keys."""
    command = f"grep -lsrwF -e {nic} {' '.join(PLACES)} || true"
    return Fact(f"mentions-{nic}", command, lambda output: _lines(output))


def _lines(output: Output) -> tuple[str, ...]:
    return tuple(sorted(output.text.splitlines()))


def notes(ctx: Context, scene: Scene) -> tuple[str, ...]:
    return (
        *_new_address(scene),
        *_lease(scene),
        *_rules(ctx, scene),
        *_same_subnet(scene),
        *_two_ways_out(scene),
        *_other_lan(scene),
        *_kept_mac(scene),
        *_macvtaps(scene),
    )


def _new_address(scene: Scene) -> Iterator[str]:
    new = [str(each.ip) for each in scene.wanted.addresses]
    if scene.carries_ssh and scene.ssh and new and scene.ssh.address not in new:
        yield f"From then on SSH answers at {new[0]}, no longer at {scene.ssh.address}: `hypervisor.ssh` must say so."


def _lease(scene: Scene) -> Iterator[str]:
    """A new MAC and a new IAID are a new machine to the DHCP server (DOMAIN S1)."""
    port = scene.port
    if not (scene.wanted.dhcp and port and any(each.dynamic for each in port.addresses)):
        return
    if not scene.wanted.keep_mac or mac(scene) != port.mac:
        cure = "" if scene.wanted.keep_mac else " `keep_mac: true` keeps it."
        yield f"The router will probably give the host another address than {port.addresses[0].ip}.{cure}"


def _rules(ctx: Context, scene: Scene) -> Iterator[str]:
    named = ctx.look(mentions(scene.wanted.port))
    if scene.port and scene.port.addresses and isinstance(named, Known) and named.value:
        name, port = scene.wanted.name, scene.wanted.port
        yield f"Rules in {', '.join(named.value)} name {port}; what they are about arrives on {name} from then on."


def _same_subnet(scene: Scene) -> Iterator[str]:
    """Two interfaces in one subnet answer for each other, and answers leave by the wrong one (DOMAIN S1)."""
    touched = {link.name for link in scene.touched}
    now = [each.interface for each in scene.port.addresses] if scene.port and scene.wanted.dhcp else []
    networks = [each.network for each in (*scene.wanted.addresses, *now)]
    for link in scene.links:
        for mine in link.addresses:
            if link.name not in touched and any(mine.interface.ip in network for network in networks):
                yield (
                    f"{link.name} has {mine.interface}, in the same subnet as {scene.wanted.name}: answers may leave "
                    f"by the wrong one. Give {link.name} another subnet, or make it the bridge's port."
                )


def _two_ways_out(scene: Scene) -> Iterator[str]:
    """A host has one default gateway (DOMAIN 2.1)."""
    touched = {link.name for link in scene.touched}
    for route in scene.routes:
        other = route.to == "default" and route.device not in touched
        if scene.wanted.gateway and other and (":" in route.gateway) == (scene.wanted.gateway.version == 6):
            yield f"There is a default route by {route.gateway} on {route.device} as well; one of the two should go."


def _other_lan(scene: Scene) -> Iterator[str]:
    former = [link.name for link in scene.former if link.master]
    if former and scene.passengers:
        guests = ", ".join(sorted({domain.name for domain in scene.domains if _rides(scene, domain.live_interfaces)}))
        who = guests or ", ".join(link.name for link in scene.passengers)
        yield f"{who} will be on the LAN behind {scene.wanted.port}, no longer behind {', '.join(former)}."


def _rides(scene: Scene, interfaces: tuple[object, ...]) -> bool:
    taps = {link.name for link in scene.passengers}
    return any(getattr(interface, "tap", "") in taps for interface in interfaces)


def _kept_mac(scene: Scene) -> Iterator[str]:
    bridge, port = scene.bridge, scene.port
    if scene.wanted.keep_mac and bridge and port and bridge.mac != port.mac:
        yield f"{bridge.name} keeps its MAC {bridge.mac}: another one would need a new bridge, and drop the guests."


def _macvtaps(scene: Scene) -> Iterator[str]:
    """A NIC is a port or carries macvtaps, never both (DOMAIN S0)."""
    port = scene.port
    guests = [domain.name for domain in scene.domains if port and domain.uses_nic(port.name)]
    if guests:
        yield f"{', '.join(guests)} can no longer start with a macvtap on {scene.wanted.port}; `nic: bridge` moves it."
