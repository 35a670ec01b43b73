"""What stands in the way of a node, and only its owner can put right or accept (DOMAIN S0, S5, 2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.checks.disks import QUICK, SLOW
from wizard.checks.machine import gib
from wizard.facts.kube_images import KubeImages, kube_images
from wizard.facts.kube_packages import minor
from wizard.facts.node_clock import NODE_CLOCK
from wizard.facts.node_kernel import NODE_KERNEL
from wizard.facts.storage import ETCD_FSYNC
from wizard.model import Context, Finding, Known, Unseen
from wizard.stages import nodes
from wizard.stages.join_config import NEWEST
from wizard.stages.join_containerd import kubernetes_of

LEAST_PROCESSORS = 2
LEAST_MEMORY = 1700 * 1024**2
"""Bytes: kubeadm's own limit for a control plane; firmware and kernel keep some of 2 GiB (kubeadm, constants.go)."""
NO_CGROUP_V1 = 35
"""From this minor version on the kubelet does not start with cgroup v1 (KEP-5573)."""
MOST_SKEW = 5.0
"""Seconds between two clocks."""
WORKER_IMAGES = ("kube-proxy", "pause")


def obstacles(ctx: Context, target: str) -> Iterator[Finding]:
    yield from _groups(ctx, target)
    yield from _clock(ctx, target)
    yield from _images(ctx, target)
    if target in nodes.control_planes(ctx.cluster):
        yield from _small(ctx, target)
        yield from _slow(ctx, target)


def _accepted(ctx: Context, word: str) -> bool:
    return word in ctx.cluster.hypervisor.accept


def _accept(word: str) -> str:
    return f"Or accept it: add {word} to hypervisor.accept in cluster.yaml."


# ---------------------------------------------------------------- control groups


def _groups(ctx: Context, target: str) -> Iterator[Finding]:
    kernel, (_, wanted) = ctx.see(NODE_KERNEL, target), minor(kubernetes_of(ctx).version)
    if not kernel.systemd:
        why = f"{target} is not run by systemd, which starts containerd and the kubelet"
        yield Finding("no-systemd", why, "use a system with systemd, as Debian and Ubuntu are", target)
    if not kernel.memory_groups:
        why = f"the kernel of {target} does not account for memory, so the kubelet does not start"
        cure = "add `cgroup_enable=memory cgroup_memory=1` to its kernel's command line, and restart it"
        where = "on a Raspberry Pi that line is /boot/firmware/cmdline.txt"
        yield Finding("no-memory-groups", why, f"{cure}; {where}", target)
    if not kernel.unified and wanted >= NO_CGROUP_V1:
        why = (
            f"{target} uses version 1 of control groups, with which the kubelet of Kubernetes 1.{wanted} does not start"
        )
        cure = f"take `systemd.unified_cgroup_hierarchy=0` from the kernel's command line of {target}, or upgrade it"
        yield Finding("cgroup-v1", why, f"{cure}; up to 1.{NO_CGROUP_V1 - 1} Kubernetes works with it", target)


# ---------------------------------------------------------------- clock


def _clock(ctx: Context, target: str) -> Iterator[Finding]:
    ahead = ctx.see(NODE_CLOCK, target).ahead
    if abs(ahead) > MOST_SKEW:
        where = "ahead of" if ahead > 0 else "behind"
        why = f"the clock of {target} is {abs(ahead):.0f} s or more {where} this machine's"
        cure = f"if {target} is wrong, on it: sudo timedatectl set-ntp true; else set this machine's clock"
        yield Finding("clock-skew", f"{why}: certificates that one makes are not valid on the other", cure, target)


# ---------------------------------------------------------------- images


def _seen_images(ctx: Context, target: str) -> KubeImages | None:
    kubernetes = kubernetes_of(ctx)
    seen = ctx.look(kube_images(kubernetes.version, kubernetes.images or ""), target)
    return seen.value if isinstance(seen, Known) else None


def _missing(ctx: Context, target: str, images: KubeImages) -> tuple[str, ...]:
    return images.missing(*(() if target in nodes.control_planes(ctx.cluster) else WORKER_IMAGES))


def _images(ctx: Context, target: str) -> Iterator[Finding]:
    images = _seen_images(ctx, target)
    if images is None or images.answered or not (missing := _missing(ctx, target, images)):
        return
    why = f"{target} lacks {', '.join(missing)}, and {images.registry} does not answer it ({images.complaint})"
    cure = (
        f"let {target} reach {images.registry} over HTTPS, name a mirror that it reaches as kubernetes.images, "
        f"or bring them: on {target}, sudo ctr -n k8s.io images import FILE"
    )
    yield Finding("no-images", why, cure, target)


# ---------------------------------------------------------------- a control plane


def _small(ctx: Context, target: str) -> Iterator[Finding]:
    kernel = ctx.see(NODE_KERNEL, target)
    has = [f"{kernel.processors} processor"] if kernel.processors < LEAST_PROCESSORS else []
    has += [f"{gib(kernel.memory)} of memory"] if kernel.memory < LEAST_MEMORY else []
    if has and not _accepted(ctx, "small-guest"):
        why = f"{target} has {' and '.join(has)}, and a control plane needs 2 processors and 2 GiB"
        yield Finding("small-guest", why, f"Give it more (shut it down first). {_accept('small-guest')}", target)


def _slow(ctx: Context, target: str) -> Iterator[Finding]:
    seen = ctx.look(ETCD_FSYNC, target)
    if isinstance(seen, Known) and seen.value.p99 > SLOW and not _accepted(ctx, "slow-fsync"):
        why = f"on {target} 99 of 100 writes are safe within {seen.value.p99:.1f} ms only; etcd loses its leader then"
        cure = f"Let its disk lie on an SSD, without a cache that makes writes wait; {QUICK:.0f} ms or less is good."
        yield Finding("slow-fsync", why, f"{cure} {_accept('slow-fsync')}", target)


# ---------------------------------------------------------------- what is worth a word


def notes(ctx: Context, target: str) -> Iterator[str]:
    """What is no obstacle, and should be known; also where there is nothing to do."""
    clock, images = ctx.see(NODE_CLOCK, target), _seen_images(ctx, target)
    version = kubernetes_of(ctx).version
    if minor(version) > (1, NEWEST):
        yield (
            f"Kubernetes {version} is newer than all that the wizard knows, which ends with 1.{NEWEST}: "
            "it may not exist, or want other settings than it is given here."
        )
    if clock.synchronised is False:
        yield f"The clock of {target} is not synchronised: on it, sudo timedatectl set-ntp true."
    if clock.synchronised is None:
        yield f"Nothing on {target} keeps its clock right: install systemd-timesyncd or chrony there."
    if images and not images.needed and not images.answered:
        yield (
            f"{images.registry} does not answer {target} ({images.complaint}): "
            "unless containerd has the images by then, the next step waits for them."
        )
    if target in nodes.control_planes(ctx.cluster):
        yield from _of_control_plane(ctx, target)


def unmeasured(ctx: Context, target: str) -> Iterator[str]:
    """Only `apply` and `check` load a disk for seconds."""
    seen = ctx.look(ETCD_FSYNC, target)
    if target in nodes.control_planes(ctx.cluster) and isinstance(seen, Unseen) and seen.untried:
        yield f"How fast the disk of {target} is will be measured when this is applied."


def _of_control_plane(ctx: Context, target: str) -> Iterator[str]:
    kernel, seen = ctx.see(NODE_KERNEL, target), ctx.look(ETCD_FSYNC, target)
    if kernel.processors < LEAST_PROCESSORS or kernel.memory < LEAST_MEMORY:
        yield f"{target} is small for a control plane (accepted in cluster.yaml)."
    if isinstance(seen, Known) and seen.value.p99 > QUICK:
        yield f"99 of 100 writes of {target} are safe within {seen.value.p99:.1f} ms; {QUICK:.0f} ms or less is good."
    if isinstance(seen, Unseen) and not seen.untried:
        yield f"How fast the disk of {target} is could not be measured: {seen.reason}. etcd needs one like an SSD."
