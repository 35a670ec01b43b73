"""What steps about a guest share: its domain, what stands in the way of changing it, and how it is booted cold."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, Run, Wait
from wizard.cluster import Guest
from wizard.facts.kubeadm import IS_NODE
from wizard.facts.libvirt import DOMAINS, IO_ERROR, Domain
from wizard.model import Blocked, Context, Finding, Known

SHUTDOWN = 180
"""Seconds for a guest to shut down (DOMAIN S12)."""
BOOT = 600
"""Seconds for a guest to answer: emulated, without KVM, Debian takes up to 125 of them."""
LIMIT = SHUTDOWN + 120


def missing(ctx: Context, guest: Guest) -> Blocked | None:
    """Why nothing can be done about this guest yet."""
    domains = ctx.see(DOMAINS)
    if not domains.daemon:
        return Blocked("preflight.packages", "libvirt does not answer on the hypervisor")
    domain = domains.get(guest.name)
    if domain is None and guest.create:
        return Blocked("guests.create", f"there is no guest {guest.name} yet")
    if domain is None:
        return yours(_absent(guest.name, [each.name for each in domains]))
    if not domain.persistent:
        why = f"{guest.name} has no lasting definition: it is gone once it stops"
        cure = f"define it: virsh dumpxml {guest.name} >{guest.name}.xml && virsh define {guest.name}.xml"
        return yours(Finding("transient", why, cure, guest.name))
    return paused(domain)


def paused(domain: Domain) -> Blocked | None:
    """One that stands still answers nobody, and would not shut down."""
    if not domain.paused:
        return None
    why = f"{domain.name} stands still: libvirt has it as paused ({domain.paused})"
    first = (
        "make room on the hypervisor, its disk is most likely full (df -h); then " if domain.paused == IO_ERROR else ""
    )
    return yours(Finding("paused", why, f"{first}let it go on: virsh resume {domain.name}", domain.name))


def _absent(name: str, there: list[str]) -> Finding:
    known = f"libvirt has: {', '.join(there)}" if there else "libvirt has none at all"
    cure = "write its name as `virsh list --all` has it, or give it `create:` in cluster.yaml, or leave it out"
    return Finding("absent", f"there is no guest {name} on the hypervisor ({known})", cure, name)


def yours(*findings: Finding) -> Blocked:
    """Only the owner can put these right."""
    return Blocked("you", "; ".join(finding.message for finding in findings), findings)


def domain_of(ctx: Context, guest: Guest) -> Domain:
    """Of a guest of which nothing is `missing`."""
    domain = ctx.see(DOMAINS).get(guest.name)
    assert domain is not None
    return domain


# ---------------------------------------------------------------- started, stopped


def start(name: str) -> Run:
    return Run(("virsh", "start", name), unless=running(name))


def cold_boot(name: str, done: str) -> Iterator[Action]:
    """Shut down and started, so that it becomes what its definition says; `done` is a test that it is so already.

    A reboot would keep the same machine (DOMAIN E9). A guest that does not shut down is never switched off by us.
    """
    off = is_off(name)[-1]
    yield Run(("virsh", "shutdown", name), unless=("sh", "-c", f"{off} || {done}"))
    yield Wait(("sh", "-c", f"{off} || {done}"), SHUTDOWN, f"{name} is shut off")
    yield start(name)


def pods_stop(ctx: Context, name: str) -> Iterator[str]:
    """Said before a node is shut down; one that does not answer is not known to be one."""
    seen = ctx.look(IS_NODE, name)
    if isinstance(seen, Known) and seen.value:
        yield (
            f"{name} is a node, and its pods stop meanwhile. To move them before: `kubectl drain {name} "
            f"--ignore-daemonsets --delete-emptydir-data`; once it is back: `kubectl uncordon {name}`."
        )


def is_off(name: str) -> tuple[str, ...]:
    return ("sh", "-c", f"virsh domstate {name} | grep -qxF 'shut off'")


def running(name: str) -> tuple[str, ...]:
    return ("sh", "-c", f"virsh list --name | grep -qxF {name}")


def has_nic(name: str, network: str = "", mac: str = "", inactive: bool = False) -> str:
    """A test in sh: has it a NIC on this network, or with this MAC, now or (`inactive`) by its definition?"""
    which = " && ".join([*([f'$3 == "{network}"'] if network else []), *([f'$5 == "{mac}"'] if mac else [])])
    listing = f"virsh domiflist {name}{' --inactive' if inactive else ''}"
    return f"{listing} | awk '{which} {{ found = 1 }} END {{ exit !found }}'"
