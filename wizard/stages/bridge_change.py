"""What `bridge.port` does on the host, in which order, how it goes back by itself, and what it may interrupt."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import islice

from wizard.actions import Action, OnUndo, Run, Wait
from wizard.cluster.addresses import Address, Interface
from wizard.facts.network import Link
from wizard.model import HYPERVISOR, Guard, Part, Probe, Risk
from wizard.stages.bridge_claims import as_now, as_wanted, is_out, probe
from wizard.stages.bridge_files import file_actions, unmet
from wizard.stages.bridge_scene import Scene, joins

SETTLE = 15
"""Seconds for systemd-networkd to bring about what its files say; DHCP took 4 (DOMAIN S1)."""
COME_BACK = 5
"""Seconds after which the way back restarts systemd-networkd: 252 often needs that, 257 does not (DOMAIN S9)."""
LIMIT = 120

NETWORKD = "systemd-networkd.service"
RELOAD = ("networkctl", "reload")
RESTART = ("systemctl", "restart", NETWORKD)


def change(scene: Scene) -> Part:
    """The whole change as one script."""
    guarded = scene.carries_ssh
    return Part(
        on=HYPERVISOR,
        title=f"{scene.wanted.name} with port {scene.wanted.port}",
        actions=(*_way_back(scene), *_release(scene), *_undo_port(scene), *_files(scene), *_settle(scene)),
        risk=Risk.MAY_CUT_SSH if guarded else interruption(scene),
        guard=guard(scene) if guarded else None,
        limit=LIMIT,
    )


# Two cables into one LAN are a loop as soon as both forward (DOMAIN E6), and networkd puts a port back that was only
# taken out by hand. So there are two stages: by a file that counts before all others the former port goes, and networkd
# is told; only then the new port's files are written, and networkd is told again. The way back is the same, read from
# bottom to top: the new port's files go, networkd is told, the port leaves, and only then the former port's file goes.


def _way_back(scene: Scene) -> Iterator[Action]:
    before = as_now(scene)
    for link in scene.touched:
        yield from (OnUndo(run) for run in announce(scene, link.name, [each.interface for each in link.addresses]))
    for name, claims in before.items():
        was = Wait(probe(claims), SETTLE, f"{name} is as it was")
        yield OnUndo(Run(was.argv(), words=was.summary))
    if scene.networkd.active:
        everything = probe(claim for claims in before.values() for claim in claims)
        yield OnUndo(Run(RESTART, unless=Wait(everything, COME_BACK, "all is as it was").argv()))
        yield OnUndo(Run(RELOAD))


def _release(scene: Scene) -> Iterator[Action]:
    """The former port leaves the bridge for good. One that was put in by hand is put in by hand again."""
    if not scene.former:
        return
    yield from file_actions(scene, (each for each in unmet(scene) if each.link in scene.former))
    yield from [Run(RELOAD)] if scene.networkd.active else []
    for nic in scene.former:
        by_hand = not joins(scene.config(nic), scene.wanted.name)
        yield Run(_set(nic, "down"), undo=Run(_set(nic, "up")) if by_hand and nic.up else None)
        yield Run(_set(nic, "nomaster"), undo=Run(_set(nic, "master", nic.master)) if by_hand and nic.master else None)
    out = tuple(is_out(scene, nic) for nic in scene.former)
    yield Wait(probe(out), COME_BACK, f"{', '.join(nic.name for nic in scene.former)} is out of {scene.wanted.name}")


def _undo_port(scene: Scene) -> Iterator[Action]:
    """On the way back the port leaves the bridge, and a bridge, or an address, that was made here goes."""
    port, name = scene.port, scene.wanted.name
    if port is not None and not port.up:
        yield OnUndo(Run(_set(port, "down")))
    if scene.bridge is None:
        yield OnUndo(Run(("ip", "link", "delete", "dev", name, "type", "bridge"), unless=_no(f"{name}")))
    else:
        yield from (OnUndo(_without(name, str(each))) for each in scene.wanted.addresses if _is_new(scene, str(each)))
    if port is not None and port.master != name:
        yield OnUndo(let_go(scene, port.name))


def let_go(scene: Scene, *nics: str) -> Run:
    """Out of the bridge, and not put back by networkd, which first reads the files that say so."""
    told = [shlex.join(RELOAD)] if scene.networkd.active else []
    return Run(("sh", "-c", " && ".join([*told, *(f"ip link set dev {nic} nomaster" for nic in nics)])))


def _files(scene: Scene) -> tuple[Action, ...]:
    return file_actions(scene, (each for each in unmet(scene) if each.link not in scene.former))


def _is_new(scene: Scene, address: str) -> bool:
    return scene.bridge is None or address not in [str(each.interface) for each in scene.bridge.addresses]


def _without(device: str, address: str) -> Run:
    """networkd 252 can leave it there: `br0: Could not set route: Nexthop has invalid gateway`, and it gives up."""
    absent = ("sh", "-c", f'test -z "$(ip -o addr show dev {device} to {address.partition("/")[0]})"')
    return Run(("ip", "addr", "del", address, "dev", device), unless=absent)


def _no(path: str) -> tuple[str, ...]:
    return ("test", "!", "-e", f"/sys/class/net/{path}")


def _settle(scene: Scene) -> Iterator[Action]:
    """networkd takes the files, and is restarted if it does not come to the wanted end with a reload alone."""
    words = f"{scene.wanted.name} forwards through {scene.wanted.port}" + (
        " and has its address" if scene.addressed else ""
    )
    settled = Wait(probe(as_wanted(scene)), SETTLE, words)
    if scene.networkd.active:
        yield Run(RELOAD)
        yield Run(RESTART, words=f"restart systemd-networkd unless {words}", unless=settled.argv())
    if not scene.networkd.active or scene.networkd.unit != "enabled":
        yield Run(("systemctl", "enable", "--now", NETWORKD), undo=_leave_networkd(scene))
    yield settled
    yield from announce(scene, scene.wanted.name, scene.wanted.addresses)


def announce(scene: Scene, device: str, addresses: Iterable[Interface]) -> Iterator[Run]:
    """Neighbours still send to the MAC that the address had. A question of ours to all of them puts that right: each
    notes who asks (RFC 826). A datagram to a neighbour whose MAC is forgotten raises the question, without arping."""
    for address in addresses:
        other = _neighbour(scene, address)
        if address.version == 4 and other:
            ask = f"ip neigh flush to {other} dev {device}; echo >/dev/udp/{other}/9; true"
            yield Run(("bash", "-c", ask), words=f"tell the LAN where {address.ip} is now")


def _neighbour(scene: Scene, address: Interface) -> Address | None:
    """An address on the same LAN, better of a machine that is there: the router, or where the wizard runs."""
    known: list[Address] = [ip_address(route.gateway) for route in scene.routes if route.gateway]
    known += [scene.wanted.gateway] if scene.wanted.gateway else []
    known += [ip_address(scene.ssh.client)] if scene.ssh else []
    known = [each for each in known if each in address.network]
    known += islice(address.network.hosts(), 2)
    return next((each for each in known if each != address.ip), None)


def _leave_networkd(scene: Scene) -> Run:
    """As it was: it never ran, or ran without being enabled."""
    now = () if scene.networkd.active else ("--now",)
    return Run(("systemctl", "disable", *now, NETWORKD, "systemd-networkd.socket"))


def _set(link: Link, *what: str) -> tuple[str, ...]:
    return ("ip", "link", "set", "dev", link.name, *what)


# ---------------------------------------------------------------- what it may interrupt


def interruption(scene: Scene) -> Risk:
    """Where SSH is not touched: guests in the bridge, addresses on its ports, and leases that a restart renews."""
    in_use = any(link.addresses for link in scene.touched) or scene.passengers
    leases = any(each.dynamic for link in scene.links for each in link.addresses)
    return Risk.BRIEF_INTERRUPTION if in_use or leases else Risk.NONE


def guard(scene: Scene) -> Guard:
    """Where the host must answer afterwards, and what must still be so over that new connection."""
    new = [str(address.ip) for address in scene.wanted.addresses]
    now = [scene.ssh.address] if scene.ssh else []
    same = [address for address in now if address in new]
    return Guard(tuple(dict.fromkeys([*same, *new, *now])), tuple(_probes(scene)))


def _probes(scene: Scene) -> Iterator[Probe]:
    """Asked without naming a device: each of them is to hold before and after."""
    gateway = scene.wanted.gateway
    if gateway is not None:
        seen = f"ping -c 1 -W 2 {gateway} || ip neigh show {gateway} | grep lladdr"
        yield Probe(f"the gateway {gateway} answers", ("sh", "-c", seen))
    if gateway is not None or scene.wanted.dhcp:
        yield Probe("there is a default route", ("sh", "-c", "(ip route; ip -6 route) | grep -q '^default via'"))
    for server in scene.wanted.nameservers:
        asked = f"timeout 3 bash -c '</dev/tcp/{server}/53'"
        yield Probe(f"the name server {server} answers on port 53", ("sh", "-c", asked))
