"""NetworkManager leaves the interfaces of pods alone (Calico, "Configure NetworkManager")."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, OnUndo, Run, WriteFile
from wizard.facts.units import Unit, units
from wizard.model import Context
from wizard.stages.join_area import NETWORK_MANAGER_FILE, NODE_FILES

UNITS = units("node-network-manager", "NetworkManager.service")
OF_PODS = "cali* tunl* vxlan.calico vxlan-v6.calico wireguard.cali wg-v6.cali cilium* lxc* cni* flannel* veth*"
CONTENT = (
    "# homek8s-wizard: what pods are connected by is not NetworkManager's.\n[keyfile]\nunmanaged-devices+={}\n".format(
        ";".join(f"interface-name:{name}" for name in OF_PODS.split())
    )
)
RELOAD = Run(("nmcli", "general", "reload", "conf"))


def _unsaid(ctx: Context, target: str) -> bool:
    runs = ctx.see(UNITS, target).get("NetworkManager.service", Unit()).is_active
    return runs and ctx.see(NODE_FILES, target)[NETWORK_MANAGER_FILE] != CONTENT


def lacks(ctx: Context, target: str) -> Iterator[str]:
    if _unsaid(ctx, target):
        yield "NetworkManager would manage the interfaces of pods"


def actions(ctx: Context, target: str) -> Iterator[Action]:
    if _unsaid(ctx, target):
        yield OnUndo(RELOAD)
        yield WriteFile(NETWORK_MANAGER_FILE, CONTENT, ctx.see(NODE_FILES, target)[NETWORK_MANAGER_FILE])
        yield RELOAD
