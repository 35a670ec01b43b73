"""The pods that make a cluster work, and the version of its API; asked on a control plane."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wizard.facts.kube_nodes import ADMIN, KUBECTL
from wizard.model import Fact, FactError, Output

NAMESPACES = ("kube-system", "calico-system", "tigera-operator", "kube-flannel")
"""Kubernetes' own, and those that pod networks make for themselves (Cilium is in kube-system)."""

# Only their status: with all the rest, a cluster of ten nodes has more than may be read.
_FIELDS = (
    '{.metadata.namespace}{"|"}{.metadata.name}{"|"}{.spec.nodeName}{"|"}{.metadata.deletionTimestamp}{"|"}{.status}'
)


STARTING = 180
"""Seconds in which a pod may be on its way: its images are fetched, and a kubelet of 1.20 looks only every one or two
minutes whether a container that has no readiness probe, such as etcd's, is through its startup probe."""
ON_ITS_WAY = ("ContainerCreating", "PodInitializing")
"""What a container waits for that nothing is the matter with."""


@dataclass(frozen=True)
class SystemPod:
    """`why` is empty for one that does its work: running with all containers ready, or ended well."""

    namespace: str
    name: str
    node: str
    why: str = ""
    image: str = ""
    """Of its first container, as the runtime calls it."""
    starting: bool = False
    """It has begun lately, and nothing else is known to be the matter with it."""

    @property
    def running(self) -> bool:
        return not self.why

    @property
    def version(self) -> str:
        """ "v1.36.4", where that is the image's tag; else empty."""
        tag = self.image.rpartition(":")[2]
        return tag if re.match(r"v\d+\.\d+\.", tag) else ""


def parse_pods(output: Output) -> tuple[SystemPod, ...]:
    """From the time, and lines of fields and the status as JSON. Raises `FactError` where the API does not answer."""
    if output.rc:
        raise FactError(f"the Kubernetes API does not answer: {output.complaint[-300:] or 'nothing was said'}")
    now, *lines = output.text.splitlines() or [""]
    return tuple(_pod(int(now), *line.split("|", 4)) for line in lines if line.strip())


def _pod(now: int, namespace: str, name: str, node: str, deleted: str, said: str) -> SystemPod:
    status = json.loads(said)
    why = "" if deleted else _why_not(status)
    image = next((each.get("image", "") for each in status.get("containerStatuses", ())), "")
    return SystemPod(namespace, name, node, why, image, bool(why) and _starting(status, now))


def _starting(status: Mapping[str, Any], now: int) -> bool:
    states = [each.get("state", {}) for each in _containers(status)]
    waits = [state["waiting"].get("reason") for state in states if "waiting" in state]
    began = [status.get("startTime"), *(state.get("running", {}).get("startedAt") for state in states)]
    times = [datetime.fromisoformat(each).timestamp() for each in began if each]
    quiet = status.get("phase") in ("Pending", "Running") and all(reason in ON_ITS_WAY for reason in waits)
    return quiet and bool(times) and now - max(times) < STARTING


def _containers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _why_not(status: Mapping[str, Any]) -> str:
    """What its containers wait for or died of, in Kubernetes' own words."""
    phase = status.get("phase", "Unknown")
    if phase == "Succeeded":
        return ""
    words = [words for each in _containers(status) if (words := _trouble(each))]
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
    # All namespaces in one question: a start of kubectl costs a node more than what is then dropped of the answer.
    f"""[ -e {ADMIN} ] || exit 0
date +%s
said=$({KUBECTL} get pods --all-namespaces -o jsonpath='{{range .items[*]}}{_FIELDS}{{"\\n"}}{{end}}') || exit 1
printf '%s\\n' "$said" | grep -E '^({"|".join(NAMESPACES)})[|]' || true""",
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
