"""Taking kubeadm's work off a node again: what `kubeadm reset` does, and what it leaves behind (DOMAIN S6, S15).

The words are in templates/host/kubeadm.sh. kubeadm says itself what it leaves: files in /etc/cni/net.d, packet rules
and kubeconfigs (kubernetes.io, kubeadm reset); in 1.20.2 also etcd's data where etcd's manifest was not written yet
(cmd/kubeadm/app/cmd/phases/reset/removeetcdmember.go).
"""

from __future__ import annotations

from wizard.actions import Action, Run, TakeBack
from wizard.model import Part, Risk

WORD = "kubeadm_away"
LIMIT = 600
AWAY = Run(
    (WORD,), "kubeadm reset, and remove what it leaves: etcd's data, pods' network files, links and packet rules"
)
NOTES = (
    "Kubeconfigs of people, such as /root/.kube/config, are left as they are; the programs and images stay, too.",
    "Packet rules of pods and Services go; all others stay.",
)


def reset(name: str) -> Part:
    """The node is as before kubeadm came."""
    return Part(name, "kubeadm reset", (AWAY,), risk=Risk.DESTROYS_DATA, limit=LIMIT)


def taken_back(name: str, inverses: tuple[Action, ...]) -> Part:
    """The same, and then what else was noted on the node."""
    rest = (action for action in inverses if action != TakeBack(WORD))
    return Part(name, "kubeadm reset", (AWAY, *rest), risk=Risk.DESTROYS_DATA, limit=LIMIT)
