"""Nodes of a rehearsal are machines beside the hypervisor; that Kubernetes runs on them, the tests of join show."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.rehearsal.test_rehearsal import cli
from wizard.cluster import file
from wizard.rehearsal import BadRequest, Boot, Rehearsal, RehearsalError, network
from wizard.rehearsal.kubernetes_packages import PLACE
from wizard.rehearsal.waiting import until

Hypervisor = Callable[..., Rehearsal]

ISOLATED = """\
cat > /root/isolated.xml <<'END'
<network ipv6='yes'><name>kube-isolated</name><bridge name='kube-isolated' stp='off' delay='0'/></network>
END
virsh --quiet net-define /root/isolated.xml
virsh --quiet net-start kube-isolated
virsh --quiet net-autostart kube-isolated
"""


def boot_id(rehearsal: Rehearsal, host: str) -> str:
    return rehearsal.inside("cat /proc/sys/kernel/random/boot_id", host=host)


def plugged_in(rehearsal: Rehearsal) -> set[str]:
    """The hypervisor's NICs that are ports of its isolated bridge."""
    links = json.loads(rehearsal.inside("ip -j link show type veth"))
    return {link["ifname"] for link in links if link.get("master") == "kube-isolated"}


def all_plugged_in(rehearsal: Rehearsal) -> None:
    both = {"iso-aki0", "iso-aki1"}
    until(lambda: plugged_in(rehearsal) == both or None, 30, "The isolated bridge did not get its ports")


def second_addresses(rehearsal: Rehearsal, *hosts: str) -> None:
    for host in hosts:
        address = f"192.168.190.10{host[-1]}/24"
        rehearsal.inside(f"ip link set enp2s0 up; ip address replace {address} dev enp2s0", host=host)


def test_nodes_are_bare_machines_of_their_own(hypervisor: Hypervisor) -> None:
    rehearsal = hypervisor(nodes=2)
    they_are_hosts_beside_the_hypervisor(rehearsal)
    each_is_a_bare_debian_server(rehearsal)
    the_cluster_file_asks_for_them(rehearsal)
    the_cable_of_one_can_be_cut(rehearsal)
    the_repository_is_signed(rehearsal)


def they_are_hosts_beside_the_hypervisor(rehearsal: Rehearsal) -> None:
    status = rehearsal.status()
    assert status
    assert [(host.name, host.address, host.boot) for host in status.hosts] == [
        ("hypervisor", "192.168.182.100", Boot.UP),
        ("aki0", "192.168.182.130", Boot.UP),
        ("aki1", "192.168.182.131", Boot.UP),
    ]
    for host in ("hypervisor", "aki0", "aki1"):
        told = cli("ssh", "--name", rehearsal.name, "--host", host, "hostname; id -un; sudo -n true || echo asks")
        assert told.stdout.split() == [host, "owner", "asks"], told.stderr
    with pytest.raises(BadRequest, match="no machine aki2"):
        rehearsal.inside("true", host="aki2")


def each_is_a_bare_debian_server(rehearsal: Rehearsal) -> None:
    assert rehearsal.inside("systemctl is-system-running --wait", host="aki1").strip() == "running"
    assert "VERSION_CODENAME=bookworm" in rehearsal.inside("cat /etc/os-release", host="aki1")
    assert rehearsal.inside("command -v containerd kubelet kubeadm iptables || echo none", host="aki1") == "none\n"
    links = {link["ifname"]: link for link in json.loads(rehearsal.inside("ip -j address", host="aki1"))}
    assert [a["local"] for a in links["enp1s0"]["addr_info"] if a["family"] == "inet"] == ["192.168.182.131"]
    assert links["enp2s0"]["address"] == "52:54:00:b6:be:01"
    assert links["enp2s0"]["addr_info"] == []
    assert rehearsal.inside("modprobe -a overlay br_netfilter && swapon --show", host="aki1") == ""


def the_cluster_file_asks_for_them(rehearsal: Rehearsal) -> None:
    status = rehearsal.status()
    assert status
    wanted = file.load(status.cluster_file).cluster
    assert [(guest.name, guest.role, guest.physical) for guest in wanted.guests] == [
        ("aki0", "control-plane", True),
        ("aki1", "worker", True),
    ]
    assert wanted.kubernetes
    assert (status.cluster_file.parent / wanted.kubernetes.cni.manifest).exists()


def test_machines_reboot_alone_and_their_second_nics_are_plugged_in_again(hypervisor: Hypervisor) -> None:
    rehearsal = hypervisor(nodes=2)
    for power in (False, True):
        one_reboots_and_the_others_stay(rehearsal, power)
    second_nics_are_plugged_in_whenever_the_bridge_is_there(rehearsal)


def one_reboots_and_the_others_stay(rehearsal: Rehearsal, power: bool) -> None:
    before = {host: boot_id(rehearsal, host) for host in ("hypervisor", "aki0", "aki1")}
    rehearsal.inside("touch /var/tmp/kept; sync", host="aki1")
    rehearsal.reboot(power, host="aki1")
    after = {host: boot_id(rehearsal, host) for host in before}
    assert [host for host in before if after[host] != before[host]] == ["aki1"]
    rehearsal.inside("test -e /var/tmp/kept", host="aki1")


def second_nics_are_plugged_in_whenever_the_bridge_is_there(rehearsal: Rehearsal) -> None:
    assert plugged_in(rehearsal) == set()
    rehearsal.inside(ISOLATED)
    all_plugged_in(rehearsal)
    second_addresses(rehearsal, "aki0", "aki1")
    rehearsal.inside("ping -c 1 -w 10 192.168.190.101", host="aki0")
    rehearsal.reboot()
    all_plugged_in(rehearsal)
    rehearsal.inside("ping -c 1 -w 10 192.168.190.101", host="aki0")
    rehearsal.reboot(power=True, host="aki1")
    second_addresses(rehearsal, "aki1")
    rehearsal.inside("ping -c 1 -w 10 192.168.190.101", host="aki0")
    rehearsal.inside("virsh --quiet net-destroy kube-isolated")
    assert plugged_in(rehearsal) == set()
    rehearsal.inside("! ping -c 1 -w 1 192.168.190.101", host="aki0")


def the_cable_of_one_can_be_cut(rehearsal: Rehearsal) -> None:
    rehearsal.cut(host="aki0")
    rehearsal.inside("ping -c 1 -w 5 192.168.182.131")
    rehearsal.inside("! ping -c 1 -w 1 192.168.182.130")
    rehearsal.restore(host="aki0")
    rehearsal.wait_ssh(10, host="aki0")


def test_guests_and_nodes_would_be_the_same_machines() -> None:
    with pytest.raises(BadRequest, match="one of the two"):
        Rehearsal("k8s-both").up(guests=1, nodes=1)
    told = cli("up", "--name", "k8s-many", "--nodes", "4")
    assert told.returncode == 2
    assert "nodes" in told.stderr


def the_repository_is_signed(rehearsal: Rehearsal) -> None:
    repository = f"http://{network.ROUTER}:{network.FILES_PORT}/{PLACE}"
    unsigned = f"echo 'deb {repository}/ /' > /etc/apt/sources.list.d/kubernetes.list; apt-get update"
    with pytest.raises(RehearsalError, match="NO_PUBKEY"):
        rehearsal.inside(unsigned, host="aki0")
