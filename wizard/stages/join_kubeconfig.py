"""Step `join.kubeconfig`: the cluster's context in the owner's own kubeconfig, and the API reachable with it.

How to read it: no cluster yet → blocked; entries of the name that belong to something else → refused; an entry missing,
or its certificate no longer the control plane's → merged, by a command of our own (`wizard.kubeconfig`); all as wanted,
but no answer from here → what the owner can do about it. Keys go from admin.conf (kubeadm reference, "kubeadm init
phase kubeconfig admin") through a hole into a file that is removed again; facts have names, servers and hashes alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from wizard.actions import Hole, Run, SecretFile
from wizard.cluster import Cluster
from wizard.facts.kube_admin import KUBE_ADMIN, KubeAdmin
from wizard.facts.kube_cluster import KUBE_CLUSTER
from wizard.facts.kube_nodes import ADMIN
from wizard.facts.kubeadm import KUBEADM
from wizard.facts.kubeconfig import Kubeconfig, kubeconfig
from wizard.marks import read_there
from wizard.model import OWNER, AnyFact, Blocked, Context, Do, Finding, Known, Nothing, Part, Plan, Refused, Seen, Step
from wizard.model import Unknown as NotKnown
from wizard.stages import nodes
from wizard.stages.join_fresh import fresh_nodes

ID = "join.kubeconfig"
COMMAND = ("homek8s-wizard", "kubeconfig")
PATIENCE = 30
"""Seconds for the API to answer after the merge; it did a moment ago, on the control plane."""


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    return {OWNER: (kubeconfig(cluster.name),), **dict.fromkeys(nodes.first(cluster), (KUBEADM, KUBE_ADMIN))}


def targets(cluster: Cluster) -> tuple[str, ...]:
    return (OWNER,) if nodes.first(cluster) else ()


def plan(ctx: Context, target: str) -> Plan:
    [first] = nodes.first(ctx.cluster)
    admin, name = ctx.see(KUBE_ADMIN, first), ctx.cluster.name
    if not (admin.there and admin.server):
        return Blocked("join.init", f"there is no cluster yet: {first} has no {ADMIN}")
    mine = ctx.see(kubeconfig(name), OWNER)
    if finding := _in_the_way(mine, admin, name):
        return Refused((finding,))
    if why := _lacking(mine, admin, name):
        return Do(why, (_part(mine, admin, name, first),), tuple(_notes(mine, name)))
    if mine.answer == "ok":
        return Nothing(f"{mine.file} has the context {name}, and {mine.server} answers to it")
    if not ctx.see(KUBEADM, first).api_ready:
        return NotKnown(KUBEADM.id, f"the API server of {first} itself does not answer just now")
    return _unreachable(mine, admin, first)


# ---------------------------------------------------------------- what stands in the way


def _in_the_way(mine: Kubeconfig, admin: KubeAdmin, name: str) -> Finding | None:
    if mine.problem:
        cure = mine.cure or "put it right; `kubectl config view` shows what kubectl makes of it"
        return Finding("kubeconfig", f"{mine.file}: {mine.problem}", cure, mine.file)
    if mine.server and (mine.server, mine.ca) != (admin.server, admin.ca_hash):
        why = (
            f"{mine.file} has another cluster {name}, at {mine.server} with the CA {mine.ca or 'in another file'}; "
            f"this one is at {admin.server} with the CA {admin.ca_hash}"
        )
        remove = " ".join((*COMMAND, "remove", "--name", name, "--server", mine.server))
        return Finding("another-cluster", why, f"if that one is gone: {remove}; else rename it there", mine.file)
    if mine.strange:
        cure = f"rename it there (kubectl config rename-context {name} NEW), or give this cluster another name"
        return Finding("another-cluster", f"{mine.file}: {mine.strange}", cure, mine.file)
    return None


# ---------------------------------------------------------------- what is to be done


def _lacking(mine: Kubeconfig, admin: KubeAdmin, name: str) -> str:
    if not mine.there:
        return f"there is no {mine.file} yet"
    if not mine.server or name not in mine.contexts or not mine.certificate:
        return f"{mine.file} has no context {name} yet"
    if mine.certificate != admin.certificate:
        ends = f" (that one ends {mine.until}, the new one {admin.until})" if mine.until else ""
        return f"the cluster has a new certificate for its administrator{ends}"
    return "" if mine.private else f"{mine.file} holds keys, and others may read it"


def _notes(mine: Kubeconfig, name: str) -> Iterator[str]:
    others = [context for context in mine.contexts if context != name]
    if others:
        yield f"What is in it stays: {', '.join(others)}. A copy as it was is kept: {mine.file}.before-{name}."
    if mine.current and mine.current != name:
        yield f"{mine.current} stays the current context: kubectl config use-context {name} changes that."
    if not mine.current:
        yield f"{name} becomes the current context, as there is none."
    if mine.sudo:
        yield f"The wizard runs with sudo, so this is root's file, not that of {mine.sudo}."


def _part(mine: Kubeconfig, admin: KubeAdmin, name: str, first: str) -> Part:
    hole = Hole("admin-conf", first, ("cat", ADMIN), "the kubeconfig of the cluster's administrator")
    brought = f"{mine.home}/{name}-admin.conf"
    at = ("--name", name, "--file", mine.file)
    back = Run((*COMMAND, "remove", *at, "--server", admin.server))
    return Part(
        OWNER,
        f"the context {name} comes into {mine.file}",
        (
            SecretFile(brought, f"{hole.mark}\n", (hole,)),
            Run((*COMMAND, "merge", *at, brought), undo=back),
            Run((*COMMAND, "ask", *at, "--limit", str(PATIENCE))),
        ),
        always=(Run(("rm", "-f", brought)),),
        limit=PATIENCE + 120,
    )


# ---------------------------------------------------------------- no answer


def _unreachable(mine: Kubeconfig, admin: KubeAdmin, first: str) -> Blocked:
    why, cure = _words(mine, admin, first)
    return Blocked("you", f"{why}; {cure}", (Finding("api-unreachable", why, cure, mine.file),))


def _words(mine: Kubeconfig, admin: KubeAdmin, first: str) -> tuple[str, str]:
    """Why there is no answer, and what the owner can do about it."""
    url = urlsplit(mine.server)
    host, place = url.hostname, f"{url.hostname}:{url.port or 443}"
    match mine.answer:
        case "name":
            why = f"this machine does not know the name {host}, the API's endpoint"
            return why, f"let your DNS answer for it, or add to /etc/hosts here: {admin.address or 'ADDRESS'} {host}"
        case "refused":
            why = f"nothing listens at {place}, though the API server of {first} is ready"
            return why, f"{host} must lead to {first} ({admin.address}); see here: getent hosts {host}"
        case "silent":
            why = f"{place} does not answer this machine ({mine.said}), though the API server of {first} is ready"
            return why, f"is a firewall in {first} or between, or this machine in another network? nc -vz {place}"
        case "certificate":
            why = f"what answers at {place} is not this cluster's API ({mine.said})"
            return why, f"another machine may have that address, or the clock here is wrong: date; getent hosts {host}"
        case "rejected":
            why = f"the API does not accept the administrator's certificate ({mine.said})"
            return why, f"renew it, on {first}: sudo kubeadm certs renew admin.conf; then apply {ID}"
        case _:
            why = f"{place}: {mine.said or mine.answer or 'it was not asked'}"
            return why, f"look on {first}: kubectl get --raw '/readyz?verbose'"


# ---------------------------------------------------------------- unconnected


def fresh(cluster: Cluster) -> Mapping[tuple[str, str], Seen]:
    """A new cluster, and on the owner's own machine whatever is there."""
    if not nodes.first(cluster):
        return {}
    [first] = nodes.first(cluster)
    values = fresh_nodes(cluster)
    made = values[first, KUBE_CLUSTER.id]
    assert isinstance(made, Known)
    file, home = read_there("homek8s-wizard kubeconfig path"), read_there('echo "$HK8S_HOME"')
    return {
        (OWNER, kubeconfig(cluster.name).id): Known(Kubeconfig(file, home=home)),
        (first, KUBEADM.id): values[first, KUBEADM.id],
        (first, KUBE_ADMIN.id): Known(KubeAdmin(True, f"https://{made.value.endpoint}")),
    }


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    return (f"kubectl --context {cluster.name} get nodes", f"homek8s-wizard kubeconfig show --name {cluster.name}")


STEP = Step(
    id=ID,
    title="kubectl on your own machine",
    why="The cluster's context comes into your own kubeconfig, beside what is there, so that kubectl works from here.",
    plan=plan,
    facts=facts,
    needs=("join.init",),
    targets=targets,
    fresh=fresh,
    look=look,
)
