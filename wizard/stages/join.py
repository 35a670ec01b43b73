"""Stage `join`: the guests become the nodes of one Kubernetes cluster (DOMAIN S5 to S8, S13)."""

from __future__ import annotations

from wizard.model import Stage, Step
from wizard.stages import join_cni, join_pin

STEPS: tuple[Step, ...] = (join_cni.STEP, join_pin.STEP)
"""prerequisites, init, cni, nodes, pin, kubeconfig."""

STAGE = Stage(
    id="join",
    title="Kubernetes",
    why="kubeadm makes the first control plane, and every other guest joins it.",
    steps=STEPS,
)
