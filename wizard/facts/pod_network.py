"""What connects pods: what the wizard applied, the agents that run for it, and the files in a node's /etc/cni/net.d."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wizard.facts.kube_nodes import ADMIN, KUBECTL
from wizard.model import Fact, FactError, Output

RECORD = "homek8s-wizard-pod-network"
"""The ConfigMap in kube-system that says what was applied."""
DETECTION = "IP_AUTODETECTION_METHOD"
"""How a calico-node of a manifest finds its address (Calico: configure-calico-node)."""


@dataclass(frozen=True)
class Applied:
    """What our ConfigMap says: `name` is calico, cilium or manifest; `source` a version, a file's name or a URL."""

    name: str
    source: str = ""
    sha256: str = ""
    """Of what was applied; empty where only a URL is known."""


@dataclass(frozen=True)
class Agent:
    """A DaemonSet; `env` has the literal variables of all its containers."""

    namespace: str
    name: str
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PodNetwork:
    """`there` is False where the asked machine has no cluster."""

    there: bool = True
    applied: Applied | None = None
    agents: tuple[Agent, ...] = ()
    installation: Mapping[str, Any] | None = None
    """`spec` of the Installation that Calico's operator follows; None without one."""
    cilium_cli: str = ""
    """The version of the cilium command on this machine; empty without it."""

    def agent(self, name: str) -> Agent | None:
        return next((agent for agent in self.agents if agent.name == name), None)

    @property
    def detection(self) -> Mapping[str, Any]:
        """How the operator's Calico finds its nodes' addresses."""
        network: Mapping[str, Any] = (self.installation or {}).get("calicoNetwork") or {}
        return network.get("nodeAddressAutodetectionV4") or {}


def _pod_network(output: Output) -> PodNetwork:
    if output.text.strip() == "none":
        return PodNetwork(there=False)
    found = dict(line.split("\t", 1) for line in output.text.splitlines() if "\t" in line)
    if output.rc or "agents" not in found:
        raise FactError(f"the Kubernetes API does not answer: {output.complaint[-300:] or 'nothing was said'}")
    said = {name: base64.b64decode(text).decode("utf-8", "replace").strip() for name, text in found.items()}
    record = json.loads(said["record"])["data"] if said["record"] else None
    installation = json.loads(said["installation"])["spec"] if said["installation"] else None
    return PodNetwork(
        True,
        Applied(record["name"], record.get("source", ""), record.get("sha256", "")) if record else None,
        tuple(_agents(json.loads(said["agents"])["items"])),
        installation,
        said["cilium"],
    )


def _agents(items: list[Mapping[str, Any]]) -> Iterator[Agent]:
    for item in items:
        containers = item["spec"]["template"]["spec"]["containers"]
        env = {each["name"]: each["value"] for one in containers for each in one.get("env", ()) if "value" in each}
        yield Agent(item["metadata"]["namespace"], item["metadata"]["name"], env)


POD_NETWORK = Fact(
    "pod-network",
    # The last question is the one that must be answered: without an API, an answer of nothing means nothing. The
    # Installation is asked for by its path: of a kind unknown to it, kubectl would look for all kinds there are.
    rf"""[ -e {ADMIN} ] || {{ echo none; exit 0; }}
say() {{ printf '%s\t%s\n' "$1" "$(base64 -w0)"; }}
k() {{ {KUBECTL} "$@"; }}
k -n kube-system get configmap {RECORD} --ignore-not-found -o json 2>/dev/null | say record
k get --raw /apis/operator.tigera.io/v1/installations/default 2>/dev/null | say installation
cilium version --client 2>/dev/null | sed -n 's/^cilium-cli: *v\{{0,1\}}\([^ ]*\).*/\1/p' | say cilium
agents=$(k get daemonsets --all-namespaces -o json) || exit 1
printf %s "$agents" | say agents""",
    _pod_network,
    limit=60,
)


BYSTANDERS = ("87-podman", "100-crio-bridge", "10-crio-bridge", "11-crio-ipv4-bridge", "10-containerd-net", "200-")
"""How the files begin that a container program brings for its own machine alone: they connect no nodes."""


@dataclass(frozen=True)
class CniFiles:
    """The names in /etc/cni/net.d of a node, in the order in which the container runtime looks at them."""

    names: tuple[str, ...] = ()

    @property
    def own(self) -> tuple[str, ...]:
        """Without those that only a single machine uses."""
        return tuple(name for name in self.names if not name.startswith(BYSTANDERS))

    @property
    def networks(self) -> tuple[str, ...]:
        """Those of them that describe a network; the others are keys and leftovers."""
        return tuple(name for name in self.own if name.endswith((".conf", ".conflist", ".json")))


CNI_DIRECTORY = "/etc/cni/net.d"
CNI_FILES = Fact(
    "cni-files",
    f'cd {CNI_DIRECTORY} 2>/dev/null || exit 0; for f in *; do [ ! -e "$f" ] || printf \'%s\\n\' "$f"; done',
    lambda output: CniFiles(tuple(output.text.splitlines())),
)
