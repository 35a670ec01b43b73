"""guests.address in real guests, over real netplan and networkd: written, adopted, refused, kept, and taken back."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn, cut_off, until_part_runs

OWN = "/etc/netplan/05-homek8s-isolated.yaml"
# Of the host all is as midway has it, so that only the guests are to be changed.
CLUSTER = """\
name: addresses
hypervisor:
  ssh: owner@192.168.182.100
  accept: [no-kvm, slow-fsync, no-console, small-guest]
bridge:
  name: br0
  port: enp5s0
  addresses: [192.168.182.101/24]
  network: vxlan10-bridge
isolated:
  name: kube-isolated
  cidr: 192.168.190.0/24
guests:
  - name: aki0
    role: control-plane
    ssh: owner@192.168.182.130
    isolated_address: 192.168.190.100
  - name: aki1
    role: worker
    ssh: owner@192.168.182.131
    isolated_address: 192.168.190.101
"""
# As Debian's cloud images have one for `en*`, and networkd takes the first file that fits: `enp1s0` would lose to it.
GENERAL = "network: {version: 2, ethernets: {all-en: {match: {name: 'enp[2-9]*'}, dhcp4: true, optional: true}}}"
OTHER = "network: {{version: 2, ethernets: {{second: {{match: {{macaddress: '{mac}'}}, addresses: [{address}]}}}}}}"


@pytest.fixture
def wizard(hypervisor: Hypervisor, tmp_path: Path) -> WizardOn:
    """Two guests that run, each with its NIC on the isolated network."""
    wizard = WizardOn(hypervisor("trixie", midway=True), tmp_path / "owner")
    wizard.cluster_file.write_text(CLUSTER)
    wizard.ok("apply", "guests.attach", "--yes")
    return wizard


def in_guest(wizard: WizardOn, name: str, script: str) -> str:
    """As root, over the owner's own ssh."""
    argv = ["ssh", "-F", str(wizard.status.ssh_config), name, "sudo sh -e"]
    done = wizard.machine.run_on_lan(argv, input=script, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def links(wizard: WizardOn, name: str) -> dict[str, list[str]]:
    """By MAC, the IPv4 addresses with their prefixes."""
    found = json.loads(in_guest(wizard, name, "ip -j addr"))
    return {
        link["address"]: [
            f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"] if each["family"] == "inet"
        ]
        for link in found
    }


def mac(wizard: WizardOn, name: str) -> str:
    rows = wizard.machine.inside(f"virsh -q domiflist {name}").splitlines()
    [found] = [row.split()[-1] for row in rows if "kube-isolated" in row]
    return found


def reason(wizard: WizardOn, name: str) -> str:
    [row] = [
        each
        for each in wizard.json("plan", "guests.address")["steps"]
        if (each["step"], each["target"]) == ("guests.address", name)
    ]
    return str(row["reason"])


@pytest.mark.turns(at="guests, step by step")
@pytest.mark.long
def test_refused_adopted_written_taken_back_and_through_interruptions(wizard: WizardOn) -> None:
    another_file_for_the_nic_is_refused_or_adopted(wizard)
    what_nobody_confirms_goes_back(wizard)
    written_beside_others_and_taken_back(wizard)
    ended_and_cut_off_it_goes_on(wizard)


def another_file_for_the_nic_is_refused_or_adopted(wizard: WizardOn) -> None:
    other = OTHER.format(mac=mac(wizard, "aki1"), address="192.168.190.77/24")
    in_guest(wizard, "aki1", f'umask 077; echo "{other}" >/etc/netplan/60-mine.yaml')
    done = wizard.run("apply", "guests.address@aki1", "--yes")
    assert done.returncode == 2, done.stderr
    assert "/etc/netplan/60-mine.yaml sets" in done.stderr
    assert "`second` below `ethernets` gives it 192.168.190.77/24" in done.stderr
    assert (
        "Next: take `second` out of /etc/netplan/60-mine.yaml, or let it have 192.168.190.101/24 alone" in done.stderr
    )

    # With exactly the address that is wanted it is as good.
    mend = "sed -i s/190.77/190.101/ /etc/netplan/60-mine.yaml; netplan generate; networkctl reload"
    in_guest(wizard, "aki1", mend)
    assert reason(wizard, "aki1").endswith("by netplan, from /etc/netplan/60-mine.yaml, which stays as it is")
    assert OWN not in in_guest(wizard, "aki1", "ls /etc/netplan/*")
    in_guest(wizard, "aki1", "rm /etc/netplan/60-mine.yaml; netplan generate; networkctl reload")


def what_nobody_confirms_goes_back(wizard: WizardOn) -> None:
    """The wizard is gone before it could: the guest helps itself."""
    before = links(wizard, "aki0")
    running = wizard.start("apply", "guests.address@aki0", "--yes", "--guard-seconds", "30")
    until_part_runs(running)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    guard = "/var/lib/homek8s-wizard/guard"
    in_guest(wizard, "aki0", f"while [ -e {guard}/pending ]; do sleep 0.2; done")
    assert in_guest(wizard, "aki0", f"cut -d ' ' -f 2- {guard}/outcome") == "reverted timer\n"
    assert OWN not in in_guest(wizard, "aki0", "ls /etc/netplan/*")
    assert links(wizard, "aki0") == before
    [row] = [row for row in wizard.json("status", "guests.address")["steps"] if row["target"] == "aki0"]
    assert row["state"] == "reverted", row


def written_beside_others_and_taken_back(wizard: WizardOn) -> None:
    """A general file speaks of its NIC too, and comes after ours; nothing else changes in the guest."""
    route = in_guest(wizard, "aki0", f'echo "{GENERAL}" >/etc/netplan/90-default.yaml; ip route show default')
    wizard.ok("apply", "guests.address@aki0", "--yes")
    assert links(wizard, "aki0")[mac(wizard, "aki0")] == ["192.168.190.100/24"]
    assert in_guest(wizard, "aki0", f"stat -c '%a %U' {OWN}").split() == ["600", "root"]
    assert in_guest(wizard, "aki0", "ip route show default") == route
    assert "hk8s-guard" not in in_guest(wizard, "aki0", "systemctl list-units --all --plain --no-legend 'hk8s-*'")

    wizard.ok("undo", "guests.address@aki0", "--yes")
    assert OWN not in in_guest(wizard, "aki0", "ls /etc/netplan/*")
    assert "192.168.190.100/24" not in str(links(wizard, "aki0"))
    assert in_guest(wizard, "aki0", "ip route show default") == route


def ended_and_cut_off_it_goes_on(wizard: WizardOn) -> None:
    running = wizard.start("apply", "guests.address@aki0", "--yes")
    until_part_runs(running)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)
    resumed = wizard.ok("apply", "guests.address@aki0", "--yes")
    assert "was under way" in resumed.stderr
    assert links(wizard, "aki0")[mac(wizard, "aki0")] == ["192.168.190.100/24"]

    running = wizard.start("apply", "guests.address@aki1", "--yes")
    seen = until_part_runs(running)
    cut_off(wizard.machine)
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, seen + output
    assert links(wizard, "aki1")[mac(wizard, "aki1")] == ["192.168.190.101/24"]
