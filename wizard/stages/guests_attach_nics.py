"""The NICs that a guest has on the isolated network, as defined and as it runs, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wizard.cluster import Guest
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Interface
from wizard.model import Context, Finding
from wizard.stages.guest_nics import isolated_mac
from wizard.stages.guests_domain import domain_of


@dataclass(frozen=True)
class Nics:
    """One guest's NICs on `network`: by its definition, and while it runs."""

    domain: Domain
    network: str
    planned: str
    """The MAC of a NIC that is still to come."""
    defined: tuple[Interface, ...]
    live: tuple[Interface, ...]

    @property
    def mac(self) -> str:
        """A NIC that is there keeps its own."""
        return next((each.mac for each in (*self.defined, *self.live)), self.planned)

    @property
    def is_live(self) -> bool:
        return any(each.mac == self.mac for each in self.live)


def nics(ctx: Context, guest: Guest) -> Nics:
    isolated, domain = ctx.cluster.isolated, domain_of(ctx, guest)
    assert isolated is not None
    network = ctx.see(NETWORKS).get(isolated.name)
    bridge = (network.live_bridge or network.bridge) if network else isolated.name

    def on_it(found: tuple[Interface, ...]) -> tuple[Interface, ...]:
        """Through the network, or directly on its bridge, which is as good."""
        places = (("network", isolated.name), ("bridge", bridge))
        return tuple(each for each in found if (each.kind, each.source) in places)

    planned = isolated_mac(ctx.cluster, guest)
    return Nics(domain, isolated.name, planned, on_it(domain.interfaces), on_it(domain.live_interfaces))


# ---------------------------------------------------------------- what stands in the way


def duplicates(there: Nics) -> Iterator[Finding]:
    """attach-interface adds another NIC each time it is run (DOMAIN E10); which one goes is the owner's to say."""
    if len(there.defined) > 1:
        yield _duplicate(there, there.defined, "by its definition", "--config")
    elif len(there.live) > 1:
        yield _duplicate(there, there.live, "now, while it runs", "--live")


def _duplicate(there: Nics, found: tuple[Interface, ...], when: str, how: str) -> Finding:
    name, macs = there.domain.name, [each.mac for each in found]
    keep = next((mac for mac in (there.planned, there.mac) if mac in macs), macs[0])
    surplus = [each for each in found if each.mac != keep]
    cure = f"keep {keep} and take the other away: " + "; ".join(
        f"virsh detach-interface {name} {each.kind} --mac {each.mac} {how}" for each in surplus
    )
    if not surplus:
        cure = (
            f"both have the same MAC: take one <interface> out with virsh edit {name}, then shut it down and start it"
        )
    why = f"{name} has {len(found)} NICs on {there.network} {when}: {', '.join(macs)}"
    return Finding("duplicate-nic", why, cure, name)


def taken(ctx: Context, there: Nics) -> Iterator[Finding]:
    """A MAC must be the only one of its kind, over all domains (DOMAIN 2.1)."""
    for domain in ctx.see(DOMAINS):
        for each in {*domain.interfaces, *domain.live_interfaces}:
            ours = domain.name == there.domain.name and each in (*there.defined, *there.live)
            if each.mac == there.mac and not ours:
                yield _taken(there, domain.name)
                return


def _taken(there: Nics, other: str) -> Finding:
    name = there.domain.name
    who = f"another NIC of {name}" if other == name else f"the guest {other}"
    cure = f"give one of them another MAC (virsh edit {other}); for a guest made here: `create.isolated_mac`"
    return Finding("mac-taken", f"{who} has the MAC {there.mac} already, which {name} is to have", cure, name)
