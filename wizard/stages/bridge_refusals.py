"""When `bridge.port` does not go on: what the host is contradicts cluster.yaml, or it would do harm (DOMAIN 2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.facts.network import Link
from wizard.model import Finding
from wizard.stages.bridge_files import in_the_way, unmet
from wizard.stages.bridge_scene import Scene, uplink

PORT, NAME, ADDRESSES = "bridge.port", "bridge.name", "bridge.addresses"


def contradictions(scene: Scene) -> tuple[Finding, ...]:
    """What cannot be, whatever is configured: the port is not fit to be one, or the bridge's name is taken."""
    return (*_unfit_port(scene), *_taken_name(scene))


def obstacles(scene: Scene) -> tuple[Finding, ...]:
    """What stands in the way of changing anything."""
    return (*_other_managers(scene), *_lost_address(scene), *_symlinks(scene), *_dormant_files(scene))


def _unfit_port(scene: Scene) -> Iterator[Finding]:
    port, name = scene.port, scene.wanted.port
    if port is None:
        there = "; ".join(f"{nic.name} ({nic.describe})" for nic in scene.links.nics) or "none"
        yield Finding("no-such-nic", f"there is no {name}", f"network cards here: {there}", PORT)
        return
    if not uplink(port):
        yield Finding(
            "not-a-nic", f"{name} is a {port.kind or 'loopback'} device, no network card", _choose(scene), PORT
        )
    if port.wireless:
        why = f"{name} is wireless: access points drop the frames of guests behind it"
        yield Finding("wireless", why, _choose(scene), PORT)
    if port.master not in ("", scene.wanted.name):
        why = f"{name} is a port of {port.master} already"
        yield Finding("taken", why, f"set `bridge.name: {port.master}`, or take {name} out of it first", PORT)
    for link in scene.links.on_top_of(name):
        yield _stacked(scene, link)


def _choose(scene: Scene) -> str:
    fit = [nic.name for nic in scene.links.nics if not nic.wireless]
    return f"choose one of: {', '.join(fit)}" if fit else "put in a wired network card"


def _stacked(scene: Scene, link: Link) -> Finding:
    """The kernel refuses such a port: `RTNETLINK answers: Device or resource busy` (DOMAIN S0)."""
    guests = [domain.name for domain in scene.domains if domain.uses_nic(scene.wanted.port)]
    if link.kind == "macvtap" and guests:
        cure = f"shut down {', '.join(guests)} and move that NIC to another network; on the bridge it comes back"
    else:
        cure = f"remove {link.name} first, or put it on {scene.wanted.name} instead"
    return Finding("stacked", f"{link.name} ({link.kind}) is on top of {scene.wanted.port}", cure, PORT)


def _taken_name(scene: Scene) -> Iterator[Finding]:
    name, bridge = scene.wanted.name, scene.bridge
    if bridge is not None and bridge.kind != "bridge":
        what = f"a {bridge.kind} device" if bridge.kind else "a network card"
        yield Finding("name-taken", f"{name} is {what}, no bridge", "choose another name for the bridge", NAME)
    for network in scene.networks:
        if network.bridge == name and "<forward mode='bridge'" not in network.xml + network.live_xml:
            why = f"{name} belongs to libvirt's network {network.name}, which makes and removes it"
            yield Finding("name-taken", why, "choose another name for the bridge", NAME)
    device = scene.files.netdev(name)
    if device is not None and device.value("NetDev", "Kind") != "bridge":
        why = f"{device.file.path} makes {name} a {device.value('NetDev', 'Kind')} device"
        yield Finding("name-taken", why, "choose another name for the bridge", NAME)


def _other_managers(scene: Scene) -> Iterator[Finding]:
    """Exactly one program may manage a link (DOMAIN S0); the bridge is made by systemd-networkd."""
    for link in scene.touched:
        if owner := scene.owners.of(link.name):
            why = (
                f"{owner.program} manages {link.name} ({owner.evidence}); the bridge is made by systemd-networkd alone"
            )
            cure = (
                f"make the bridge with {owner.program}: it is recognised then; or hand {link.name} to systemd-networkd"
            )
            yield Finding("managed", why, cure, PORT)
    if scene.networkd.unit in ("masked", "not-found", ""):
        state = "masked" if scene.networkd.unit == "masked" else "not installed"
        yield Finding("no-networkd", f"systemd-networkd is {state}", "install or unmask systemd-networkd", PORT)


def _lost_address(scene: Scene) -> Iterator[Finding]:
    """A port has no address of its own: what it carries must be given to the bridge."""
    port = scene.port
    if port is not None and port.addresses and scene.carries_ssh and not scene.addressed:
        mine = ", ".join(str(each.interface) for each in port.addresses)
        why = f"{port.name} carries SSH with {mine}, and the bridge is to have no address: nobody could log in any more"
        cure = f"set `addresses: [{port.addresses[0].interface}]`, or `dhcp: true` with `keep_mac: true`"
        yield Finding("ssh-without-address", why, cure, ADDRESSES)


def _symlinks(scene: Scene) -> Iterator[Finding]:
    for file in in_the_way(scene):
        if file.symlink and file.path.startswith(("/etc/", "/run/")):
            why = f"{file.path} is a symbolic link, and would win over the bridge's own files"
            yield Finding("symlink", why, "move it away, or give it a name that sorts after 05-homek8s", file.path)


def _dormant_files(scene: Scene) -> Iterator[Finding]:
    """Starting networkd would wake up whatever else lies in its directories."""
    if scene.networkd.active or not unmet(scene):
        return
    touched = {link.name for link in scene.touched}
    for link in scene.links:
        config = scene.config(link)
        if config and link.name not in touched and link.addresses and not config.file.ours:
            why = (
                f"systemd-networkd does not run; started, it would configure {link.name} by {config.file.path} as well"
            )
            yield Finding("dormant-file", why, "remove that file, or start systemd-networkd yourself", config.file.path)
