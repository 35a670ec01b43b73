"""What libvirt said of real networks and domains, understood; and what no libvirt at all means."""

from __future__ import annotations

import libvirt
import pytest

from tests.network_captured import SUITES, seen
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domains, Interface, Networks, read_domains, read_networks

BOTH = pytest.mark.parametrize("suite", SUITES)


@BOTH
def test_networks(suite: str) -> None:
    networks: Networks = seen(suite, "guests")[NETWORKS.id]
    lan = networks.get("vxlan10-bridge")
    assert lan is not None
    assert (lan.bridge, lan.live_bridge, lan.active, lan.autostart) == ("br0", "br0", True, False)
    default = networks.get("default")
    assert default is not None
    assert (default.bridge, default.live_bridge, default.active) == ("virbr0", "", False)


@BOTH
def test_a_running_domain_names_its_network_its_bridge_and_its_tap(suite: str) -> None:
    domain = seen(suite, "guests")[DOMAINS.id].get("aki0")
    first, second = domain.live_interfaces
    assert (first.kind, first.source, first.bridge) == ("network", "vxlan10-bridge", "br0")
    assert (second.kind, second.source, second.bridge) == ("network", "kube-isolated", "kube-isolated")
    assert first.tap.startswith("vnet")
    assert domain.interfaces == (
        Interface("network", "vxlan10-bridge", "52:54:00:a0:00:10"),
        Interface("network", "kube-isolated", "52:54:00:a0:00:11"),
    )
    assert domain.uses_bridge("br0")
    assert domain.uses_network("kube-isolated")


@BOTH
def test_a_macvtap_of_a_domain_that_is_off(suite: str) -> None:
    domain = seen(suite, "guests")[DOMAINS.id].get("aki1")
    assert domain.uses_nic("enp4s0")
    assert not domain.uses_nic("enp5s0")
    assert not domain.uses_bridge("br0")


def test_a_domain_that_stands_still_is_told_from_one_that_runs() -> None:
    """By libvirt's own driver for tests."""
    connection = libvirt.open("test:///default")
    assert [each.paused for each in read_domains(connection)] == [""]
    connection.lookupByName("test").suspend()
    assert [(each.active, each.paused) for each in read_domains(connection)] == [(True, "user")]


def test_no_libvirt_is_a_value() -> None:
    assert read_networks(None) == Networks(daemon=False)
    assert read_domains(None) == Domains(daemon=False)
