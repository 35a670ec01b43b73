"""What is seen of a guest that is to be made: its domain and who made it, what `create` says otherwise, who logs in."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from wizard.actions import TakeBack
from wizard.cluster import Cluster, Create, Guest
from wizard.cluster.sizes import MIB, Size
from wizard.facts.files import Contents, files
from wizard.facts.guests import ADDRESSES
from wizard.facts.images import GuestFiles, guest_files
from wizard.facts.libvirt import DOMAINS, Domain
from wizard.facts.login_keys import LOGIN_KEYS
from wizard.facts.network import NAMESERVERS, ROUTES, SSH_PATH
from wizard.facts.ours import OURS
from wizard.facts.system import MEMORY
from wizard.facts.virtualisation import KVM
from wizard.model import Context, Fact, Known
from wizard.stages.guest_nics import guest, isolated_mac, lan_mac
from wizard.stages.guests_create_parts import Making, Paths, image_path
from wizard.stages.guests_create_seed import Seed

STEP_ID = "guests.create"
ALWAYS = (DOMAINS, LOGIN_KEYS, SSH_PATH, ROUTES, NAMESERVERS, KVM, MEMORY, ADDRESSES)


def files_of(wanted: Guest, create: Create) -> Fact[GuestFiles]:
    paths = Paths(wanted.name)
    return guest_files(wanted.name, image_path(create), paths.disk, paths.seed)


def seed_files(name: str) -> Fact[Contents]:
    directory = Paths(name).directory
    return files(f"seed {name}", *(f"{directory}/{file}" for file in ("user-data", "meta-data", "network-config")))


def uuid_of(cluster: Cluster, name: str) -> str:
    """The domain's, always the same, so that a script can be shown before it runs and a guest is known again."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{cluster.name}.homek8s-wizard"))


def made_here(ctx: Context, domain: Domain) -> bool:
    """Noted on the host, and not another one of that name."""
    return domain.uuid == uuid_of(ctx.cluster, domain.name) and was_defined(ctx, domain.name)


def was_defined(ctx: Context, name: str) -> bool:
    """By the notes on the host, libvirt was told of the guest that is made here; it may have forgotten it since."""
    return f"remove_guest {name} {uuid_of(ctx.cluster, name)}" in _notes(ctx, name)


def disk_is_ours(ctx: Context, name: str) -> bool:
    return f"remove_guest_disk {Paths(name).disk}" in _notes(ctx, name)


def _notes(ctx: Context, name: str) -> set[str]:
    """The first three words of each inverse that was noted for this guest."""
    seen = ctx.look(OURS)
    inverses = seen.value.inverses(f"{STEP_ID}@{name}") if isinstance(seen, Known) else ()
    lines = [each.line.split() for each in inverses if isinstance(each, TakeBack)]
    return {" ".join(words[:count]) for words in lines for count in (2, 3)}


# ---------------------------------------------------------------- the domain that is there


@dataclass(frozen=True)
class Has:
    """What a domain is made of: memory in bytes, CPUs, its disks' files, and its NICs as network and MAC."""

    memory: Size
    vcpus: int
    disks: tuple[str, ...]
    networks: tuple[tuple[str, str], ...]


def has(domain: Domain) -> Has:
    root = ElementTree.fromstring(domain.xml)
    memory, vcpus = root.find("memory"), root.find("vcpu")
    return Has(
        memory=Size(int(memory.text or 0) * 1024) if memory is not None else Size(0),
        vcpus=int(vcpus.text or 0) if vcpus is not None else 0,
        disks=_disks(root),
        networks=tuple((each.source, each.mac) for each in domain.interfaces),
    )


def _disks(root: ElementTree.Element) -> tuple[str, ...]:
    return tuple(filter(None, (disk.get("file", "") for disk in root.findall("./devices/disk/source"))))


def has_seed(domain: Domain) -> bool:
    """Its first boot is not over: the seed goes last."""
    return Paths(domain.name).seed in has(domain).disks


def holds_seed(domain: Domain) -> bool:
    """As it runs, it has the seed."""
    return domain.active and Paths(domain.name).seed in _disks(ElementTree.fromstring(domain.live_xml))


def differences(ctx: Context, wanted: Guest, create: Create, domain: Domain) -> Iterator[str]:
    """What `create` says otherwise, in words: shown, never applied."""
    there = has(domain)
    if there.memory.mib != create.memory.mib:
        yield f"memory {Size(there.memory.mib * MIB)}, not {create.memory}"
    if there.vcpus != create.vcpus:
        yield f"{there.vcpus} CPU{'s' if there.vcpus != 1 else ''}, not {create.vcpus}"
    disk = ctx.see(files_of(wanted, create)).disk
    if Paths(wanted.name).disk in there.disks and disk and disk.virtual != create.disk:
        yield f"a disk of {Size(disk.virtual)}, not {create.disk}"
    for network, mac in networks(ctx.cluster, wanted):
        if network not in [source for source, _ in there.networks]:
            yield f"no NIC on {network}"
        elif (network, mac) not in there.networks and (create.mac, create.isolated_mac) != (None, None):
            yield f"no NIC on {network} with the MAC {mac}"


# ---------------------------------------------------------------- the guest as wanted


def networks(cluster: Cluster, wanted: Guest) -> tuple[tuple[str, str], ...]:
    """Its NICs from the start, so that none has to be attached later (DOMAIN S3)."""
    lan = ((cluster.bridge.network, lan_mac(cluster, wanted)),) if cluster.bridge else ()
    apart = cluster.isolated and wanted.isolated_address
    return (*lan, *(((cluster.isolated.name, isolated_mac(cluster, wanted)),) if cluster.isolated and apart else ()))


def login(ctx: Context, name: str) -> str:
    """Who is to log in to the guest: as in its `ssh`, else as on the hypervisor."""
    typed = ctx.cluster.destination(name).removeprefix("ssh://")
    return typed.rpartition("@")[0] or ctx.see(LOGIN_KEYS).user


def keys(ctx: Context) -> tuple[str, ...]:
    """Those that open the hypervisor; from the hypervisor itself, its user's own too."""
    found, path = ctx.see(LOGIN_KEYS), ctx.see(SSH_PATH)
    here = path is None or path.local
    return tuple(dict.fromkeys((*found.authorized, *(found.own if here else ()))))


def gateway(ctx: Context, create: Create) -> str:
    """As written; else the bridge's; else where the host's own default route over the bridge leads."""
    bridge = ctx.cluster.bridge
    written = create.gateway or (bridge.gateway if bridge else None)
    if written or bridge is None:
        return str(written or "")
    routes = [route for route in ctx.see(ROUTES) if route.to == "default" and route.device == bridge.name]
    return next((route.gateway for route in routes if (":" in route.gateway) == (create.address.version == 6)), "")


def nameservers(ctx: Context) -> tuple[str, ...]:
    bridge = ctx.cluster.bridge
    return tuple(map(str, bridge.nameservers)) if bridge and bridge.nameservers else ctx.see(NAMESERVERS)


def making(ctx: Context, target: str) -> Making:
    wanted = guest(ctx.cluster, target)
    assert wanted.create is not None
    seed = Seed(
        name=target,
        instance=uuid_of(ctx.cluster, target),
        user=login(ctx, target),
        keys=keys(ctx),
        mac=lan_mac(ctx.cluster, wanted),
        address=str(wanted.create.address),
        gateway=gateway(ctx, wanted.create),
        nameservers=nameservers(ctx),
    )
    kvm = ctx.see(KVM)
    return Making(
        guest=wanted,
        create=wanted.create,
        uuid=seed.instance,
        seed=seed,
        networks=networks(ctx.cluster, wanted),
        bridge=ctx.cluster.bridge.name if ctx.cluster.bridge else "",
        kvm=kvm.works is True or (kvm.works is None and kvm.device),
        was=dict(ctx.see(seed_files(target))),
    )
