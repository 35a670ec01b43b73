"""Contexts for tests about guests: domains as real libvirt 9 and 11 wrote them (tests/facts/capture_domains.py)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from wizard.cluster import Cluster
from wizard.facts.guests import ADDRESSES, UPTIMES, GuestAddresses
from wizard.facts.identity import IDENTITY, Identity
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Domains, Network, Networks
from wizard.facts.network import LINKS, Link, Links
from wizard.model import HYPERVISOR, AnyFact, Context, Known, Seen
from wizard.stages.domain_xml import STEPS, Kept, kept
from wizard.stages.guests_reach_nic import file_of
from wizard.stages.libvirt_network import xml_file

FIXTURES = Path(__file__).parent / "facts" / "fixtures" / "domains"
SUITES = ("bookworm", "trixie")
LAN_MAC, ISOLATED_MAC = "52:54:00:a0:00:10", "52:54:00:a0:00:20"
UUID = "00000000-0000-4000-8000-0000000000a0"


def xml(suite: str, name: str) -> str:
    """macvtap, bridged(.live), attached(.live), full.live, i440fx(.live), i440fx-no-acpi.live."""
    return (FIXTURES / suite / f"{name}.xml").read_text()


def domain(suite: str, name: str, live: str = "", *, autostart: bool = True, **changed: Any) -> Domain:
    """aki0, defined as `name` and, where `live` names it, running as that."""
    running = xml(suite, live) if live else ""
    text = changed.pop("xml", None) or xml(suite, name)
    return Domain("aki0", UUID, bool(live), autostart, text, running, **changed)


def other(name: str, *macs: str, network: str = "vxlan10-bridge") -> Domain:
    """Another guest, shut off, with these NICs."""
    root = ElementTree.Element("domain")
    devices = ElementTree.SubElement(root, "devices")
    for mac in macs:
        nic = ElementTree.SubElement(devices, "interface", type="network")
        ElementTree.SubElement(nic, "mac", address=mac)
        ElementTree.SubElement(nic, "source", network=network)
    return Domain(name, f"uuid of {name}", False, True, ElementTree.tostring(root, encoding="unicode"))


def networks(active: bool = True) -> Networks:
    pairs = (("vxlan10-bridge", "br0", "<forward mode='bridge'/>"), ("kube-isolated", "kube-isolated", ""))
    texts = {name: f"<network>{forward}<bridge name='{bridge}'/></network>" for name, bridge, forward in pairs}
    return Networks(tuple(Network(n, "", active, True, text, text if active else "") for n, text in texts.items()))


def cluster(*more: dict[str, Any], **guest: Any) -> Cluster:
    """aki0 and, where wanted, more guests, on a bridge br0 and an isolated network."""
    first = {"name": "aki0", "role": "control-plane", "ssh": "owner@192.168.182.130"}
    data = {
        "name": "aki",
        "hypervisor": {"ssh": "owner@192.168.182.100"},
        "bridge": {"name": "br0", "port": "enp4s0", "network": "vxlan10-bridge"},
        "isolated": {"name": "kube-isolated", "cidr": "192.168.190.0/24"},
        "guests": [first | {"isolated_address": "192.168.190.100"} | guest, *more],
    }
    return Cluster.model_validate(data)


def identity(name: str = "aki0", **changed: Any) -> Identity:
    values = {"hostname": name, "machine_id": f"id of {name}", "product_uuid": UUID, "boot_id": "b", "macs": (LAN_MAC,)}
    return Identity(**values | changed)


def context(
    wanted: Cluster,
    *domains: Domain,
    facts: Mapping[AnyFact[Any], object] | None = None,
    guests: Mapping[str, Mapping[AnyFact[Any], Seen]] | None = None,
) -> Context:
    """A hypervisor with these domains, and what each guest says (by default aki0, with both NICs)."""
    values: dict[AnyFact[Any], object] = {NETWORKS: networks(), DOMAINS: Domains(domains), UPTIMES: {}}
    values[ADDRESSES] = GuestAddresses()
    for guest in wanted.guests:
        values[xml_file(file_of(guest.name))] = None
        values |= {kept(guest.name, step): Kept(False, None) for step in STEPS}
    links = Links((Link("enp1s0", LAN_MAC), Link("enp7s0", ISOLATED_MAC)))
    said = guests if guests is not None else {"aki0": {IDENTITY: Known(identity()), LINKS: Known(links)}}
    seen: dict[tuple[str, str], Seen] = {
        (HYPERVISOR, fact.id): Known(value) for fact, value in (values | dict(facts or {})).items()
    }
    seen |= {(guest, fact.id): answer for guest, answers in said.items() for fact, answer in answers.items()}
    return Context(wanted, seen)
