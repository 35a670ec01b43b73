"""The host's steps from end to end: the installed command against real hypervisors, each asked what became of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.pictures import whole
from tests.rehearsal.wizard_on import (
    WizardOn,
    cut_off,
    default_routes,
    forwarding_ports,
    links,
    networks,
    picture,
    until_part_runs,
)
from wizard.catalog import STAGES

ADDRESS = ["192.168.182.100/24"]
HOST = tuple(step for stage in STAGES if stage.id not in ("guests", "join", "verify") for step in stage.steps)
"""Of the hypervisor itself; guests, and a cluster on them, are for the tests that have some."""
ALL_DONE = {step.id: "done" for step in HOST}


@pytest.fixture
def wizard_on(hypervisor: Hypervisor, tmp_path: Path) -> Callable[..., WizardOn]:
    def make(suite: str = "bookworm", *, bare: bool = False) -> WizardOn:
        return WizardOn(hypervisor(suite, bare=bare), tmp_path / "owner")

    return make


def bridged(wizard: WizardOn, port: str = "enp4s0") -> None:
    """br0 has exactly this port and the host's address, there is one way out, and both networks stand."""
    seen = links(wizard.machine)
    assert seen["br0"]["addresses"] == ADDRESS
    assert seen[port]["master"] == "br0"
    assert seen[port]["addresses"] == []
    assert forwarding_ports(wizard.machine, "br0") == [port]
    assert default_routes(wizard.machine) == [("192.168.182.1", "br0")]
    wanted = {("vxlan10-bridge", "active", "yes"), ("kube-isolated", "active", "yes")}
    assert wanted <= networks(wizard.machine)


def nothing_to_do(wizard: WizardOn) -> None:
    done = wizard.run("plan", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["changes"] == 0


def test_from_fresh_to_done_through_a_reboot_and_back(wizard_on: Callable[..., WizardOn], suite: str) -> None:
    wizard = wizard_on(suite)
    before = whole(wizard.machine)
    planned = wizard.run("plan", "--json")
    assert planned.returncode == 3, planned.stderr
    assert wizard.run("check").returncode == 3
    wizard.ok("apply", "--yes")
    bridged(wizard)
    nothing_to_do(wizard)
    assert wizard.states() == ALL_DONE
    assert wizard.run("check").returncode == 0
    wizard.machine.reboot(power=False)
    bridged(wizard)
    nothing_to_do(wizard)
    again = wizard.ok("apply", "--yes")
    assert "part 1" not in again.stderr
    wizard.ok("undo", "--all", "--yes")
    assert whole(wizard.machine) == before
    wizard.machine.reboot(power=False)
    assert whole(wizard.machine) == before


def test_the_bridge_moves_to_another_card_without_a_loop(wizard_on: Callable[..., WizardOn]) -> None:
    wizard = wizard_on()
    before = picture(wizard.machine)
    wizard.wish(port="enp5s0", addresses="[]", gateway="", nameservers="")
    wizard.ok("apply", "--yes")
    assert forwarding_ports(wizard.machine, "br0") == ["enp5s0"]
    assert links(wizard.machine)["enp4s0"]["addresses"] == ADDRESS
    wizard.cluster_file.write_text(wizard.status.cluster_file.read_text())
    wizard.ok("apply", "--yes")
    bridged(wizard)
    assert links(wizard.machine)["enp5s0"]["master"] is None
    wizard.machine.reboot(power=True)
    bridged(wizard)
    assert links(wizard.machine)["enp5s0"]["master"] is None
    nothing_to_do(wizard)
    wizard.ok("undo", "--all", "--yes")
    assert picture(wizard.machine) == before


LOST = {"addresses": "[10.99.99.9/24]", "gateway": "10.99.99.1", "nameservers": ""}


def test_an_address_nobody_can_reach_goes_back_by_the_timer(wizard_on: Callable[..., WizardOn]) -> None:
    wizard = wizard_on()
    wizard.ok("apply", "preflight", "--yes")
    before = picture(wizard.machine)
    wizard.wish(**LOST)
    done = wizard.run("apply", "bridge.port", "--yes", "--guard-seconds", "15")
    assert done.returncode == 1, done.stderr
    assert "[reverted]" in done.stderr
    assert picture(wizard.machine) == before
    assert wizard.states()["bridge.port"] == "reverted"


def test_a_restart_before_it_was_confirmed_goes_back(wizard_on: Callable[..., WizardOn]) -> None:
    wizard = wizard_on()
    wizard.ok("apply", "preflight", "--yes")
    before = picture(wizard.machine)
    wizard.wish(**LOST)
    running = wizard.start("apply", "bridge.port", "--yes", "--guard-seconds", "300")
    wizard.machine.inside(
        "until [ -e /sys/class/net/br0/bridge ] && ip addr show br0 | grep -q 10.99; do sleep 0.1; done"
    )
    wizard.machine.reboot(power=True)
    output, _ = running.communicate(timeout=200)
    assert running.returncode == 1, output
    assert "restarted before it was confirmed" in output
    assert picture(wizard.machine) == before


CHANGING = tuple(step.id for step in HOST if not step.only_checks and step.id != "firewall.nat")
"""What there is to do on a plain hypervisor; it has no rule that firewall.nat could cure."""


@pytest.mark.turns("bare", "steps")
@pytest.mark.long(first=True)
@pytest.mark.parametrize(("bare", "steps"), [(True, CHANGING[:1]), (False, CHANGING[1:])], ids=["packages", "the-rest"])
def test_each_step_goes_on_after_a_kill_and_a_cut_link_and_is_taken_back(
    wizard_on: Callable[..., WizardOn], bare: bool, steps: tuple[str, ...]
) -> None:
    """In their order on one machine, so that each finds done what comes before it."""
    wizard = wizard_on(bare=bare)
    for earlier in CHANGING[: CHANGING.index(steps[0])]:
        wizard.ok("apply", earlier, "--yes")
    for step in steps:
        before = picture(wizard.machine)
        killed_in_the_middle_of_a_part_it_goes_on(wizard, step)
        nothing_is_left_to_do(wizard, step)
        taken_back_it_is_as_before(wizard, step, before)
        a_link_cut_in_the_middle_of_a_part_is_waited_out(wizard, step)
        nothing_is_left_to_do(wizard, step)
    wizard.ok("apply", "--yes")
    bridged(wizard)
    nothing_to_do(wizard)


def nothing_is_left_to_do(wizard: WizardOn, step: str) -> None:
    [row] = [row for row in wizard.json("plan", step)["steps"] if row["step"] == step]
    assert row["state"] == "done"
    assert row["parts"] == []


def taken_back_it_is_as_before(wizard: WizardOn, step: str, before: dict[str, Any]) -> None:
    wizard.ok("undo", step, "--yes")
    after = picture(wizard.machine)
    if step == "preflight.packages":  # what purging leaves is dpkg's own: its users, and the caches it renews
        after, before = ({key: seen[key] for key in ("links", "routes", "networks")} for seen in (after, before))
    assert after == before


def killed_in_the_middle_of_a_part_it_goes_on(wizard: WizardOn, step: str) -> None:
    running = wizard.start("apply", step, "--yes")
    until_part_runs(running)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    done = wizard.ok("apply", step, "--yes")
    assert "was under way" in done.stderr


def a_link_cut_in_the_middle_of_a_part_is_waited_out(wizard: WizardOn, step: str) -> None:
    running = wizard.start("apply", step, "--yes")
    seen = until_part_runs(running)
    cut_off(wizard.machine)
    output, _ = running.communicate(timeout=200)
    assert running.returncode == 0, seen + output


def test_a_wizard_elsewhere_with_the_same_file_goes_on_by_taking_over(
    wizard_on: Callable[..., WizardOn], tmp_path: Path
) -> None:
    here = wizard_on()
    here.ok("apply", "--yes")
    there = WizardOn(here.machine, tmp_path / "elsewhere")
    nothing_to_do(there)
    assert there.run("undo", "isolated", "--yes").returncode == 5
    there.ok("undo", "isolated", "--yes", "--take-over")
    assert "kube-isolated" not in {name for name, *_ in networks(here.machine)}


def test_a_file_of_ours_edited_by_hand_is_shown_and_not_lost(wizard_on: Callable[..., WizardOn]) -> None:
    wizard = wizard_on()
    wizard.ok("apply", "--yes")
    [path, *_] = wizard.machine.inside("ls /etc/systemd/network/05-homek8s-*.network").split()
    wizard.machine.inside(f"echo '# mine' >>{path}")
    assert wizard.states()["bridge.port"] in ("drifted", "done")
    refused = wizard.run("undo", "bridge.port", "--yes")
    assert refused.returncode == 1
    assert "+# mine" in refused.stderr
    assert "# mine" in wizard.machine.inside(f"cat {path}")


def test_no_secret_is_left_anywhere(wizard_on: Callable[..., WizardOn]) -> None:
    wizard = wizard_on()
    secret = wizard.status.password_file.read_text().strip()
    done = wizard.ok("apply", "--yes")
    assert secret not in done.stdout + done.stderr + wizard.ok("export").stdout
    assert wizard.remembers(secret) == []
    found = wizard.machine.inside(
        f"grep -rlF -- '{secret}' /var/lib/homek8s-wizard /etc /run /tmp /var/log 2>/dev/null; true"
    )
    assert found == ""


def test_a_guard_left_behind_is_seen_and_what_came_of_it_too(wizard_on: Callable[..., WizardOn]) -> None:
    wizard = wizard_on()
    wizard.ok("apply", "preflight", "--yes")
    before = picture(wizard.machine)
    wizard.wish(**LOST)
    running = wizard.start("apply", "bridge.port", "--yes", "--guard-seconds", "15")
    wizard.machine.inside("until ip addr show br0 2>/dev/null | grep -q 10.99; do sleep 0.1; done")
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    wizard.machine.inside("ip addr add 192.168.182.100/24 dev br0")
    assert wizard.states()["bridge.port"] in ("guarded", "running")
    wizard.machine.inside("while [ -e /var/lib/homek8s-wizard/guard/pending ]; do sleep 0.2; done")
    assert wizard.states()["bridge.port"] == "reverted"
    assert picture(wizard.machine) == before
