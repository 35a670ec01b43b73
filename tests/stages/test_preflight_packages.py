"""preflight.packages: what is missing is installed, the rest left alone, what only the owner can mend is said."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from wizard.actions import Action, Install, Run, TakeBack, WriteFile
from wizard.cluster import Cluster
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Domains, Network, Networks
from wizard.facts.packages import HYPERVISOR_PACKAGES, PACKAGES, PROGRAMS, Packages
from wizard.facts.units import LIBVIRT_UNITS, Unit, Units
from wizard.model import HYPERVISOR, Blocked, Context, Do, Known, Nothing, Part, Plan, Refused
from wizard.script import compile_part
from wizard.stages.preflight import PACKAGES_STEP
from wizard.stages.preflight_packages import DROP_IN, DROP_INS, FINISH, RELOAD
from wizard.template import text

CONTENT = text("preflight/after-network.conf")
VERSIONS = dict.fromkeys(HYPERVISOR_PACKAGES, "1.0")
ALL = Packages(dict.fromkeys(HYPERVISOR_PACKAGES, "installed"), VERSIONS, 60, programs=PROGRAMS)
BARE = Packages({"iptables": "installed"}, VERSIONS, 60, programs=("iptables",))
ON, OFF = Unit("loaded", "active", "enabled"), Unit("loaded", "inactive", "disabled")
LIBVIRTD: Units = {
    "libvirtd.service": ON,
    "libvirtd.socket": ON,
    "virtqemud.service": Unit(),
    "virtqemud.socket": Unit(),
}
NONE: Units = dict.fromkeys(LIBVIRTD, Unit())
WRITTEN = {DROP_INS["libvirtd"]: CONTENT, DROP_INS["virtqemud"]: None}
ABSENT = dict.fromkeys(DROP_INS.values())


def context(
    packages: Packages = ALL,
    units: Units = LIBVIRTD,
    drop_ins: dict[str, str | None] = WRITTEN,
    domains: Domains = Domains(),  # noqa: B008
    networks: Networks = Networks(),  # noqa: B008
) -> Context:
    values: dict[Any, Any] = {
        PACKAGES: packages,
        LIBVIRT_UNITS: units,
        DROP_IN: drop_ins,
        DOMAINS: domains,
        NETWORKS: networks,
    }
    cluster = Cluster.model_validate({"name": "home", "hypervisor": {"ssh": "home"}})
    return Context(cluster, {(HYPERVISOR, fact.id): Known(value) for fact, value in values.items()})


def plan(**facts: Any) -> Plan:
    return PACKAGES_STEP.plan(context(**facts), HYPERVISOR)


def actions(**facts: Any) -> tuple[Action, ...]:
    found = plan(**facts)
    assert isinstance(found, Do)
    (part,) = found.parts
    return part.actions


def runs(found: tuple[Action, ...]) -> list[tuple[str, ...]]:
    return [action.argv for action in found if isinstance(action, Run)]


def test_all_is_there() -> None:
    assert plan() == Nothing("all 10 packages are installed, and libvirtd runs once the network is up")


def test_a_bare_machine() -> None:
    found = actions(packages=BARE, units=NONE, drop_ins=ABSENT)
    install = next(action for action in found if isinstance(action, Install))
    assert set(install.packages) == set(HYPERVISOR_PACKAGES) - {"iptables"}
    assert not install.refresh
    drop_in = next(action for action in found if isinstance(action, WriteFile))
    assert (drop_in.path, drop_in.was) == ("/etc/systemd/system/libvirtd.service.d/05-homek8s.conf", None)
    assert found.index(drop_in) < found.index(install) < found.index(RELOAD)
    assert runs(found)[-1] == ("systemctl", "enable", "--now", "libvirtd.service")
    do = plan(packages=BARE, units=NONE, drop_ins=ABSENT)
    assert isinstance(do, Do)
    assert do.why.startswith("missing: libvirt-daemon-system, ")
    assert any("called default" in note for note in do.notes)


@pytest.mark.parametrize(("age", "refresh"), [(None, True), (60, False), (3600, False), (3601, True)])
def test_lists_are_fetched_only_when_old(age: int | None, refresh: bool) -> None:
    found = actions(packages=Packages({}, VERSIONS, age), units=NONE)
    assert [action.refresh for action in found if isinstance(action, Install)] == [refresh]


def test_a_package_that_old_lists_do_not_know_is_looked_for_first() -> None:
    found = actions(packages=Packages({}, {}, None), units=NONE)
    assert [action.refresh for action in found if isinstance(action, Install)] == [True]


def test_an_interrupted_installation_is_finished_first() -> None:
    cut_off = Packages(ALL.status, VERSIONS, 60, interrupted=True, broken="something is half-way")
    found = actions(packages=cut_off)
    assert runs(found)[0] == FINISH.argv
    assert FINISH.words.startswith("dpkg --configure -a")
    do = plan(packages=cut_off)
    assert isinstance(do, Do)
    assert "cut off half-way" in do.why


def test_a_stopped_libvirt_is_started_and_the_way_back_stops_it() -> None:
    stopped = {**LIBVIRTD, "libvirtd.service": OFF, "libvirtd.socket": OFF}
    found = actions(units=stopped)
    assert ("systemctl", "enable", "libvirtd.service") in runs(found)
    assert ("systemctl", "start", "libvirtd.service") in runs(found)
    undone = [action.undo.argv for action in found if isinstance(action, Run) and action.undo]
    assert undone == [("systemctl", "disable", "libvirtd.service"), ("systemctl", "stop", "libvirtd.service")]
    assert not any(isinstance(action, Install) for action in found)


def test_a_socket_that_waits_for_its_first_caller_counts_as_running() -> None:
    idle = {**LIBVIRTD, "libvirtd.service": Unit("loaded", "inactive", "enabled")}
    assert isinstance(plan(units=idle), Nothing)


def test_only_the_order_at_boot_is_missing() -> None:
    found = actions(drop_ins=ABSENT)
    assert runs(found) == [RELOAD.argv]
    do = plan(drop_ins=ABSENT)
    assert isinstance(do, Do)
    assert "before the network" in do.why


def test_a_libvirt_in_parts_gets_the_drop_in_of_its_own_daemon() -> None:
    parts = {"libvirtd.service": Unit(), "libvirtd.socket": Unit(), "virtqemud.service": ON, "virtqemud.socket": ON}
    written = next(action for action in actions(units=parts, drop_ins=ABSENT) if isinstance(action, WriteFile))
    assert written.path == "/etc/systemd/system/virtqemud.service.d/05-homek8s.conf"
    there = {DROP_INS["virtqemud"]: CONTENT, DROP_INS["libvirtd"]: None}
    assert isinstance(plan(units=parts, drop_ins=there), Nothing)


@pytest.mark.parametrize(
    ("facts", "finding", "words"),
    [
        ({"packages": Packages(debian=False, programs=("virsh",))}, "foreign", "virt-install"),
        ({"packages": Packages({}, VERSIONS, 60, broken="Unmet dependencies.")}, "apt", "Unmet dependencies."),
        ({"packages": Packages({}, {"ovmf": "1"}, 60)}, "unavailable", "libvirt-daemon-system"),
        ({"units": {**LIBVIRTD, "libvirtd.service": Unit("masked", "inactive", "masked")}}, "masked", "systemctl mask"),
    ],
)
def test_what_only_the_owner_can_mend(facts: dict[str, Any], finding: str, words: str) -> None:
    found = plan(**facts)
    assert isinstance(found, Blocked)
    assert (found.by, found.findings[0].id) == ("you", finding)
    assert words in found.why
    assert found.findings[0].cure


def test_another_system_with_all_programs_is_fine() -> None:
    there = Packages(debian=False, programs=PROGRAMS)
    assert isinstance(plan(packages=there), Nothing)


# ---------------------------------------------------------------- the way back

NEW = TakeBack("packages_remove libvirt-daemon-system libvirt0 virtinst")


def undo(*inverses: Action, **facts: Any) -> Plan:
    assert PACKAGES_STEP.undo is not None
    return PACKAGES_STEP.undo(context(**facts), HYPERVISOR, inverses)


def test_undo_is_refused_while_guests_need_what_would_go() -> None:
    found = undo(NEW, domains=Domains((Domain("aki0", "1", False), Domain("aki1", "2", True))))
    assert isinstance(found, Refused)
    assert "aki0, aki1" in found.why


def test_undo_ends_the_networks_that_would_be_left_running() -> None:
    networks = Networks((Network("default", "1", True, True), Network("old", "2", False, False)))
    found = undo(NEW, networks=networks)
    assert isinstance(found, Do)
    assert runs(found.parts[0].actions) == [("virsh", "-c", "qemu:///system", "net-destroy", "default")]
    assert found.parts[0].actions[-1] == NEW


def test_undo_of_the_drop_in_alone_harms_no_guest() -> None:
    kept = TakeBack("packages_remove conntrack")
    found = undo(kept, domains=Domains((Domain("aki0", "1", True),)))
    assert isinstance(found, Do)
    assert found.parts[0].actions == (kept,)


# ---------------------------------------------------------------- the scripts

SCRIPTS: dict[str, Plan] = {
    "bare": plan(packages=Packages({}, VERSIONS, None, interrupted=True), units=NONE, drop_ins=ABSENT),
    "stopped": plan(units={**LIBVIRTD, "libvirtd.service": OFF, "libvirtd.socket": OFF}),
    "undo": undo(
        NEW, TakeBack("packages_purge a1 libvirt-daemon-system"), networks=Networks((Network("d", "1", True, True),))
    ),
}


def script(found: Plan) -> str:
    assert isinstance(found, Do)
    return compile_part(PACKAGES_STEP.id, HYPERVISOR, found.parts[0])


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("checker", [["sh", "-n"], ["shellcheck", "-s", "sh", "-"]], ids=["sh", "shellcheck"])
def test_scripts_are_good_sh(name: str, checker: list[str]) -> None:
    if shutil.which(checker[0]) is None:
        pytest.skip(f"{checker[0]} is not installed")
    done = subprocess.run(checker, input=script(SCRIPTS[name]), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_words_of_packages_come_only_with_those_who_use_them() -> None:
    assert "packages_install()" in script(SCRIPTS["bare"])
    assert "packages_remove()" in script(SCRIPTS["undo"])
    assert "packages_install()" not in script(SCRIPTS["stopped"])
    plain = Part(HYPERVISOR, "plain", (Run(("true",)),), always=(Install(("nano",)),))
    assert "packages_install()" in compile_part("a.b", HYPERVISOR, plain)
