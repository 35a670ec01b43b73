"""Stage verify on a real cluster: all well, a kubelet stopped, a pair cut, DNS gone, a narrow link, all restarted."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from tests.rehearsal.cluster_on import ClusterOn, but_for, checked
from tests.rehearsal.conftest import Hypervisor
from wizard.facts.bird import SPEAKERS
from wizard.facts.pods_tried import NAMESPACE, PODS_TRIED
from wizard.facts.reboot_test import RECORD
from wizard.rehearsal import RehearsalError
from wizard.rehearsal.waiting import until

BOOT = "cat /proc/sys/kernel/random/boot_id"
HOSTS = ("hypervisor", "aki0", "aki1")
DNS = "-n kube-system scale deployment coredns --replicas={}"


@pytest.fixture
def wizard(hypervisor: Hypervisor, tmp_path: Path) -> ClusterOn:
    return ClusterOn(hypervisor(nodes=2), tmp_path)


def state(wizard: ClusterOn, step: str) -> tuple[str, str]:
    [row] = wizard.json("status", step)["steps"]
    return row["state"], row["reason"]


def boots(wizard: ClusterOn) -> dict[str, str]:
    return {host: wizard.machine.inside(BOOT, host=host).strip() for host in HOSTS}


@pytest.mark.turns(at="verify on a cluster")
@pytest.mark.long(first=True)
def test_a_cluster_is_asked(wizard: ClusterOn) -> None:
    said = wizard.ok("apply", "--yes", timeout=900).stderr
    assert "aki0: waiting until the test pods run" in said, "what is waited for is said"
    all_is_well(wizard)
    a_kubelet_that_stopped_is_named(wizard)
    pods_that_do_not_reach_each_other_are_named(wizard)
    what_was_measured_before_a_change_is_stale(wizard)


def all_is_well(wizard: ClusterOn) -> None:
    wizard.kubectl("-n kube-system wait --for=condition=Ready pods --all --timeout=180s")
    nodes, pods = checked(wizard, "verify.nodes"), checked(wizard, "verify.pods")
    assert {verdict for verdict, _, _ in (*nodes.values(), *pods.values())} == {"ok"}
    assert nodes["nodes-ready"][1] == "aki0, aki1: all Ready"
    assert nodes["nodes-versions"][1] == "the API v1.20.2, kubelets v1.20.2"
    assert "aki1 20" in nodes["nodes-certificates"][1]
    assert len(pods) == 9
    assert NAMESPACE not in wizard.kubectl("get namespaces -o name")
    assert wizard.json("plan")["changes"] == 0
    assert state(wizard, "verify.reboot")[0] == "check"


def a_kubelet_that_stopped_is_named(wizard: ClusterOn) -> None:
    with but_for(wizard, "aki1", "systemctl stop kubelet", "systemctl start kubelet"):
        wizard.kubectl("wait --for=condition=Ready=unknown node/aki1 --timeout=120s")
        verdict, reason, cure = checked(wizard, "verify.nodes")["nodes-ready"]
        assert (verdict, reason) == ("stop", "aki1 is not Ready: Kubelet stopped posting node status")
        assert "on aki1: `systemctl status kubelet`" in cure
        verdict, reason, _ = checked(wizard, "verify.pods")["pods-run"]
        assert (verdict, reason) == ("stop", "aki1: the node is not Ready")
        assert wizard.run("apply", "verify.nodes", "--yes").returncode == 5
    wizard.kubectl("wait --for=condition=Ready node/aki1 --timeout=120s")


def pods_that_do_not_reach_each_other_are_named(wizard: ClusterOn) -> None:
    rule = "FORWARD -s 10.244.0.0/24 -p tcp --syn --dport 8080 -j DROP"
    with but_for(wizard, "aki1", f"iptables -I {rule}", f"iptables -D {rule}"):
        wizard.kubectl(DNS.format(0))
        found = checked(wizard, "verify.pods")
        assert found["pods-http"][:2] == ("stop", "1 of 2 ways: aki0 to aki1: no answer within 4 s")
        assert found["pods-http"][2].startswith("homek8s-wizard check verify.peers")
        verdict, reason, cure = found["pods-dns"]
        assert verdict == "stop"
        assert reason.startswith("not from aki0: kubernetes.default.svc.cluster.local. at 10.96.0.10: ")
        assert "; aki1: kubernetes.default" in reason
        assert "k8s-app=kube-dns" in cure
        assert found["pods-outside"][0] == "warn"
        assert found["pods-logs"][0] == found["pods-exec"][0] == "ok"
    wizard.kubectl(DNS.format(2))
    wizard.kubectl("-n kube-system rollout status deployment coredns --timeout=120s")
    with but_for(wizard, "aki0", "ip link set enp2s0 mtu 1400", "ip link set enp2s0 mtu 1500"):
        found = checked(wizard, "verify.pods")
        assert found["pods-large"][0] == "stop"
        assert "2 of 2 ways: aki0 to aki1: " in found["pods-large"][1]
        assert "a smaller MTU than 1500" in found["pods-large"][2]
    assert state(wizard, "verify.pods")[0] == "blocked", "what was measured last is remembered"
    wizard.ok("apply", "verify.pods", "--yes")
    assert state(wizard, "verify.pods")[0] == "done", "what was wrong is measured anew"


def what_was_measured_before_a_change_is_stale(wizard: ClusterOn) -> None:
    wizard.machine.inside("sysctl -qw net.bridge.bridge-nf-call-iptables=1")
    wizard.ok("apply", "firewall.bridged", "--yes")
    found, reason = state(wizard, "verify.pods")
    assert (found, reason.endswith(" UTC, and firewall.bridged was applied since")) == ("stale", True)
    planned = wizard.json("plan")
    [row] = [row for row in planned["steps"] if row["step"] == "verify.pods"]
    assert (planned["changes"], row["state"], row["parts"]) == (0, "stale", [])
    said = wizard.ok("apply", "--yes", timeout=600).stderr
    assert "asking the pod on aki1" in said
    assert state(wizard, "verify.pods")[0] == "done"


@pytest.mark.turns(at="verify on a cluster")
@pytest.mark.long(first=True)
def test_it_comes_back_though_the_wizard_is_killed(wizard: ClusterOn) -> None:
    wizard.ok("apply", "--yes", timeout=900)
    before = boots(wizard)
    assert wizard.run("apply", "verify.reboot").returncode == 5, "nobody agreed"
    assert boots(wizard) == before
    killed_when(wizard, "waiting until aki1 answers", "apply", "verify.reboot", "--yes")
    assert state(wizard, "verify.reboot")[0] == "interrupted"
    killed_when(wizard, "waiting until hypervisor answers", "apply", "--yes")
    half = boots_once_restarted(wizard, before)
    assert half["aki1"] != before["aki1"]
    done = wizard.ok("apply", "verify.reboot", "--yes", timeout=900)
    assert "verify.reboot@hypervisor was under way: going on where it was" in done.stderr
    after = boots(wizard)
    assert all(after[host] != before[host] for host in HOSTS)
    assert after == half, "nothing is restarted twice"
    found, reason = state(wizard, "verify.reboot")
    assert found == "done"
    assert " s of the hypervisor's restart, and since then all that was set up is as wanted" in reason
    assert done.stderr.count("asking the pod on aki1") == 1, "a restart is a change: pods are asked again, once"
    noted = wizard.machine.inside(f"sed -n 's/^at //p' {RECORD}")
    assert min(last_measured(wizard, fact.id) for fact in (SPEAKERS, PODS_TRIED)) > int(noted)
    assert wizard.json("plan")["changes"] == 0
    assert state(wizard, "verify.peers")[0] == state(wizard, "verify.pods")[0] == "done"
    wizard.ok("undo", "verify.reboot", "--yes")
    assert state(wizard, "verify.reboot")[0] == "check"


def killed_when(wizard: ClusterOn, words: str, *arguments: str) -> None:
    running = wizard.start(*arguments)
    assert running.stdout is not None
    said = []
    for line in running.stdout:
        said.append(line)
        if words in line:
            break
    else:
        raise AssertionError(f"it ended before it said {words!r}:\n{''.join(said)}")
    os.kill(running.pid, signal.SIGKILL)
    running.communicate(timeout=30)


def last_measured(wizard: ClusterOn, fact: str) -> float:
    [journal] = (wizard.directory / "state").rglob("journal.db")
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT utc FROM event WHERE kind = 'measured' AND payload ->> 'fact' = ?", (fact,))
        return max(datetime.fromisoformat(utc).timestamp() for (utc,) in rows)


def boots_once_restarted(wizard: ClusterOn, before: dict[str, str]) -> dict[str, str]:
    """As soon as the hypervisor has come up in its next boot."""

    def restarted() -> dict[str, str] | None:
        try:
            said = wizard.machine.inside(f"{BOOT}; systemctl is-system-running", check=False).split()
        except RehearsalError:
            return None  # it is down
        up = len(said) == 2 and said[0] != before["hypervisor"] and said[1] in ("running", "degraded")
        return boots(wizard) if up else None

    return until(restarted, 120, "the hypervisor does not come back")
