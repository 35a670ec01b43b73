"""guests.attach: exactly one NIC on the isolated network, by definition, while it runs, and inside."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.domains_captured import ISOLATED_MAC, LAN_MAC, SUITES, cluster, context, domain, networks, other, xml
from wizard.actions import TakeBack
from wizard.cluster import Cluster
from wizard.facts.kubeadm import IS_NODE
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Domains
from wizard.facts.network import LINKS, Link, Links
from wizard.model import HYPERVISOR, Blocked, Context, Do, FactUnknown, Known, Nothing, Plan, Refused, Risk, Unseen
from wizard.script import compile_part
from wizard.stages import guest_nics
from wizard.stages.domain_xml import Kept, kept
from wizard.stages.guests_attach import ATTACH
from wizard.stages.hotplug import has_room

BOTH = pytest.mark.parametrize("suite", SUITES)
PLANNED = guest_nics.isolated_mac(cluster(), cluster().guests[0])


def plan(*domains: Domain, wanted: Cluster | None = None, **more: Any) -> Plan:
    return ATTACH.plan(context(wanted or cluster(), *domains, **more), "aki0")


def do(*domains: Domain, **more: Any) -> Do:
    found = plan(*domains, **more)
    assert isinstance(found, Do), found
    for part in found.parts:
        script = compile_part("guests.attach", "aki0", part)
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    return found


def commands(found: Do) -> list[str]:
    return [action.summary for part in found.parts for action in part.actions if action.summary.startswith("virsh")]


def attach(mac: str, how: str) -> str:
    return f"virsh attach-interface aki0 network kube-isolated --model virtio --mac {mac} {how}"


# ---------------------------------------------------------------- what is missing is done


@BOTH
def test_a_running_guest_gets_it_for_good_and_at_once(suite: str) -> None:
    found = do(domain(suite, "bridged", "bridged.live"))
    assert commands(found) == [attach(PLANNED, "--config"), attach(PLANNED, "--live")]
    assert found.risk is Risk.NONE
    assert [(part.on, part.answers_within > 0) for part in found.parts] == [(HYPERVISOR, False), ("aki0", True)]


@BOTH
def test_one_that_is_off_gets_it_for_its_next_start(suite: str) -> None:
    found = do(domain(suite, "bridged"))
    assert commands(found) == [attach(PLANNED, "--config")]
    assert [part.on for part in found.parts] == [HYPERVISOR]
    after = plan(domain(suite, "attached"))
    assert after == Nothing(f"aki0 has its NIC on kube-isolated ({ISOLATED_MAC}) from its next start on")


@BOTH
@pytest.mark.parametrize("live", ["full.live", "i440fx-no-acpi.live"])
def test_without_a_free_slot_it_is_booted_cold(suite: str, live: str) -> None:
    found = do(domain(suite, "bridged", live))
    assert found.risk is Risk.RESTARTS_MACHINE
    assert commands(found) == [attach(PLANNED, "--config"), "virsh shutdown aki0", "virsh start aki0"]
    assert "A reboot would not do" in found.notes[0]
    assert [action.summary for action in found.parts[0].always] == ["virsh start aki0"]
    assert "destroy" not in compile_part("guests.attach", "aki0", found.parts[0])
    assert "kubectl" not in "".join(found.notes)
    node = do(domain(suite, "bridged", live), guests={"aki0": {IS_NODE: Known(True)}})
    assert "`kubectl drain aki0 --ignore-daemonsets --delete-emptydir-data`; once it is back: `kubectl" in node.notes[1]


@BOTH
def test_what_is_there_keeps_its_mac(suite: str) -> None:
    only_live = do(domain(suite, "bridged", "attached.live"))
    assert commands(only_live) == [attach(ISOLATED_MAC, "--config")]
    only_defined = do(domain(suite, "attached", "bridged.live"))
    assert commands(only_defined) == [attach(ISOLATED_MAC, "--live")]
    assert "a reboot is not enough" in only_defined.why


@BOTH
def test_a_running_nic_of_another_mac_is_not_joined_by_a_second_one(suite: str) -> None:
    text = xml(suite, "attached").replace(ISOLATED_MAC, "52:54:00:a0:00:77")
    found = do(domain(suite, "", "attached.live", xml=text))
    assert commands(found) == ["virsh shutdown aki0", "virsh start aki0"]
    assert "runs with another NIC on kube-isolated" in found.notes[0]


@BOTH
def test_the_guest_itself_has_the_last_word(suite: str) -> None:
    there = domain(suite, "attached", "attached.live")
    assert plan(there) == Nothing(f"aki0 has one NIC on kube-isolated ({ISOLATED_MAC}), and calls it enp7s0")
    blind = do(there, guests={"aki0": {LINKS: Known(Links((Link("enp1s0", LAN_MAC),)))}})
    assert blind.risk is Risk.RESTARTS_MACHINE
    assert commands(blind) == ["virsh shutdown aki0", "virsh start aki0"]
    with pytest.raises(FactUnknown) as unknown:
        plan(there, guests={"aki0": {LINKS: Unseen("aki0: no answer", unreachable=True)}})
    assert unknown.value.unreachable


# ---------------------------------------------------------------- what stands in the way


def test_without_address_network_or_domain() -> None:
    assert isinstance(plan(wanted=cluster(isolated_address=None)), Nothing)
    there = domain("bookworm", "bridged")
    inactive = plan(there, facts={NETWORKS: networks(active=False)})
    assert inactive == Blocked("isolated.network", "the network kube-isolated is not active yet")
    absent = plan(other("aki9"))
    assert isinstance(absent, Blocked)
    assert absent.by == "you"
    assert "libvirt has: aki9" in absent.why
    made = {"address": "192.168.182.130/24", "image": "/var/lib/libvirt/images/a.img", "gateway": "192.168.182.1"}
    assert plan(wanted=cluster(create=made)) == Blocked("guests.create", "there is no guest aki0 yet")
    assert plan(facts={DOMAINS: Domains(daemon=False)}).by == "preflight.packages"  # type: ignore[union-attr]
    fleeting = plan(domain("bookworm", "bridged", "bridged.live", persistent=False))
    assert isinstance(fleeting, Blocked)
    assert fleeting.findings[0].id == "transient"


def test_two_of_them_are_the_owners_to_sort_out() -> None:
    nic = xml("bookworm", "attached").partition("<interface type='network'>")[2].partition("</interface>")[0]
    second = f"<interface type='network'>{nic.replace(ISOLATED_MAC, '52:54:00:a0:00:77')}</interface></devices>"
    text = xml("bookworm", "attached").replace("</devices>", second)
    found = plan(domain("bookworm", "", xml=text))
    assert isinstance(found, Blocked)
    assert "virsh detach-interface aki0 network --mac 52:54:00:a0:00:77 --config" in found.findings[0].cure
    same = plan(domain("bookworm", "", xml=text.replace("52:54:00:a0:00:77", ISOLATED_MAC)))
    assert isinstance(same, Blocked)
    assert "virsh edit aki0" in same.findings[0].cure


def test_a_mac_that_is_taken() -> None:
    found = plan(domain("bookworm", "bridged"), other("aki9", PLANNED))
    assert isinstance(found, Refused)
    assert "the guest aki9 has the MAC" in found.why
    own = xml("bookworm", "bridged").replace(LAN_MAC, PLANNED)
    assert "another NIC of aki0" in plan(domain("bookworm", "", xml=own)).why


def test_workers_come_first() -> None:
    worker = {"name": "aki1", "role": "worker", "ssh": "owner@192.168.182.131", "isolated_address": "192.168.190.101"}
    assert ATTACH.targets(cluster(worker)) == ("aki1", "aki0")


# ---------------------------------------------------------------- the way back


def undo(ctx: Context, *lines: str) -> Plan:
    assert ATTACH.undo is not None
    return ATTACH.undo(ctx, "aki0", tuple(map(TakeBack, lines)))


@BOTH
def test_undo_is_refused_where_the_definition_was_changed(suite: str) -> None:
    there, line = domain(suite, "attached", "attached.live"), "define_again aki0 /kept"
    fact = kept("aki0", "guests.attach")
    ours = context(cluster(), there, facts={fact: Kept(True, xml(suite, "attached"))})
    found = undo(ours, line)
    assert isinstance(found, Do)
    assert "a reboot keeps it" in found.notes[0]
    edited = xml(suite, "attached").replace("<vcpu placement='static'>1<", "<vcpu placement='static'>2<")
    refused = undo(context(cluster(), there, facts={fact: Kept(True, edited)}), line)
    assert isinstance(refused, Refused)
    assert refused.findings[0].id == "drift"
    assert "-  <vcpu placement='static'>2</vcpu>" in refused.why
    assert isinstance(undo(context(cluster(), facts={fact: Kept(True, edited)}), line), Do), (
        "it is gone: nothing to keep"
    )


# ---------------------------------------------------------------- room for one more


@BOTH
def test_room_for_a_nic_in_a_running_machine(suite: str) -> None:
    rooms = {
        name: has_room(xml(suite, f"{name}.live"))
        for name in ("bridged", "attached", "full", "i440fx", "i440fx-no-acpi")
    }
    assert rooms == {"bridged": True, "attached": False, "full": False, "i440fx": True, "i440fx-no-acpi": False}
    fixed = xml(suite, "bridged.live").replace("<target chassis=", "<target hotplug='off' chassis=")
    assert not has_room(fixed)
