"""Who answers at a guest's address: the guest itself, and nobody that could be taken for another node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from wizard.cluster import Guest
from wizard.facts.identity import IDENTITY, Identity
from wizard.facts.libvirt import DOMAINS, Domain
from wizard.model import Context, Finding, Known
from wizard.stages.guests_defaults import known_addresses

NEW_MACHINE_ID = (
    "sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup && sudo systemctl reboot"
)


def is_guest(who: Identity, domain: Domain) -> bool:
    """libvirt gives a guest its domain's uuid and MACs."""
    macs = {each.mac for each in domain.live_interfaces}
    return who.product_uuid == domain.uuid.lower() or not macs.isdisjoint(who.macs)


def impostor(ctx: Context, guest: Guest, who: Identity) -> Finding:
    """Somebody else answers there."""
    at = ctx.cluster.destination(guest.name)
    other = next((each.name for each in ctx.see(DOMAINS) if is_guest(who, each)), who.hostname)
    known = [ctx.cluster.at(str(address)) for address in known_addresses(ctx, guest.name)]
    cure = f"correct `ssh` of {guest.name} in cluster.yaml" + (f": libvirt knows {', '.join(known)}" if known else "")
    return Finding("another-machine", f"{at} leads to {other}, not to {guest.name}", cure, guest.name)


# ---------------------------------------------------------------- told apart


def doubles(ctx: Context, guest: Guest) -> Iterator[Finding]:
    """What this guest shares with another one of cluster.yaml that answers too."""
    mine = ctx.see(IDENTITY, guest.name)
    for place, other in enumerate(ctx.cluster.guests):
        seen = ctx.look(IDENTITY, other.name)
        if other.name != guest.name and isinstance(seen, Known):
            first = place < ctx.cluster.guests.index(guest)
            pair = (other, guest) if first else (guest, other)
            yield from _shared(ctx, pair, mine, seen.value)


def _shared(ctx: Context, pair: tuple[Guest, Guest], mine: Identity, theirs: Identity) -> Iterator[Finding]:
    """The later of the two in cluster.yaml is the one to be changed."""
    both, change = f"{pair[0].name} and {pair[1].name}", pair[1]
    on_it = f"ssh -t {ctx.cluster.destination(change.name) or change.name}"
    if mine.machine_id and mine.machine_id == theirs.machine_id:
        why = f"{both} have one machine-id ({mine.machine_id}): Kubernetes, and DHCP, take them for the same machine"
        yield Finding("same-machine-id", why, f"give {change.name} its own: {on_it} '{NEW_MACHINE_ID}'", change.name)
    if mine.product_uuid and mine.product_uuid == theirs.product_uuid:
        yield _same_uuid(both, mine.product_uuid, pair)
    if mine.hostname == theirs.hostname:
        why = f"{both} both call themselves {mine.hostname}: every node needs a name of its own"
        cure = f"{on_it} 'sudo hostnamectl set-hostname {change.name}'"
        yield Finding("same-hostname", why, cure, change.name)
    if macs := sorted({*mine.macs} & {*theirs.macs}):
        why = f"{both} have the same MAC inside: {', '.join(macs)}"
        own = "that is printed on its card" if change.physical else f"that virsh domiflist {change.name} shows"
        yield Finding("same-mac", why, f"let {change.name} keep the MAC {own}", change.name)


def _same_uuid(both: str, uuid: str, pair: tuple[Guest, Guest]) -> Finding:
    """A guest's is changed with ease, a machine's is its maker's."""
    change = next((each for each in reversed(pair) if not each.physical), pair[1])
    cure = f"take the <entry name='uuid'> out of <sysinfo> (virsh edit {change.name}), shut it down and start it"
    if change.physical:
        cure = f"give {change.name} its own, with the tool that its maker has for its firmware (DMI system UUID)"
    return Finding("same-product-uuid", f"{both} have one product_uuid ({uuid})", cure, change.name)


def shared_macs(ctx: Context, domain: Domain) -> Iterator[Finding]:
    """Over all domains, those that are off too: sooner or later they run side by side (DOMAIN 2.1)."""
    for mac in sorted(_macs(domain)):
        for other in ctx.see(DOMAINS):
            if other.name != domain.name and mac in _macs(other):
                cure = f"give one of them another MAC: virsh edit {other.name}, then shut it down and start it"
                yield Finding("same-mac", f"{domain.name} and {other.name} both have the MAC {mac}", cure, other.name)
    for mac, times in Counter(each.mac for each in domain.interfaces).items():
        if times > 1:
            why, cure = f"{domain.name} has {times} NICs with the MAC {mac}", f"change one: virsh edit {domain.name}"
            yield Finding("same-mac", why, cure, domain.name)


def _macs(domain: Domain) -> set[str]:
    return {each.mac for each in (*domain.interfaces, *domain.live_interfaces) if each.mac}
