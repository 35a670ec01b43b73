"""Stage `verify`: does the cluster do what a cluster is for, and does it come back after a reboot? (DOMAIN S14)."""

from __future__ import annotations

from wizard.model import Stage, Step
from wizard.stages import verify_nodes, verify_peers, verify_pods, verify_reboot

STEPS: tuple[Step, ...] = (verify_nodes.STEP, verify_peers.STEP, verify_pods.STEP, verify_reboot.STEP)

STAGE = Stage(
    id="verify",
    title="Verified",
    why="Nothing is changed for good: the nodes, their peers and their pods are asked.",
    steps=STEPS,
)
