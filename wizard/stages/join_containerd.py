"""containerd on a node: there, running with the machine, and configured as the kubelet will be (DOMAIN S5).

Its file is written before it is installed: dpkg keeps a file that is there (--force-confold), and the first start is
with it already.
"""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, Install, OnUndo, Run, WriteFile
from wizard.cluster.sections import Kubernetes
from wizard.facts.containerd import CONFIG, CONTAINERD, Containerd
from wizard.facts.kube_images import kube_images, pause_of
from wizard.facts.node_kernel import NODE_KERNEL
from wizard.model import Context, Finding, Known
from wizard.stages import nodes
from wizard.stages.containerd_config import Wanted, fitted, lacking, version_for
from wizard.stages.toml_edit import CannotEdit

SERVICE = "containerd.service"
SERVES = Run(("containerd_serves", "60"), "wait until containerd serves Kubernetes (at most 60 s)")
RESTART = Run(("systemctl", "restart", SERVICE))
AS_BEFORE = Run(("sh", "-c", f"systemctl try-restart {SERVICE} || true"), words="containerd reads its file again")
LEAST = {26: ((1, 6), "1.6"), 38: ((2,), "2.0")}
"""From this minor version of Kubernetes on: CRI v1 alone (kubernetes.io, "Kubernetes 1.26: Removals"), and no more of
containerd 1.x (kubernetes/kubernetes pull requests 139121, 139122 and 139268)."""


def wants_systemd(ctx: Context, target: str) -> bool:
    """Who makes the control groups of containers: systemd, wherever that can be.

    The kubelets of a cluster share one configuration, which `join.init` makes after the first control plane's
    containerd. So what runs already counts first, here or there. Else it is systemd, as kubernetes.io has it where
    systemd runs the machine ("Container runtimes"), with either version of control groups. Seen with version 1, in a
    container, kubelet 1.20 and runc 1.1, also after a restart.
    """
    for name in dict.fromkeys((target, *nodes.first(ctx.cluster))):
        if driver := ctx.see(NODE_KERNEL, name).kubelet_driver:
            return driver == "systemd"
    return True


def wanted(ctx: Context, target: str) -> Wanted:
    """The image for pods is kubeadm's own; another one is left, unless it is from elsewhere than the mirror, or missing
    where nothing can be fetched."""
    kubernetes = kubernetes_of(ctx)
    seen = ctx.look(kube_images(kubernetes.version, kubernetes.images or ""), target)
    images = seen.value if isinstance(seen, Known) else None
    pause = (images.pause if images else "") or pause_of(kubernetes.version, kubernetes.images or "")
    there = ctx.see(CONTAINERD, target).effective
    elsewhere = bool(kubernetes.images) and there is not None and not there.sandbox.startswith(f"{kubernetes.images}/")
    unreachable = images is not None and bool(images.registry) and not images.answered
    absent = there is not None and images is not None and there.sandbox not in images.there and pause in images.there
    return Wanted(wants_systemd(ctx, target), pause, elsewhere or (unreachable and absent))


def kubernetes_of(ctx: Context) -> Kubernetes:
    assert ctx.cluster.kubernetes is not None  # without it there are no targets
    return ctx.cluster.kubernetes


# ---------------------------------------------------------------- as an area


def lacks(ctx: Context, target: str) -> Iterator[str]:
    there = ctx.see(CONTAINERD, target)
    if not there.version:
        yield "containerd is not installed"
        return
    if there.effective is None:
        yield f"containerd does not understand {CONFIG} ({there.complaint})"
    else:
        yield from (f"containerd {each}" for each in lacking(there.effective, wanted(ctx, target)))
    if there.stale:
        yield f"containerd has not read {CONFIG} since it was written"
    if not (there.active and there.enabled):
        yield "containerd does not run now, or does not start with the machine"
    elif not there.serves and there.effective and there.effective.cri:
        yield f"containerd runs, and does not serve Kubernetes ({there.trouble})"


def actions(ctx: Context, target: str) -> Iterator[Action]:
    there, differs = ctx.see(CONTAINERD, target), tuple(lacks(ctx, target))
    if not differs:
        return
    file = tuple(_file(ctx, target, there))
    if there.version and (file or there.stale):
        yield OnUndo(AS_BEFORE)
    yield from file
    if not there.version:
        yield Install(("containerd",), refresh=True)
    if not there.enabled:
        off = Run(("systemctl", "disable", SERVICE)) if there.version else None
        yield Run(("systemctl", "enable", SERVICE), undo=off)
    if not there.version or there.active:
        yield RESTART
    else:
        yield Run(("systemctl", "restart", SERVICE), undo=Run(("systemctl", "stop", SERVICE)))
    yield SERVES


def _file(ctx: Context, target: str, there: Containerd) -> Iterator[WriteFile]:
    if there.effective is None or lacking(there.effective, wanted(ctx, target)):
        text = fitted(there, wanted(ctx, target))
        if text != there.config:
            yield WriteFile(CONFIG, text, there.config)


def notes(ctx: Context, target: str) -> Iterator[str]:
    there, driver = ctx.see(CONTAINERD, target), "systemd" if wants_systemd(ctx, target) else "cgroupfs"
    yield f"containerd and the kubelet both make control groups by {driver}."
    if not there.version:
        yield f"{CONFIG} is of version {version_for(there)}, which the containerd that comes reads."
    elif there.active:
        yield "containerd is started again; containers that run go on."


# ---------------------------------------------------------------- what stands in the way


def obstacles(ctx: Context, target: str) -> Iterator[Finding]:
    there = ctx.see(CONTAINERD, target)
    if there.masked:
        why = f"containerd was switched off for good on {target} (systemctl mask)"
        yield Finding("containerd-masked", why, f"on {target}: sudo systemctl unmask {SERVICE}", target)
    yield from _too_old(ctx, target, there)
    if not there.version or not tuple(lacks(ctx, target)):
        return
    try:
        tuple(_file(ctx, target, there))
    except CannotEdit as reason:
        why = f"{CONFIG} on {target} cannot be edited: {reason}"
        cure = f"on {target}, put it aside, to have it made anew: sudo mv {CONFIG} {CONFIG}.before"
        yield Finding("containerd-config", why, cure, target)


def _too_old(ctx: Context, target: str, there: Containerd) -> Iterator[Finding]:
    minor = int(kubernetes_of(ctx).version.split(".")[1])
    for since, (least, words) in LEAST.items():
        if there.numbers and minor >= since and there.numbers < least:
            why = f"Kubernetes 1.{minor} works with containerd {words} or newer; {target} has {there.version}"
            cure = f"on {target}, install a newer one (docker.com's containerd.io, or a newer release of the system)"
            yield Finding("containerd-too-old", why, f"{cure}, or choose an older kubernetes.version", target)
            return
