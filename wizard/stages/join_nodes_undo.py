"""A node leaves the cluster: its pods move away, it leaves the list, and nothing of kubeadm stays on it (DOMAIN S8).

A control plane is reset before it leaves the list, so that its member of etcd goes too. Of a node that does not answer
only the entry can be removed: `kubectl drain` would wait for its pods in vain, which the cluster then forgets itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, Run
from wizard.facts.kube_nodes import KUBE_NODES, KUBECTL, KubeNode
from wizard.facts.kubeadm import KUBEADM
from wizard.model import Context, Do, FactUnknown, Nothing, Part, Plan, Risk, Unseen
from wizard.stages.join_found import under_way
from wizard.stages.join_nodes_found import first_of
from wizard.stages.join_reset import NOTES, taken_back

ID = "join.nodes"
DRAIN = 300
LOST = "What pods have kept on the node itself (emptyDir, local volumes) is lost."


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    if busy := under_way(ctx, target, ID):
        return busy
    listed = _listed(ctx, target)
    seen = ctx.look(KUBEADM, target)
    if isinstance(seen, Unseen):
        return _without_it(ctx, target, listed, seen)
    parts = tuple(_parts(ctx, target, listed, inverses))
    return Do(f"{target} leaves the cluster, and is as before it joined", parts, NOTES, irreversible=LOST)


def _listed(ctx: Context, target: str) -> KubeNode | None:
    """Raises `FactUnknown` where the cluster cannot be asked; one that is gone has no nodes."""
    return ctx.see(KUBE_NODES, first_of(ctx)).get(target)


def _parts(ctx: Context, target: str, listed: KubeNode | None, inverses: tuple[Action, ...]) -> Iterator[Part]:
    first, gone = first_of(ctx), taken_back(target, inverses)
    if listed is None:
        yield gone
    elif listed.control_plane:
        yield Part(first, f"drain {target}", (_drain(target),), risk=Risk.DESTROYS_DATA, limit=DRAIN + 60)
        yield gone
        yield Part(first, f"take {target} out of the list", (_delete(target),), limit=60)
    else:
        actions = (_drain(target), _delete(target))
        yield Part(
            first, f"drain {target}, and take it out of the list", actions, risk=Risk.DESTROYS_DATA, limit=DRAIN + 60
        )
        yield gone


def _drain(name: str) -> Run:
    """The flags are those of kubectl 1.20 and newer; before, the last was --delete-local-data."""
    argv = (*KUBECTL.split(), "drain", name, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={DRAIN}s")
    return Run(argv, f"drain {name}: no new pods there, and those that run move away", unless=_absent(name))


def _delete(name: str) -> Run:
    return Run((*KUBECTL.split(), "delete", "node", name, "--ignore-not-found"))


def _absent(name: str) -> tuple[str, ...]:
    return ("sh", "-c", f'names=$({KUBECTL} get nodes -o name) && ! echo "$names" | grep -qxF node/{name}')


def _without_it(ctx: Context, target: str, listed: KubeNode | None, seen: Unseen) -> Plan:
    if not seen.unreachable:
        raise FactUnknown(KUBEADM.id, seen.reason)
    if listed is None:
        return Nothing(f"{target} is not in the cluster; it does not answer, so what is left on it stays there")
    part = Part(first_of(ctx), f"take {target} out of the list", (_delete(target),), risk=Risk.DESTROYS_DATA, limit=60)
    why = f"{target} does not answer: it is only taken out of the list of nodes, and its pods start elsewhere"
    return Do(why, (part,), tuple(_words(ctx, target, listed)), irreversible=LOST)


def _words(ctx: Context, target: str, listed: KubeNode) -> Iterator[str]:
    yield f"When {target} is back, its kubelet lists it again, until it is cleaned: sudo kubeadm reset --force."
    if listed.control_plane:
        yield (
            f"{target} stays a member of etcd, and counts as lost there. To remove it: sudo {KUBECTL} -n kube-system "
            f"exec etcd-{first_of(ctx)} -- etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt --cert "
            "/etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key member list, then member "
            "remove ID."
        )
