"""Is there room, may we write there, and is the disk quick enough for etcd (DOMAIN S0, RELIABILITY 43)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wizard.checks.machine import GIB, domains, gib, to_make
from wizard.checks.question import Answer, Question, ok, stop, warn
from wizard.facts.libvirt import DOMAINS
from wizard.facts.storage import FSYNC, IMAGES, VOLUMES, Volume
from wizard.model import Context

LEAST_IMAGES = 2 * GIB
LEAST_VAR = 2 * GIB
"""What the packages of a hypervisor take, unpacked and downloaded, and some air."""
NODE_DISK = 20 * GIB
LEAST_INODES = 5_000
QUICK, SLOW = 10.0, 20.0
"""Milliseconds: etcd's own limit for 99 of 100 writes (etcd FAQ), and Red Hat's (OpenShift, etcd disk latency)."""


def room(ctx: Context) -> Answer:
    volumes = ctx.see(VOLUMES)
    images, var = volumes[IMAGES], volumes["/var"]
    wanted = sum(guest.disk for guest in to_make(ctx.cluster, {domain.name for domain in domains(ctx)}))
    seen = f"{gib(images.available)} free for disks of guests"
    if var.available < LEAST_VAR:
        return stop(
            f"{gib(var.available)} free under /var",
            "Make room: `sudo apt clean`, `sudo journalctl --vacuum-size=100M`.",
        )
    if images.available < LEAST_IMAGES:
        return stop(f"{seen} ({IMAGES})", "Make room, or mount a larger disk there.")
    if wanted > images.available:
        return warn(
            f"{seen}, the guests may grow to {gib(wanted)}", "Give them smaller disks in cluster.yaml, or make room."
        )
    if images.available < NODE_DISK:
        return warn(f"{seen}: less than one node needs", "Make room, or mount a larger disk there.")
    return ok(f"{seen} ({IMAGES})")


def mounts(ctx: Context) -> Answer:
    volumes = ctx.see(VOLUMES)
    bad = list(_unusable(volumes))
    if bad:
        return stop("; ".join(bad), "Mount it as usual (see /etc/fstab), or delete what fills it.")
    if "noexec" in volumes["/tmp"].options:
        return warn("/tmp runs no programs (noexec)", "Some packages complain while they are installed, without harm.")
    return ok("/etc and /var can be written")


def _unusable(volumes: Mapping[str, Volume]) -> Iterator[str]:
    mounted = {volume.mount: volume for place, volume in volumes.items() if place != "/tmp"}
    for mount, volume in mounted.items():
        if not volume.writable:
            yield f"{mount} is read-only"
        if volume.inodes is not None and volume.inodes < LEAST_INODES:
            yield f"{mount} has room for {volume.inodes} more files only (inodes)"
    if "noexec" in volumes["/var"].options:
        yield "/var runs no programs (noexec), so no package can be installed"


def fsync(ctx: Context) -> Answer:
    found = ctx.see(FSYNC)
    tried = f"{found.count} writes of 2300 bytes under {found.directory}"
    seen = f"99 of 100 writes are safe within {found.p99:.1f} ms ({tried})"
    if found.p99 > SLOW:
        return stop(seen, f"Use an SSD for {IMAGES}; {QUICK:.0f} ms or less is good.")
    if found.p99 >= QUICK:
        return warn(seen, f"An SSD would help; {QUICK:.0f} ms or less is good.")
    return ok(seen)


QUESTIONS = (
    Question("room", "Disk space", "A full disk stops every guest at once.", (VOLUMES, DOMAINS), room),
    Question("mounts", "File systems", "Files, notes and packages are written there.", (VOLUMES,), mounts),
    Question(
        "fsync",
        "Speed of the disk",
        "etcd, the memory of Kubernetes, waits for each write to be safe; slow disks make it lose its leader.",
        (FSYNC,),
        fsync,
        accept="slow-fsync",
    ),
)
