"""Stage `join`: the guests become the nodes of one Kubernetes cluster (DOMAIN S5 to S8, S13)."""

from __future__ import annotations

from wizard.model import Stage, Step
from wizard.stages import join_cni, join_init, join_kubeconfig, join_nodes, join_pin, join_prerequisites

STEPS: tuple[Step, ...] = (
    join_prerequisites.STEP,
    join_init.STEP,
    join_cni.STEP,
    join_nodes.STEP,
    join_pin.STEP,
    join_kubeconfig.STEP,
)
"""prerequisites, init, cni, nodes, pin, kubeconfig."""

STAGE = Stage(
    id="join",
    title="Kubernetes",
    why="kubeadm makes the first control plane, and every other guest joins it.",
    steps=STEPS,
)
