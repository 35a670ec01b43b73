"""The words of scripts for nodes that need no node: what they leave alone, wait for, refuse and explain."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from wizard.actions import Run
from wizard.diagnose import likely_cause
from wizard.facts.pod_network import Agent, PodNetwork
from wizard.model import Part
from wizard.script import compile_part
from wizard.stages.join_heard import heard
from wizard.stages.join_pin_ways import Way, way_of

RULES = """\
*filter
:INPUT ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
:cali-INPUT - [0:0]
:ufw-user-input - [0:0]
-A INPUT -j KUBE-FIREWALL
-A INPUT -m comment --comment "cali:Cz_u1IQiXIMmKD4c" -j cali-INPUT
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "not of KUBE" -j ACCEPT
-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
COMMIT
"""
KEPT = """\
*filter
:INPUT ACCEPT [0:0]
:ufw-user-input - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "not of KUBE" -j ACCEPT
COMMIT
"""


class Host:
    """Programs that stand for a node's; scripts of parts run with them before all others."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def program(self, name: str, script: str) -> None:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, *actions: Run) -> subprocess.CompletedProcess[str]:
        script = compile_part("join.init", "aki0", Part("aki0", "t", actions))
        script = script.replace(" PATH=", f" PATH={self.directory}:").replace("/etc/", f"{self.directory}/")
        environment = {**os.environ, "HK8S_HOME": str(self.directory / "home")}
        return subprocess.run(
            ["sh", "-s", "--", "a1"], input=script, capture_output=True, text=True, timeout=60, env=environment
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_only_the_rules_of_pods_go(host: Host, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(RULES)
    host.program("iptables-nft-save", f"cat {tmp_path}/rules")
    host.program("iptables-nft-restore", f"cat >{tmp_path}/kept")
    done = host.run(Run(("packet_rules_away", "iptables-nft")))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "kept").read_text() == KEPT
    (tmp_path / "rules").write_text(KEPT)
    (tmp_path / "kept").unlink()
    assert host.run(Run(("packet_rules_away", "iptables-nft"))).returncode == 0
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(("apart", "words"), [(0, ""), (30, ""), (300, "ahead of"), (-300, "behind")])
def test_clocks_that_differ(host: Host, apart: int, words: str) -> None:
    host.program("curl", f"echo \"Date: $(date -R -d '{-apart} seconds')\"")
    done = host.run(Run(("same_time", "a:6443")))
    assert (done.returncode == 0) is (words == "")
    assert words in done.stderr
    assert (likely_cause(done.stderr) is not None) is (words != "")


def test_an_api_that_tells_no_time(host: Host) -> None:
    host.program("curl", "exit 7")
    assert host.run(Run(("same_time", "a:6443"))).returncode == 0


def test_what_is_waited_for_says_why(host: Host) -> None:
    host.program("probe", "echo not yet >&2; exit 1")
    done = host.run(heard(0, "it is so", ("probe",)))
    assert done.returncode == 1
    assert "… not yet" in done.stdout
    assert "still not so after 0 s: it is so" in done.stderr


def test_nothing_is_heeded_any_more_once_its_log_is_gone(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the kill that ends it was lost, and the script's own process is not yet reaped."""
    host.program("sleep", "true")
    monkeypatch.setenv("heard", str(tmp_path / "gone"))
    assert host.run(Run(("kubeadm_heeds", "1"))).returncode == 0


@pytest.mark.parametrize(
    ("said", "status", "deleted"),
    [
        ('pod "a" deleted', 0, True),
        ("no matches for kind Installation in version operator.tigera.io/v1", 1, True),
        ('pod "a" deleted\nError from server (Forbidden): pods is forbidden', 1, False),
    ],
)
def test_what_is_deleted_is_said_and_what_is_gone_already_is_no_failure(
    said: str, status: int, deleted: bool, host: Host, tmp_path: Path
) -> None:
    host.program("kubectl", f"echo '{said}' >&2; exit {status}")
    (tmp_path / "cni.yaml").touch()
    done = host.run(Run(("network_delete", str(tmp_path / "cni.yaml"))))
    assert said in done.stdout
    assert (done.returncode == 0, "could be deleted" in done.stderr) == (deleted, not deleted)
    assert not list(Path("/run").glob("hk8s-deleted.*"))


def test_what_the_operator_has_told_so_far_is_said(host: Host) -> None:
    calico = PodNetwork(there=True, agents=(Agent("calico-system", "calico-node"),), installation={})
    way = way_of(calico, IPv4Network("192.168.190.0/24"))
    assert isinstance(way, Way)
    host.program("kubectl", "echo kubernetes-internal-ip")
    told = host.run(replace(way.told, argv=("await_heard", "0", *way.told.argv[2:])))
    assert told.returncode == 1
    assert "… so far it is told: kubernetes-internal-ip" in told.stdout
    cause = likely_cause(told.stderr)
    assert cause is not None
    assert "operator" in cause.why


REFUSED = (
    "W1128 05:15:30.810969    3630 predicate.go:113] Failed to admit pod etcd-aki1_kube-system(622f34cc) - Unexpected "
    "error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: "
    "no set of running pods found to reclaim resources: [(res: ephemeral-storage, q: 104857600), ]"
)
"""As kubelet 1.20.2 said it."""


MANIFEST = """\
    resources:
      requests:
        cpu: 100m
        ephemeral-storage: 100Mi
        memory: 100Mi
"""


@pytest.mark.parametrize("said", [REFUSED, REFUSED.replace("etcd-aki1", "web"), REFUSED.replace("ephemeral-", "")])
def test_an_etcd_that_was_refused_for_its_disk_comes_without_asking_for_some(
    said: str, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.program("journalctl", f"echo '{said}'")
    host.program("sleep", f"echo >>{tmp_path}/slept; [ $(wc -l <{tmp_path}/slept) -le 3 ]")
    (tmp_path / "log").touch()
    manifest = tmp_path / "kubernetes/manifests/etcd.yaml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(MANIFEST)
    monkeypatch.setenv("heard", str(tmp_path))
    monkeypatch.setenv("began", "0")
    done = host.run(Run(("kubeadm_heeds", str(os.getpid()))))
    assert done.returncode == 0, done.stderr
    changed = said is REFUSED
    assert ("ephemeral-storage" not in manifest.read_text()) is changed
    assert manifest.read_text() == "".join(
        line for line in MANIFEST.splitlines(True) if not changed or "ephemeral" not in line
    )
    assert done.stdout.count("has refused etcd") == changed, "once"
    assert [path.name for path in manifest.parent.iterdir()] == ["etcd.yaml"]


@pytest.mark.parametrize("asks", [True, False])
def test_an_etcd_that_asks_for_no_disk_any_more_is_no_fault(
    asks: bool, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.program("journalctl", f"echo '{REFUSED}'")
    host.program("swapon", "true")
    manifest = tmp_path / "kubernetes/manifests/etcd.yaml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(MANIFEST if asks else MANIFEST.replace("        ephemeral-storage: 100Mi\n", ""))
    monkeypatch.setenv("heard", str(tmp_path))
    monkeypatch.setenv("began", "0")
    done = host.run(Run(("node_faults",)))
    assert ("fault: the kubelet refused a pod: predicate.go:113] Failed to admit pod etcd-aki1" in done.stdout) is asks
    assert "fault: containerd does not answer" in done.stdout


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("fault: the kubelet refused a pod: predicate.go:113] Failed to admit pod etcd-aki1", "did not take a pod"),
        ("[ERROR Swap]: running with swap on is not supported. Please disable swap", "swap is on"),
        ("[ERROR CRI]: container runtime is not running: output: …", "containerd does not run"),
        ('err="… unknown service runtime.v1alpha2.RuntimeService"', "without its CRI plugin"),
        ("[ERROR Port-10250]: Port 10250 is in use", "another program has a port"),
        ("[ERROR ImagePull]: failed to pull image k8s.gcr.io/pause:3.2", "does not get the images of Kubernetes"),
        ('coredns ImagePullBackOff: Back-off pulling image "k8s.gcr.io/coredns:1.7.0"', "the images of Kubernetes"),
        ('failed to get sandbox image "registry.k8s.io/pause:3.8": failed to pull', "the images of Kubernetes"),
        ('Failed to pull image "mirror/kube-proxy@sha256:2bcc"', "the images of Kubernetes"),
        ('calico-node ErrImagePull: failed to pull image "docker.io/calico/node:v3.32.1"', "cannot fetch an image"),
        ('Back-off pulling image "docker.io/flannel/flannel:v0.26.1"', "cannot fetch an image"),
        ('Failed to pull image "docker.io/cloudnativelabs/kube-router:v2.1"', "cannot fetch an image"),
        ("[ERROR FileAvailable--etc-kubernetes-kubelet.conf]: … already exists", "an earlier kubeadm"),
        ("kubelet.go:1335] Failed to start cAdvisor inotify_init: too many open files", "limit of watched files"),
        ('could not find a JWS signature in the cluster-info ConfigMap for token ID "nz2scs"', "no longer good"),
        ('none of the public keys "sha256:2bcc5b84" are pinned', "another cluster answers"),
        ("error downloading certs: error downloading the secret: Secret …", "certificates are no longer there"),
        ('a Node with name "aki1" and status "Ready" already exists in the cluster', "of that name is in the cluster"),
        ("still not so after 60 s: the Kubernetes API answers at 192.168.182.130:6443", "does not reach the API"),
        ("rejected: x509: certificate has expired or is not yet valid", "clocks of the machines differ"),
        ("still not so after 120 s: aki1 is listed among the nodes", "its kubelet has not registered it"),
        ("etcdserver: request timed out", "too slow for etcd"),
        ("[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2", "too small"),
        ("cannot delete Pods declare no controller (use --force to override): default/tool", "start again elsewhere"),
        (
            "error: cannot delete Pods not managed by ReplicationController, ReplicaSet, Job, DaemonSet or StatefulSet "
            "(use --force to override): default/tool",
            "start again elsewhere",
        ),
        ('error when evicting pods/"web-1" -n "web": global timeout reached: 5m0s', "a PodDisruptionBudget"),
        ('error when waiting for pod "web-1" in namespace "web" to terminate: global timeout reached: 5m0s', "not end"),
        ('error when waiting for pod "web-1" terminating: global timeout reached: 5m0s', "did not end"),
    ],
)
def test_complaints_have_a_likely_cause(said: str, why: str) -> None:
    cause = likely_cause(said)
    assert cause is not None
    assert why in cause.why


def test_a_drain_that_was_refused_says_how_the_node_is_kept() -> None:
    budget = 'error when evicting pods/"web-1" -n "web" (will retry after 5s): Cannot evict pod as it would violate'
    assert likely_cause(f"{budget} the pod's disruption budget.") is None, "it may yet go"
    cause = likely_cause("cannot delete Pods declare no controller (use --force to override): default/tool")
    assert cause is not None
    assert "kubectl uncordon NODE" in cause.cure
