"""guests.address in real guests, over real netplan and networkd: written, adopted, refused, kept, and taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn

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
# As Debian's cloud images have it: for every NIC that nobody else speaks of.
GENERAL = "network: {version: 2, ethernets: {all-en: {match: {name: 'en*'}, dhcp4: true, optional: true}}}"
OTHER = "network: {{version: 2, ethernets: {{second: {{match: {{macaddress: '{mac}'}}, addresses: [{address}]}}}}}}"

Make = Callable[[], WizardOn]


@pytest.fixture
def wizard_on(hypervisor: Hypervisor, tmp_path: Path) -> Make:
    """Two guests that run, each with its NIC on the isolated network."""

    def make() -> WizardOn:
        wizard = WizardOn(hypervisor(midway=True), tmp_path / "owner")
        wizard.cluster_file.write_text(CLUSTER)
        wizard.ok("apply", "guests.attach", "--yes")
        return wizard

    return make


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


def test_written_refused_adopted_and_taken_back(wizard_on: Make) -> None:
    wizard = wizard_on()
    route = in_guest(wizard, "aki0", f'echo "{GENERAL}" >/etc/netplan/90-default.yaml; ip route show default')
    other = OTHER.format(mac=mac(wizard, "aki1"), address="192.168.190.77/24")
    in_guest(wizard, "aki1", f'umask 077; echo "{other}" >/etc/netplan/60-mine.yaml')

    done = wizard.run("apply", "guests.address", "--yes")
    assert done.returncode == 2, done.stderr
    assert "/etc/netplan/60-mine.yaml sets" in done.stderr
    assert "`second` below `ethernets` gives it 192.168.190.77/24" in done.stderr
    assert (
        "Next: take `second` out of /etc/netplan/60-mine.yaml, or let it have 192.168.190.101/24 alone" in done.stderr
    )

    # Written in aki0, although a general file speaks of its NIC too; nothing else has changed there.
    assert "guests.address@aki0: [done]" in done.stderr
    assert links(wizard, "aki0")[mac(wizard, "aki0")] == ["192.168.190.100/24"]
    assert in_guest(wizard, "aki0", f"stat -c '%a %U' {OWN}").split() == ["600", "root"]
    assert in_guest(wizard, "aki0", "ip route show default") == route
    assert "hk8s-guard" not in in_guest(wizard, "aki0", "systemctl list-units --all --plain --no-legend 'hk8s-*'")

    # With exactly the address that is wanted, the other file in aki1 is as good.
    in_guest(
        wizard,
        "aki1",
        "sed -i s/190.77/190.101/ /etc/netplan/60-mine.yaml; netplan generate; networkctl reload",
    )
    assert reason(wizard, "aki1").endswith("by netplan, from /etc/netplan/60-mine.yaml, which stays as it is")
    assert "1 received" in in_guest(wizard, "aki0", "ping -c 1 -w 20 192.168.190.101")
    assert OWN not in in_guest(wizard, "aki1", "ls /etc/netplan/*")

    wizard.ok("undo", "guests.address@aki0", "--yes")
    in_guest(wizard, "aki0", f"test ! -e {OWN}")
    assert "192.168.190.100/24" not in str(links(wizard, "aki0"))
    assert in_guest(wizard, "aki0", "ip route show default") == route
