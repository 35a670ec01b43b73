"""kubeadm's configuration files, in the apiVersion that the installed kubeadm reads (DOMAIN S6, S8).

Sources: kubernetes/kubernetes, cmd/kubeadm/app/apis/kubeadm, the files types.go and doc.go of v1beta2 (which 1.20.2 was
also seen to read), v1beta3 and v1beta4: `kubeletExtraArgs` is a map up to v1beta3 and a list from v1beta4 on, and the
patience for discovery is `discovery.timeout` or `timeouts.discovery`; all else that is used here is the same in them.
Names of checks in `ignorePreflightErrors` that a kubeadm does not know are passed over (validation.go).
By doc.go of v1, which is to come after them, v1beta2 is read up to 1.26, v1beta3 from 1.22 on, and v1beta4 from 1.31
on, also beside v1. A `criSocket` may be a URL in all of them (validation.go of 1.20.2, `ValidateSocketPath`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.template import render

SOCKET = "unix:///run/containerd/containerd.sock"
PORT = 6443
VALIDATES = 26
"""The first minor whose kubeadm surely has `config validate` (kubernetes.io, kubeadm config)."""
NEWEST = 37
"""The newest minor that was there when this was written; what a later one wants of its configuration is not known."""

PATIENCE = "1m0s"
"""For the signature of a token that was just minted, which comes within seconds; kubeadm's own is 5 minutes."""


@dataclass(frozen=True)
class Version:
    """Of Kubernetes: `minor` 20 of "v1.20.2"."""

    text: str
    minor: int

    @property
    def api(self) -> str:
        """The newest apiVersion of kubeadm's configuration that this kubeadm reads."""
        if self.minor < 22:
            return "v1beta2"
        return "v1beta3" if self.minor < 31 else "v1beta4"


def version_of(text: str, otherwise: str = "") -> Version:
    """Of what `kubeadm version -o short` prints. Where that is not known yet, the minor of `otherwise` ("1.36")."""
    found = re.match(r"v?1\.(\d+)", text) or re.match(r"v?1\.(\d+)", otherwise)
    if found is None:
        raise ValueError(f"{text!r} is no version of Kubernetes")
    return Version(text, int(found[1]))


@dataclass(frozen=True)
class NodeConfig:
    """What is said of the node itself: `address` is its own on the LAN, however many cards it has."""

    name: str
    address: str
    version: Version
    small: bool = False
    """It may have less than kubeadm asks of a control plane: that is then said, and does not stop it."""


@dataclass(frozen=True)
class ClusterConfig:
    """What is said of the whole cluster, for good: `endpoint` HOST:PORT, ranges, `images` a mirror or ""."""

    endpoint: str
    pods: str
    services: str
    driver: str
    images: str = ""


def init_yaml(node: NodeConfig, cluster: ClusterConfig) -> str:
    """For the first control plane. `kubernetesVersion` is exact, so that nothing is asked of the internet."""
    return render(
        "join/init.yaml.j2",
        **_about(node),
        version=node.version.text,
        endpoint=cluster.endpoint,
        images=cluster.images,
        pods=cluster.pods,
        services=cluster.services,
        driver=cluster.driver,
    )


def join_yaml(node: NodeConfig, endpoint: str, ca_hash: str, token: str, key: str = "") -> str:
    """For a node that joins; with a certificate `key` it becomes a control plane. Both secrets are marks of holes."""
    about = _about(node)
    known = {"endpoint": endpoint, "ca_hash": ca_hash, "patience": PATIENCE}
    return render("join/join.yaml.j2", **about, **known, token=token, key=key)


def _about(node: NodeConfig) -> dict[str, object]:
    api = node.version.api
    here = {"name": node.name, "address": node.address, "small": node.small}
    return {"api": api, **here, "socket": SOCKET, "port": PORT}


def host_port(host: str) -> str:
    """An endpoint as kubeadm writes it; an IPv6 address stands in brackets."""
    return f"[{host}]:{PORT}" if ":" in host else f"{host}:{PORT}"
