"""Rehearsals with guests: what their cluster.yaml says, and real guests that answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rehearsal import bird, domains, wireguard
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.namespaces import ON_BR0, over_ssh
from tests.rehearsal.tcp import between, tcp_source_of_guest
from wizard.cluster import Cluster
from wizard.cluster.file import load
from wizard.rehearsal import BadRequest, Rehearsal, cluster_file
from wizard.rehearsal.record import Spec
from wizard.rehearsal.waiting import until

REPOSITORY = Path(__file__).parents[2]


def loaded(text: str, tmp_path: Path) -> Cluster:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return load(path).cluster


@pytest.mark.parametrize("count", range(4))
def test_cluster_yaml_is_valid_with_any_number_of_guests(count: int, tmp_path: Path) -> None:
    cluster = loaded(cluster_file.text(Spec("some", "bookworm", False, "", guests=count)), tmp_path)
    assert [guest.name for guest in cluster.guests] == ["aki0", "aki1", "aki2"][:count]
    assert [guest.ssh for guest in cluster.guests] == [f"owner@192.168.182.13{n}" for n in range(count)]
    assert all(guest.create for guest in cluster.guests)


def test_more_guests_than_addresses_are_refused() -> None:
    with pytest.raises(BadRequest, match="0 to 3"):
        Rehearsal("never-made").up(guests=4)


def test_midway_cluster_yaml_is_the_end_that_the_article_reaches(tmp_path: Path) -> None:
    cluster = loaded(cluster_file.text(Spec("some", "bookworm", False, "", midway=True)), tmp_path)
    assert cluster.bridge
    assert cluster.bridge.port == "enp4s0"
    assert cluster.firewall
    assert cluster.firewall.nat == "restrict-source"
    assert cluster.firewall.ufw
    assert [guest.nic for guest in cluster.guests] == ["leave", "leave", "bridge"]
    assert not any(guest.create for guest in cluster.guests)


def test_midway_is_neither_bare_nor_asked_for_guests() -> None:
    for wish in ({"bare": True}, {"guests": 1}):
        with pytest.raises(BadRequest, match="already"):
            Rehearsal("never-made").up(midway=True, **wish)  # type: ignore[arg-type]


# --- half of the article, done by hand ------------------------------------------------------------------------------


@pytest.fixture
def other_name(hypervisor: Hypervisor) -> Iterator[str]:
    """A name for a midway rehearsal that the test makes itself; the layer is in the cache by then."""
    name = hypervisor("trixie", midway=True).name + "-other"
    yield name
    Rehearsal(name).down()


def test_midway_is_the_article_half_done_with_its_fault_each_time_anew(hypervisor: Hypervisor, other_name: str) -> None:
    machine = hypervisor("trixie", midway=True)
    half_of_it_is_there(machine)
    its_guests_answer_and_are_told_apart(machine)
    another_is_woken_from_the_cache(machine, other_name)
    the_articles_fault_occurs_and_ends_with_its_cause(machine)
    a_reset_gives_the_same_again(machine)
    a_reboot_brings_aki0_back_by_itself_after_a_clean_shutdown(machine)


def half_of_it_is_there(machine: Rehearsal) -> None:
    assert machine.inside("systemctl is-system-running --wait").strip() == "running"
    states = {line.split()[1]: line.split(maxsplit=2)[2] for line in machine.inside("virsh -q list --all").splitlines()}
    assert states == {"aki0": "running", "aki1": "running", "aki2": "shut off"}
    assert machine.inside("virsh -q list --all --autostart --name").split() == ["aki0"]
    assert "default via 192.168.182.1 dev enp4s0" in machine.inside("ip route")
    addresses = {link["ifname"]: link["addr_info"] for link in json.loads(machine.inside("ip -j -4 address"))}
    assert addresses["br0"][0]["local"] == "192.168.182.101"
    assert "master br0" in machine.inside("ip link show enp5s0")
    assert machine.inside("sysctl -n net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables").split() == ["1", "1"]
    assert "inactive" in machine.inside("ufw status")
    assert machine.inside("stat -c %a /etc/wireguard/wg0.conf").strip() == "600"
    assert wireguard.rule_is_live(machine)
    assert "macvtap" not in machine.inside("ip -d link")


def its_guests_answer_and_are_told_apart(machine: Rehearsal) -> None:
    seen = set()
    for host in ("hypervisor", "aki0", "aki1"):
        shell = over_ssh(machine, host)
        assert shell("hostname").strip() == host
        seen.add(shell("cat /etc/machine-id"))
    assert len(seen) == 3
    assert over_ssh(machine, "aki0")("sudo -n stat -c %a /etc/netplan/00-installer-config.yaml").strip() == "600"
    there = [("hypervisor", "up"), ("aki0", "up"), ("aki1", "up"), ("aki2", "off")]
    until(lambda: boots(machine) == there or None, 60, "aki0 and aki1 do not answer")


def boots(machine: Rehearsal) -> list[tuple[str, str]]:
    status = machine.status()
    assert status
    return [(host.name, host.boot.value) for host in status.hosts]


def the_articles_fault_occurs_and_ends_with_its_cause(machine: Rehearsal) -> None:
    bird.peers(machine)
    assert "192.168.182.101" in bird.refused(machine)
    assert not bird.established(machine, limit=5)
    assert between(machine, ON_BR0) == "192.168.182.101"
    assert tcp_source_of_guest(machine, "aki0", "aki1", "192.168.182.131") == "192.168.182.101"
    wireguard.remove_rule(machine)
    assert bird.established(machine)
    assert tcp_source_of_guest(machine, "aki0", "aki1", "192.168.182.131") == "192.168.182.130"


def another_is_woken_from_the_cache(machine: Rehearsal, name: str) -> None:
    command = [sys.executable, "-m", "wizard.cli.rehearse", "up", "--suite", "trixie", "--midway", "--name", name]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "this happens once" not in told.stderr
    other = Rehearsal(name)
    over_ssh(other, "aki1")("touch mine")
    assert over_ssh(machine, "aki1")("test -e mine || echo none").strip() == "none"
    assert machine.inside("cat /etc/machine-id") != other.inside("cat /etc/machine-id")
    machine.wait_ssh(host="aki0")
    other.down()


def a_reset_gives_the_same_again(machine: Rehearsal) -> None:
    before = over_ssh(machine, "aki0")("cat /etc/machine-id /proc/sys/kernel/random/boot_id")
    over_ssh(machine, "aki0")("sudo touch /var/tmp/old && sync")
    assert not wireguard.rule_is_live(machine)
    machine.inside("virsh undefine --nvram aki2")
    machine.reset()
    assert wireguard.rule_is_live(machine)
    assert machine.inside("virsh domstate aki2").strip() == "shut off"
    assert over_ssh(machine, "aki0")("cat /etc/machine-id /proc/sys/kernel/random/boot_id") == before
    assert over_ssh(machine, "aki0")("test -e /var/tmp/old || echo fresh").strip() == "fresh"


def a_reboot_brings_aki0_back_by_itself_after_a_clean_shutdown(machine: Rehearsal) -> None:
    shell = over_ssh(machine, "aki0")
    before = shell("cat /proc/sys/kernel/random/boot_id")
    shell("echo kept | sudo tee /var/tmp/kept")
    machine.reboot()
    machine.wait_ssh(600, host="aki0")
    assert shell("cat /proc/sys/kernel/random/boot_id") != before
    assert shell("cat /var/tmp/kept").strip() == "kept"
    assert "Journal stopped" in shell("sudo journalctl -q -b -1 -n 5")
    assert machine.inside("virsh domstate aki1").strip() == "shut off"
    assert wireguard.rule_is_live(machine)


# --- without guests -------------------------------------------------------------------------------------------------


def test_wireguard_and_domains_on_a_plain_hypervisor(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    machine.inside("ip link add br0 type bridge && ip link set br0 up")
    wireguard.bring_up(machine)
    assert wireguard.rule_is_live(machine)
    assert machine.inside("wg show interfaces").strip() == "wg0"
    (mac,) = domains.define(machine, "aki0", [("bridge", "br0")])
    machine.inside("virsh attach-interface aki0 bridge br0 --model virtio --live --config")
    assert domains.macs(machine, "aki0")[0] == mac
    assert len(domains.macs(machine, "aki0")) == len(domains.macs(machine, "aki0", inactive=False)) == 2
    (apart,) = domains.define(machine, "aki2", [("direct", "enp4s0")], start=False)
    assert apart.startswith("52:54:00:")
