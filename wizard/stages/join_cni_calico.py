"""Calico by its operator: which version, which manifests, and the Installation that is ours (DOMAIN S7).

Sources: the versions of Kubernetes that each Calico is tested with and the manifests it is installed from are those of
its own documentation (github.com/tigera/docs, `_system-requirements.mdx` and `onpremises.mdx` of 3.24 to 3.33), the
manifests' contents those of the release branches of github.com/projectcalico/calico. Their definitions came inside
tigera-operator.yaml up to 3.29, in operator-crds.yaml in 3.30 and 3.31, and in files named after their API group since.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wizard.actions import digest
from wizard.cluster.sections import Kubernetes
from wizard.facts.pod_network import Applied, PodNetwork
from wizard.model import Context, Finding
from wizard.stages import node_addresses
from wizard.template import render

TESTED: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("3.32.1", (34, 35, 36)),
    ("3.31.7", (32, 33, 34, 35)),
    ("3.33.0", (35, 36, 37)),
    ("3.30.7", (31, 32, 33, 34, 35)),
    ("3.29.7", (29, 30, 31, 32)),
    ("3.28.5", (27, 28, 29, 30)),
    ("3.26.5", (24, 25, 26, 27, 28)),
    ("3.25.2", (23, 24, 25, 26, 27, 28)),
    ("3.24.6", (22, 23, 24, 25)),
)
"""Which Calico is tested with which minors of Kubernetes 1; the first that lists one is chosen. 3.33.0 stands behind
versions that have had corrections."""
MANIFESTS = "https://raw.githubusercontent.com/projectcalico/calico/v{version}/manifests/{file}"
V3_FROM = 36
"""The minor of Kubernetes 1 from which definitions of Calico's newer API group need no feature gate (3.33)."""


@dataclass(frozen=True)
class Calico:
    version: str
    minor: int
    """Of Kubernetes 1."""
    pods: str

    @property
    def line(self) -> int:
        """32 of 3.32.1."""
        return int(self.version.split(".")[1])

    @property
    def manifests(self) -> tuple[str, ...]:
        """The files to apply before our Installation, in their order."""
        if self.line < 30:
            return ("tigera-operator.yaml",)
        if self.line < 32:
            return ("operator-crds.yaml", "tigera-operator.yaml")
        group = "v3_projectcalico_org" if self.line > 32 and self.minor >= V3_FROM else "v1_crd_projectcalico_org"
        return (f"{group}.yaml", "tigera-operator.yaml")

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(MANIFESTS.format(version=self.version, file=file) for file in self.manifests)

    def installation(self, detection: Mapping[str, Any]) -> str:
        """Pools have had names since 3.28 (the definition in each release's manifests)."""
        values = {"pods": self.pods, "named": self.line >= 28, "detection": json.dumps(detection)}
        return render("cni/calico-installation.yaml.j2", **values)

    @property
    def applied(self) -> Applied:
        """How it is recorded: node addresses may move later (join.pin) without its being another installation."""
        return Applied("calico", self.version, digest("\n".join((*self.urls, self.installation({})))))


def wanted(kubernetes: Kubernetes) -> Calico | Finding:
    minor = int(kubernetes.version.split(".")[1])
    chosen = kubernetes.cni_version or next((version for version, minors in TESTED if minor in minors), "")
    if not chosen:
        listed = sorted({each for _, minors in TESTED for each in minors})
        some = f"1.{listed[0]} to 1.{listed[-1]} are"
        why = f"no Calico that the wizard knows is tested with Kubernetes 1.{minor} ({some})"
        cure = "set kubernetes.version to one of these, choose a Calico yourself by `cni_version`, or use another `cni`"
        return Finding("no-calico-fits", why, cure, "kubernetes.cni")
    if int(chosen.split(".")[1]) < 24 or chosen.split(".")[0] != "3":
        why = f"Calico {chosen} is not installed the way the wizard does it, which is known for 3.24 and later"
        return Finding("no-calico-fits", why, "set a later one, or use its manifest", "kubernetes.cni_version")
    return Calico(chosen, minor, str(kubernetes.pod_cidr))


def untested(kubernetes: Kubernetes) -> Iterator[str]:
    """A version that the owner chose, and that its makers do not list for this Kubernetes."""
    chosen, minor = kubernetes.cni_version, int(kubernetes.version.split(".")[1])
    same = [minors for version, minors in TESTED if chosen and version.split(".")[:2] == chosen.split(".")[:2]]
    if chosen and not any(minor in minors for minors in same):
        yield f"Calico {chosen} is not listed as tested with Kubernetes 1.{minor}, as far as the wizard knows."


def detection(ctx: Context, network: PodNetwork) -> Mapping[str, Any]:
    """How nodes find their addresses: as it is set already, else by the range that all nodes are known to be in."""
    if network.detection:
        return network.detection
    isolated = node_addresses.isolated_range(ctx)
    return {"cidrs": [str(isolated)]} if isolated else on_the_lan(ctx)


def on_the_lan(ctx: Context) -> Mapping[str, Any]:
    found = node_addresses.lan_range(ctx)
    return {"cidrs": [str(found)]} if found else {"kubernetes": "NodeInternalIP"}
