"""The pods that make a cluster work, and the version of its API; asked on a control plane."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wizard.facts.kube_nodes import ADMIN, KUBECTL
from wizard.model import Fact, FactError, Output

NAMESPACES = ("kube-system", "calico-system", "tigera-operator", "kube-flannel")
"""Kubernetes' own, and those that pod networks make for themselves (Cilium is in kube-system)."""

# Only their status: with all the rest, a cluster of ten nodes has more than may be read.
_FIELDS = (
    '{.metadata.namespace}{"|"}{.metadata.name}{"|"}{.spec.nodeName}{"|"}{.metadata.deletionTimestamp}{"|"}{.status}'
)


@dataclass(frozen=True)
class SystemPod:
    """`why` is empty for one that does its work: running with all containers ready, or ended well."""

    namespace: str
    name: str
    node: str
    why: str = ""
    image: str = ""
    """Of its first container, as the runtime calls it."""

    @property
    def running(self) -> bool:
        return not self.why

    @property
    def version(self) -> str:
        """ "v1.36.4", where that is the image's tag; else empty."""
        tag = self.image.rpartition(":")[2]
        return tag if re.match(r"v\d+\.\d+\.", tag) else ""


def parse_pods(output: Output) -> tuple[SystemPod, ...]:
    """From lines of fields and the status as JSON. Raises `FactError` where the API does not answer."""
    if output.rc:
        raise FactError(f"the Kubernetes API does not answer: {output.complaint[-300:] or 'nothing was said'}")
    return tuple(_pod(*line.split("|", 4)) for line in output.text.splitlines() if line.strip())


def _pod(namespace: str, name: str, node: str, deleted: str, status: str) -> SystemPod:
    said = json.loads(status)
    image = next((each.get("image", "") for each in said.get("containerStatuses", ())), "")
    return SystemPod(namespace, name, node, "" if deleted else _why_not(said), image)


def _why_not(status: Mapping[str, Any]) -> str:
    """What its containers wait for or died of, in Kubernetes' own words."""
    phase = status.get("phase", "Unknown")
    if phase == "Succeeded":
        return ""
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    words = [words for each in containers if (words := _trouble(each))]
    if words:
        return "; ".join(words)
    if phase != "Running":
        return ": ".join([phase, *_conditions(status)])
    unready = [each["name"] for each in status.get("containerStatuses", ()) if not each["ready"]]
    return f"{', '.join(unready)} runs and is not ready" if unready else ""


def _trouble(container: Mapping[str, Any]) -> str:
    waiting = container.get("state", {}).get("waiting")
    if waiting is None or waiting.get("reason") == "PodInitializing":
        return ""
    last = container.get("lastState", {}).get("terminated", {})
    died = f" (last: {_ended(last)})" if last else ""
    said = f": {_short(waiting['message'])}" if waiting.get("message") else ""
    return f"{container['name']} {waiting.get('reason', 'waits')}{said}{died}"


def _ended(terminated: Mapping[str, Any]) -> str:
    said = f", {_short(terminated['message'])}" if terminated.get("message") else ""
    return f"{terminated.get('reason', 'ended')} with status {terminated.get('exitCode', '?')}{said}"


def _conditions(status: Mapping[str, Any]) -> Iterator[str]:
    for each in status.get("conditions", ()):
        if each.get("status") != "True" and each.get("message"):
            yield _short(each["message"])
            return


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]} […]"


SYSTEM_PODS = Fact(
    "system-pods",
    f"[ -e {ADMIN} ] || exit 0; for each in {' '.join(NAMESPACES)}; do\n"
    f"{KUBECTL} -n $each get pods -o jsonpath='{{range .items[*]}}{_FIELDS}{{\"\\n\"}}{{end}}' || exit 1; done",
    parse_pods,
)


def parse_version(output: Output) -> str:
    """From `kubectl version -o json`: "v1.36.4"; empty where there is no cluster."""
    if not output.rc and not output.text.strip():
        return ""
    if output.rc:
        raise FactError(f"the Kubernetes API does not answer: {output.complaint[-300:] or 'nothing was said'}")
    return str(json.loads(output.text)["serverVersion"]["gitVersion"])


API_VERSION = Fact("api-version", f"[ -e {ADMIN} ] || exit 0; {KUBECTL} version -o json", parse_version)
