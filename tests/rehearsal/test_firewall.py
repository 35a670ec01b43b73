"""The stage `firewall` on real hosts: the article's fault gone for good, ufw on, nobody locked out, and back again."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import bird
from tests.rehearsal.by_hand import ByHand
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.firewall_on import (
    NFS,
    FirewallOn,
    articles_host,
    before_rules,
    listen,
    nftables_of_libvirt,
    picture,
    reaches,
    values,
)
from tests.rehearsal.namespaces import ON_BR0, ON_ISOLATED, Pair, join, join_pair, leave, within
from tests.rehearsal.planned_on import PlannedOn
from tests.rehearsal.tcp import between, silent
from tests.rehearsal.wizard_on import cut_off
from wizard.cluster import Cluster
from wizard.model import Do, Nothing
from wizard.rehearsal import Rehearsal
from wizard.stages import isolated
from wizard.stages.firewall import BRIDGED, UFW

SOON = 8
"""Seconds: by then the script has ended, also on a busy machine. Only a job, which this is not, would be ended."""
PAIRS = (ON_BR0, ON_ISOLATED)
STEPS = ("firewall.bridged", "firewall.ufw", "firewall.nat")


def wanted(ufw: dict[str, object], **firewall: object) -> Cluster:
    bridge = {"port": "enp4s0", "addresses": ["192.168.182.100/24"]}
    data = {"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}, "bridge": bridge}
    network = {"name": ON_ISOLATED.bridge, "cidr": "192.168.190.0/24"}
    return Cluster.model_validate({**data, "isolated": network, "firewall": {"ufw": ufw, **firewall}})


def nothing_to_do(wizard: FirewallOn) -> None:
    rows = {row["step"]: row for row in wizard.json("plan", "firewall")["steps"]}
    assert {step: rows[step]["state"] for step in STEPS} == dict.fromkeys(STEPS, "done"), rows


def filters(machine: Rehearsal, let_in: Sequence[int], closed: Sequence[int]) -> None:
    """ufw is on; what listens and is not let in stays closed to the LAN, and SSH answers."""
    assert "Status: active" in machine.inside("ufw status")
    assert [port for port in (*let_in, *closed) if reaches(machine, port)] == [*let_in]
    machine.wait_ssh(5)


def pairs_talk(machine: Rehearsal) -> None:
    """Over TCP, on the LAN's bridge and on the guests' own, each seen with its own address."""
    for pair in PAIRS:
        assert between(machine, pair) == pair.addresses[0]


def test_the_articles_host_is_put_right_for_good_and_back(hypervisor: Hypervisor, tmp_path: Path, suite: str) -> None:
    machine = hypervisor(suite)
    articles_host(machine)
    # Without the article's global ACCEPT, so that it is the rules that let guests through.
    machine.inside("sed -i 's/^DEFAULT_FORWARD_POLICY=.*/DEFAULT_FORWARD_POLICY=\"DROP\"/' /etc/default/ufw")
    before_rules(machine)
    machine.inside("ufw allow 9100/tcp comment mine")
    wizard = FirewallOn(machine, tmp_path / "owner")
    wizard.ok("apply", "isolated", "--yes")
    listen(machine, 2049, 8080)
    before = picture(machine)
    for pair in PAIRS:
        bird.peers(machine, pair)
    assert bird.refused(machine)
    assert reaches(machine, 8080)
    said = said_before(wizard)
    applied = wizard.ok("apply", "firewall", "--yes")
    for pair in PAIRS:
        assert bird.established(machine, pair)
    assert values(machine) == "000"
    nothing_to_do(wizard)
    filters(machine, (22, 2049), (8080,))
    what_is_no_longer_listed_goes(wizard)
    no_key_is_anywhere(wizard, said + applied.stdout + applied.stderr)

    machine.inside("systemctl restart wg-quick@wg0; ufw reload")
    nothing_to_do(wizard)
    pairs_talk(machine)
    # As docker would: now ufw's rules for the bridges, and the cured masquerade rules, have to hold.
    machine.inside("sysctl -qw net.bridge.bridge-nf-call-iptables=1; conntrack -F 2>/dev/null; true")
    pairs_talk(machine)

    machine.reboot()
    assert values(machine) == "000"
    nothing_to_do(wizard)
    listen(machine, 2049, 8080)
    filters(machine, (22,), (2049, 8080))
    machine.inside("systemctl stop listen-2049 listen-8080; ufw reload")
    wizard.ok("undo", "firewall", "--yes")
    assert in_any_order(picture(machine)) == in_any_order(before)
    machine.reboot()
    for rule in ("POSTROUTING -o br0 -j MASQUERADE", "LIBVIRT_FWX -i kube-isolated"):
        machine.inside(f"until iptables-save | grep -qe '-A {rule}'; do sleep 0.1; done")
    assert values(machine) == "111"
    assert in_any_order(picture(machine)) == in_any_order(before)


@pytest.mark.turns(at="the host's firewall, otherwise")
def test_what_was_done_puts_another_host_right_by_hand(hypervisor: Hypervisor, tmp_path: Path) -> None:
    """The runbook's scripts, by sh alone, on a host with the article's faults that the wizard has never seen."""
    machine = hypervisor()
    articles_host(machine)
    wizard = FirewallOn(machine, tmp_path / "owner")
    wizard.ok("apply", "isolated", "firewall", "--yes")
    reached, scripts = in_force(machine), wizard.directory / "exported"
    wizard.ok("export", "--format", "sh", "-o", str(scripts))
    machine.reset()
    articles_host(machine)
    assert in_force(machine) != reached
    by_hand = ByHand(wizard, scripts)
    by_hand.copy()
    assert {"firewall.bridged", "firewall.ufw", "firewall.nat"} <= {
        name.split("-", 2)[2][:-3] for name in by_hand.all()
    }
    assert in_force(machine) == reached
    nothing_to_do(FirewallOn(machine, tmp_path / "elsewhere"))


def in_force(machine: Rehearsal) -> dict[str, Any]:
    """Without files: every host has keys of its own."""
    return in_any_order({**picture(machine), "files": []})


def in_any_order(seen: dict[str, Any]) -> dict[str, Any]:
    """And each once: `ufw reload` adds the NAT rules of before.rules again; at boot any of two comes first."""
    return {key: set(each) if isinstance(each, list) else each for key, each in seen.items()}


def said_before(wizard: FirewallOn) -> str:
    """What closes and stops is named, with lines for cluster.yaml, which are taken as they are. All that was said."""
    said = wizard.run("plan", "firewall").stdout
    assert re.search(r"Note: These listen, and are closed .*nc \(8080/tcp\)", said)
    assert "nc (2049/tcp) stays open only to 192.168.182.0/24." in said
    assert "doing so from enp4s0 to br0, wg0; from br0 to enp4s0, wg0; from wg0 to enp4s0, unless" in said
    offered = re.findall(r"Note: .*(wg0).* For `(allow|routes)`: - (\{.*\})", said)
    assert [section for _, section, _ in offered] == ["allow", "routes"]
    port, route = (line for *_, line in offered)
    wizard.allow(NFS, port, routes=[route])
    again = wizard.run("plan", "firewall").stdout
    assert "8080/tcp" in again
    assert "Note: Nobody can begin a connection" not in again
    assert "Note: What comes in over" not in again
    return said + again


def what_is_no_longer_listed_goes(wizard: FirewallOn) -> None:
    kept = [
        "ufw allow 9100/tcp comment 'mine'",
        "ufw route allow in on br0 out on br0 comment 'homek8s: br0 to itself'",
        "ufw route allow in on kube-isolated out on kube-isolated comment 'homek8s: kube-isolated to itself'",
    ]
    listed = [
        "ufw allow from 192.168.182.0/24 to any port 2049 proto tcp comment 'homek8s: NFS'",
        "ufw allow 51820/udp comment 'homek8s: WireGuard wg0'",
        "ufw route allow in on wg0 out on br0 comment 'homek8s: wg0 to br0'",
    ]
    ssh = "ufw allow from 192.168.182.0/24 to any port 22 proto tcp comment 'homek8s: SSH'"
    assert added(wizard.machine) == {ssh, *kept, *listed}
    wizard.allow()
    wizard.ok("apply", "firewall.ufw", "--yes")
    assert added(wizard.machine) == {ssh, *kept}
    filters(wizard.machine, (22,), (2049, 8080))


def added(machine: Rehearsal) -> set[str]:
    return set(machine.inside("ufw show added").splitlines()[1:])


def no_key_is_anywhere(wizard: FirewallOn, said: str) -> None:
    """WireGuard's, whose file was read and changed; what was changed in it is known here."""
    key = wizard.machine.inside("sed -n 's/^PrivateKey = //p' /etc/wireguard/wg0.conf").strip()
    wizard.ok("export", "--format", "sh", "-o", str(wizard.directory / "state" / "exported"))
    assert len(key) == 44
    assert key not in said + wizard.ok("export").stdout
    assert wizard.remembers("-s 10.8.0.0/24 -o br0") != []
    assert wizard.remembers(key) == []
    places = "/var/lib/homek8s-wizard /root /home /run /tmp /var/log"
    assert wizard.machine.inside(f"grep -rlF -- '{key}' {places} 2>/dev/null; true") == ""


@pytest.mark.turns(at="the host's firewall, otherwise")
def test_filtered_on_purpose_and_back(hypervisor: Hypervisor, tmp_path: Path, suite: str) -> None:
    """The module first, then its settings, which ufw would set otherwise; guests still talk, by ufw's own rules."""
    machine = hypervisor(suite)
    host = PlannedOn(machine, tmp_path)
    on = wanted({}, filter_bridged=True)
    if suite == "trixie":
        nftables_of_libvirt(machine)
    host.apply(isolated.STAGE.steps[0], on)
    machine.inside("ip link add br0 type bridge; ip link set br0 up")
    machine.inside("sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-arptables=0")
    line = "net/bridge/bridge-nf-call-iptables\\t=\\t0\\n"
    machine.inside(f"printf '{line}{line}' >>/etc/ufw/sysctl.conf")
    before = picture(machine)
    for step in (BRIDGED, UFW):
        host.apply(step, on)
        assert isinstance(host.plan(step, on), Nothing)
    assert values(machine) == "111"
    for pair in PAIRS:
        join_pair(machine, pair)
    pairs_talk(machine)
    without_their_rules_they_do_not(host, suite)
    host.apply(UFW, on)
    machine.reboot()
    assert values(machine) == "111"
    machine.inside("ip link add br0 type bridge; ip link set br0 up")
    for pair in PAIRS:
        join_pair(machine, pair)
    pairs_talk(machine)
    for pair in PAIRS:
        leave(machine, pair)
    listen(machine, 8080)
    filters(machine, (22,), (8080,))
    for step in (UFW, BRIDGED):
        assert isinstance(host.plan(step, on), Nothing)
        host.run(step, host.undo(step, on))
    machine.inside("sysctl -qw net.bridge.bridge-nf-call-ip6tables=1")
    assert picture(machine) == before


def without_their_rules_they_do_not(host: PlannedOn, suite: str) -> None:
    """But on a bridge of libvirt's, where its rules are among ufw's; and where bridged packets are not filtered."""
    for pair in PAIRS:
        host.machine.inside(f"ufw route delete allow in on {pair.bridge} out on {pair.bridge}")
    assert [silent(host.machine, pair) for pair in PAIRS] == [True, suite == "trixie"]
    host.machine.inside("sysctl -qw net.bridge.bridge-nf-call-iptables=0")
    pairs_talk(host.machine)
    host.machine.inside("sysctl -qw net.bridge.bridge-nf-call-iptables=1")


@pytest.mark.turns(at="the host's firewall, otherwise")
def test_ipv6_that_is_passed_on_is_said_before_and_stops(hypervisor: Hypervisor, tmp_path: Path) -> None:
    """Between two bridges of the owner's: a route lets it pass again, with IPV6=no nothing does."""
    machine = hypervisor()
    host, six = PlannedOn(machine, tmp_path), Pair("", ("six0", "six1"), ("fd00:6::2", "fd00:7::2"))
    for bridge, name, network in zip(("br6", "br7"), six.names, ("fd00:6::", "fd00:7::"), strict=True):
        machine.inside(f"ip link add {bridge} type bridge; ip link set {bridge} up")
        machine.inside(f"ip address add {network}1/64 dev {bridge} nodad")
        join(machine, bridge, name, f"{network}2/64 nodad")
        within(machine, name)(f"ip -6 route add default via {network}1")
    machine.inside("sysctl -qw net.ipv6.conf.all.forwarding=1")
    assert between(machine, six) == six.addresses[0]
    applied = host.apply(UFW, wanted({}))
    assert isinstance(applied, Do)
    said = "The host passes IPv6 on (net.ipv6.conf.all.forwarding is 1). It stops doing so from br6 to br7; from br7 to"
    assert any(said in note for note in applied.notes), applied.notes
    assert silent(machine, six)
    routed = wanted({"routes": [{"in": "br6", "out": "br7"}]})
    host.apply(UFW, routed)
    assert between(machine, six) == six.addresses[0]
    machine.inside("ufw disable; sed -i 's/^IPV6=.*/IPV6=no/' /etc/default/ufw; ufw --force enable")
    assert silent(machine, six)
    assert isinstance(host.plan(UFW, routed), Nothing)


# ---------------------------------------------------------------- the guard


def until_reverted(machine: PlannedOn, limit: int = 30) -> str:
    home = "/var/lib/homek8s-wizard/guard"
    machine.machine.inside(f"timeout {limit} sh -c 'while [ -e {home}/pending ]; do sleep 0.2; done'")
    return machine.machine.inside(f"cut -d' ' -f2- {home}/outcome").strip()


def test_ufw_that_nobody_confirms_goes_back(hypervisor: Hypervisor, tmp_path: Path, suite: str) -> None:
    """By the timer; by a restart; with rules of others in it, which are there again; and switched off, on again."""
    host = PlannedOn(hypervisor(suite), tmp_path)
    before = picture(host.machine)
    on = wanted({"ssh_from": "192.168.182.10"})
    host.run(UFW, host.plan(UFW, on), guard_seconds=SOON)
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
    host.run(UFW, host.plan(UFW, on), guard_seconds=SOON)
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
    cut_off(wizard.machine)
    output, _ = running.communicate(timeout=200)
    assert running.returncode == 0, output


@pytest.mark.turns("disturb")
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
