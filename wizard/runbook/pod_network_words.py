"""The words of templates/host/pod_network.sh as a person would type them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

from wizard.facts.kube_nodes import ADMIN
from wizard.runbook.guest_words import Typed

KUBECTL = f"kubectl --kubeconfig={ADMIN}"


def _restarted(words: Sequence[str]) -> Typed:
    seconds, namespace, name = words
    return f"{KUBECTL} -n {namespace} rollout status daemonset/{name} --timeout={seconds}s", ""


def _moved(words: Sequence[str]) -> Typed:
    seconds, *nodes = words
    line = f"{KUBECTL} get nodes -o yaml | grep projectcalico.org/IPv4Address"
    return line, f"at most {seconds} s, until nodes that name an address name these: {', '.join(nodes)}:"


POD_NETWORK_WORDS: Mapping[str, Callable[[Sequence[str]], Typed]] = {
    "network_fetch": lambda words: (shlex.join(("curl", "-fsSL", "-o", words[1], words[0])), ""),
    "network_delete": lambda words: (f"{KUBECTL} delete --ignore-not-found --cascade=foreground -f {words[0]}", ""),
    "network_ready": lambda words: (f"{KUBECTL} wait --for=condition=Ready node/{words[1]} --timeout={words[0]}s", ""),
    "network_restarted": _restarted,
    "network_moved": _moved,
}
