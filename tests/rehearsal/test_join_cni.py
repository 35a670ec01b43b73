"""join.cni on a real control plane: the owner's manifest applied, edited, taken back; somebody else's left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn
from wizard.rehearsal import Rehearsal, pod_network
from wizard.rehearsal.waiting import until

NODE = "aki0"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"


class ClusterOn(WizardOn):
    """The wizard with a pod network's manifest beside cluster.yaml."""

    def __init__(self, machine: Rehearsal, directory: Path) -> None:
        super().__init__(machine, directory)
        self.manifest = directory / pod_network.FILE
        self.manifest.write_text(pod_network.manifest())

    def kubectl(self, words: str, *, check: bool = True) -> str:
        return self.machine.inside(f"{KUBECTL} {words}", host=NODE, check=check)

    def ready(self, node: str = NODE) -> bool:
        conditions = json.loads(self.kubectl(f"get node {node} -o json"))["status"]["conditions"]
        return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)

    def planned(self, step: str) -> Any:
        return next(each for each in self.json("plan", step)["steps"] if each["step"] == step)


@pytest.fixture
def wizard(hypervisor: Hypervisor, tmp_path: Path) -> ClusterOn:
    return ClusterOn(hypervisor(nodes=1), tmp_path)


def test_a_manifest_applied_edited_and_taken_back(wizard: ClusterOn) -> None:
    wizard.ok("apply", "join.init", "--yes", timeout=600)
    assert not wizard.ready()

    said = wizard.ok("apply", "join.cni", "--yes", timeout=600)
    assert "NetworkReady=false" in said.stdout + said.stderr, "what is waited for is said"
    assert wizard.ready()
    until(lambda: wizard.planned("join.cni")["state"] == "done" or None, 60, "join.cni is not done")
    assert wizard.json("plan", "join.cni")["changes"] == 0
    address = wizard.kubectl("-n kube-system get pods -l k8s-app=kube-dns -o jsonpath='{.items[0].status.podIP}'")
    assert address.startswith("10.244.")

    wizard.manifest.write_text(wizard.manifest.read_text().replace("Linux bridges", "bridges of Linux"))
    edited = wizard.planned("join.cni")
    assert (edited["state"], edited["reason"].rpartition("(")[2]) == ("todo", "it was edited since it was applied)")
    wizard.ok("apply", "join.cni", "--yes", timeout=600)
    assert wizard.planned("join.cni")["state"] == "done"

    wizard.ok("undo", "join.cni", "--yes", timeout=600)
    assert wizard.kubectl("-n kube-system get daemonsets -o name").split() == ["daemonset.apps/kube-proxy"]
    assert not wizard.machine.inside("ls /etc/cni/net.d", host=NODE)
    assert not wizard.machine.inside("ls /etc/kubernetes/homek8s 2>/dev/null || true", host=NODE)
    until(lambda: not wizard.ready() or None, 60, "the node still has a network")

    # Applied by hand it is somebody else's, whatever cluster.yaml says.
    by_hand = f"-f - <<'END'\n{pod_network.manifest()}\nEND"
    wizard.kubectl(f"apply {by_hand}")
    until(lambda: wizard.ready() or None, 120, "the network that was applied by hand does not come up")
    adopted = wizard.planned("join.cni")
    assert adopted["state"] == "done"
    assert adopted["reason"].startswith("pods are connected by 10-rehearsal.conflist (rehearsal-network), which the")
    wizard.kubectl(f"delete --cascade=foreground {by_hand}")
    wizard.machine.inside("rm /etc/cni/net.d/10-rehearsal.conflist", host=NODE)
    until(lambda: not wizard.ready() or None, 60, "the node still has a network")
    the_pod_and_its_reason_are_named(wizard)


def the_pod_and_its_reason_are_named(wizard: ClusterOn) -> None:
    """While a network does not come up: here for an image that nobody has."""
    text = wizard.manifest.read_text().replace("k8s.gcr.io/kube-proxy:v", "192.168.182.1:8080/nobody/has:v")
    wizard.manifest.write_text(text)
    running = wizard.start("apply", "join.cni", "--yes")
    assert running.stdout is not None
    said = []
    for line in running.stdout:
        said.append(line)
        if "kube-system/rehearsal-network" in line and 'Failed to pull image "192.168.182.1:8080/nobody' in line:
            break
    else:
        raise AssertionError("".join(said))
    running.terminate()
    running.wait(60)
