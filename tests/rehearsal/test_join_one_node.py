"""One control plane whose images come from a mirror: join.init, the owner's kubeconfig, and pod networks.

join.kubeconfig: a context that works, all else is kept, and no key stays elsewhere. join.cni: the owner's manifest is
applied, edited, taken back; somebody else's is left alone; Calico by its operator, which join.pin tells to move.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import calico_stand_in
from tests.rehearsal.cluster_on import NODE, ClusterOn
from tests.rehearsal.conftest import Hypervisor
from wizard.rehearsal import pod_network
from wizard.rehearsal.network import ISOLATED, LAN
from wizard.rehearsal.waiting import until

WITHOUT_NETWORK = {
    *(f"namespace/{each}" for each in ("default", "kube-node-lease", "kube-public", "kube-system")),
    "daemonset.apps/kube-proxy",
}
ADMIN = "/etc/kubernetes/admin.conf"
MIRROR = "mirror.home.arpa/kubernetes"
IMAGES = f"""kubectl --kubeconfig={ADMIN} -n kube-system get pods -o jsonpath='{{.items[*].spec.containers[*].image}}'
containerd config dump | sed -n 's/ *sandbox_image = "\\(.*\\)"/ \\1/p'"""
"""What pods ask for, and the pause that keeps each; containerd itself knows both names of what it has."""
FROM_MIRROR = f"""set -e
apt-get -qq -y install --no-install-recommends containerd >/dev/null 2>&1
for image in $(ctr -n k8s.io images ls -q | sed -n 's,^k8s.gcr.io/,,p'); do
  ctr -n k8s.io images tag "k8s.gcr.io/$image" "{MIRROR}/$image"
done
"""
"""Nobody serves a registry here: its images are on the node already, under its name."""
WORK = """\
# the cluster at work
apiVersion: v1
kind: Config
current-context: work
clusters:
- name: work
  cluster: {server: "https://k8s.work.example:6443", certificate-authority-data: d29yaw==}
contexts:
- name: work
  context: {cluster: work, user: me}
users:
- name: me
  user: {token: hush-hush}
"""


@pytest.fixture
def wizard(hypervisor: Hypervisor, tmp_path: Path) -> ClusterOn:
    wizard = ClusterOn(hypervisor(nodes=1), tmp_path / "owner")
    text = wizard.cluster_file.read_text()
    wizard.cluster_file.write_text(text.replace("kubernetes:\n", f"kubernetes:\n  images: {MIRROR}\n"))
    wizard.machine.inside(FROM_MIRROR, host=NODE)
    return wizard


@pytest.mark.turns(at="nodes join")
@pytest.mark.long
def test_a_control_plane_its_kubeconfig_and_its_pod_network(wizard: ClusterOn) -> None:
    wizard.ok("apply", "join.init", "--yes", timeout=600)
    assert runs_from(wizard) == {MIRROR}
    a_context_is_put_beside_what_is_there_and_taken_back(wizard)
    a_manifest_is_applied_edited_and_taken_back(wizard)
    calico_is_installed_by_its_operator_moved_and_taken_back(wizard)
    the_pod_and_its_reason_are_named(wizard)


# ---------------------------------------------------------------- join.kubeconfig


def state(wizard: ClusterOn) -> tuple[str, str]:
    [row] = wizard.json("status", "join.kubeconfig")["steps"]
    return row["state"], row["reason"]


def nodes_seen_with(wizard: ClusterOn, file: Path, context: str) -> str:
    """What kubectl, by itself, gets with the owner's file."""
    ask = f"kubectl --kubeconfig=/root/owners --context={context} get nodes -o name"
    return wizard.machine.inside(f"cat >/root/owners <<'END'\n{file.read_text()}\nEND\n{ask}", host=NODE)


def runs_from(wizard: ClusterOn) -> set[str]:
    """The registries of all that runs on the node."""
    return {image.rpartition("/")[0] for image in wizard.machine.inside(IMAGES, host=NODE).split()}


def key_of(wizard: ClusterOn) -> str:
    found = re.search(r"client-key-data: (\S+)", wizard.machine.inside(f"cat {ADMIN}", host=NODE))
    assert found
    return found[1]


def where_is(wizard: ClusterOn, key: str, file: Path) -> list[str]:
    """Everything that remembers, but the file that is meant to."""
    runbook = wizard.directory / "runbook.md"
    wizard.ok("export", "-o", str(runbook))
    here = [str(each) for each in wizard.directory.rglob("*") if each.is_file() and each != file]
    kept = [each for each in here if key.encode() in Path(each).read_bytes()]
    looked = f"grep -rlsF {key} /var/lib/homek8s-wizard /var/log /run/hk8s* || true"
    return [*kept, *wizard.machine.inside(looked, host=NODE).split(), *wizard.machine.inside(looked).split()]


def a_context_is_put_beside_what_is_there_and_taken_back(wizard: ClusterOn) -> None:
    file, name = Path(wizard.environment["KUBECONFIG"]), wizard.status.name
    file.write_text(WORK)

    assert state(wizard)[0] == "todo"
    wizard.ok("apply", "join.kubeconfig", "--yes")
    assert state(wizard)[0] == "done", state(wizard)
    assert nodes_seen_with(wizard, file, name) == f"node/{NODE}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    merged = file.read_text()
    assert "# the cluster at work" in merged
    assert "current-context: work" in merged
    assert "hush-hush" in merged
    assert where_is(wizard, key_of(wizard), file) == []

    wizard.machine.inside("kubeadm certs renew admin.conf || kubeadm alpha certs renew admin.conf", host=NODE)
    assert state(wizard)[0] == "todo", "another certificate is to be taken over"
    wizard.ok("apply", "join.kubeconfig", "--yes")
    assert state(wizard)[0] == "done"
    assert key_of(wizard) in file.read_text()

    wizard.ok("undo", "join.kubeconfig", "--yes")
    assert name not in file.read_text()
    assert "hush-hush" in file.read_text()

    file.write_text(WORK.replace("work", name))
    refused = wizard.run("apply", "join.kubeconfig", "--yes")
    assert refused.returncode == 2, refused.stderr
    assert f"another cluster {name}" in refused.stderr + refused.stdout
    assert file.read_text() == WORK.replace("work", name)


# ---------------------------------------------------------------- join.cni


def a_manifest_is_applied_edited_and_taken_back(wizard: ClusterOn) -> None:
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


def calico_is_installed_by_its_operator_moved_and_taken_back(wizard: ClusterOn) -> None:
    """Against a stand-in for its operator: manifests from their address, and what the API makes of them, are real."""
    before = wizard.cluster_file.read_text()
    calico_stand_in.serve(wizard.machine, NODE, (0,))
    chosen = f"  cni: calico\n  cni_version: {calico_stand_in.VERSION}\n"
    wizard.cluster_file.write_text(re.sub(r"(?m)^  cni: .*\n", chosen, before))
    said = wizard.ok("apply", "join.cni", "--yes", timeout=600).stderr
    assert f"fetch https://{calico_stand_in.HOST}/projectcalico/calico/v{calico_stand_in.VERSION}/manifests" in said
    assert wizard.ready()
    assert wizard.planned("join.cni")["state"] == "done"
    [pool] = network(wizard)["ipPools"]
    assert (pool["cidr"], pool["blockSize"], pool["encapsulation"]) == (pod_network.PODS, 26, "VXLANCrossSubnet")
    there = {"cidrs": [f"{ISOLATED}.0/24"]}
    assert network(wizard)["nodeAddressAutodetectionV4"] == there
    assert {wizard.planned(step)["state"] for step in ("join.cni", "join.pin")} == {"done"}
    until(lambda: annotated(wizard) == f"{ISOLATED}.100/24" or None, 60, "calico-node does not name its address")

    otherwise = {"cidrs": None, "kubernetes": "NodeInternalIP"}
    by_hand = {"spec": {"calicoNetwork": {"nodeAddressAutodetectionV4": otherwise}}}
    wizard.kubectl(f"patch installation default --type=merge -p '{json.dumps(by_hand)}'")
    until(lambda: annotated(wizard) == f"{LAN}.130/24" or None, 60, "calico-node does not name its address on the LAN")
    wizard.ok("apply", "join.pin", "--yes")
    assert (network(wizard)["nodeAddressAutodetectionV4"], annotated(wizard)) == (there, f"{ISOLATED}.100/24")
    wizard.ok("undo", "join.pin", "--yes")
    assert network(wizard)["nodeAddressAutodetectionV4"] == {"kubernetes": "NodeInternalIP"}
    assert annotated(wizard) == f"{LAN}.130/24"

    wizard.ok("undo", "join.cni", "--yes", timeout=600)
    assert set(wizard.kubectl("get crd,namespaces,daemonsets -A -o name").split()) == WITHOUT_NETWORK
    assert not wizard.machine.inside("ls /etc/cni/net.d; ls /etc/kubernetes/homek8s", host=NODE, check=False)
    until(lambda: not wizard.ready() or None, 60, "the node still has a network")
    wizard.cluster_file.write_text(before)


def network(wizard: ClusterOn) -> Any:
    return json.loads(wizard.kubectl("get installation default -o json"))["spec"]["calicoNetwork"]


def annotated(wizard: ClusterOn) -> str:
    return wizard.kubectl(rf"get node {NODE} -o jsonpath='{{.metadata.annotations.projectcalico\.org/IPv4Address}}'")


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
