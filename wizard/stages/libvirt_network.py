"""A libvirt network as wanted: defined, active, started at boot. `bridge.network` and `isolated.network` are two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree

from wizard.actions import Action, OnUndo, Run, WriteFile, unified
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Domains, Network, network_bridge
from wizard.facts.ours import OURS
from wizard.model import (
    HYPERVISOR,
    AnyFact,
    Blocked,
    Context,
    Do,
    Fact,
    Finding,
    Known,
    Nothing,
    Output,
    Part,
    Plan,
    Refused,
)
from wizard.template import render

DIRECTORY = "/var/lib/homek8s-wizard/networks"


@cache
def xml_file(path: str) -> Fact[str | None]:
    """What is in a file of ours under `DIRECTORY`, None where there is none."""
    return Fact(f"file {path}", f"cat {path} 2>/dev/null", lambda output: _content(output))


def _content(output: Output) -> str | None:
    return output.out.decode("utf-8", "surrogateescape") if output.rc == 0 else None


@dataclass(frozen=True)
class WantedNetwork:
    """What a network is to be: its name, and the template of its XML with the values in it."""

    name: str
    template: str
    bridge: str

    def xml(self, uuid: str = "") -> str:
        """With the uuid of the one that is there: without it libvirt sees a second network of that name (DOMAIN S2)."""
        return render(self.template, name=self.name, bridge=self.bridge, uuid=uuid)

    @property
    def uuid(self) -> str:
        """Of a network that is not there yet: always the same, so that defining it twice defines one network."""
        return str(uuid5(NAMESPACE_URL, f"homek8s-wizard/network/{self.name}"))

    @property
    def path(self) -> str:
        return f"{DIRECTORY}/{self.name}.xml"

    @property
    def before(self) -> str:
        """Where the definition that was there is kept."""
        return f"{DIRECTORY}/{self.name}.before.xml"

    @property
    def facts(self) -> tuple[AnyFact[Any], ...]:
        return (NETWORKS, DOMAINS, xml_file(self.path), xml_file(self.before))


def traits(xml: str) -> Mapping[str, object]:
    """What makes a network what it is; libvirt adds a uuid, a MAC and defaults of its own."""
    root = ElementTree.fromstring(xml)
    forward, bridge = root.find("forward"), root.find("bridge")
    mode = forward.get("mode", "nat") if forward is not None else "none"
    found: dict[str, object] = {"forward": mode, "bridge": bridge.get("name") if bridge is not None else None}
    if mode != "bridge" and bridge is not None:
        found |= {"stp": bridge.get("stp", "on"), "delay": bridge.get("delay", "0")}
        found |= {"ipv6": root.get("ipv6", "no"), "addresses": tuple(ip.get("address") for ip in root.findall("ip"))}
    return found


def plan_network(ctx: Context, wanted: WantedNetwork) -> Plan:
    """Never stopped under running guests: what they cannot follow waits until they are off (DOMAIN S12)."""
    networks = ctx.see(NETWORKS)
    if not networks.daemon:
        return Blocked("preflight.packages", "libvirt does not answer on this host")
    there, goal = networks.get(wanted.name), traits(wanted.xml())
    running = [domain for domain in ctx.see(DOMAINS) if _runs_on(domain, wanted.name)]
    if findings := tuple(_conflicts(networks.all, there, wanted, running)):
        return Refused(findings)
    defined = there is not None and there.persistent and traits(there.xml) == goal
    outdated = there is not None and there.active and traits(there.live_xml) != goal
    actions = tuple(_actions(ctx, wanted, there, defined, restart=outdated and not running))
    if not actions:
        return Nothing(_as_it_is(wanted, outdated, running))
    part = Part(HYPERVISOR, f"libvirt network {wanted.name}", actions, limit=60)
    return Do(_why(wanted, there, defined), (part,), tuple(_notes(wanted, there, defined, outdated, running)))


def undo_network(ctx: Context, wanted: WantedNetwork, inverses: tuple[Action, ...]) -> Plan:
    """Refused while a guest uses the network, now or at its next start, and where somebody redefined it since."""
    if findings := (*_in_use(ctx.see(DOMAINS), wanted.name), *_redefined(ctx, wanted)):
        return Refused(findings)
    part = Part(HYPERVISOR, f"take back libvirt network {wanted.name}", inverses, limit=60)
    return Do(f"{wanted.name} goes, or becomes again what it was", (part,))


# ---------------------------------------------------------------- what is done


def _actions(
    ctx: Context, wanted: WantedNetwork, there: Network | None, defined: bool, restart: bool
) -> Iterator[Action]:
    name = wanted.name
    if restart:  # The way back runs last first: only after the old definition is back it is started again.
        yield OnUndo(_start(name))
    if defined:
        yield from _as_written(ctx, wanted)
    else:
        yield from _define(ctx, wanted, there)
    if restart:
        yield Run(("virsh", "net-destroy", name), unless=_inactive(name))
    if restart or there is None or not there.active:
        stop = Run(("virsh", "net-destroy", name), unless=_inactive(name))
        yield Run(_start(name).argv, unless=_active(name), undo=stop)
    if there is None or not there.autostart:
        yield Run(("virsh", "net-autostart", name), undo=_disable(name))


def _define(ctx: Context, wanted: WantedNetwork, there: Network | None) -> Iterator[Action]:
    back = Run(("virsh", "net-undefine", wanted.name), unless=_gone(wanted.name))
    if there is not None and there.persistent:
        if there.xml != ctx.see(xml_file(wanted.before)):
            yield WriteFile(wanted.before, there.xml, ctx.see(xml_file(wanted.before)))
        back = Run(("virsh", "net-define", wanted.before))
    xml, was = wanted.xml(there.uuid if there else wanted.uuid), ctx.see(xml_file(wanted.path))
    if xml != was:
        yield WriteFile(wanted.path, xml, was)
    yield Run(("virsh", "net-define", "--validate", wanted.path), undo=back)


def _as_written(ctx: Context, wanted: WantedNetwork) -> Iterator[Action]:
    """What undo compares with and goes back to, written again where somebody touched it."""
    ours = ctx.look(OURS)
    for path in (wanted.before, wanted.path):
        if isinstance(ours, Known) and (content := ours.value.as_written(path)) is not None:
            yield WriteFile(path, content, ctx.see(xml_file(path)))


def _disable(name: str) -> Run:
    return Run(("virsh", "net-autostart", "--disable", name), unless=_gone(name))


def _start(name: str) -> Run:
    return Run(("virsh", "net-start", name), unless=_active(name))


def _active(name: str) -> tuple[str, ...]:
    return ("sh", "-c", f"virsh net-list --name | grep -qxF {name}")


def _inactive(name: str) -> tuple[str, ...]:
    return ("sh", "-c", f'names=$(virsh net-list --name) && ! echo "$names" | grep -qxF {name}')


def _gone(name: str) -> tuple[str, ...]:
    return ("sh", "-c", f'names=$(virsh net-list --all --name) && ! echo "$names" | grep -qxF {name}')


# ---------------------------------------------------------------- what stands in the way


def _runs_on(domain: Domain, network: str) -> bool:
    return any((each.kind, each.source) == ("network", network) for each in domain.live_interfaces)


def _conflicts(
    networks: tuple[Network, ...], there: Network | None, wanted: WantedNetwork, running: list[Domain]
) -> Iterator[Finding]:
    if there is not None and running and network_bridge(there.live_xml or there.xml) != wanted.bridge:
        names = ", ".join(domain.name for domain in running)
        why = f"{wanted.name} is on {there.live_bridge or there.bridge} now, and {names} run on it: they would lose it"
        yield Finding("in-use", why, f"shut down {names} first, or choose another name for the network", wanted.name)
    for network in networks:
        own = traits(network.xml or network.live_xml)["forward"] != "bridge"
        if own and network.name != wanted.name and network.bridge == wanted.bridge:
            why = f"{wanted.bridge} belongs to libvirt's network {network.name}"
            yield Finding("name-taken", why, f"choose another name, or remove {network.name}", wanted.name)


def _in_use(domains: Domains, network: str) -> Iterator[Finding]:
    for domain in domains:
        if domain.uses_network(network):
            state = "runs on" if _runs_on(domain, network) else "will use"
            cure = f"detach that NIC first: virsh detach-interface {domain.name} network --mac MAC --config"
            yield Finding("in-use", f"the guest {domain.name} {state} {network}", cure, domain.name)


def _redefined(ctx: Context, wanted: WantedNetwork) -> Iterator[Finding]:
    """An undo that was interrupted may have brought the old definition back already."""
    there = ctx.see(NETWORKS).get(wanted.name)
    ours, before = ctx.see(xml_file(wanted.path)), ctx.see(xml_file(wanted.before))
    if there is None or not there.persistent or ours is None:
        return
    if traits(there.xml) not in [traits(xml) for xml in (ours, before) if xml is not None]:
        why = f"{wanted.name} was defined otherwise since:\n{unified(wanted.name, ours, there.xml)}"
        cure = "put it back (`homek8s-wizard apply` does), or keep your change and leave this step as it is"
        yield Finding("drift", why, cure, wanted.name)


# ---------------------------------------------------------------- what is said


def _why(wanted: WantedNetwork, there: Network | None, defined: bool) -> str:
    if there is None:
        return f"libvirt has no network {wanted.name}"
    if not defined:
        return (
            f"{wanted.name} is defined otherwise" if there.persistent else f"{wanted.name} would be gone at next boot"
        )
    if not there.active:
        return f"{wanted.name} is not active"
    if not there.autostart:
        return f"{wanted.name} does not start at boot"
    old = there.active and traits(there.live_xml) != traits(wanted.xml())
    return f"{wanted.name} runs by an older definition" if old else f"the notes for undoing {wanted.name} were changed"


def _pending(wanted: WantedNetwork, running: list[Domain]) -> str:
    names = ", ".join(domain.name for domain in running)
    return (
        f"{wanted.name} stays as it is while these guests run: {names}. Stopping it would cut them off. "
        f"The new definition takes effect once they are off and this step is run again, or at the next boot."
    )


def _as_it_is(wanted: WantedNetwork, outdated: bool, running: list[Domain]) -> str:
    on = f" over {wanted.bridge}" if wanted.bridge != wanted.name else ""
    text = f"{wanted.name}{on} is defined, active, and starts at boot"
    return f"{text}. {_pending(wanted, running)}" if outdated else text


def _notes(
    wanted: WantedNetwork, there: Network | None, defined: bool, outdated: bool, running: list[Domain]
) -> Iterator[str]:
    if there is not None and there.persistent and not defined:
        yield f"libvirt's definition changes:\n{unified(wanted.name, there.xml, wanted.xml(there.uuid))}"
    if running and (outdated or (there is not None and not defined)):
        yield _pending(wanted, running)
