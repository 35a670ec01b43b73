"""Where the hypervisor knows a guest to be: by its agent, by the neighbour table, and never by a bridge inside it."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, ip_network
from typing import Any

from tests.domains_captured import ISOLATED_MAC, LAN_MAC, UUID, cluster
from wizard.facts.guests import ADDRESSES, GuestAddresses
from wizard.facts.libvirt import DOMAINS, Domain, Domains
from wizard.model import HYPERVISOR, Context, Known, Output
from wizard.stages.guests_defaults import known_addresses

NICS = "".join(f"<interface type='network'><mac address='{mac}'/></interface>" for mac in (LAN_MAC, ISOLATED_MAC))
XML = f"<domain><devices>{NICS}</devices></domain>"
AKI0 = Domain("aki0", UUID, True, True, XML, XML)
LAN = ip_network("192.168.182.0/24")


def heard(*entries: tuple[str, str], mac: str = LAN_MAC, agent: str = "") -> GuestAddresses:
    """By (address, state) as `ip -j neigh` has them."""
    rows = [{"dst": dst, "dev": "br0", "lladdr": mac, "state": [state]} for dst, state in entries]
    return ADDRESSES.parse(Output(0, f"{agent}neighbours\t{json.dumps(rows)}\nend\n".encode()))


def said(*links: tuple[str, str, str]) -> str:
    """By (name, MAC, address), as the agent answers."""
    interfaces: list[dict[str, Any]] = [{"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1"}]}]
    for name, mac, address in links:
        interfaces.append({"name": name, "hardware-address": mac, "ip-addresses": [{"ip-address": address}]})
    return f"agent\taki0\t{json.dumps({'return': interfaces})}\n"


def of(found: GuestAddresses, *lans: Any) -> list[str]:
    return [str(each) for each in found.of(AKI0, lans)]


def test_the_address_that_answers_outdates_the_remembered_one() -> None:
    for order in (1, -1):
        both = (("192.168.182.130", "STALE"), ("192.168.182.77", "REACHABLE"))[::order]
        assert of(heard(*both)) == ["192.168.182.77"]
    assert of(heard(("192.168.182.130", "STALE"), ("192.168.182.77", "DELAY"))) == ["192.168.182.130", "192.168.182.77"]
    assert of(heard(("192.168.182.130", "FAILED"), ("192.168.182.77", "STALE"))) == ["192.168.182.77"]
    two = (("192.168.182.130", "REACHABLE"), ("192.168.182.77", "REACHABLE"))
    assert of(heard(*two)) == ["192.168.182.130", "192.168.182.77"]


def test_what_hangs_on_none_of_its_nics_leads_nowhere() -> None:
    docker = ("docker0", "02:42:AC:11:00:01", "172.17.0.1")
    pods = ("cni0", "0a:58:0a:f4:00:01", "10.244.0.1")
    agent = said(docker, ("enp1s0", LAN_MAC.upper(), "192.168.182.130"), pods)
    assert of(heard(agent=agent)) == ["192.168.182.130"]
    assert of(heard(("192.168.182.77", "STALE"), agent=agent)) == ["192.168.182.130"], "the guest knows best"
    assert of(heard(("192.168.182.77", "STALE"), agent=said(docker))) == ["192.168.182.77"]


def test_a_bridge_of_the_guests_own_on_the_lan_is_as_good_as_a_nic() -> None:
    agent = said(("enp7s0", ISOLATED_MAC, "192.168.190.100"), ("br0", "6e:aa:00:00:00:01", "192.168.182.130"))
    assert of(heard(agent=agent), LAN) == ["192.168.182.130", "192.168.190.100"]


def test_the_isolated_network_is_no_way_in() -> None:
    agent = said(("enp7s0", ISOLATED_MAC, "192.168.190.100"), ("enp1s0", LAN_MAC, "192.168.182.130"))
    seen = {(HYPERVISOR, DOMAINS.id): Known(Domains((AKI0,))), (HYPERVISOR, ADDRESSES.id): Known(heard(agent=agent))}
    assert known_addresses(Context(cluster(), seen), "aki0") == (IPv4Address("192.168.182.130"),)
