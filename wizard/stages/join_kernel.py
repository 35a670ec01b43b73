"""Modules and settings of a node's kernel, now and after every boot (DOMAIN S5).

On a node this is the opposite of what the hypervisor needs: there, bridged packets pass by the firewall (DOMAIN E5).
"""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, OnUndo, Run, WriteFile
from wizard.facts.node_kernel import MODULES, NODE_KERNEL, SETTINGS, NodeKernel
from wizard.model import Context
from wizard.stages.join_area import MODULES_FILE, NODE_FILES, SYSCTL_FILE
from wizard.template import render

LISTED = "# homek8s-wizard: for pods on this node.\n" + "".join(f"{name}\n" for name in MODULES)
PRESENT = {
    "overlay": ("grep", "-qw", "overlay", "/proc/filesystems"),
    "br_netfilter": ("test", "-e", "/proc/sys/net/bridge"),
}
"""Loaded, or built into the kernel: then modprobe knows nothing of it."""


def wanted_files() -> dict[str, str]:
    return {MODULES_FILE: LISTED, SYSCTL_FILE: render("join/node-sysctl.conf.j2", settings=SETTINGS)}


def lacks(ctx: Context, target: str) -> Iterator[str]:
    kernel, there = ctx.see(NODE_KERNEL, target), ctx.see(NODE_FILES, target)
    if absent := _absent(kernel):
        yield f"the kernel has not loaded {' and '.join(absent)}"
    if wrong := _wrong(kernel):
        yield f"{', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} not 1"
    if not absent and not wrong and any(there[path] != text for path, text in wanted_files().items()):
        yield "nothing says for the next boot that modules and settings of the kernel stay so"


def actions(ctx: Context, target: str) -> Iterator[Action]:
    """Files first, then what they say, as at boot; on the way back the values that were there."""
    kernel, there = ctx.see(NODE_KERNEL, target), ctx.see(NODE_FILES, target)
    for key in _wrong(kernel):
        if key in kernel.settings:
            yield OnUndo(Run(("sysctl", "-qw", f"{key}={kernel.settings[key]}")))
    for path, text in wanted_files().items():
        if there[path] != text:
            yield WriteFile(path, text, there[path])
    for name in _absent(kernel):
        yield Run(("modprobe", name), words=f"load {name} unless it is there", unless=PRESENT[name])
    if _wrong(kernel) or _absent(kernel):
        yield Run(("sysctl", "-qp", SYSCTL_FILE))


def _absent(kernel: NodeKernel) -> tuple[str, ...]:
    there = {"overlay": kernel.overlay, "br_netfilter": kernel.bridged}
    return tuple(name for name in MODULES if not there[name])


def _wrong(kernel: NodeKernel) -> tuple[str, ...]:
    return tuple(key for key, value in SETTINGS.items() if kernel.settings.get(key) != value)
