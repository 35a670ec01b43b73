"""Nodes that are machines of their own: they answer for themselves, and libvirt is never asked about them."""

from __future__ import annotations

from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest

from wizard import catalog
from wizard.actions import WriteFile
from wizard.cluster import Cluster
from wizard.cluster.file import load
from wizard.facts.identity import IDENTITY, Identity
from wizard.facts.netplan import Netplan, NetplanFile
from wizard.facts.network import LINKS, ROUTES, Address, Link, Links, Route
from wizard.facts.network_writers import NETWORK_WRITERS, NetworkWriters
from wizard.model import HYPERVISOR, Blocked, Context, Do, Known, Nothing, Plan, Refused, Seen, Unknown, Unseen
from wizard.runbook.fresh import planned_fresh
from wizard.stages.guests_address import STEP as ADDRESS
from wizard.stages.guests_address_writer import IN_NETPLAN, IN_NETWORKD, OWN
from wizard.stages.guests_attach import ATTACH
from wizard.stages.guests_reach import REACH

EXAMPLE = Path(__file__, "../../../examples/with-a-raspberry-pi.yaml").resolve()
CLUSTER = load(EXAMPLE).cluster
MAC = "9c:6b:00:12:34:56"
SILENT = Unseen("mini: there is no route to 192.168.182.140 port 22", unreachable=True)


def identity(name: str, **changed: Any) -> Identity:
    values = {"hostname": name, "machine_id": f"id of {name}", "product_uuid": "", "boot_id": f"boot of {name}"}
    return Identity(**{**values, "macs": (f"52:54:00:00:00:{len(name):02x}",), **changed})


def reached(**said: Seen) -> Plan:
    known: dict[str, Seen] = {"mini": Known(identity("mini")), "pi": Known(identity("pi"))}
    seen = {(name, IDENTITY.id): answer for name, answer in (known | said).items()}
    return REACH.plan(Context(CLUSTER, seen), "mini")


def found(plan: Plan) -> list[str]:
    assert isinstance(plan, Blocked | Refused), plan
    assert all(finding.cure for finding in plan.findings)
    return [finding.id for finding in plan.findings]


# ---------------------------------------------------------------- which steps, which hosts


def test_libvirts_steps_leave_them_out() -> None:
    assert ATTACH.targets(CLUSTER) == ("aki1", "aki0")
    assert REACH.targets(CLUSTER) == ("aki1", "mini", "pi", "aki0")
    assert ADDRESS.targets(CLUSTER) == ("aki1", "mini", "aki0")
    assert catalog.find("guests.create").targets(CLUSTER) == ()


@pytest.mark.parametrize("step", [REACH, ADDRESS], ids=lambda step: step.id)
def test_the_hypervisor_is_not_asked(step: Any) -> None:
    assert HYPERVISOR not in step.facts(CLUSTER, "mini")
    assert HYPERVISOR in step.facts(CLUSTER, "aki0")


def test_they_are_reached_by_ssh_alone() -> None:
    assert all("virsh" not in line for line in REACH.look(CLUSTER, "pi"))
    assert "owner@192.168.182.141" in REACH.look(CLUSTER, "pi")[0]


# ---------------------------------------------------------------- reached


def test_it_answers() -> None:
    assert reached() == Nothing(
        "mini answers over SSH, and sudo works. "
        "It is a machine of its own: libvirt was not asked about it, and does not start it."
    )
    assert "It calls itself raspberrypi." in reached(mini=Known(identity("mini", hostname="raspberrypi"))).why


def test_it_does_not_answer() -> None:
    plan = reached(mini=SILENT)
    assert isinstance(plan, Unknown)
    assert plan.unreachable
    assert "see that it is on" in plan.why
    assert "owner@192.168.182.140" in plan.why
    no_root = reached(mini=Unseen("the commands did not run as root"))
    assert no_root == Unknown("identity", "the commands did not run as root")


def test_two_addresses_of_one_machine() -> None:
    plan = reached(pi=Known(identity("mini")))
    assert found(plan) == ["another-machine"]
    assert "owner@192.168.182.140 and owner@192.168.182.141 lead to one and the same machine" in plan.why


def test_what_must_differ() -> None:
    same: dict[str, Any] = {"machine_id": "one", "hostname": "raspberrypi", "macs": (MAC,), "product_uuid": "u"}
    plan = reached(mini=Known(identity("mini", **same)), pi=Known(identity("pi", **same)))
    assert found(plan) == ["same-machine-id", "same-product-uuid", "same-hostname", "same-mac"]
    assert isinstance(plan, Blocked)
    assert all("virsh" not in finding.cure for finding in plan.findings)
    assert {finding.where for finding in plan.findings} == {"pi"}


def test_a_guest_gets_another_uuid_a_machine_keeps_its_own() -> None:
    uuid = {"product_uuid": "03000200-0400-0500-0006-000700080009"}
    plan = reached(mini=Known(identity("mini", **uuid)), aki1=Known(identity("aki1", **uuid)))
    assert isinstance(plan, Blocked)
    assert plan.findings[0].where == "aki1"
    assert "virsh edit aki1" in plan.findings[0].cure


# ---------------------------------------------------------------- its address on the isolated network


def address(*cards: Link, cluster: Cluster = CLUSTER) -> Plan:
    netplan = Netplan(True, (NetplanFile("/etc/netplan/50-cloud-init.yaml", ""),))
    said: dict[Any, object] = {
        LINKS: Links((_lan(), *cards)),
        ROUTES: (Route("default", "192.168.182.1", "enp1s0"),),
        NETWORK_WRITERS: NetworkWriters(networkd=True, netplan=netplan),
        OWN: {IN_NETPLAN: None, IN_NETWORKD: None},
    }
    return ADDRESS.plan(Context(cluster, {("mini", fact.id): Known(value) for fact, value in said.items()}), "mini")


def _lan() -> Link:
    return Link("enp1s0", "9c:6b:00:00:00:01", addresses=(Address(ip_interface("192.168.182.140/24")),))


def test_the_card_is_known_by_its_mac() -> None:
    plan = address(Link("br-mine", MAC, kind="bridge"), Link("enp2s0", MAC))
    assert isinstance(plan, Do)
    assert plan.why == "192.168.190.140/24 is not on enp2s0 yet"
    assert [part.on for part in plan.parts] == ["mini"]
    [file] = [action for action in plan.parts[0].actions if isinstance(action, WriteFile)]
    assert f"macaddress: {MAC}" in file.content
    assert any("its cable leads to kube-isolated" in note for note in plan.notes)


def test_no_such_card() -> None:
    plan = address()
    assert found(plan) == ["no-card"]
    assert plan.why == f"mini has no card with the MAC {MAC}; it has: enp1s0 (9c:6b:00:00:00:01)"


def test_taken_back_under_the_guard() -> None:
    links = Links((_lan(), Link("enp2s0", MAC)))
    seen: dict[Any, object] = {LINKS: links, ROUTES: ()}
    assert ADDRESS.undo is not None
    back = ADDRESS.undo(Context(CLUSTER, {("mini", fact.id): Known(value) for fact, value in seen.items()}), "mini", ())
    assert isinstance(back, Do)
    assert back.parts[0].guard is not None


# ---------------------------------------------------------------- unconnected


def test_an_export_without_any_host() -> None:
    planned = {each.name: each for each in planned_fresh(CLUSTER, catalog.STAGES, 120)}
    assert isinstance(planned["guests.reach@pi"].plan, Nothing)
    assert isinstance(planned["guests.reach@mini"].plan, Nothing)
    assert "guests.attach@mini" not in planned
    plan = planned["guests.address@mini"].plan
    assert isinstance(plan, Do)
    assert MAC in planned["guests.address@mini"].scripts[0]
