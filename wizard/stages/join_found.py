"""What both steps find on a node: whether its programs fit, whether one of our scripts is at it, what lies there."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.facts.kubeadm import KUBEADM, Kubeadm
from wizard.facts.ours import OURS
from wizard.model import Blocked, Context, Finding, Known, Unknown
from wizard.stages.guests_domain import yours
from wizard.stages.join_addresses import lan_address
from wizard.stages.version_skew import kubelet_misfit


def under_way(ctx: Context, target: str, step: str) -> Unknown | None:
    """A script of ours that runs there now, perhaps started from elsewhere: what is half done now is not left so."""
    ours = ctx.look(OURS, target)
    jobs = ours.value.jobs if isinstance(ours, Known) else ()
    if any(f"-{step}-" in job for job in jobs):
        return Unknown(KUBEADM.id, f"kubeadm is at work on {target} just now; wait until its script has ended")
    return None


def unprepared(name: str, node: Kubeadm) -> Blocked | None:
    """kubeadm and the kubelet are there, and go together: what the step before sees to, by the same rule."""
    missing = [program for program, version in (("kubeadm", node.version), ("kubelet", node.kubelet)) if not version]
    if missing:
        return Blocked("join.prerequisites", f"{name} has no {' and no '.join(missing)} yet")
    try:
        misfit = kubelet_misfit(node.kubelet, node.version, node.finished)
    except ValueError:  # a mark, in a runbook made unconnected
        return None
    if misfit:
        return Blocked(
            "join.prerequisites", f"{name} has kubeadm {node.version}, and its kubelet {node.kubelet} is {misfit}"
        )
    return None


def unaddressed(ctx: Context, name: str) -> Blocked | None:
    if lan_address(ctx, name):
        return None
    why = f"{name} has no IPv4 address on the LAN that its node could have"
    cure = "give it one, and let `ssh` in cluster.yaml lead there"
    return yours(Finding("no-address", why, cure, name))


def remains(node: Kubeadm) -> str:
    """What an interrupted kubeadm has left, in words."""
    return _listed(_remains(node)) or "nothing"


def _remains(node: Kubeadm) -> Iterator[str]:
    if node.pki:
        yield "certificates in /etc/kubernetes/pki"
    if node.admin:
        yield "/etc/kubernetes/admin.conf"
    if node.joined:
        yield "/etc/kubernetes/kubelet.conf"
    if node.manifests:
        yield "the API server's manifest"
    if node.etcd:
        yield "data of etcd"


def _listed(words: Iterator[str]) -> str:
    all_of_them = list(words)
    return " and ".join(filter(None, (", ".join(all_of_them[:-1]), *all_of_them[-1:])))
