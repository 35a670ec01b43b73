"""What `join.nodes` runs on the node that joins (DOMAIN S8).

Its configuration has the token in it, so it lies in /run, 0600, and is removed whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, Hole, Run, SecretFile
from wizard.facts.kube_nodes import KUBE_NODES
from wizard.facts.kubeadm import KUBEADM
from wizard.model import Context, Part
from wizard.stages import nodes
from wizard.stages.join_addresses import lan_address
from wizard.stages.join_config import VALIDATES, join_yaml
from wizard.stages.join_heard import heard
from wizard.stages.join_init_config import installed, node_config
from wizard.stages.join_init_parts import LIMIT
from wizard.stages.join_reset import AWAY
from wizard.stages.join_secrets import ca_hash, certificate_key, token

PATH = "/run/homek8s-join.yaml"
KUBELET = "/etc/kubernetes/kubelet.conf"
AS_KUBELET = ("kubectl", f"--kubeconfig={KUBELET}", "--request-timeout=10s")
ANSWER = 60
LISTED = 120
READY = 300
"""Seconds for the pod network to come up on the node: its images are fetched first."""


def join(ctx: Context, target: str, endpoint: str) -> Part:
    file = _config(ctx, target, endpoint)
    actions = (
        file,
        heard(ANSWER, f"the Kubernetes API answers at {endpoint}", _answers(endpoint)),
        Run(("same_time", endpoint), "compare the clocks"),
        *_validated(ctx, target),
        Run(
            ("kubeadm_does", "join", "--config", PATH),
            f"kubeadm join --config {PATH}",
            unless=("stat", KUBELET),
            undo=AWAY,
        ),
        heard(LISTED, f"{target} is listed among the nodes", (*AS_KUBELET, "get", "node", target)),
        *_ready(ctx, target),
    )
    return Part(target, "kubeadm join", actions, always=(Run(("rm", "-f", PATH)),), limit=LIMIT)


def _config(ctx: Context, target: str, endpoint: str) -> SecretFile:
    [first] = nodes.first(ctx.cluster)
    node = node_config(ctx, target, installed(ctx, ctx.see(KUBEADM, target).version))
    known = ctx.see(KUBEADM, first).ca_hash
    minted = token(first)
    more = [] if known else [ca_hash(first)]
    key = _key(ctx, first) if target in nodes.control_planes(ctx.cluster) else None
    content = join_yaml(node, endpoint, known or more[0].mark, minted.mark, key.mark if key else "")
    return SecretFile(PATH, content, (minted, *([key] if key else []), *more))


def _key(ctx: Context, first: str) -> Hole:
    return certificate_key(first, lan_address(ctx, first), installed(ctx, ctx.see(KUBEADM, first).version))


def _answers(endpoint: str) -> tuple[str, ...]:
    """Whether a connection comes through: whose API it is, kubeadm finds out by the CA's hash.

    Everybody may ask for the version (ClusterRole system:public-info-viewer), as everybody may read cluster-info.
    """
    return ("curl", "-skSf", "--max-time", "5", "--output", "/dev/null", f"https://{endpoint}/version")


def _validated(ctx: Context, target: str) -> Iterator[Action]:
    if installed(ctx, ctx.see(KUBEADM, target).version).minor >= VALIDATES:
        yield Run(("kubeadm", "config", "validate", "--config", PATH))


def _ready(ctx: Context, target: str) -> Iterator[Action]:
    """Only where a pod network is there already, which the first control plane being Ready shows."""
    [first] = nodes.first(ctx.cluster)
    chief = ctx.see(KUBE_NODES, first).get(first)
    if chief and chief.ready:
        yield Run(("node_ready", target, str(READY)), f"see whether {target} becomes Ready")
