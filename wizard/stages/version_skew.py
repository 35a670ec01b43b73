"""Which versions of Kubernetes's programs may be together (kubernetes.io, "Version Skew Policy").

kubeadm takes no newer kubelet either, and up to 1.28 only those of its own minor version and the one before, other than
the policy (kubernetes/kubernetes pull request 120825; 1.20.2 was seen to refuse others).
"""

from __future__ import annotations

from wizard.facts.kube_packages import minor


def kubelet_misfit(kubelet: str, kubernetes: str, joined: bool) -> str:
    """Why a kubelet may not be with an API server of this version, which is also the version of kubeadm that is to make
    a node of it, where it has not `joined` yet: "newer", "over 3 minor versions older"; empty when it may.

    Raises ValueError for what is no version.
    """
    behind = minor(kubernetes)[1] - minor(kubelet)[1]
    if behind < 0:
        return "newer"
    oldest = _oldest(minor(kubernetes)[1], joined)
    return f"over {oldest} minor version{'s' if oldest > 1 else ''} older" if behind > oldest else ""


def _oldest(kubernetes: int, joined: bool) -> int:
    """How many minor versions older it may be. With an API server, three since 1.28, as kubelets since 1.25 may."""
    if joined:
        return 3 if kubernetes >= 28 else 2
    return 3 if kubernetes >= 29 else 1
