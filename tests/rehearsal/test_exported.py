"""Exported scripts on real hypervisors, run by sh alone over plain ssh, beside one that the wizard itself sets up."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.by_hand import ByHand, exported
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn, links, picture
from wizard.rehearsal import Rehearsal

OWN = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""MAC addresses and uuids: every machine has its own."""

Wizards = Callable[..., WizardOn]


@pytest.fixture
def wizard_on(hypervisor: Hypervisor, tmp_path: Path) -> Wizards:
    def make(suite: str = "bookworm", which: str = "", *, bare: bool = False) -> WizardOn:
        wizard = WizardOn(hypervisor(suite, bare=bare, which=which), tmp_path / f"owner{which}")
        wish_for_more(wizard)
        return wizard

    return make


def wish_for_more(wizard: WizardOn) -> None:
    """The card's MAC on the bridge, which only the host knows."""
    text = wizard.cluster_file.read_text().replace("  name: br0\n", "  name: br0\n  keep_mac: true\n")
    wizard.cluster_file.write_text(text)


def changed(machine: Rehearsal, before: dict[str, Any]) -> dict[str, str]:
    """Path to content of what is there since then under /etc, without what is each machine's own."""
    now = set(picture(machine)["files"]) - set(before["files"])
    paths = sorted(line.split(" -> ")[0].split("  ")[-1] for line in now)
    return {path: OWN.sub("OWN", machine.inside(f"cat {path}")) for path in paths}


def without_files(machine: Rehearsal) -> dict[str, Any]:
    return {**picture(machine), "files": []}


def to_do(wizard: WizardOn) -> set[str]:
    return {row["step"] for row in wizard.json("plan")["steps"] if row["parts"]}


def until_settled(by_hand: ByHand) -> str:
    """How the guard ended by itself."""
    inside = by_hand.wizard.machine.inside
    inside("while [ -e /var/lib/homek8s-wizard/guard/pending ]; do sleep 0.2; done")
    time.sleep(1)
    return inside("cut -d' ' -f2- /var/lib/homek8s-wizard/guard/outcome").strip()


ALL_COMMANDS = {"firewall.ufw"}
"""There is nothing to ask before they run, so they run each time."""


@pytest.mark.long
def test_by_hand_a_fresh_host_comes_to_where_the_wizard_brings_it(wizard_on: Wizards) -> None:
    here, there = wizard_on("trixie"), wizard_on("trixie", "other")
    before, before_there = picture(here.machine), picture(there.machine)
    by_hand = exported(here)
    assert "error" not in "".join(by_hand.all().values())
    for name, said in by_hand.all().items():
        assert "nothing to do; it ran before" in said or any(step in name for step in ALL_COMMANDS), f"{name}: {said}"
    there.ok("apply", "--yes")
    assert without_files(here.machine) == without_files(there.machine)
    assert changed(here.machine, before) == changed(there.machine, before_there)
    mac = here.machine.inside("cat /sys/class/net/enp4s0/address").strip()
    assert f"MACAddress={mac}\n" in here.machine.inside("cat /etc/systemd/network/05-homek8s-br0.netdev")
    assert to_do(here) == set()
    here.ok("undo", "--all", "--yes")
    assert picture(here.machine) == before


def test_a_change_of_the_network_is_kept_only_where_all_is_well(wizard_on: Wizards) -> None:
    wizard = wizard_on()
    machine, by_hand = wizard.machine, exported(wizard, guard_seconds=15)
    name = by_hand.of("bridge.port")
    confirm = by_hand.confirmation(name)
    # Where a file is otherwise, nothing is done.
    machine.inside("echo '# mine' >/etc/systemd/network/05-homek8s-br0.network")
    otherwise = by_hand.run(name)
    assert otherwise.returncode == 75
    assert "05-homek8s-br0.network is not as it was" in otherwise.stderr
    assert machine.inside("ls /var/lib/homek8s-wizard/manifest 2>/dev/null; true") == ""
    machine.inside("rm /etc/systemd/network/05-homek8s-br0.network")
    # The login that began it proves nothing, and silence goes back.
    before = picture(machine)
    both = by_hand.say(f"sh -c 'sh exported/{name}; sh exported/{confirm}'")
    assert "done, and not confirmed yet" in both.stdout, both.stderr
    assert "this is the login that began the change, which proves nothing" in both.stderr
    assert both.returncode == 75
    assert links(machine)["br0"]["addresses"] == ["192.168.182.100/24"]
    assert until_settled(by_hand) == "reverted timer"
    assert picture(machine) == before
    late = by_hand.run(confirm)
    assert late.returncode == 75
    assert "reverted timer" in late.stderr


def test_a_change_that_takes_something_away_is_not_confirmed(wizard_on: Wizards) -> None:
    """Before, the router answered; here it no longer does."""
    wizard = wizard_on()
    machine, by_hand = wizard.machine, exported(wizard, guard_seconds=60)
    name = by_hand.of("bridge.port")
    assert by_hand.run(name).returncode in (0, 255)
    assert "waits to be confirmed" in by_hand.run(name).stderr
    machine.inside("ip route add blackhole 192.168.182.1/32")
    refused = by_hand.run(by_hand.confirmation(name))
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "not confirmed, because this is no longer so: the name server 192.168.182.1 answers" in refused.stderr
    machine.inside("ip route del blackhole 192.168.182.1/32")
    assert by_hand.ok(by_hand.confirmation(name)).endswith("kept\n")


def test_a_lease_moves_to_the_bridge_with_what_only_the_host_knows(wizard_on: Wizards) -> None:
    wizard = wizard_on()
    lease = "[Match]\\nName=enp5s0\\n[Network]\\nDHCP=ipv4\\n[DHCPv4]\\nUseRoutes=no\\n"
    wizard.machine.inside(f"printf '{lease}' >/etc/systemd/network/20-spare.network; networkctl reload")
    wizard.machine.inside("until ip -4 addr show dev enp5s0 dynamic | grep -q inet; do sleep 0.2; done")
    before = picture(wizard.machine)
    wizard.wish(port="enp5s0", addresses="", gateway="", nameservers="")
    text = wizard.cluster_file.read_text().replace("  port: enp5s0\n", "  port: enp5s0\n  dhcp: true\n")
    wizard.cluster_file.write_text(text)
    by_hand = exported(wizard)
    for _ in range(2):
        assert re.search(r"read from this host: 0x[0-9a-f]+ ", by_hand.step("bridge.port"))
    assert links(wizard.machine)["br0"]["addresses"] == before["links"]["enp5s0"]["addresses"]
    assert "bridge.port" not in to_do(wizard)
    wizard.ok("undo", "bridge.port", "--yes")
    assert picture(wizard.machine) == before


@pytest.mark.turns(at="scripts on a new machine")
def test_a_bare_machine_gets_its_packages(wizard_on: Wizards) -> None:
    wizard = wizard_on(bare=True)
    by_hand = exported(wizard)
    by_hand.step("preflight.packages")
    assert "nothing to do" in by_hand.step("preflight.packages")
    assert wizard.states()["preflight.packages"] == "done"


@pytest.mark.turns(at="scripts on a new machine")
def test_what_the_wizard_did_is_done_again_on_a_new_machine(wizard_on: Wizards, tmp_path: Path) -> None:
    wizard = wizard_on()
    before = picture(wizard.machine)
    wizard.ok("apply", "--yes")
    reached, files = without_files(wizard.machine), changed(wizard.machine, before)
    wizard.ok("export", "--format", "sh", "-o", str(wizard.directory / "exported"))
    wizard.machine.reset()
    before = picture(wizard.machine)
    by_hand = ByHand(wizard, wizard.directory / "exported")
    by_hand.copy()
    readme = (by_hand.directory / "README.txt").read_text()
    assert readme.count("it is what ran here at 20") == len(by_hand.scripts)
    by_hand.all()
    assert without_files(wizard.machine) == reached
    assert changed(wizard.machine, before) == files
    elsewhere = WizardOn(wizard.machine, tmp_path / "elsewhere")
    wish_for_more(elsewhere)
    assert to_do(elsewhere) == set()
