"""What nodes and clusters say of themselves: captured from kubeadm 1.20.2 and containerd 1.6, and what is cut short."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from wizard.facts.cgroup import CGROUP_DRIVER
from wizard.facts.kube_cluster import KUBE_CLUSTER, KubeCluster
from wizard.facts.kubeadm import API_READY, KUBEADM, Kubeadm
from wizard.model import FactError, Output

EMPTY = """\
kubeadm=
kubelet=
active=no
admin=no
joined=no
manifests=no
etcd=no
pki=no
ca=
server=
finished=no
up=412
says=
ready=
"""
PLANE = """\
kubeadm=v1.20.2
kubelet=v1.20.2
active=yes
admin=yes
joined=yes
manifests=yes
etcd=yes
pki=yes
ca=2bcc5b844bb5dce3d8c507cce208fbb859c6f69bc4ff8b4f997cb79f72f528dd
server=https://192.168.182.130:6443
finished=yes
up=131
says=E1123 09:40:53.985449   10849 kubelet.go:2243] node "aki0" not found
ready=yes
"""
CLUSTER = """\
configmap/cluster-info
deployment.apps/coredns
---
apiServer:
  extraArgs:
    authorization-mode: Node,RBAC
  timeoutForControlPlane: 4m0s
apiVersion: kubeadm.k8s.io/v1beta2
certificatesDir: /etc/kubernetes/pki
clusterName: kubernetes
controlPlaneEndpoint: 192.168.182.130:6443
controllerManager: {}
dns:
  type: CoreDNS
etcd:
  local:
    dataDir: /var/lib/etcd
imageRepository: k8s.gcr.io
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
networking:
  dnsDomain: cluster.local
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/12
scheduler: {}
"""
RUNC = """\
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
          runtime_type = "io.containerd.runc.v2"

          [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
            SystemdCgroup = {}
"""


def test_a_machine_without_kubernetes() -> None:
    assert KUBEADM.parse(Output(0, EMPTY.encode())) == Kubeadm(up=412)
    assert KUBEADM.parse(Output(0, EMPTY.encode())).untouched


def test_a_control_plane() -> None:
    found = KUBEADM.parse(Output(0, PLANE.encode()))
    assert found == Kubeadm(
        *("v1.20.2", "v1.20.2"),
        *(True,) * 6,
        ca_hash="2bcc5b844bb5dce3d8c507cce208fbb859c6f69bc4ff8b4f997cb79f72f528dd",
        server="https://192.168.182.130:6443",
        api_ready=True,
        finished=True,
        up=131,
        says='E1123 09:40:53.985449   10849 kubelet.go:2243] node "aki0" not found',
    )


def test_a_ca_of_which_nobody_can_tell_whose_it_is() -> None:
    nameless = "".join("ca=\n" if line.startswith("ca=") else line for line in PLANE.splitlines(keepends=True))
    with pytest.raises(FactError, match="openssl is missing"):
        KUBEADM.parse(Output(0, nameless.encode()))


def test_the_command_runs_where_nothing_is_installed() -> None:
    done = subprocess.run(["sh", "-c", KUBEADM.command], capture_output=True)
    assert KUBEADM.parse(Output(done.returncode, done.stdout)).up > 0


@pytest.mark.parametrize(
    ("noted", "asked"), [("192.168.182.130:6443", "192.168.182.130:6443"), ("'[fd00::1]:6443'", "[fd00::1]:6443")]
)
def test_the_api_server_of_the_machine_itself_is_asked(noted: str, asked: str, tmp_path: Path) -> None:
    """As kubeadm 1.20.2 notes it."""
    line = f"    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: {noted}\n"
    (tmp_path / "manifests").mkdir()
    (tmp_path / "kubectl").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "kubectl").chmod(0o755)
    command = API_READY.replace("/etc/kubernetes", str(tmp_path))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    without = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment)
    assert (without.returncode != 0, without.stdout) == (True, ""), "without a manifest there is none"
    (tmp_path / "manifests/kube-apiserver.yaml").write_text(f"metadata:\n  annotations:\n{line}spec:\n")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split()[:2] == [f"--kubeconfig={tmp_path}/admin.conf", f"--server=https://{asked}"]
    (tmp_path / "kubectl").write_text("#!/bin/sh\nexit 1\n")
    assert subprocess.run(["sh", "-c", command], env=environment).returncode != 0


def test_a_cluster() -> None:
    assert KUBE_CLUSTER.parse(Output(0, CLUSTER.encode())) == KubeCluster(
        configured=True,
        joinable=True,
        dns=True,
        version="v1.20.2",
        endpoint="192.168.182.130:6443",
        pod_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/12",
    )


def test_half_a_cluster_and_none() -> None:
    assert KUBE_CLUSTER.parse(Output(0, b"---\n")) == KubeCluster()
    assert KUBE_CLUSTER.parse(Output(0, b"none\n")) == KubeCluster(there=False)


def test_a_cluster_that_does_not_answer() -> None:
    complaint = (
        b"The connection to the server 192.168.182.130:6443 was refused - did you specify the right host or port?"
    )
    with pytest.raises(FactError, match="was refused"):
        KUBE_CLUSTER.parse(Output(1, b"", complaint))


@pytest.mark.parametrize(("value", "driver"), [("true", "systemd"), ("false", "cgroupfs")])
def test_who_makes_control_groups(value: str, driver: str) -> None:
    assert CGROUP_DRIVER.parse(Output(0, RUNC.format(value).encode())) == driver


def test_a_containerd_that_says_nothing() -> None:
    assert CGROUP_DRIVER.parse(Output(0, b"version = 2\n")) == "cgroupfs"
    with pytest.raises(FactError):
        CGROUP_DRIVER.parse(Output(127, b"", b"containerd: not found"))
