"""Kubernetes on the nodes of a rehearsal, brought about by hand: what the wizard is compared with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from wizard.rehearsal import Rehearsal, network
from wizard.rehearsal.guests import first
from wizard.rehearsal.kubernetes_build import VERSION
from wizard.rehearsal.kubernetes_packages import PLACE

REPOSITORY = f"http://{network.ROUTER}:{network.FILES_PORT}/{PLACE}"
CONTROL_PLANE, WORKER = (node.name for node in first(2))

INSTALL = f"""\
set -e
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/apt/keyrings
curl -fsS {REPOSITORY}/Release.key | gpg --dearmor --yes -o /etc/apt/keyrings/kubernetes.gpg
echo 'deb [signed-by=/etc/apt/keyrings/kubernetes.gpg] {REPOSITORY}/ /' > /etc/apt/sources.list.d/kubernetes.list
apt-get -qq update
apt-get -qq -y install --no-install-recommends containerd kubelet kubeadm kubectl
"""

# Debian's plugins are at another place than those of the package, and kubelet leaves cgroups to systemd.
PREPARE = """\
set -e
mkdir -p /etc/containerd
containerd config default | sed '
  s,/usr/lib/cni,/opt/cni/bin,
  s,SystemdCgroup = false,SystemdCgroup = true,
  s,sandbox_image = .*,sandbox_image = "k8s.gcr.io/pause:3.2",' > /etc/containerd/config.toml
systemctl restart containerd
systemctl -q enable kubelet
printf 'net.ipv4.ip_forward = 1\\nnet.bridge.bridge-nf-call-iptables = 1\\n' > /etc/sysctl.d/90-k8s.conf
sysctl -q --load=/etc/sysctl.d/90-k8s.conf
"""

CONFIG = f"""\
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {first(1)[0].address}}}
nodeRegistration: {{criSocket: unix:///run/containerd/containerd.sock}}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v{VERSION}
networking: {{podSubnet: 10.244.0.0/16}}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
"""

# One on each node, which answers with its own name; it never waits for its death.
PROBE = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: probe}
spec:
  selector: {matchLabels: {app: probe}}
  template:
    metadata: {labels: {app: probe}}
    spec:
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      containers:
        - name: probe
          image: busybox:1.36
          imagePullPolicy: IfNotPresent
          command: [sh, -c, 'mkdir /www; echo "$NODE" > /www/name; exec httpd -f -p 8080 -h /www']
          env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
"""


def install(rehearsal: Rehearsal, host: str) -> None:
    rehearsal.inside(INSTALL + PREPARE, host=host)


def init(rehearsal: Rehearsal) -> None:
    """The control plane, without a pod network."""
    config = shlex.quote(CONFIG)
    rehearsal.inside(f"printf %s {config} > /root/init.yaml; kubeadm init --config /root/init.yaml", host=CONTROL_PLANE)


def join(rehearsal: Rehearsal, host: str) -> None:
    command = rehearsal.inside("kubeadm token create --print-join-command", host=CONTROL_PLANE)
    rehearsal.inside(command, host=host)


def kubectl(rehearsal: Rehearsal, *words: str, stdin: str = "") -> str:
    command = f"printf %s {shlex.quote(stdin)} | kubectl --kubeconfig=/etc/kubernetes/admin.conf {shlex.join(words)}"
    return rehearsal.inside(command, host=CONTROL_PLANE)


def apply(rehearsal: Rehearsal, manifest: str) -> None:
    kubectl(rehearsal, "apply", "-f", "-", stdin=manifest)


def ready(rehearsal: Rehearsal, count: int) -> None:
    """Wait until so many nodes are there and Ready, and until the cluster's DNS answers its probes."""
    kubectl(rehearsal, "wait", "--for=condition=Ready", "node", "--all", "--timeout=180s")
    assert len(items(rehearsal, "nodes")) == count
    available = "--for=condition=Available"
    kubectl(rehearsal, "-n", "kube-system", "wait", available, "deployment/coredns", "--timeout=180s")


def items(rehearsal: Rehearsal, *words: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = json.loads(kubectl(rehearsal, "get", *words, "-o", "json"))["items"]
    return found


def probes(rehearsal: Rehearsal) -> dict[str, tuple[str, str]]:
    """A pod on each node, when all of them run. Node: pod's name, pod's address."""
    apply(rehearsal, PROBE)
    kubectl(rehearsal, "rollout", "status", "daemonset/probe", "--timeout=120s")
    found = items(rehearsal, "pods", "-l", "app=probe")
    return {pod["spec"]["nodeName"]: (pod["metadata"]["name"], pod["status"]["podIP"]) for pod in found}


def within(rehearsal: Rehearsal, pod: str, *command: str) -> str:
    return kubectl(rehearsal, "exec", pod, "--", *command)
