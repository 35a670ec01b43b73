"""Step `guests.create`: a guest made from a cloud image, unattended, until it can be logged in to (DOMAIN S3).

How to read it: is there a domain of that name already (`guests_create_seen`), made here or not; what stands in the way
of making one (`guests_create_refusals`); what the guest is told at its first boot (`guests_create_seed`); and what
happens where (`guests_create_parts`): on the hypervisor until the console shows the SSH host keys, then in the guest,
then on the hypervisor again, where the seed is taken out. That the seed is gone says that all of it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.actions import Action
from wizard.cluster import Cluster, Create, Guest
from wizard.facts.libvirt import DOMAINS, Domain
from wizard.facts.login_keys import LOGIN_KEYS
from wizard.facts.system import MEMORY
from wizard.model import (
    HYPERVISOR,
    AnyFact,
    Blocked,
    Context,
    Do,
    Finding,
    Nothing,
    Part,
    Plan,
    Refused,
    Risk,
    Step,
)
from wizard.stages import guest_nics
from wizard.stages.guests_create_defaults import FACTS as FOR_FORMS
from wizard.stages.guests_create_defaults import defaults
from wizard.stages.guests_create_fresh import fresh_guests
from wizard.stages.guests_create_parts import Making, Paths, boot, bring_back, eject, first_boot, image_path, make
from wizard.stages.guests_create_refusals import refusals
from wizard.stages.guests_create_seen import (
    ALWAYS,
    STEP_ID,
    differences,
    disk_is_ours,
    files_of,
    has_seed,
    holds_seed,
    keys,
    made_here,
    making,
    seed_files,
    was_defined,
)
from wizard.stages.guests_domain import paused

HOST_MEMORY = 2 * 1024**3
"""Bytes that the host keeps for itself (DOMAIN 2.1)."""


def plan(ctx: Context, target: str) -> Plan:
    """There is a domain of that name, and its first boot is over. `create` is read once: while there is none."""
    wanted = guest_nics.guest(ctx.cluster, target)
    if wanted.create is None:
        return Nothing("cluster.yaml does not ask to make it")
    domains = ctx.see(DOMAINS)
    if not domains.daemon:
        return Blocked("preflight.packages", "libvirt does not answer on this host")
    domain = domains.get(target)
    if domain is None:
        return _make(ctx, wanted, wanted.create)
    if made_here(ctx, domain) and has_seed(domain):
        if found := paused(domain):
            return found
        made = making(ctx, target)
        return Do(f"{target} is there, but its first boot is not over", (boot(made), *first_boot(target)))
    if _seed_is_left(ctx, wanted, wanted.create, domain) and not holds_seed(domain):
        return Do(f"the disk of {target}'s first boot is left, and of no use any more", (eject(target),))
    return Nothing(_as_it_is(ctx, wanted, wanted.create, domain))


def _seed_is_left(ctx: Context, wanted: Guest, create: Create, domain: Domain) -> bool:
    """A guest may not let go of it while it runs."""
    return made_here(ctx, domain) and ctx.see(files_of(wanted, create)).seed


def _make(ctx: Context, wanted: Guest, create: Create) -> Plan:
    if findings := tuple(refusals(ctx, wanted, create)):
        return Refused(findings)
    if not keys(ctx):
        return _no_keys(ctx)
    made, files = making(ctx, wanted.name), ctx.see(files_of(wanted, create))
    if files.disk and not files.seed and was_defined(ctx, wanted.name):
        why = f"libvirt has no {wanted.name} any more, but its disk is left, and is used again with all that is on it"
        return Do(why, (bring_back(made),))
    left = f"; its disk {made.paths.disk} is left, and is used again" if files.disk else ""
    fetch = not files.disk and files.image is None
    parts = (make(made, fetch=fetch, curl=files.curl), *first_boot(wanted.name))
    return Do(f"libvirt has no {wanted.name}{left}", parts, tuple(_notes(ctx, made, fetch)))


def _no_keys(ctx: Context) -> Blocked:
    user = ctx.see(LOGIN_KEYS).user
    why = f"no SSH key without options opens {user}'s account on the hypervisor, so none would open the guest"
    cure = f"on your own machine, run: ssh-copy-id {ctx.cluster.hypervisor.ssh} (before that ssh-keygen, without a key)"
    return Blocked("you", why, (Finding("no-key", why, cure, "hypervisor.ssh"),))


def _as_it_is(ctx: Context, wanted: Guest, create: Create, domain: Domain) -> str:
    how = "was made here" if made_here(ctx, domain) else "exists already"
    state = "runs" if domain.active else "is off"
    held = _seed_is_left(ctx, wanted, create, domain)
    seed = "; it lets go of the disk of its first boot when it is shut down and started" if held else ""
    found = tuple(differences(ctx, wanted, create, domain))
    otherwise = f"; `create` is read once, so this stays: {', '.join(found)}" if found else ""
    return f"{wanted.name} {how} and {state}{seed}{otherwise}"


def _notes(ctx: Context, made: Making, fetch: bool) -> Iterator[str]:
    create = made.create
    yield f"{made.seed.user} can log in with: {', '.join(map(_named, made.seed.keys))}. There is no password."
    if fetch:
        yield f"The image is kept as {image_path(create)}, for other guests too; undo leaves it there."
    if not made.kvm:
        yield "KVM does not work here, so the first boot takes minutes."
    if not made.seed.gateway:
        yield "Neither `create` nor `bridge` names a gateway: the guest will have no way out of its LAN."
    available = ctx.see(MEMORY).available
    if create.memory > available - HOST_MEMORY:
        yield f"{available // 1024**2} MiB of memory are free: too little for {create.memory} beside 2GiB for the host."
    room = ctx.see(files_of(made.guest, create)).available
    if create.disk > room:
        yield f"The disk may grow to {create.disk}, and {room // 1024**3} GiB are free for it."


def _named(key: str) -> str:
    """By its comment, or the end of the key itself."""
    kind, body, *comment = key.split(" ", 2)
    return comment[0] if comment else f"{kind} …{body[-8:]}"


# ---------------------------------------------------------------- the way back


def undo(ctx: Context, target: str, inverses: tuple[Action, ...]) -> Plan:
    """Domain, disk and seed go, as far as they were made here; refused where the domain is another one by now."""
    domains = ctx.see(DOMAINS)
    if not domains.daemon:
        return Blocked("preflight.packages", f"libvirt does not answer on this host, so {target} may still run")
    domain = domains.get(target)
    if domain is not None and not made_here(ctx, domain):
        why = f"the guest {target} that is there now was not made here: its UUID is {domain.uuid}"
        cure = f"if it is to go, remove it by hand: virsh undefine {target} --nvram"
        return Refused((Finding("foreign", why, cure, target),))
    part = Part(HYPERVISOR, f"remove {target}", inverses, risk=Risk.DESTROYS_DATA, limit=120)
    gone = f"the disk of {target} with all that is on it is deleted" if disk_is_ours(ctx, target) else ""
    return Do(f"{target} goes, with its disk {Paths(target).disk}", (part,), irreversible=gone)


def facts(cluster: Cluster, target: str) -> Mapping[str, tuple[AnyFact[Any], ...]]:
    wanted = next((guest for guest in cluster.guests if guest.name == target), None)
    own: tuple[AnyFact[Any], ...] = ()
    if wanted and wanted.create:
        own = (files_of(wanted, wanted.create), seed_files(target))
    return {HYPERVISOR: (*ALWAYS, *FOR_FORMS, *own)}


def look(cluster: Cluster, target: str) -> tuple[str, ...]:
    return (
        f"virsh -c qemu:///system dominfo {target}",
        f"virsh -c qemu:///system domiflist {target}",
        f"ssh {cluster.destination(target)} cloud-init status",
    )


STEP = Step(
    id=STEP_ID,
    title="Make the guests",
    why="Each starts from the distributor's cloud image, with both NICs from the beginning, and opens to your SSH key "
    "alone. Its host key is read from its console, so that the first login is to the right machine.",
    plan=plan,
    facts=facts,
    needs=("preflight.packages", "bridge.network", "isolated.network"),
    fields=(
        "guests[].name",
        "guests[].role",
        "guests[].ssh",
        "guests[].isolated_address",
        "guests[].nic",
        "guests[].create.address",
        "guests[].create.gateway",
        "guests[].create.memory",
        "guests[].create.vcpus",
        "guests[].create.disk",
        "guests[].create.image",
        "guests[].create.sha256",
        "guests[].create.mac",
        "guests[].create.isolated_mac",
    ),
    defaults=defaults,
    targets=guest_nics.created,
    undo=undo,
    fresh=fresh_guests,
    look=look,
)
