"""The stage `firewall` on real hosts: the article's fault gone for good, ufw on, nobody locked out, and back again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rehearsal import bird
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.firewall_on import FirewallOn, articles_host, listen, picture, reaches, values
from tests.rehearsal.namespaces import join
from tests.rehearsal.planned_on import PlannedOn
from tests.rehearsal.tcp import tcp_source
from wizard.cluster import Cluster
from wizard.model import Nothing
from wizard.stages.firewall import BRIDGED, UFW

BOTH = pytest.mark.parametrize("suite", ["bookworm", "trixie"])
STEPS = ("firewall.bridged", "firewall.ufw", "firewall.nat")


def wanted(ufw: dict[str, object], **firewall: object) -> Cluster:
    bridge = {"port": "enp4s0", "addresses": ["192.168.182.100/24"]}
    data = {"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}, "bridge": bridge}
    return Cluster.model_validate({**data, "firewall": {"ufw": ufw, **firewall}})


def nothing_to_do(wizard: FirewallOn) -> None:
    rows = {row["step"]: row for row in wizard.json("plan", "firewall")["steps"]}
    assert {step: rows[step]["state"] for step in STEPS} == dict.fromkeys(STEPS, "done"), rows


def filters(wizard: FirewallOn) -> None:
    """ufw closes what is not listed, SSH and NFS answer."""
    listen(wizard.machine, 2049, 8080)
    assert "Status: active" in wizard.machine.inside("ufw status")
    assert [reaches(wizard.machine, port) for port in (22, 2049, 8080)] == [True, True, False]
    wizard.machine.wait_ssh(5)


@BOTH
def test_the_articles_host_is_put_right_for_good_and_back(hypervisor: Hypervisor, tmp_path: Path, suite: str) -> None:
    machine = hypervisor(suite)
    articles_host(machine)
    before = picture(machine)
    wizard = FirewallOn(machine, tmp_path / "owner")
    bird.peers(machine)
    assert bird.refused(machine)
    wizard.ok("apply", "firewall", "--yes")
    assert bird.established(machine)
    assert values(machine) == "000"
    nothing_to_do(wizard)
    filters(wizard)

    machine.inside("systemctl restart wg-quick@wg0")
    nothing_to_do(wizard)
    # As docker would: now ufw's rules for the bridge, and the cured masquerade rule, have to hold.
    machine.inside("sysctl -qw net.bridge.bridge-nf-call-iptables=1; conntrack -F 2>/dev/null; true")
    assert tcp_source(machine, "peer0", "peer1", bird.ADDRESSES[1]) == bird.ADDRESSES[0]
    machine.inside("ufw reload")

    machine.reboot()
    assert values(machine) == "000"
    nothing_to_do(wizard)
    filters(wizard)
    machine.inside("systemctl stop listen-2049 listen-8080")
    wizard.ok("undo", "firewall", "--yes")
    assert picture(machine) == before
    machine.reboot()
    machine.inside("until iptables -t nat -S POSTROUTING | grep -q MASQUERADE; do sleep 0.1; done")
    assert values(machine) == "111"
    assert picture(machine) == before


def test_filtered_on_purpose_and_back(hypervisor: Hypervisor, tmp_path: Path) -> None:
    """The module first, then its settings, which ufw would set otherwise; guests still talk, by ufw's own rules."""
    machine = hypervisor()
    host = PlannedOn(machine, tmp_path)
    on = wanted({}, filter_bridged=True)
    machine.inside("ip link add br0 type bridge; ip link set br0 up")
    machine.inside("sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-arptables=0")
    machine.inside("echo net/bridge/bridge-nf-call-iptables=0 >>/etc/ufw/sysctl.conf")
    before = picture(machine)
    for step in (BRIDGED, UFW):
        host.apply(step, on)
        assert isinstance(host.plan(step, on), Nothing)
    assert values(machine) == "111"
    for place in (1, 2):
        join(machine, "br0", f"n{place}", f"192.168.182.20{place}/24")
    assert tcp_source(machine, "n1", "n2", "192.168.182.202") == "192.168.182.201"
    machine.inside("ufw route delete allow in on br0 out on br0")
    closed = "timeout 2 bash -c '</dev/tcp/192.168.182.202/22' 2>/dev/null; echo $?"
    assert machine.inside(f"nsenter --net=/run/netns/n1 {closed}").strip() == "124"
    host.apply(UFW, on)
    machine.reboot()
    assert values(machine) == "111"
    machine.inside("ip link add br0 type bridge; ip link set br0 up")
    for step in (UFW, BRIDGED):
        assert isinstance(host.plan(step, on), Nothing)
        host.run(step, host.undo(step, on))
    machine.inside("sysctl -qw net.bridge.bridge-nf-call-ip6tables=1")
    assert picture(machine) == before


# ---------------------------------------------------------------- the guard


def until_reverted(machine: PlannedOn, limit: int = 30) -> str:
    home = "/var/lib/homek8s-wizard/guard"
    machine.machine.inside(f"timeout {limit} sh -c 'while [ -e {home}/pending ]; do sleep 0.2; done'")
    return machine.machine.inside(f"cut -d' ' -f2- {home}/outcome").strip()


@BOTH
def test_ufw_that_nobody_confirms_goes_back(hypervisor: Hypervisor, tmp_path: Path, suite: str) -> None:
    """By the timer; by a restart; with rules of others in it, which are there again; and switched off, on again."""
    host = PlannedOn(hypervisor(suite), tmp_path)
    before = picture(host.machine)
    on = wanted({"ssh_from": "192.168.182.10"})
    host.run(UFW, host.plan(UFW, on), guard_seconds=3)
    assert until_reverted(host) == "reverted timer"
    assert picture(host.machine) == before

    host.run(UFW, host.plan(UFW, on), guard_seconds=300)
    assert "Status: active" in host.machine.inside("ufw status")
    host.machine.reboot(power=True)
    assert until_reverted(host) == "reverted boot"
    assert "Status: inactive" in host.machine.inside("ufw status")
    assert picture(host.machine)["files"] == before["files"]

    host.machine.inside("ufw allow 22/tcp; ufw allow 8080/tcp comment mine; ufw --force enable")
    foreign = picture(host.machine)
    host.run(UFW, host.plan(UFW, on), guard_seconds=3)
    assert until_reverted(host) == "reverted timer"
    assert picture(host.machine) == foreign
    off = wanted({"enabled": False})
    host.apply(UFW, off)
    assert isinstance(host.plan(UFW, off), Nothing)
    assert "Status: inactive" in host.machine.inside("ufw status")
    host.run(UFW, host.undo(UFW, off))
    assert picture(host.machine) == foreign


# ---------------------------------------------------------------- disturbed


def until_step_runs(running: subprocess.Popen[str], step: str) -> None:
    assert running.stdout is not None
    here, seen = False, []
    for line in running.stdout:
        seen.append(line)
        here = here or line.startswith(f"{step}@")
        if here and "==>" in line and "guarded:" not in line:
            return
    raise AssertionError("it ended before its script ran:\n" + "".join(seen))


def kill(wizard: FirewallOn, running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=30)


def cut(wizard: FirewallOn, running: subprocess.Popen[str]) -> None:
    wizard.machine.cut()
    wizard.machine.inside("sleep 4")
    wizard.machine.restore()
    output, _ = running.communicate(timeout=200)
    assert running.returncode == 0, output


@pytest.mark.parametrize("disturb", [kill, cut])
def test_disturbed_in_the_middle_of_each_part_it_goes_on(
    hypervisor: Hypervisor, tmp_path: Path, disturb: Callable[[FirewallOn, subprocess.Popen[str]], None]
) -> None:
    machine = hypervisor()
    articles_host(machine)
    wizard = FirewallOn(machine, tmp_path / "owner")
    wizard.ok("apply", "preflight", "--yes")
    before = picture(machine)
    for step in STEPS:
        running = wizard.start("apply", step, "--yes")
        until_step_runs(running, step)
        disturb(wizard, running)
    if disturb is kill:
        assert "was under way" in wizard.ok("apply", "firewall", "--yes").stderr
    nothing_to_do(wizard)
    wizard.ok("undo", "firewall", "--yes")
    assert picture(machine) == before
