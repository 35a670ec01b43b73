"""What a cluster was made as: what `kubeadm init` keeps of its configuration in the cluster itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wizard.facts.kube_nodes import ADMIN, KUBECTL
from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class KubeCluster:
    """The ClusterConfiguration in the ConfigMap kubeadm-config; empty strings where there is none, or it says nothing.

    Unlike a kubelet's file, it always has the endpoint: a newer control plane's kubelet speaks to its own API server.
    """

    there: bool = True
    """False where the asked machine has no cluster."""
    configured: bool = False
    """kubeadm-config is there: init has come as far as uploading it."""
    joinable: bool = False
    """cluster-info is there: init has come as far as letting nodes join."""
    dns: bool = False
    """Cluster DNS is there: init has come to its end, or somebody brought his own."""
    version: str = ""
    endpoint: str = ""
    """HOST:PORT."""
    pod_cidr: str = ""
    service_cidr: str = ""


def parse_cluster(output: Output) -> KubeCluster:
    """From three lists of names and a ClusterConfiguration. Raises `FactError` where the API does not answer."""
    if output.text.strip() == "none":
        return KubeCluster(there=False)
    names, mark, config = output.text.partition("---\n")
    if output.rc or not mark:
        raise FactError(f"the Kubernetes API does not answer: {output.complaint[-300:] or 'nothing was said'}")
    said = _yaml(config)
    networking = said.get("networking") or {}
    return KubeCluster(
        configured=bool(said),
        joinable="configmap/cluster-info" in names.split(),
        dns="deployment" in names,
        version=said.get("kubernetesVersion", ""),
        endpoint=said.get("controlPlaneEndpoint", ""),
        pod_cidr=networking.get("podSubnet", ""),
        service_cidr=networking.get("serviceSubnet", ""),
    )


def _yaml(text: str) -> Mapping[str, Any]:
    import yaml

    found = yaml.safe_load(text)
    return found if isinstance(found, dict) else {}


KUBE_CLUSTER = Fact(
    "kube-cluster",
    f"""[ -e {ADMIN} ] || {{ echo none; exit 0; }}
set -e
{KUBECTL} get configmap cluster-info --namespace kube-public --ignore-not-found --output name
{KUBECTL} get deployments --namespace kube-system --selector k8s-app=kube-dns --output name
echo ---
{KUBECTL} get configmap kubeadm-config --namespace kube-system --ignore-not-found \
--output 'jsonpath={{.data.ClusterConfiguration}}'""",
    parse_cluster,
)
"""Asked on a control plane. cluster-info itself, which has signatures made with bootstrap tokens, is not read."""
