"""What goes wrong at a real host, and what the owner is then told."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn, links, networks, picture

Make = Callable[..., WizardOn]


@pytest.fixture
def wizard_on(hypervisor: Hypervisor, tmp_path: Path) -> Make:
    def make(suite: str = "bookworm") -> WizardOn:
        return WizardOn(hypervisor(suite), tmp_path / "owner")

    return make


def test_a_wrong_sudo_password_ends_with_status_4_and_touches_nothing(wizard_on: Make, tmp_path: Path) -> None:
    wizard = wizard_on()
    wrong = tmp_path / "wrong"
    wrong.write_text("not it\n")
    done = wizard.run("apply", "--yes", "--sudo-password-file", str(wrong))
    assert done.returncode == 4, done.stderr
    assert "sudo refused the password of owner" in done.stderr
    assert "Next:" in done.stderr


def test_a_changed_host_key_is_refused_with_file_and_line(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.machine.inside("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh")
    done = wizard.run("plan")
    assert done.returncode == 4
    assert re.search(rf"{wizard.status.known_hosts}\D+\d", done.stderr), done.stderr


def test_an_unreachable_host_is_status_4(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.machine.cut()
    try:
        done = wizard.run("plan")
    finally:
        wizard.machine.restore()
    assert done.returncode == 4
    assert "Next:" in done.stderr


def test_a_card_that_is_not_there_contradicts_the_file(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.wish(port="enp9s0")
    done = wizard.run("plan")
    assert done.returncode == 2
    assert "enp9s0" in done.stdout
    assert "enp4s0" in done.stdout
    applied = wizard.run("apply", "--yes")
    assert applied.returncode == 2
    assert "br0" not in links(wizard.machine)


def test_a_card_in_another_bridge_contradicts_the_file(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.machine.inside("ip link add other type bridge; ip link set enp5s0 master other; ip link set other up")
    wizard.wish(port="enp5s0", addresses="[]", gateway="", nameservers="")
    done = wizard.run("plan")
    assert done.returncode == 2
    assert "other" in done.stdout


def test_a_bridge_without_address_under_the_ssh_address_is_refused(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.wish(addresses="[]", gateway="", nameservers="")
    assert wizard.run("plan").returncode == 2
    assert wizard.run("apply", "--yes").returncode == 2
    assert "br0" not in links(wizard.machine)


def test_a_stopped_libvirt_is_started(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.ok("apply", "preflight", "--yes")
    wizard.machine.inside("systemctl stop libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket")
    assert wizard.states()["preflight.packages"] == "todo"
    wizard.ok("apply", "isolated", "--yes")
    assert ("kube-isolated", "active", "yes") in networks(wizard.machine)


def test_without_consent_nothing_is_done(wizard_on: Make) -> None:
    wizard = wizard_on()
    before = picture(wizard.machine)
    done = wizard.run("apply")
    assert done.returncode == 5
    assert picture(wizard.machine) == before


def test_a_second_wizard_does_nothing_while_the_first_is_at_work(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.ok("apply", "preflight", "--yes")
    wizard.wish(addresses="[10.99.99.9/24]", gateway="", nameservers="")  # nobody can reach it: this takes its time
    first = wizard.start("apply", "bridge.port", "--yes", "--guard-seconds", "60")
    assert first.stdout is not None
    assert any("goes back by itself" in line for line in first.stdout)
    second = wizard.run("apply", "isolated", "--yes")
    assert second.returncode == 5
    assert f"process {first.pid} on" in second.stderr
    assert wizard.run("export").returncode == 0
    first.kill()
    first.communicate(timeout=30)


def test_killed_at_any_moment_it_ends_where_an_undisturbed_run_does(wizard_on: Make) -> None:
    wizard = wizard_on()
    for tenths in range(4, 40, 5):
        running = wizard.start("apply", "--yes")
        try:
            running.communicate(timeout=tenths / 10)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.communicate(timeout=30)
    wizard.ok("apply", "--yes")
    assert set(wizard.states().values()) == {"done"}
    assert {("vxlan10-bridge", "active", "yes"), ("kube-isolated", "active", "yes")} <= networks(wizard.machine)


def test_ended_by_a_signal_the_script_goes_on(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.ok("apply", "preflight", "--yes")
    running = wizard.start("apply", "bridge.port", "--yes")
    assert running.stdout is not None
    assert any("==>" in line for line in running.stdout)
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM, output
    wizard.machine.inside("until [ -e /sys/class/net/br0/brif/enp4s0 ]; do sleep 0.1; done")
    wizard.ok("apply", "--yes")


def test_another_machine_under_the_same_name_is_not_touched(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.ok("apply", "preflight", "--yes")
    wizard.machine.inside("dbus-uuidgen | tr -d - >/etc/machine-id")
    done = wizard.run("apply", "--yes")
    assert done.returncode == 5
    assert "another machine" in done.stderr


@pytest.mark.parametrize("program", ["netplan", "ifupdown"])
def test_a_card_of_another_program_is_recognised_and_left_alone(wizard_on: Make, program: str) -> None:
    wizard = wizard_on()
    marks = {
        "ifupdown": "mkdir -p /etc/network; printf 'auto enp5s0\\niface enp5s0 inet dhcp\\n' >/etc/network/interfaces",
        "netplan": "mkdir /etc/netplan; echo 'network: {ethernets: {enp5s0: {dhcp4: true}}}' >/etc/netplan/50.yaml",
    }
    wizard.machine.inside(marks[program])
    wizard.wish(port="enp5s0", addresses="[]", gateway="", nameservers="")
    before = picture(wizard.machine)
    done = wizard.run("apply", "--yes")
    assert done.returncode == 2, done.stderr
    assert picture(wizard.machine)["links"] == before["links"]
