"""Undoing in a guest that does not answer: gone with it, kept for later, or the owner starts it first."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stages.test_guests_create import CLUSTER, GONE, UUID, domain
from wizard.cluster import Cluster
from wizard.engine.planning import plan_undo
from wizard.facts.libvirt import DOMAINS, Domain, Domains
from wizard.facts.ours import OURS, Ours, Record
from wizard.model import HYPERVISOR, Blocked, Context, Known, Nothing, Plan, Step, Unseen
from wizard.stages.guests_address import STEP as ADDRESS
from wizard.stages.join_prerequisites import STEP as PREREQUISITES

SILENT = Unseen("aki0: no route to host", unreachable=True)
BOTH = pytest.mark.parametrize("step", [ADDRESS, PREREQUISITES], ids=lambda step: step.id)


def undo(step: Step, *domains: Domain, wanted: Cluster = CLUSTER, noted: bool = True, daemon: bool = True) -> Plan:
    """As the engine asks; `noted` on the hypervisor is that the guest was made here."""
    records = (Record("1", "guests.create@aki0", "undo", GONE, "-", None),) if noted else ()
    seen: dict[Any, Any] = {
        (HYPERVISOR, OURS.id): Known(Ours("machine", "boot", records=records)),
        (HYPERVISOR, DOMAINS.id): Known(Domains(domains, daemon=daemon)),
        ("aki0", OURS.id): SILENT,
    }
    return plan_undo(Context(wanted, seen), step, "aki0", 120).plan


def off(uuid: str = UUID) -> Domain:
    return Domain("aki0", uuid, False, True, domain().xml)


def cure(found: Plan) -> str:
    assert isinstance(found, Blocked), found
    return found.findings[0].cure


@BOTH
def test_of_a_guest_that_is_gone_nothing_is_left(step: Step) -> None:
    assert undo(step) == Nothing("aki0 is gone, and with it what was done in it")
    assert HYPERVISOR in step.facts(CLUSTER, "aki0")


@BOTH
def test_one_that_is_off_and_was_made_here_stands_in_nobodys_way(step: Step) -> None:
    found = undo(step, off())
    assert isinstance(found, Nothing)
    assert "goes when guests.create is undone" in found.why


@BOTH
def test_another_ones_guest_is_started_first(step: Step) -> None:
    assert cure(undo(step, off("another"))) == "start it (virsh start aki0), then undo again"
    assert cure(undo(step, off(), noted=False)) == "start it (virsh start aki0), then undo again"
    assert "virsh console aki0" in cure(undo(step, domain()))
    assert undo(step, daemon=False) == Blocked("preflight.packages", "libvirt does not answer on the hypervisor")


@BOTH
def test_a_machine_of_its_own_is_not_looked_for_in_libvirt(step: Step) -> None:
    guest = {"name": "aki0", "role": "worker", "ssh": "owner@192.168.182.130", "physical": True}
    isolated = {"isolated_address": "192.168.190.100", "isolated_mac": "52:54:00:00:00:09"}
    wanted = Cluster.model_validate(CLUSTER.model_dump(exclude_unset=True) | {"guests": [guest | isolated]})
    assert HYPERVISOR not in step.facts(wanted, "aki0")
    assert "cable" in cure(undo(step, wanted=wanted))
