"""Rules that rewrite guests, in every family, cured in every way, on real hosts: BGP sessions and TCP (E8, S11)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import bird
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.firewall_on import LOAD, articles_host, bad_rules, picture, values
from tests.rehearsal.namespaces import ON_BR0, ON_ISOLATED, Pair, join_pair
from tests.rehearsal.planned_on import PlannedOn
from tests.rehearsal.tcp import between, silent
from wizard.cluster import Cluster
from wizard.model import Nothing, Refused, Step
from wizard.stages import isolated
from wizard.stages.firewall import BRIDGED, NAT

PAIRS = (ON_BR0, ON_ISOLATED)
HOST = "192.168.182.101"
"""br0's address, which guests on it are taken for."""


def wanted(nat: str) -> Cluster:
    bridge = {"port": "enp5s0", "addresses": ["192.168.182.101/24"]}
    data: dict[str, Any] = {"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}, "bridge": bridge}
    return Cluster.model_validate({**data, "isolated": {"cidr": "192.168.190.0/24"}, "firewall": {"nat": nat}})


CURES = {
    "filter_bridged: false": (BRIDGED, wanted("report")),
    **{nat: (NAT, wanted(nat)) for nat in ("restrict-source", "exempt-bridged", "exempt-lan")},
}


def articles_host_with_guests(machine: Hypervisor, suite: str, directory: Path) -> PlannedOn:
    host = PlannedOn(machine(suite), directory)
    articles_host(host.machine)
    host.apply(isolated.STAGE.steps[0], wanted("report"))
    for pair in PAIRS:
        bird.peers(host.machine, pair)
    return host


def faulty(host: PlannedOn) -> None:
    """No peer gets through as itself. On br0 the host answers for it; where it has no address, nobody does."""
    bird.again(host.machine, *PAIRS)
    assert bird.called_from(host.machine, ON_BR0) == HOST
    assert bird.called_from(host.machine, ON_ISOLATED) not in ON_ISOLATED.addresses
    assert HOST in bird.refused(host.machine)
    assert between(host.machine, ON_BR0) == HOST
    assert not [state for pair in PAIRS for state in bird.states(host.machine, pair) if "Established" in state]


def sound(host: PlannedOn) -> None:
    for pair in PAIRS:
        assert bird.established(host.machine, pair), pair
        assert between(host.machine, pair) == pair.addresses[0]


def cured(host: PlannedOn, family: str, step: Step, cluster: Cluster) -> None:
    """The fault is there, the step takes it away, also when the rules are made again, and undo brings it back."""
    before = picture(host.machine)
    faulty(host)
    host.apply(step, cluster)
    sound(host)
    host.machine.inside(LOAD[family])
    assert isinstance(host.plan(step, cluster), Nothing)
    sound(host)
    host.run(step, host.undo(step, cluster))
    assert picture(host.machine) == before


@pytest.mark.parametrize("family", LOAD)
def test_the_articles_fault_is_cured_in_each_way(
    hypervisor: Hypervisor, tmp_path: Path, suite: str, family: str
) -> None:
    host = articles_host_with_guests(hypervisor, suite, tmp_path)
    bad_rules(host.machine, family)
    assert values(host.machine) == "111"
    for step, cluster in CURES.values():
        cured(host, family, step, cluster)
    faulty(host)


def test_ipv6_of_guests_is_looked_after_where_the_host_has_none(hypervisor: Hypervisor, tmp_path: Path) -> None:
    """Rewritten to an address of the bridge that does not fit, their packets get no answer."""
    six = Pair("br0", ("six0", "six1"), ("fd00:182::140", "fd00:182::141"))
    machine = hypervisor()
    articles_host(machine, masquerading=False)
    join_pair(machine, six)
    machine.inside("ip6tables -t nat -A POSTROUTING -o br0 -j MASQUERADE")
    host, (step, cluster) = PlannedOn(machine, tmp_path), CURES["exempt-bridged"]
    before = picture(machine)
    assert silent(machine, six)
    refused = host.plan(*CURES["restrict-source"])
    assert isinstance(refused, Refused)
    assert [finding.id for finding in refused.findings] == ["no-source"]
    host.apply(step, cluster)
    assert between(machine, six) == six.addresses[0]
    assert isinstance(host.plan(step, cluster), Nothing)
    host.run(step, host.undo(step, cluster))
    assert silent(machine, six)
    assert picture(machine) == before


def test_a_cure_stays_over_down_and_up_and_goes_while_it_is_down(hypervisor: Hypervisor, tmp_path: Path) -> None:
    """Undone while wg0 is down, nothing is brought back live that only wg0 had made."""
    machine = hypervisor()
    articles_host(machine)
    host, cluster = PlannedOn(machine, tmp_path), wanted("exempt-lan")
    before = picture(machine)
    host.apply(NAT, cluster)
    machine.inside("systemctl stop wg-quick@wg0")
    assert "RETURN" not in machine.inside("iptables -t nat -S POSTROUTING")
    machine.inside("systemctl start wg-quick@wg0")
    assert isinstance(host.plan(NAT, cluster), Nothing)
    machine.inside("systemctl stop wg-quick@wg0")
    host.run(NAT, host.undo(NAT, cluster))
    assert "MASQUERADE" not in machine.inside("iptables -t nat -S POSTROUTING")
    machine.inside("systemctl start wg-quick@wg0")
    assert picture(machine) == before
