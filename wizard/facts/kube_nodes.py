"""The nodes of a cluster, as its API has them; asked on a control plane."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wizard.model import Fact, FactError, Output

ADMIN = "/etc/kubernetes/admin.conf"
KUBECTL = f"kubectl --kubeconfig={ADMIN} --request-timeout=10s"


@dataclass(frozen=True)
class KubeNode:
    """One node. `kubelet` is its version ("v1.36.4"), `reason` what its Ready condition says."""

    name: str
    machine_id: str
    internal_ip: str
    ready: bool
    reason: str = ""
    kubelet: str = ""
    runtime: str = ""
    control_plane: bool = False
    schedulable: bool = True
    pod_cidr: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KubeNodes:
    """All nodes by name; `there` is False where the asked machine has no cluster."""

    all: tuple[KubeNode, ...] = ()
    there: bool = True

    def __iter__(self) -> Iterator[KubeNode]:
        return iter(self.all)

    def get(self, name: str) -> KubeNode | None:
        return next((node for node in self.all if node.name == name), None)


def parse_nodes(output: Output) -> KubeNodes:
    """From `kubectl get nodes -o json`. Raises `FactError` where the API does not answer."""
    if output.text.strip() == "none":
        return KubeNodes(there=False)
    if output.rc:
        raise FactError(f"the Kubernetes API does not answer: {output.complaint[-300:] or 'nothing was said'}")
    return KubeNodes(tuple(_node(item) for item in json.loads(output.text)["items"]))


def _node(item: Mapping[str, Any]) -> KubeNode:
    meta, status, spec = item["metadata"], item["status"], item["spec"]
    labels: Mapping[str, str] = meta.get("labels", {})
    ready: Mapping[str, str] = next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), {})
    return KubeNode(
        name=meta["name"],
        machine_id=status["nodeInfo"]["machineID"],
        internal_ip=next((each["address"] for each in status.get("addresses", ()) if each["type"] == "InternalIP"), ""),
        ready=ready.get("status") == "True",
        reason=ready.get("message", ""),
        kubelet=status["nodeInfo"]["kubeletVersion"],
        runtime=status["nodeInfo"].get("containerRuntimeVersion", ""),
        control_plane=any(f"node-role.kubernetes.io/{role}" in labels for role in ("control-plane", "master")),
        schedulable=not spec.get("unschedulable", False),
        pod_cidr=spec.get("podCIDR", ""),
        annotations=meta.get("annotations", {}),
    )


KUBE_NODES = Fact(
    "kube-nodes",
    f"[ -e {ADMIN} ] || {{ echo none; exit 0; }}; {KUBECTL} get nodes -o json",
    parse_nodes,
)
