"""Cilium by its own command, where the control plane has it (DOMAIN 5).

Cilium is made of a Helm chart. Rendering it takes Helm or the cilium command, which has the chart inside; the wizard
brings neither along, and says how the command is had. Pods get their addresses from the range that kubeadm gave each
node (`ipam.mode=kubernetes`), since Cilium's own default, 10.0.0.0/8, contains many homes. Its nodes speak to each
other between their InternalIPs; the devices it finds by itself. Source: docs.cilium.io, "cli-download" and
"k8s-install-default".
"""

from __future__ import annotations

from wizard.actions import Run, digest
from wizard.cluster.sections import Kubernetes
from wizard.facts.pod_network import Applied, PodNetwork
from wizard.model import Blocked, Context, Do, Finding
from wizard.stages.join_cni_parts import ENVIRONMENT, KUBECTL, part, record

GET_IT = """\
on {node}, as root:
  v=$(curl -fsSL https://raw.githubusercontent.com/cilium/cilium-cli/main/stable.txt)
  a=$(dpkg --print-architecture)
  curl -fL --remote-name-all https://github.com/cilium/cilium-cli/releases/download/$v/cilium-linux-$a.tar.gz
  curl -fL --remote-name-all https://github.com/cilium/cilium-cli/releases/download/$v/cilium-linux-$a.tar.gz.sha256sum
  sha256sum --check cilium-linux-$a.tar.gz.sha256sum && tar -xzC /usr/local/bin -f cilium-linux-$a.tar.gz
then try again"""


def applied(kubernetes: Kubernetes) -> Applied:
    source = kubernetes.cni_version or "the version that the cilium command brings"
    return Applied("cilium", source, digest(" ".join(_settings(kubernetes))))


def plan(ctx: Context, target: str, network: PodNetwork, kubernetes: Kubernetes) -> Do | Blocked:
    if not network.cilium_cli:
        why = f"Cilium is installed by its command `cilium`, which {target} does not have"
        return Blocked("you", why, (Finding("no-cilium", why, GET_IT.format(node=target), "kubernetes.cni"),))
    there = (*KUBECTL, "-n", "kube-system", "get", "daemonset", "cilium")
    undo = Run((*ENVIRONMENT, "cilium", "uninstall", "--wait"), unless=("sh", "-c", f"! {' '.join(there)}"))
    install = Run((*ENVIRONMENT, "cilium", "install", *_settings(kubernetes)), unless=there, undo=undo)
    upgrade = Run((*ENVIRONMENT, "cilium", "upgrade", *_settings(kubernetes)))
    actions = (upgrade if network.applied else install, *record(ctx, target, applied(kubernetes)))
    why = f"pods are connected by Cilium, which `cilium` {network.cilium_cli} installs"
    return Do(why, (part(target, actions),), NOTES)


def _settings(kubernetes: Kubernetes) -> tuple[str, ...]:
    version = ("--version", kubernetes.cni_version) if kubernetes.cni_version else ()
    return (*version, "--set", "ipam.mode=kubernetes")


NOTES = (
    "Its images come from quay.io; kubernetes.images does not apply to them.",
    "Cilium was never tried by the wizard's makers: this is what its documentation says.",
)
