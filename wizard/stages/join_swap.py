"""Swap off on a node, now and after every boot: the kubelet does not start where there is any (DOMAIN S5)."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, EditLine, OnUndo, Run
from wizard.facts.node_swap import FSTAB, SWAP, Swap, SwapUnit, swap_lines
from wizard.model import Context
from wizard.stages.join_area import NODE_FILES

OFF = "# homek8s-wizard: no swap on a node of Kubernetes. "
RELOAD = Run(("systemctl", "daemon-reload"))


def lacks(ctx: Context, target: str) -> Iterator[str]:
    swap, lines = ctx.see(SWAP, target), _lines(ctx, target)
    if swap.in_use:
        yield f"swap is on ({', '.join(swap.in_use)})"
    elif lines or _switched_on(swap):
        what = ", ".join([*([FSTAB] if lines else []), *(unit.name for unit in _switched_on(swap))])
        yield f"swap comes back with the next boot ({what})"


def actions(ctx: Context, target: str) -> Iterator[Action]:
    """The way back is read from bottom to top: units and fstab are as before, systemd is told, swap is on again."""
    swap, lines = ctx.see(SWAP, target), _lines(ctx, target)
    if swap.in_use:
        yield Run(("swapoff", "-a"), undo=Run(("swapon", "-a")))
    if lines:
        yield OnUndo(RELOAD)
        yield from (EditLine(FSTAB, line, f"{OFF}{line}") for line in dict.fromkeys(lines))
    for unit in _switched_on(swap):
        yield _off(unit)
    if lines:
        yield RELOAD


def _lines(ctx: Context, target: str) -> tuple[str, ...]:
    return swap_lines(ctx.see(NODE_FILES, target)[FSTAB] or "")


def _switched_on(swap: Swap) -> tuple[SwapUnit, ...]:
    """Those that a line of fstab makes go with it."""
    return tuple(unit for unit in swap.units if not unit.is_off and not unit.by_fstab)


def _off(unit: SwapUnit) -> Run:
    """Masked, which also keeps it from those that would pull it in; a unit of the owner's own is disabled."""
    word, back = ("disable", "enable") if unit.is_local else ("mask", "unmask")
    is_so = f"[ \"$(systemctl show -p LoadState --value -- '{unit.name}')\" = masked ]"
    return Run(
        ("systemctl", word, "--now", "--", unit.name),
        unless=() if unit.is_local else ("sh", "-c", is_so),
        undo=Run(("systemctl", back, "--", unit.name)),
    )
