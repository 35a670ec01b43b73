"""A rule that rewrites guests, in every family, cured in every way, on a real host: source and BGP session (E8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import bird
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.firewall_on import RULES, articles_host, bad_rule, picture, values
from tests.rehearsal.planned_on import PlannedOn
from tests.rehearsal.tcp import tcp_source
from wizard.cluster import Cluster
from wizard.model import Nothing, Step
from wizard.stages.firewall import BRIDGED, NAT

CURES = ("restrict-source", "exempt-bridged", "exempt-lan")
HOST = "192.168.182.101"
"""br0's address, which guests are taken for."""


def wanted(nat: str) -> Cluster:
    bridge = {"port": "enp5s0", "addresses": ["192.168.182.101/24"]}
    data: dict[str, Any] = {"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}, "bridge": bridge}
    return Cluster.model_validate({**data, "firewall": {"nat": nat}})


def source(host: PlannedOn) -> str:
    return tcp_source(host.machine, bird.NAMES[0], bird.NAMES[1], bird.ADDRESSES[1])


def again(host: PlannedOn) -> None:
    """Both peers look for each other anew."""
    units = " ".join(f"bird-{name}" for name in bird.NAMES)
    host.machine.inside(f"rm -f /run/bird-test/*.log; conntrack -F 2>/dev/null; systemctl restart {units}")


def cured(host: PlannedOn, step: Step, cluster: Cluster) -> None:
    """The fault is there, the step takes it away, and undo brings it back."""
    before = picture(host.machine)
    again(host)
    assert bird.refused(host.machine)
    assert source(host) == HOST
    host.apply(step, cluster)
    assert bird.established(host.machine)
    assert source(host) == bird.ADDRESSES[0]
    assert isinstance(host.plan(step, cluster), Nothing)
    host.run(step, host.undo(step, cluster))
    assert source(host) == HOST
    assert picture(host.machine) == before


@pytest.fixture
def host(hypervisor: Hypervisor, tmp_path: Path) -> PlannedOn:
    machine = hypervisor()
    articles_host(machine)
    bird.peers(machine)
    return PlannedOn(machine, tmp_path)


def test_the_articles_fault_is_cured_in_each_way(host: PlannedOn) -> None:
    assert values(host.machine) == "111"
    cured(host, BRIDGED, wanted("report"))
    for nat in CURES:
        cured(host, NAT, wanted(nat))


def test_every_family_is_cured_in_each_way(host: PlannedOn) -> None:
    """The article's rule goes: one family at a time, first with BGP and then by the source alone."""
    host.machine.inside("systemctl stop wg-quick@wg0; rm /etc/wireguard/wg0.conf")
    peers = "AllowedIPs = 192.168.50.0/24, 10.8.0.2/32"
    host.machine.inside(f"printf '[Interface]\\nAddress = 10.8.0.1/32\\n[Peer]\\n{peers}\\n' >/etc/wireguard/wg9.conf")
    for at, family in enumerate(RULES):
        if family != "iptables-nft":
            bad_rule(host.machine, family)
            cured(host, NAT, wanted(CURES[at]))
        for nat in CURES:
            rules_only(host, family, nat)


def rules_only(host: PlannedOn, family: str, nat: str) -> None:
    host.machine.inside(f"nft flush ruleset; iptables-legacy -t nat -F; {RULES[family]}")
    before = picture(host.machine)
    assert source(host) == HOST
    host.apply(NAT, wanted(nat))
    assert source(host) == bird.ADDRESSES[0]
    assert isinstance(host.plan(NAT, wanted(nat)), Nothing)
    host.run(NAT, host.undo(NAT, wanted(nat)))
    assert picture(host.machine) == before


def test_a_cure_stays_over_down_and_up_and_goes_while_it_is_down(host: PlannedOn) -> None:
    """Undone while wg0 is down, nothing is brought back live that only wg0 had made."""
    cluster = wanted("exempt-lan")
    before = picture(host.machine)
    host.apply(NAT, cluster)
    host.machine.inside("systemctl stop wg-quick@wg0")
    assert "RETURN" not in host.machine.inside("iptables -t nat -S POSTROUTING")
    host.machine.inside("systemctl start wg-quick@wg0")
    assert isinstance(host.plan(NAT, cluster), Nothing)
    host.machine.inside("systemctl stop wg-quick@wg0")
    host.run(NAT, host.undo(NAT, cluster))
    assert "MASQUERADE" not in host.machine.inside("iptables -t nat -S POSTROUTING")
    host.machine.inside("systemctl start wg-quick@wg0")
    assert picture(host.machine) == before
