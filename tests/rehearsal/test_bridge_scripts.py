"""The scripts of bridge and libvirt networks on real hosts, systemd 252 and 257: there, moved, back, and adopted.

What became of the host is looked at past its network, with ip, bridge and networkctl.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.network_captured import STATIC, cluster
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.planned_on import PlannedOn, picture
from wizard.model import Do, Nothing, Refused, Risk
from wizard.rehearsal import Rehearsal
from wizard.stages.bridge import PORT
from wizard.stages.bridge_network import STEP as LAN
from wizard.stages.isolated import NETWORK as ISOLATED

MAIN = cluster({"port": "enp4s0", "keep_mac": True, **STATIC})
SPARE = cluster({"port": "enp5s0", "keep_mac": True})
NICS = {"enp4s0", "enp5s0"}

Prepare = Callable[[str], PlannedOn]


@pytest.fixture
def on(hypervisor: Hypervisor, tmp_path: Path) -> Prepare:
    return lambda suite: PlannedOn(hypervisor(suite), tmp_path)


def ports(machine: Rehearsal) -> dict[str, str]:
    """br0's ports and the state of each."""
    return {p["ifname"]: p["state"] for p in json.loads(machine.inside("bridge -j link")) if p.get("master") == "br0"}


def addresses(machine: Rehearsal, device: str) -> list[str]:
    [link] = json.loads(machine.inside(f"ip -j addr show dev {device}"))
    return [f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"] if each["scope"] == "global"]


def ways_out(machine: Rehearsal) -> list[tuple[str, str]]:
    return [(route["gateway"], route["dev"]) for route in json.loads(machine.inside("ip -j route show default"))]


def has_main(machine: Rehearsal) -> None:
    """br0 has exactly enp4s0, the host's address and the only default route; networkd is content; SSH answers."""
    assert ports(machine) == {"enp4s0": "forwarding"}
    assert addresses(machine, "br0") == ["192.168.182.100/24"]
    assert addresses(machine, "enp4s0") == []
    assert ways_out(machine) == [("192.168.182.1", "br0")]
    assert re.search(r"enp4s0 +ether +enslaved +configured", machine.inside("networkctl list"))
    assert re.search(r"br0 +bridge +routable", machine.inside("networkctl list"))
    machine.wait_ssh(5)


def is_as(machine: Rehearsal, before: dict[str, Any]) -> None:
    now = picture(machine)
    deadline = time.monotonic() + 5
    while now != before and time.monotonic() < deadline:  # IPv6 addresses of their own take 2 s to settle
        time.sleep(0.5)
        now = picture(machine)
    assert now == before


def write(machine: Rehearsal, **files: str) -> None:
    for name, content in files.items():
        path = f"/etc/systemd/network/{name.replace('_', '.')}"
        machine.inside(f"cat >{path} <<'END'\n{content}\nEND")


@contextmanager
def without_loop(machine: Rehearsal) -> Iterator[None]:
    """At no time do two cards forward in br0, by the kernel's own events: both cables end in one LAN (DOMAIN E6)."""
    watcher = machine.inside("bridge monitor link >/root/watched 2>&1 </dev/null & echo $!").strip()
    forwarding = {nic for nic, state in ports(machine).items() if state == "forwarding"} & NICS
    yield
    machine.inside(f"kill {watcher}")
    for line in machine.inside("cat /root/watched").splitlines():
        event = re.search(r"(\w+)(?:@\w+)?: <.*state (\w+)", line)
        if event and event[1] in NICS:
            here = "master br0" in line and event[2] == "forwarding" and not line.startswith("Deleted")
            forwarding = forwarding | {event[1]} if here else forwarding - {event[1]}
            assert len(forwarding) < 2, machine.inside("cat /root/watched")


def until_reverted(machine: Rehearsal) -> str:
    while "pending" in machine.inside("ls /var/lib/homek8s-wizard/guard"):
        time.sleep(0.3)
    return machine.inside("cut -d' ' -f2- /var/lib/homek8s-wizard/guard/outcome").strip()


# ---------------------------------------------------------------- made, kept, taken back


def test_the_card_that_carries_ssh(on: Prepare, suite: str) -> None:
    host = on(suite)
    before = picture(host.machine)
    plan = host.apply(PORT, MAIN)
    assert isinstance(plan, Do)
    assert plan.risk is Risk.MAY_CUT_SSH
    has_main(host.machine)
    assert isinstance(host.plan(PORT, MAIN), Nothing)
    host.machine.reboot()
    has_main(host.machine)
    assert isinstance(host.plan(PORT, MAIN), Nothing)
    host.run(PORT, host.undo(PORT, MAIN), "keep")
    is_as(host.machine, before)
    host.machine.wait_ssh(5)


def test_first_the_spare_card_then_moved_to_the_main_one(on: Prepare, suite: str) -> None:
    host = on(suite)
    fresh = picture(host.machine)
    assert host.apply(PORT, SPARE).risk is Risk.NONE  # type: ignore[union-attr]
    assert ports(host.machine) == {"enp5s0": "forwarding"}
    assert addresses(host.machine, "br0") == []
    with without_loop(host.machine):
        host.apply(PORT, MAIN)
    has_main(host.machine)
    assert isinstance(host.plan(PORT, MAIN), Nothing)
    host.machine.reboot(power=True)
    has_main(host.machine)
    assert "NO-CARRIER" not in host.machine.inside("ip link show br0")
    with without_loop(host.machine):
        host.run(PORT, host.undo(PORT, MAIN), "keep")
    is_as(host.machine, fresh)
    host.machine.wait_ssh(5)


def test_there_and_back_again_between_the_cards(on: Prepare, suite: str) -> None:
    host = on(suite)
    fresh = picture(host.machine)
    for wanted in (SPARE, MAIN):
        host.apply(PORT, wanted)
    back = cluster({"port": "enp5s0", **STATIC})
    with without_loop(host.machine):
        host.apply(PORT, back)
    assert ports(host.machine) == {"enp5s0": "forwarding"}
    assert addresses(host.machine, "br0") == ["192.168.182.100/24"]
    host.machine.wait_ssh(5)
    assert isinstance(host.plan(PORT, back), Nothing)
    with without_loop(host.machine):
        host.run(PORT, host.undo(PORT, back), "keep")
    is_as(host.machine, fresh)


# ---------------------------------------------------------------- the guard


def test_a_move_that_is_not_confirmed_goes_back_by_itself(on: Prepare, suite: str) -> None:
    host = on(suite)
    host.apply(PORT, SPARE)
    before = picture(host.machine)
    with without_loop(host.machine):
        host.run(PORT, host.plan(PORT, MAIN), guard_seconds=15)
        has_main(host.machine)
        assert until_reverted(host.machine) == "reverted timer"
    is_as(host.machine, before)
    host.machine.wait_ssh(5)


def test_a_card_that_carries_ssh_goes_back_by_request_and_by_restart(on: Prepare, suite: str) -> None:
    host = on(suite)
    before = picture(host.machine)
    host.run(PORT, host.plan(PORT, MAIN), "revert", "owner")
    is_as(host.machine, before)
    host.run(PORT, host.plan(PORT, MAIN))
    host.machine.reboot(power=True)
    is_as(host.machine, before)
    assert until_reverted(host.machine) == "reverted boot"


def test_an_undo_that_is_not_confirmed_leaves_the_bridge(on: Prepare, suite: str) -> None:
    host = on(suite)
    for wanted in (SPARE, MAIN):
        host.apply(PORT, wanted)
    before = picture(host.machine)
    with without_loop(host.machine):
        host.run(PORT, host.undo(PORT, MAIN), guard_seconds=15)
        assert until_reverted(host.machine) == "reverted timer"
    is_as(host.machine, before)
    has_main(host.machine)


def test_without_a_signal_it_fails_and_goes_back_at_once(on: Prepare, suite: str) -> None:
    host = on(suite)
    before = picture(host.machine)
    plan = host.plan(PORT, cluster({"port": "enp5s0", "addresses": ["192.168.182.77/24"]}))
    host.machine.cut(["enp5s0"])
    host.run(PORT, plan, check=False)
    assert ports(host.machine) != {"enp5s0": "forwarding"}
    host.machine.restore(["enp5s0"])
    host.run(PORT, host.undo(PORT, SPARE), check=False)
    is_as(host.machine, before)


# ---------------------------------------------------------------- what is there already


def test_a_bridge_of_the_owners_own_is_adopted_then_moved(on: Prepare, suite: str) -> None:
    host = on(suite)
    write(
        host.machine,
        br0_netdev="[NetDev]\nName=br0\nKind=bridge",
        bind_network="[Match]\nName=enp5s0\n[Network]\nBridge=br0",
        br0_network="[Match]\nName=br0\n[Link]\nRequiredForOnline=no\n[Network]\nLinkLocalAddressing=no",
    )
    host.machine.inside("networkctl reload; sleep 2")
    before = picture(host.machine)
    found = host.plan(PORT, SPARE)
    assert isinstance(found, Nothing)
    assert "which stay as they are" in found.why
    with without_loop(host.machine):
        host.apply(PORT, MAIN)
    has_main(host.machine)
    host.machine.reboot()
    has_main(host.machine)
    with without_loop(host.machine):
        host.run(PORT, host.undo(PORT, MAIN), "keep")
    is_as(host.machine, before)


def test_a_bridge_made_by_hand_becomes_one_that_lasts(on: Prepare, suite: str) -> None:
    host = on(suite)
    host.machine.inside("ip link add br0 type bridge; ip link set enp5s0 up master br0; ip link set br0 up")
    before = picture(host.machine)
    host.apply(PORT, SPARE)
    assert ports(host.machine) == {"enp5s0": "forwarding"}
    mac = before["links"]["br0"]["address"]
    host.machine.reboot()
    assert ports(host.machine) == {"enp5s0": "forwarding"}
    assert picture(host.machine)["links"]["br0"]["address"] == mac


def test_files_that_would_win_are_moved_aside_or_hidden_and_come_back(on: Prepare, suite: str) -> None:
    host = on(suite)
    late = "[Match]\nName=enp5s0\n[Network]\nLinkLocalAddressing=no"
    write(host.machine, **{"00-mine_network": late})
    host.machine.inside(f"printf '%s\\n' '{late}' >/usr/lib/systemd/network/01-package.network; networkctl reload")
    host.machine.inside("until networkctl list | grep -q 'enp5s0.* configured'; do sleep 0.2; done")
    before = picture(host.machine)
    host.apply(PORT, SPARE)
    assert ports(host.machine) == {"enp5s0": "forwarding"}
    host.machine.reboot()
    assert ports(host.machine) == {"enp5s0": "forwarding"}
    host.run(PORT, host.undo(PORT, SPARE), "keep")
    is_as(host.machine, before)


def test_networkd_that_did_not_run_is_switched_on_and_off_again(on: Prepare, suite: str) -> None:
    host = on(suite)
    host.machine.inside(
        "rm /etc/systemd/network/10-lan.network; "
        "systemctl disable --now systemd-networkd.socket systemd-networkd.service"
    )
    before = picture(host.machine)
    plan = host.plan(PORT, SPARE)
    host.run(PORT, plan)
    assert ports(host.machine) == {"enp5s0": "forwarding"}
    assert "192.168.182.100/24" in addresses(host.machine, "enp4s0")
    host.run(PORT, host.undo(PORT, SPARE), "keep")
    is_as(host.machine, before)
    assert host.machine.inside("systemctl is-active systemd-networkd", check=False).strip() == "inactive"


def test_a_lease_stays_over_bridge_and_undo(on: Prepare, suite: str) -> None:
    host = on(suite)
    write(host.machine, **{"20-spare_network": "[Match]\nName=enp5s0\n[Network]\nDHCP=ipv4\n[DHCPv4]\nUseRoutes=no"})
    host.machine.inside("networkctl reload; until ip -4 addr show enp5s0 | grep -q inet; do sleep 0.2; done")
    before = picture(host.machine)
    lease = addresses(host.machine, "enp5s0")
    host.apply(PORT, cluster({"port": "enp5s0", "dhcp": True, "keep_mac": True}))
    assert addresses(host.machine, "br0") == lease
    host.run(PORT, host.undo(PORT, cluster({"port": "enp5s0", "dhcp": True, "keep_mac": True})), "keep")
    is_as(host.machine, before)


# ---------------------------------------------------------------- libvirt networks


GUEST = """<domain type='qemu'><name>aki0</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
<interface type='network'><source network='vxlan10-bridge'/><model type='virtio'/></interface>
<interface type='network'><source network='kube-isolated'/><model type='virtio'/></interface></devices></domain>"""
WANTED = cluster({"port": "enp5s0"}, {"name": "kube-isolated", "cidr": "192.168.190.0/24"})


def virsh(machine: Rehearsal, words: str) -> str:
    return machine.inside(f"LC_ALL=C virsh -q {words}")


def listed(machine: Rehearsal) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in virsh(machine, "net-list --all").splitlines()}


def test_networks_are_made_used_and_taken_back(on: Prepare, suite: str) -> None:
    host = on(suite)
    before = listed(host.machine)
    host.apply(PORT, WANTED)
    for step in (LAN, ISOLATED):
        host.apply(step, WANTED)
        assert isinstance(host.plan(step, WANTED), Nothing)
    assert listed(host.machine) == {
        **before,
        "vxlan10-bridge": ["active", "yes", "yes"],
        "kube-isolated": ["active", "yes", "yes"],
    }
    assert "ipv6='yes'" in virsh(host.machine, "net-dumpxml kube-isolated")
    host.machine.inside(f"cat >/root/g.xml <<'END'\n{GUEST}\nEND\nvirsh -q define /root/g.xml; virsh -q start aki0")
    for step in (PORT, LAN, ISOLATED):
        refused = host.undo(step, WANTED)
        assert isinstance(refused, Refused)
        assert "aki0" in refused.why
    host.machine.inside("virsh -q destroy aki0; virsh -q undefine aki0")
    for step in (ISOLATED, LAN, PORT):
        host.run(step, host.undo(step, WANTED), "keep")
    assert listed(host.machine) == before


def test_a_running_guest_stays_on_the_bridge_while_it_moves(on: Prepare, suite: str) -> None:
    host = on(suite)
    for step in (PORT, LAN, ISOLATED):
        host.apply(step, WANTED)
    host.machine.inside(f"cat >/root/g.xml <<'END'\n{GUEST}\nEND\nvirsh -q define /root/g.xml; virsh -q start aki0")
    plan = host.plan(PORT, MAIN)
    assert isinstance(plan, Do)
    assert "aki0 will be on the LAN behind enp4s0, no longer behind enp5s0." in plan.notes
    with without_loop(host.machine):
        host.run(PORT, plan, guard_seconds=15)
        assert ports(host.machine) == {"enp4s0": "forwarding", "vnet0": "forwarding"}
        until_reverted(host.machine)
    assert ports(host.machine) == {"enp5s0": "forwarding", "vnet0": "forwarding"}


def test_a_network_defined_otherwise_is_redefined_and_comes_back(on: Prepare, suite: str) -> None:
    host = on(suite)
    other = "<network><name>kube-isolated</name><bridge name='kube-isolated' stp='on' delay='0'/></network>"
    host.machine.inside(f'echo "{other}" >/root/n.xml; virsh -q net-define /root/n.xml')
    before = virsh(host.machine, "net-dumpxml --inactive kube-isolated")
    host.apply(ISOLATED, WANTED)
    assert "stp='off'" in virsh(host.machine, "net-dumpxml kube-isolated")
    assert isinstance(host.plan(ISOLATED, WANTED), Nothing)
    host.run(ISOLATED, host.undo(ISOLATED, WANTED), "keep")
    assert virsh(host.machine, "net-dumpxml --inactive kube-isolated") == before
    assert listed(host.machine)["kube-isolated"] == ["inactive", "no", "yes"]


def test_running_guests_keep_their_network_while_it_is_redefined(on: Prepare, suite: str) -> None:
    host = on(suite)
    host.apply(PORT, WANTED)
    host.apply(LAN, WANTED)
    other = "<network><name>kube-isolated</name><bridge name='kube-isolated' stp='on' delay='0'/></network>"
    host.machine.inside(
        f'echo "{other}" >/root/n.xml; virsh -q net-define /root/n.xml; virsh -q net-start kube-isolated'
    )
    host.machine.inside(f"cat >/root/g.xml <<'END'\n{GUEST}\nEND\nvirsh -q define /root/g.xml; virsh -q start aki0")
    taps = host.machine.inside("ls /sys/class/net/kube-isolated/brif")
    host.apply(ISOLATED, WANTED)
    assert host.machine.inside("ls /sys/class/net/kube-isolated/brif") == taps
    after = host.plan(ISOLATED, WANTED)
    assert isinstance(after, Nothing)
    assert "takes effect once they are off" in after.why
    host.machine.inside("virsh -q destroy aki0")
    host.apply(ISOLATED, WANTED)
    assert "stp='off'" in virsh(host.machine, "net-dumpxml kube-isolated")
    assert host.plan(ISOLATED, WANTED) == Nothing("kube-isolated is defined, active, and starts at boot")
