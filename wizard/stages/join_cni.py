"""Step `join.cni`: the software that connects pods (DOMAIN S7, section 5).

How to read it: what is wanted (`_wanted`: a version of Calico or Cilium, or the owner's manifest) is compared with what
our ConfigMap in the cluster says was applied, so an edited manifest is seen as a change. A network that somebody else
installed is adopted. Manifests are applied by the server, in order (`join_cni_parts`), and nodes are waited for in
words. `join_cni_undo` is the way back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from wizard.actions import digest
from wizard.cluster import Cluster
from wizard.cluster.sections import Kubernetes
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode
from wizard.facts.owner_files import owner_file
from wizard.facts.pod_network import CNI_FILES, POD_NETWORK, Applied, CniFiles, PodNetwork
from wizard.model import (
    OWNER,
    AnyFact,
    Blocked,
    Context,
    Do,
    Finding,
    Known,
    Nothing,
    Plan,
    Refused,
    Step,
    Unknown,
    Unseen,
)
from wizard.stages import join_cni_calico, join_cni_cilium, node_addresses, nodes
from wizard.stages.join_cni_calico import Calico
from wizard.stages.join_cni_fresh import fresh, look
from wizard.stages.join_cni_parts import INSTALLATION, MANIFEST, OWN, Fetched, Written, applying, part
from wizard.stages.join_cni_undo import undo

NO_NETWORK = "NetworkReady=false"
"""What a kubelet says in its node's Ready condition while nothing connects its pods."""


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    links = node_addresses.facts(cluster)
    every: dict[str, tuple[AnyFact[Any], ...]] = {name: (*found, CNI_FILES) for name, found in links.items()}
    every[target] = (*every[target], POD_NETWORK, KUBE_NODES, OWN)
    path = _owners_path(cluster)
    return every | ({OWNER: (owner_file(path),)} if path else {})


def plan(ctx: Context, target: str) -> Plan:
    kubernetes = ctx.cluster.kubernetes
    assert kubernetes is not None, "there is no node without a section `kubernetes`"
    network = ctx.see(POD_NETWORK, target)
    if not network.there:
        return _beforehand(ctx, target, kubernetes)
    if kubernetes.cni.name == "none":
        return Nothing("cluster.yaml leaves the pod network to you: nodes are ready when you have installed one")
    if not network.applied and (adopted := _adopted(ctx, target, network, kubernetes)):
        return Nothing(adopted)
    wanted = _wanted(ctx, kubernetes)
    if isinstance(wanted, Finding):
        return Refused((wanted,))
    if network.applied and network.applied.name != wanted.name:
        return Refused((_another(network.applied, wanted),))
    if network.applied == wanted:
        return _awaited(ctx, target, wanted)
    return _brought_about(ctx, target, network, kubernetes, wanted)


def _beforehand(ctx: Context, target: str, kubernetes: Kubernetes) -> Plan:
    """What cannot be applied is said before a cluster is made that would wait for it."""
    if kubernetes.cni.name != "none" and isinstance(wanted := _wanted(ctx, kubernetes), Finding):
        return Refused((wanted,))
    return Blocked("join.init", f"{target} has no cluster yet")


# ---------------------------------------------------------------- what is wanted, and what is there


def _owners_path(cluster: Cluster) -> str:
    """The owner's own manifest, where one is to be read; empty otherwise."""
    manifest = cluster.kubernetes.cni.manifest if cluster.kubernetes else ""
    return "" if re.match("https?://", manifest) else manifest


def _wanted(ctx: Context, kubernetes: Kubernetes) -> Applied | Finding:
    match kubernetes.cni.name:
        case "calico":
            chosen = join_cni_calico.wanted(kubernetes)
            return chosen.applied if isinstance(chosen, Calico) else chosen
        case "cilium":
            return join_cni_cilium.applied(kubernetes)
        case _:
            content = _manifest(ctx)
            if isinstance(content, Finding):
                return content
            return Applied("manifest", kubernetes.cni.manifest, digest(content) if content else "")


def _manifest(ctx: Context) -> str | Finding:
    """The owner's manifest; empty for one that the node fetches."""
    path = _owners_path(ctx.cluster)
    if not path:
        return ""
    if (OWNER, owner_file(path).id) not in ctx.seen:
        ctx.see(owner_file(path), OWNER)  # on paper nobody knows what is in it
    where, seen = "kubernetes.cni.manifest", ctx.look(owner_file(path), OWNER)
    if isinstance(seen, Unseen):
        return Finding("no-manifest", f"{path} cannot be read: {seen.reason}", "see to that file, then retry", where)
    if seen.value is None:
        cure = "put it beside cluster.yaml, or write its path from there"
        return Finding("no-manifest", f"there is no file {path} beside cluster.yaml", cure, where)
    content = seen.value if seen.value.endswith("\n") else seen.value + "\n"
    if "\0" in content or not re.search(r"^\s*[\"']?kind[\"']?\s*:", content, re.MULTILINE):
        cure = "name the file that you would give to `kubectl apply -f`"
        return Finding("no-manifest", f"{path} is no manifest of Kubernetes: no line says `kind:`", cure, where)
    return content


def _adopted(ctx: Context, target: str, network: PodNetwork, kubernetes: Kubernetes) -> str:
    """A network that somebody else installed: its node is ready, and a file on it says by what."""
    node, seen = ctx.see(KUBE_NODES, target).get(target), ctx.look(CNI_FILES, target)
    there = seen.value if isinstance(seen, Known) else CniFiles()
    if not (node and node.ready and there.networks):
        return ""
    agents = [each.name for each in network.agents if each.name not in ("kube-proxy", "node-local-dns")]
    by = f" ({', '.join(agents)})" if agents else ""
    wish = kubernetes.cni
    same = wish.name == "manifest" or any(wish.name in word for word in (*agents, *there.networks))
    though = "" if same else f", though cluster.yaml says `cni: {wish}`"
    return f"pods are connected by {there.networks[0]}{by}, which the wizard did not install: left as it is{though}"


def _another(applied: Applied, wanted: Applied) -> Finding:
    why = f"pods are connected by {_words(applied)}, which the wizard applied; cluster.yaml now says {_words(wanted)}"
    return Finding("another-pod-network", why, "run `homek8s-wizard undo join.cni` first", "kubernetes.cni")


def _words(applied: Applied) -> str:
    return {"manifest": "the manifest"}.get(applied.name, applied.name.capitalize()) + f" {applied.source}"


def _awaited(ctx: Context, target: str, wanted: Applied) -> Plan:
    """Applied already. What else can be wrong with a node is not for this step (verify.nodes)."""
    waiting = [node for node in ctx.see(KUBE_NODES, target) if _has_no_network(node)]
    if not waiting:
        return Nothing(f"pods are connected by {_words(wanted)}")
    names = ", ".join(node.name for node in waiting)
    why = f"{_words(wanted)} is applied, and {names} still waits for it: {waiting[0].reason}"
    return Unknown(KUBE_NODES.id, why, wait=part(target, ()))


def _has_no_network(node: KubeNode) -> bool:
    return not node.ready and NO_NETWORK in node.reason


# ---------------------------------------------------------------- what is done


def _brought_about(ctx: Context, target: str, network: PodNetwork, kubernetes: Kubernetes, wanted: Applied) -> Plan:
    if wanted.name == "cilium":
        return join_cni_cilium.plan(ctx, target, network, kubernetes)
    manifests = _manifests(ctx, network, kubernetes)
    before = f", so far {_words(network.applied)}" if network.applied else ""
    changed = before if network.applied and network.applied.source != wanted.source else ""
    edited = " (it was edited since it was applied)" if network.applied and not changed else ""
    why = f"pods are to be connected by {_words(wanted)}{changed}{edited}"
    notes = (*_notes(kubernetes, network), *_bystanders(ctx, target))
    return Do(why, (applying(ctx, target, manifests, wanted),), notes)


def _manifests(ctx: Context, network: PodNetwork, kubernetes: Kubernetes) -> tuple[Fetched | Written, ...]:
    if kubernetes.cni.name == "manifest":
        content = _manifest(ctx)
        assert isinstance(content, str)
        return (Written(MANIFEST, content),) if content else (Fetched(kubernetes.cni.manifest),)
    calico = join_cni_calico.wanted(kubernetes)
    assert isinstance(calico, Calico)
    installation = calico.installation(join_cni_calico.detection(ctx, network))
    return (*map(Fetched, calico.urls), Written(INSTALLATION, installation))


def _notes(kubernetes: Kubernetes, network: PodNetwork) -> Iterator[str]:
    if kubernetes.cni.name == "calico":
        yield from join_cni_calico.untested(kubernetes)
        yield "Its images come from quay.io and docker.io; kubernetes.images does not apply to them."
    elif network.applied:
        yield "What is no longer in the manifest stays in the cluster until you delete it."
    if kubernetes.cni.name == "manifest" and kubernetes.cni_version:
        yield "cni_version says nothing about a manifest of your own."


def _bystanders(ctx: Context, target: str) -> Iterator[str]:
    seen = ctx.look(CNI_FILES, target)
    if isinstance(seen, Known) and (others := [name for name in seen.value.names if name not in seen.value.own]):
        yield (
            f"{', '.join(others)} on {target} connects containers of that machine alone; where its name sorts before "
            "the pod network's, move it out of /etc/cni/net.d."
        )


STEP = Step(
    id="join.cni",
    title="Pod network",
    why="Pods on different nodes reach each other; until something sees to that, no node is ready.",
    plan=plan,
    facts=facts,
    needs=("join.init",),
    fields=("kubernetes.cni", "kubernetes.cni_version", "kubernetes.pod_cidr"),
    targets=nodes.first,
    fresh=fresh,
    look=look,
    undo=undo,
)
