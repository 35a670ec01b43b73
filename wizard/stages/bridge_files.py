"""The files of systemd-networkd that make the bridge last, and the foreign files that would win over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_interface

from wizard.actions import RemoveFile, WriteFile
from wizard.cluster.sections import Bridge
from wizard.facts.network import Link
from wizard.facts.networkd_files import OURS, Config, NetworkFile
from wizard.stages.bridge_scene import Scene, joins
from wizard.template import render


@dataclass(frozen=True)
class Wanted:
    """One file of ours: what it is for, and when a foreign file will do in its place."""

    path: str
    content: str
    link: Link | None
    """The link it is about; None for the .netdev, which makes its own."""
    will_do: Callable[[Config], bool]
    otherwise: str
    """What is the case without it: "br0 is not configured as wanted"."""


def wanted_files(scene: Scene) -> tuple[Wanted, ...]:
    bridge, port = scene.wanted, scene.port
    assert port is not None
    return (
        Wanted(
            f"{OURS}{bridge.name}.netdev",
            render("bridge/device.netdev.j2", bridge=bridge.name, mac=mac(scene)),
            None,
            lambda config: config.value("NetDev", "Kind") == "bridge",
            f"no file creates {bridge.name} at boot",
        ),
        Wanted(
            f"{OURS}{bridge.name}-port.network",
            render("bridge/port.network.j2", bridge=bridge.name, port=port.name),
            port,
            lambda config: joins(config, bridge.name),
            f"no file makes {port.name} a port of {bridge.name} at boot",
        ),
        Wanted(
            f"{OURS}{bridge.name}.network",
            bridge_network(scene),
            scene.bridge or Link(bridge.name, mac(scene), kind="bridge"),
            lambda config: serves(config, bridge),
            f"{bridge.name} is configured otherwise",
        ),
        *(released(bridge.name, link) for link in scene.former),
    )


def released_path(nic: str) -> str:
    """Sorts before the file that made the NIC a port, so that it can be written, and count, before that one changes."""
    return f"{OURS}0-{nic}-released.network"


def released(bridge: str, nic: Link) -> Wanted:
    """The former port is kept down: only deleting its file would leave it in the bridge (DOMAIN E6, S9)."""
    return Wanted(
        released_path(nic.name),
        render("bridge/released.network.j2", bridge=bridge, nic=nic.name),
        nic,
        lambda config: False,
        f"{nic.name} is a port of {bridge} too, or told to be one",
    )


def bridge_network(scene: Scene) -> str:
    wanted = scene.wanted
    return render(
        "bridge/bridge.network.j2",
        bridge=wanted.name,
        addresses=wanted.addresses,
        dhcp=wanted.dhcp,
        gateway=wanted.gateway,
        nameservers=wanted.nameservers,
        identity=identity(scene),
    )


def mac(scene: Scene) -> str:
    """The bridge's MAC. One that exists keeps its own: changing it would drop the guests' taps (DOMAIN S9)."""
    if scene.bridge is not None:
        own = scene.files.config(f"{OURS}{scene.wanted.name}.netdev")
        return own.value("NetDev", "MACAddress") if own else scene.bridge.mac
    return scene.port.mac if scene.port is not None and scene.wanted.keep_mac else ""


def identity(scene: Scene) -> str:
    """The line by which the DHCP server knows the host again, if it is to keep its lease (DOMAIN S1)."""
    if not (scene.wanted.dhcp and scene.wanted.keep_mac and scene.port):
        return ""
    own = scene.files.config(f"{OURS}{scene.wanted.name}.network")
    if own is not None and own.value("DHCPv4", "IAID"):
        return f"IAID={own.value('DHCPv4', 'IAID')}"
    for device in (scene.wanted.name, scene.port.name):
        if device in scene.networkd.iaids:
            return f"IAID={scene.networkd.iaids[device]}"
    before = scene.config(scene.port) if scene.port.master != scene.wanted.name else own
    by_mac = before is not None and before.value("DHCPv4", "ClientIdentifier") == "mac"
    return "ClientIdentifier=mac" if by_mac else ""


def serves(config: Config, wanted: Bridge) -> bool:
    """Does a foreign .network file give the bridge what cluster.yaml wants?"""
    try:
        addresses = {ip_interface(v) for s in ("Network", "Address") for v in config.values(s, "Address")}
    except ValueError:
        return False
    gateways = {*config.values("Network", "Gateway"), *config.values("Route", "Gateway")}
    return (
        {each for each in addresses if each.version == 4} == {each for each in wanted.addresses if each.version == 4}
        and set(wanted.addresses) <= addresses
        and (config.value("Network", "DHCP").lower() in ("yes", "true", "on", "1", "ipv4")) == wanted.dhcp
        and (wanted.gateway is None or str(wanted.gateway) in gateways)
        and {str(each) for each in wanted.nameservers} <= set(config.words("Network", "DNS"))
    )


# ---------------------------------------------------------------- what is to be done about them


def unmet(scene: Scene) -> tuple[Wanted, ...]:
    """The files of ours that are needed and not there as they should be."""
    return tuple(wanted for wanted in wanted_files(scene) if not _met(scene, wanted))


def _met(scene: Scene, wanted: Wanted) -> bool:
    first = _taken(scene, wanted)
    if first is None:
        return False
    return first.file.content == wanted.content if first.file.path == wanted.path else wanted.will_do(first)


def _taken(scene: Scene, wanted: Wanted) -> Config | None:
    """The file that networkd takes for this purpose now."""
    return scene.config(wanted.link) if wanted.link else scene.files.netdev(scene.wanted.name)


def adopted(scene: Scene) -> tuple[str, ...]:
    """The foreign files that do in place of ours."""
    taken = (_taken(scene, wanted) for wanted in wanted_files(scene))
    return tuple(config.file.path for config in taken if config is not None and not config.file.ours)


def in_the_way(scene: Scene) -> tuple[NetworkFile, ...]:
    """Files that would win over those that we write, and a file of ours from when the port was released."""
    return tuple(dict.fromkeys(file for wanted in unmet(scene) for file in _before(scene, wanted)))


def _before(scene: Scene, wanted: Wanted) -> Iterator[NetworkFile]:
    rewritten = {each.path for each in wanted_files(scene)}
    if wanted.link is not None:
        for config in scene.files.matching(wanted.link, scene.networkd.file(wanted.link.name)):
            if config.file.name < wanted.path.rpartition("/")[2] and config.file.path not in rewritten:
                yield config.file


MASK = "# Empty on purpose, by homek8s-wizard (bridge.port): hides the file of this name from systemd-networkd.\n"


def aside(scene: Scene, file: NetworkFile) -> RemoveFile | WriteFile:
    """A file in /etc or /run is moved away; one that a package brings is hidden by one of its name in /etc."""
    same_name = [each for each in scene.files.files if each.name == file.name]
    if file.movable and len(same_name) == 1:
        return RemoveFile(file.path, file.content)
    path = f"/etc/systemd/network/{file.name}"
    return WriteFile(path, MASK, scene.files.content(path))


def file_actions(scene: Scene, purposes: Iterable[Wanted]) -> tuple[RemoveFile | WriteFile, ...]:
    """First what is in the way goes, then ours are written; networkd reads nothing before it is told to."""
    purposes = tuple(purposes)
    aside_first = dict.fromkeys(file for wanted in purposes for file in _before(scene, wanted))
    return (
        *(aside(scene, file) for file in aside_first),
        *(WriteFile(each.path, each.content, was) for each in purposes if (was := _was(scene, each)) != each.content),
    )


def _was(scene: Scene, wanted: Wanted) -> str | None:
    return scene.files.content(wanted.path)
