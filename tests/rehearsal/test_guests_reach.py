"""guests.reach and guests.attach on real guests: moved to the bridge, booted, told apart, and taken back."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rehearsal import forked, swap_alone
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn, cut_off, until_said

REACH = ("apply", "guests.reach", "--yes")
LAN = "vxlan10-bridge"
BOOT = "cat /proc/sys/kernel/random/boot_id"
SWAP = """set -e
fallocate -l 64M /swap.img
chmod 600 /swap.img
mkswap -q /swap.img
printf "/swap.img\\tnone\\tswap\\tsw\\t0\\t0\\n" >>/etc/fstab
systemctl daemon-reload
swapon -a"""
ATTACHED = r"has one NIC on kube-isolated \((\S+)\), and calls it (\S+)"


class Midway(WizardOn):
    """The article half done: aki0 and aki1 run, aki2 is off, on a macvtap."""

    def virsh(self, command: str) -> str:
        return self.machine.inside(f"LC_ALL=C virsh -q {command}")

    def definition(self, name: str) -> str:
        return self.virsh(f"dumpxml --inactive --security-info {name}")

    def in_guest(self, name: str, command: str) -> str:
        """As root, in the guest."""
        password = self.status.password_file.read_text()
        asked = self.machine.ssh("sudo", "-S", "-p", "''", "sh", "-c", f"'{command}'", host=name)
        done = subprocess.run(asked, input=password, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def write(self, old: str, new: str) -> None:
        text = self.cluster_file.read_text()
        assert old in text
        self.cluster_file.write_text(text.replace(old, new))

    def row(self, name: str, step: str) -> dict[str, str]:
        rows = self.json("plan", f"{step}@{name}")["steps"]
        return next(row for row in rows if (row["step"], row["target"]) == (step, name))


def interfaces(xml: str) -> list[str]:
    return re.findall(r"<interface.*?</interface>", xml, re.DOTALL)


@pytest.mark.turns(at="guests, step by step")
@pytest.mark.long
def test_from_macvtap_to_a_machine_that_answers_and_back(hypervisor: Hypervisor, tmp_path: Path) -> None:
    wizard = Midway(hypervisor("trixie", midway=True), tmp_path / "owner")
    before = {name: wizard.definition(name) for name in ("aki0", "aki1", "aki2")}
    wizard.ok("apply", "bridge", "isolated", "--yes")
    killed_while_it_boots(wizard)
    cut_off_while_it_boots(wizard)
    moved_in_place(wizard, before["aki2"])
    rows = wizard.json("plan", "guests.reach")["steps"]
    assert {row["state"] for row in rows if row["step"] == "guests.reach"} == {"done"}
    plugged_into_a_running_guest_and_out_again(wizard, before["aki0"])
    at_another_address(wizard)
    taken_for_one_another(wizard)
    with swap_switched_off_for_good(wizard, "aki1"):
        booted_cold_one_after_the_other(wizard)
    wizard.virsh("destroy aki1")
    assert wizard.row("aki1", "guests.reach")["reason"] == "aki1 is off"
    wizard.ok("undo", "guests.reach", "--yes")
    assert {name: wizard.definition(name) for name in before} == before
    assert wizard.virsh("domstate aki2").strip() == "shut off"
    assert wizard.machine.inside("ls /etc/libvirt/qemu/autostart").split() == ["aki0.xml"]
    assert wizard.machine.inside("ls /var/lib/homek8s-wizard/domains 2>/dev/null; true") == ""


def killed_while_it_boots(wizard: Midway) -> None:
    running = wizard.start(*REACH)
    until_said(running, "waiting until aki2 answers")
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    row = wizard.row("aki2", "guests.reach")
    assert "does not answer yet" in row["reason"] or row["state"] == "interrupted"


def cut_off_while_it_boots(wizard: Midway) -> None:
    running = wizard.start(*REACH)
    seen = until_said(running, "waiting until aki2 answers")
    cut_off(wizard.machine)
    output, _ = running.communicate(timeout=600)
    assert running.returncode == 0, seen + output


def moved_in_place(wizard: Midway, before: str) -> None:
    [was], [now] = interfaces(before), interfaces(wizard.definition("aki2"))
    kept = ("<mac ", "<model ", "<address ")
    assert [line for line in was.splitlines() if line.strip().startswith(kept)] == [
        line for line in now.splitlines() if line.strip().startswith(kept)
    ]
    assert f"<source network='{LAN}'/>" in now
    assert wizard.in_guest("aki2", "hostname").strip() == "aki2"
    started = wizard.machine.inside("ls /etc/libvirt/qemu/autostart").split()
    assert started == ["aki0.xml", "aki1.xml", "aki2.xml"]


def plugged_into_a_running_guest_and_out_again(wizard: Midway, before: str) -> None:
    """Twice: the wizard is cut off from the guest that it asks about its new NIC; and it is killed."""
    boot = wizard.in_guest("aki0", BOOT)
    running = wizard.start("apply", "guests.attach@aki0", "--yes")
    seen = until_said(running, "part 2 of 2")
    cut_off(wizard.machine)
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, seen + output
    unplugged_again(wizard, plugged_in(wizard, output), before)
    running = wizard.start("apply", "guests.attach@aki0", "--yes")
    until_said(running, "part 2 of 2")
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    unplugged_again(wizard, plugged_in(wizard, wizard.ok("apply", "guests.attach@aki0", "--yes").stderr), before)
    assert wizard.in_guest("aki0", BOOT) == boot, "nothing was restarted"


def plugged_in(wizard: Midway, said: str) -> str:
    """The MAC of the NIC, which the guest has under the name that the wizard says."""
    found = re.search(ATTACHED, said)
    assert found, said
    seen = {link["address"]: link["ifname"] for link in json.loads(wizard.in_guest("aki0", "ip -j link"))}
    assert seen[found[1]] == found[2]
    return found[1]


def unplugged_again(wizard: Midway, mac: str, before: str) -> None:
    wizard.ok("undo", "guests.attach@aki0", "--yes")
    assert wizard.definition("aki0") == before
    assert mac not in wizard.in_guest("aki0", "ip -j link")


def at_another_address(wizard: Midway) -> None:
    wizard.write("owner@192.168.182.131", "owner@192.168.182.177")
    row = wizard.row("aki1", "guests.reach")
    assert row["state"] == "blocked"
    assert "aki1 has 192.168.182.131 now, and does not answer at 192.168.182.177" in row["reason"]
    wizard.write("owner@192.168.182.177", "owner@aki0")
    row = wizard.row("aki1", "guests.reach")
    assert row["state"] == "blocked"
    assert row["reason"] == "owner@aki0 leads to aki0, not to aki1"
    line = "    ssh: owner@aki0\n"
    wizard.write(line, "")
    assert wizard.row("aki1", "guests.reach")["state"] == "done", "libvirt knows where it is"
    wizard.write(
        "  - name: aki1\n    role: worker\n", "  - name: aki1\n    role: worker\n    ssh: owner@192.168.182.131\n"
    )


def taken_for_one_another(wizard: Midway) -> None:
    first, own = (wizard.in_guest(name, "cat /etc/machine-id").strip() for name in ("aki0", "aki1"))
    wizard.in_guest("aki1", f"echo {first} >/etc/machine-id; hostname aki0")
    done = wizard.run("apply", "guests.reach@aki1", "--yes")
    assert done.returncode == 5, done.stderr
    assert f"aki0 and aki1 have one machine-id ({first})" in done.stderr
    assert "sudo systemd-machine-id-setup" in done.stderr
    assert "sudo hostnamectl set-hostname aki1" in done.stderr
    wizard.in_guest("aki1", f"echo {own} >/etc/machine-id; hostname somebody")
    assert "It calls itself somebody." in wizard.row("aki1", "guests.reach")["reason"]
    wizard.in_guest("aki1", "hostname aki1")


def booted_cold_one_after_the_other(wizard: Midway) -> None:
    """They run with another NIC than their definitions have: a new start brings both together, with consent."""
    names = ("aki1", "aki0")
    attach = "attach-interface {} network kube-isolated --model virtio --mac 52:54:00:a0:00:{}{} {}"
    for name in names:
        wizard.virsh(attach.format(name, 5, name[-1], "--live"))
        wizard.virsh(attach.format(name, 6, name[-1], "--config"))
    boots = {name: wizard.in_guest(name, BOOT) for name in names}
    steps = [f"guests.attach@{name}" for name in names]
    assert wizard.run("apply", *steps).returncode == 5, "a restart is asked about"
    assert {name: wizard.in_guest(name, BOOT) for name in names} == boots
    said = wizard.ok("apply", *steps, "--yes", timeout=900).stderr
    assert said.index("aki1 has one NIC on kube-isolated") < said.index("virsh shutdown aki0"), said
    for name in names:
        assert wizard.in_guest(name, BOOT) != boots[name]
        there = wizard.virsh(f"domiflist {name}").split()
        assert (there.count("kube-isolated"), there[-1]) == (1, f"52:54:00:a0:00:6{name[-1]}")
        wizard.virsh(f"detach-interface {name} network --mac {there[-1]} --config")


@contextmanager
def swap_switched_off_for_good(wizard: Midway, name: str) -> Iterator[None]:
    """Across what happens meanwhile; then it is on again as it was. No node of a rehearsal can have any of its own."""
    step, swaps, fstab = f"join.prerequisites@{name}", "tail -n +2 /proc/swaps", "cat /etc/fstab"
    before = wizard.cluster_file.read_text()
    wizard.cluster_file.write_text(f"{before}kubernetes: {{version: '1.34', cni: none}}\n")
    wizard.in_guest(name, SWAP)
    lines = wizard.in_guest(name, fstab)
    said = without_swap(wizard, "apply", step)
    assert "==> swapoff -a" in said, said
    assert wizard.in_guest(name, swaps) == ""
    yield
    assert wizard.in_guest(name, swaps) == "", "it came back with the boot"
    assert "[done]" in without_swap(wizard, "apply", step)
    without_swap(wizard, "undo", step)
    assert wizard.in_guest(name, swaps).startswith("/swap.img")
    assert wizard.in_guest(name, fstab) == lines
    wizard.cluster_file.write_text(before)


def without_swap(wizard: Midway, verb: str, step: str) -> str:
    """What is said on the way."""
    argv = wizard.argv(verb, step, "--yes")
    done = forked.run(argv, wizard.machine.name, wizard.environment, 300, swap_alone.main)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
