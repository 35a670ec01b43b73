"""firewall.bridged: from what real hosts said and what is wanted, to the plan."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.firewall_captured import SUITES, cluster, context
from wizard.actions import EditLine, RemoveFile, Run, WriteFile
from wizard.facts.bridged import BRIDGED, KEYS, Bridged, Setter
from wizard.facts.firewall import FORWARDING, Chain, Forwarding
from wizard.facts.units import FIREWALL_UNITS, Unit
from wizard.model import HYPERVISOR, AnyFact, Do, Nothing, Plan, Refused, Risk
from wizard.script import compile_part
from wizard.stages.firewall import BRIDGED as STEP
from wizard.stages.firewall_bridged import MODULES, OWN_FILES, SYSCTL, UDEV

BOTH = pytest.mark.parametrize("suite", SUITES)
OFF: dict[str, Any] = {}
ON: dict[str, Any] = {"filter_bridged": True}
ZERO, ONE = dict.fromkeys(KEYS, 0), dict.fromkeys(KEYS, 1)


def plan(firewall: dict[str, Any] | None, suite: str = "bookworm", state: str = "fresh", **changed: Any) -> Plan:
    facts: dict[AnyFact[Any], Any] = {
        fact: changed[fact.id] for fact in (BRIDGED, FIREWALL_UNITS) if fact.id in changed
    }
    facts |= {FORWARDING: changed.get("forwarding", Forwarding(()))}
    facts |= {OWN_FILES: changed["own"]} if "own" in changed else {}
    return STEP.plan(context(cluster(firewall), suite, state, facts), HYPERVISOR)


def do(*args: Any, **changed: Any) -> Do:
    found = plan(*args, **changed)
    assert isinstance(found, Do), found
    subprocess.run(["sh", "-n"], input=compile_part(STEP.id, HYPERVISOR, found.parts[0]), text=True, check=True)
    return found


def commands(found: Do) -> list[str]:
    return [action.line() for action in found.parts[0].actions if isinstance(action, Run)]


def written(found: Do) -> dict[str, str]:
    return {action.path: action.content for action in found.parts[0].actions if isinstance(action, WriteFile)}


def as_planned(found: Do) -> dict[str, str | None]:
    return dict.fromkeys((SYSCTL, UDEV, MODULES)) | written(found)


@BOTH
def test_off_writes_two_files_and_loads_nothing(suite: str) -> None:
    found = do(OFF, suite)
    assert list(written(found)) == [SYSCTL, UDEV]
    assert "net.bridge.bridge-nf-call-iptables = 0\n" in written(found)[SYSCTL]
    assert "systemd-sysctl --prefix=/net/bridge" in written(found)[UDEV]
    proc = "/proc/sys/net/bridge"
    is_so = {key: f"sh -c 'test ! -e {proc} || grep -qx 0 {proc}/{key}' >/dev/null 2>&1" for key in KEYS}
    assert commands(found) == [f"{is_so[key]} || sysctl -qw net.bridge.{key}=0" for key in KEYS]
    assert not any("modprobe" in line for line in commands(found))
    assert found.risk is Risk.NONE


def test_the_way_back_sets_the_values_that_were_there() -> None:
    found = do(OFF, bridged=Bridged({**ZERO, "bridge-nf-call-iptables": 1}))
    [run] = [action for action in found.parts[0].actions if isinstance(action, Run)]
    assert run.undo is not None
    assert run.undo.argv == ("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")


@BOTH
def test_off_and_not_loaded_is_enough(suite: str) -> None:
    files = as_planned(do(OFF, suite))
    found = plan(OFF, suite, bridged=Bridged(), own=files)
    assert isinstance(found, Nothing)
    assert "not loaded" in found.why
    assert isinstance(plan(OFF, suite, bridged=Bridged(ZERO), own=files), Nothing)


def test_switched_on_later_by_somebody_is_put_right() -> None:
    found = do(OFF, bridged=Bridged(ONE), own=as_planned(do(OFF)))
    assert written(found) == {}
    assert found.why == "packets between guests pass the host's firewall"


def test_on_loads_the_module_before_its_settings() -> None:
    found = do(ON, bridged=Bridged())
    assert list(written(found)) == [SYSCTL, UDEV, MODULES]
    first, *rest = commands(found)
    assert first == "test -e /proc/sys/net/bridge >/dev/null 2>&1 || modprobe br_netfilter"
    assert rest == [f"sysctl -qw net.bridge.{key}=1" for key in KEYS]
    assert isinstance(plan(ON, bridged=Bridged(ONE), own=as_planned(found)), Nothing)


@pytest.mark.parametrize("policy", ["accept", "drop"])
@pytest.mark.parametrize("now", [ZERO, ONE, {}])
def test_on_where_something_drops_what_no_rule_lets_pass(policy: str, now: dict[str, int]) -> None:
    forwarding = Forwarding((Chain("ip", "filter", "FORWARD", policy),))
    found = do(ON, bridged=Bridged(now), forwarding=forwarding)
    said = "guests lose each other: FORWARD in table ip filter drops what no rule lets pass."
    assert any(said in note for note in found.notes) == (policy == "drop")
    assert found.risk is (Risk.BRIEF_INTERRUPTION if policy == "drop" and now != ONE else Risk.NONE)
    assert any("firewall.nat names and cures them" in note for note in found.notes)


def test_from_on_to_off_takes_the_module_out_of_the_next_boot() -> None:
    found = do(OFF, bridged=Bridged(ONE), own=as_planned(do(ON)))
    assert [each.path for each in found.parts[0].actions if isinstance(each, RemoveFile)] == [MODULES]


@BOTH
def test_the_articles_host(suite: str) -> None:
    """k8s.conf and sysctl.conf are overruled by name, what ufw would apply is taken out, br0's own switch is off."""
    found = do(OFF, suite, "article")
    [edit] = [action for action in found.parts[0].actions if isinstance(action, EditLine)]
    assert (edit.path, edit.was) == ("/etc/ufw/sysctl.conf", "net/bridge/bridge-nf-call-ip6tables=1")
    assert edit.now.startswith("#")
    [switch] = [line for line in commands(found) if line.startswith("ip link")]
    assert switch == "ip link set dev br0 type bridge nf_call_iptables 0 nf_call_ip6tables 0 nf_call_arptables 0"
    assert any("/etc/sysctl.d/k8s.conf says net.bridge.bridge-nf-call-iptables = 1" in note for note in found.notes)
    assert any("by hand" in note and "sysctl.conf" in note for note in found.notes)
    assert any("br0 has its own nf_call switches on" in note for note in found.notes)


def setter(path: str, line: str = "net.bridge.bridge-nf-call-iptables=1") -> Bridged:
    return Bridged(ZERO, {}, (Setter(path, path, line),))


@pytest.mark.parametrize(
    ("path", "line", "edited"),
    [
        ("/etc/sysctl.d/zzz.conf", "net.bridge.bridge-nf-call-iptables=1", True),
        ("/etc/sysctl.d/zzz.conf", "-net/bridge/bridge-nf-call-iptables = 1", True),
        ("/etc/sysctl.d/zzz.conf", "net.bridge.bridge-nf-call-iptables=0", False),
        ("/etc/sysctl.d/zzz.conf", "net.bridge.bridge-nf-call-*=1", False),
        ("/etc/sysctl.d/zzz.conf", "net.bridge.bridge-nf-filter-vlan-tagged=1", False),
        ("/etc/sysctl.d/99-sysctl.conf", "net.bridge.bridge-nf-call-iptables=1", False),
        ("/etc/ufw/sysctl.conf", "net/bridge/bridge-nf-call-arptables=1", True),
        ("/etc/sysctl.conf", "net.bridge.bridge-nf-call-iptables=1", False),
    ],
)
def test_who_has_the_last_word(path: str, line: str, edited: bool) -> None:
    found = plan(OFF, bridged=setter(path, line), own=as_planned(do(OFF)))
    assert isinstance(found, Do) == edited, found
    if isinstance(found, Do):
        assert [type(action) for action in found.parts[0].actions] == [EditLine]


def test_a_line_that_stands_there_twice_is_one_edit_and_each_spelling_another() -> None:
    """What is put before it leaves it as it is, so that the way back tells one spelling from another."""
    spellings = ("net.bridge.bridge-nf-call-iptables=1", "\tnet.bridge.bridge-nf-call-iptables\t= 1 ")
    path = "/etc/sysctl.d/zzz.conf"
    lines = tuple(Setter(path, path, line) for line in (*spellings, spellings[0]))
    found = do(OFF, bridged=Bridged(ZERO, {}, lines), own=as_planned(do(OFF)))
    edits = [action for action in found.parts[0].actions if isinstance(action, EditLine)]
    assert [each.was for each in edits] == list(spellings)
    assert [each.now.removesuffix(each.was) for each in edits] == [f"# homek8s-wizard: {SYSCTL} decides. "] * 2


def test_a_file_that_a_package_brings_is_not_edited() -> None:
    found = plan(OFF, bridged=setter("/usr/lib/sysctl.d/zzz.conf"))
    assert isinstance(found, Refused)
    assert "/usr/lib/sysctl.d/zzz.conf sets" in found.why


def test_a_file_of_the_same_name_hides_another() -> None:
    hidden = Setter("/usr/lib/sysctl.d/zzz.conf", "/usr/lib/sysctl.d/zzz.conf", "net.bridge.bridge-nf-call-iptables=1")
    mine = Setter("/etc/sysctl.d/zzz.conf", "/etc/sysctl.d/zzz.conf", "net.bridge.bridge-nf-call-iptables=0")
    found = plan(OFF, bridged=Bridged(ZERO, {}, (mine, hidden)), own=as_planned(do(OFF)))
    assert isinstance(found, Nothing)


def test_docker_is_named() -> None:
    units = {"docker.service": Unit("loaded", "active", "enabled")}
    assert any(note.startswith("docker may set") for note in do(OFF, **{"firewall-units": units}).notes)


def test_without_a_section_nothing_is_touched() -> None:
    assert isinstance(plan(None, state="article"), Nothing)
    assert STEP.facts(cluster(None), HYPERVISOR) == {HYPERVISOR: ()}
