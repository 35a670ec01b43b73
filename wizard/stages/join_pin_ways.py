"""How a pod network is told where nodes' addresses are: Calico by its operator, or by the environment of a manifest's.

Sources: docs.tigera.io, "Configure IP autodetection" (`kubernetes-internal-ip`, `cidrs`, `set env`); the operator's
render/node.go, which hands `cidrs` to calico-node as IP_AUTODETECTION_METHOD=cidr=…
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from wizard.actions import Run
from wizard.facts.pod_network import DETECTION, Agent, PodNetwork
from wizard.stages.join_cni_parts import KUBECTL
from wizard.stages.join_heard import heard

RESTARTED = 300
"""Seconds for calico-node to be restarted on one node after the other."""
MOVED = 120
"""Seconds for nodes to look at their addresses again."""


@dataclass(frozen=True)
class Way:
    """`pin` tells it to look in the range `cidr` alone, and has its way back."""

    title: str
    cidr: IPv4Network
    pinned: bool
    pin: Run
    agent: Agent
    by_operator: bool = False

    @property
    def restarted(self) -> Run:
        words = f"wait until {self.agent.name} has been restarted on every node (at most {RESTARTED} s)"
        return Run(("network_restarted", str(RESTARTED), self.agent.namespace, self.agent.name), words)

    @property
    def told(self) -> Run:
        return heard(MOVED, "the operator has told calico-node", self._asked("="))

    @property
    def told_otherwise(self) -> Run:
        return heard(MOVED, "the operator has told calico-node", self._asked("!="))

    def _asked(self, sign: str) -> tuple[str, ...]:
        path = f'{{.spec.template.spec.containers[*].env[?(@.name=="{DETECTION}")].value}}'
        ask = f"{' '.join(KUBECTL)} -n {self.agent.namespace} get daemonset {self.agent.name} -o jsonpath='{path}'"
        so_far = '{ echo "so far it is told: ${now:-nothing}"; false; }'
        return ("sh", "-c", f'now=$({ask}) && {{ [ "$now" {sign} cidr={self.cidr} ] || {so_far}; }}')


def way_of(network: PodNetwork, cidr: IPv4Network) -> Way | str:
    """None that the wizard knows: then why not, in words."""
    calico = network.agent("calico-node")
    if calico and network.installation is not None:
        return _by_operator(network.detection, cidr, calico)
    if calico:
        return _by_environment(calico, cidr)
    if network.agent("cilium"):
        return (
            "Cilium connects nodes at their InternalIPs, which stay on the LAN: moving them means another node-ip for "
            "each kubelet, and the hypervisor could no longer reach them there"
        )
    names = ", ".join(agent.name for agent in network.agents if agent.name != "kube-proxy")
    return f"{names or 'the pod network'} has no address detection that the wizard knows"


def told_to(way: Way, now: Mapping[str, Any], detection: Mapping[str, Any]) -> Run:
    """What makes it look as `detection` says, in the operator's words: one range, or the nodes' own InternalIPs."""
    if way.by_operator:
        return Run(_patch({**dict.fromkeys(now), **detection}))
    [*ranges] = detection.get("cidrs", ())
    return Run((*_set_env(way.agent), f"{DETECTION}={f'cidr={ranges[0]}' if ranges else 'kubernetes-internal-ip'}"))


def _by_operator(now: Mapping[str, Any], cidr: IPv4Network, agent: Agent) -> Way:
    """One method alone may be there, so each other one is taken away in the same breath (the definition's own rule)."""
    set_now = {key: value for key, value in now.items() if value not in (None, False, "", [])}
    wanted = {**dict.fromkeys(now), "firstFound": None, "cidrs": [str(cidr)]}
    back = {"cidrs": None, **set_now} if set_now else None
    pin = Run(_patch(wanted), undo=Run(_patch(back)))
    return Way("Calico's operator", cidr, set_now == {"cidrs": [str(cidr)]}, pin, agent, by_operator=True)


def _patch(detection: Mapping[str, Any] | None) -> tuple[str, ...]:
    spec = {"spec": {"calicoNetwork": {"nodeAddressAutodetectionV4": detection}}}
    return (*KUBECTL, "patch", "installation.operator.tigera.io", "default", "--type=merge", "-p", json.dumps(spec))


def _by_environment(agent: Agent, cidr: IPv4Network) -> Way:
    before, wanted = agent.env.get(DETECTION), f"cidr={cidr}"
    back = f"{DETECTION}={before}" if before is not None else f"{DETECTION}-"
    pin = Run((*_set_env(agent), f"{DETECTION}={wanted}"), undo=Run((*_set_env(agent), back)))
    return Way("calico-node", cidr, before == wanted, pin, agent)


def _set_env(agent: Agent) -> tuple[str, ...]:
    return (*KUBECTL, "-n", agent.namespace, "set", "env", f"daemonset/{agent.name}")
