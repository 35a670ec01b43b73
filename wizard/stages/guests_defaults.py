"""What a form offers for the guests: where they answer, and addresses on the isolated network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address

from wizard.cluster import Cluster, Guest
from wizard.facts.guests import ADDRESSES, GuestAddresses
from wizard.facts.libvirt import DOMAINS, Domains
from wizard.model import Context, Known, Suggestion


def defaults(ctx: Context) -> Mapping[str, tuple[Suggestion, ...]]:
    """For each guest, by its place in cluster.yaml: "guests[0].ssh". What is not known is left out."""
    found: dict[str, tuple[Suggestion, ...]] = {}
    for place, guest in enumerate(ctx.cluster.guests):
        found[f"guests[{place}].ssh"] = tuple(_destinations(ctx, guest))
        found[f"guests[{place}].isolated_address"] = tuple(_isolated(ctx, guest))
    return {key: suggestions for key, suggestions in found.items() if suggestions}


def _destinations(ctx: Context, guest: Guest) -> Iterator[Suggestion]:
    for address in known_addresses(ctx, guest.name):
        yield Suggestion(ctx.cluster.at(str(address)), f"{guest.name} has this address now", "libvirt")


def _isolated(ctx: Context, guest: Guest) -> Iterator[Suggestion]:
    """Easy to remember: the last octet is the same on both networks (DOMAIN S12)."""
    isolated = ctx.cluster.isolated
    if isolated is None:
        return
    taken = {other.isolated_address for other in ctx.cluster.guests if other.name != guest.name}
    on_lan = [address for address in (lan_address(ctx.cluster, guest),) if address]
    for address in (*on_lan, *known_addresses(ctx, guest.name)):
        same = _with_last_octet(isolated.cidr, address)
        if same is not None and same not in taken:
            yield Suggestion(
                str(same), f"ends as {address} on the LAN", "cluster.yaml" if address in on_lan else "libvirt"
            )
            return


def _with_last_octet(cidr: IPv4Network, address: IPv4Address) -> IPv4Address | None:
    if address in cidr:
        return None
    found = IPv4Address(int(cidr.network_address) & ~0xFF | int(address) & 0xFF)
    return found if found in cidr and found not in (cidr.network_address, cidr.broadcast_address) else None


def known_addresses(ctx: Context, name: str) -> tuple[IPv4Address, ...]:
    """What the hypervisor knows of this guest on the LAN, the best known first; the isolated network leads nowhere."""
    addresses, domains = ctx.look(ADDRESSES), ctx.look(DOMAINS)
    known = addresses.value if isinstance(addresses, Known) else GuestAddresses()
    domain = (domains.value if isinstance(domains, Known) else Domains()).get(name)
    bridge, isolated = ctx.cluster.bridge, ctx.cluster.isolated
    found = known.of(domain, tuple(each.network for each in bridge.addresses) if bridge else ()) if domain else ()
    return tuple(each for each in found if isolated is None or each not in isolated.cidr)


def lan_address(cluster: Cluster, guest: Guest) -> IPv4Address | None:
    """The address in its SSH destination, where that is one and not a name."""
    at = cluster.destination(guest.name).removeprefix("ssh://").rpartition("@")[2].partition(":")[0]
    try:
        found = ip_address(at)
    except ValueError:
        return None
    return found if isinstance(found, IPv4Address) else None
