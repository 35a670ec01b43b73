"""What making a guest does: seed, disk, domain and start on the hypervisor, its first boot, the seed taken out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.actions import Action, Install, Run, WriteFile
from wizard.cluster import Create, Guest
from wizard.facts.guests import console_log
from wizard.facts.images import IMAGES
from wizard.model import HYPERVISOR, Part
from wizard.stages.guests_create_seed import Seed

FIRST_BOOT = 600
"""Seconds: with KVM it takes ten to thirty, emulated 81 to 125, more beside others (LAB, "Guests under libvirt")."""
ANSWERS = 300
LIMIT = 1800
FETCH = 7200
"""Seconds on top for an image that is fetched: a few hundred MB over a slow line."""


@dataclass(frozen=True)
class Paths:
    """Where a guest is on the hypervisor. What QEMU reads is beside the images: /var/lib/homek8s-wizard is root's."""

    name: str

    @property
    def disk(self) -> str:
        return f"{IMAGES}/{self.name}.qcow2"

    @property
    def seed(self) -> str:
        return f"{IMAGES}/{self.name}-seed.iso"

    @property
    def console(self) -> str:
        return console_log(self.name)

    @property
    def directory(self) -> str:
        return f"/var/lib/homek8s-wizard/guests/{self.name}"

    @property
    def definition(self) -> str:
        return f"{self.directory}/domain.xml"


def image_path(create: Create) -> str:
    """Where the image is, or will be once it is fetched: its sha256 is in the name, so that another is another file."""
    if create.image.startswith("/"):
        return create.image
    return f"{IMAGES}/{(create.sha256 or '')[:16]}-{create.image.rpartition('/')[2]}"


@dataclass(frozen=True)
class Making:
    """A guest as it is to be made. `networks` are its NICs: libvirt network and MAC, the one on the LAN first."""

    guest: Guest
    create: Create
    uuid: str
    seed: Seed
    networks: tuple[tuple[str, str], ...]
    bridge: str
    kvm: bool
    was: dict[str, str | None]
    """What is in the seed's files now, by path."""

    @property
    def paths(self) -> Paths:
        return Paths(self.guest.name)


def first_boot(name: str) -> tuple[Part, Part]:
    """In the guest, once it answers; then the seed goes, which says that all of it is done."""
    inside = Run(("first_boot_over", str(FIRST_BOOT)), words="cloud-init status --wait, then it is switched off")
    return (
        Part(name, f"first boot of {name}", (inside,), limit=FIRST_BOOT + 60, answers_within=ANSWERS),
        eject(name),
    )


def eject(name: str) -> Part:
    """The seed goes; where the guest has let go of it already, only its file."""
    out = Run(("guest_eject", name, Paths(name).seed), words=f"take the disk of the first boot out of {name}")
    return Part(HYPERVISOR, f"{name} without the disk of its first boot", (out,), limit=120)


def console(name: str) -> Run:
    words = f"wait for the first boot of {name} (at most {FIRST_BOOT} s); its console says:"
    return Run(("guest_console", name, Paths(name).console, str(FIRST_BOOT)), words=words)


def start(making: Making) -> Run:
    address = str(making.create.address.ip)
    return Run(("guest_start", making.guest.name, address, making.bridge), words=f"start {making.guest.name}")


def make(making: Making, *, fetch: bool, curl: bool) -> Part:
    """Everything up to the guest's SSH host keys on its console; each action is left out where it is done.

    The seed comes before the disk: a disk alone then is one that has had its first boot.
    """
    name, paths = making.guest.name, making.paths
    actions = (
        *_image(making, fetch, curl),
        *_seed(making),
        _disk(making),
        *define(making, seed=True),
        start(making),
        console(name),
    )
    clean = Run(("rm", "-f", f"{paths.disk}.part"), words="remove what is half copied")
    limit = LIMIT + (FETCH if fetch else 0)
    return Part(HYPERVISOR, f"make {name} and start it", actions, always=(clean,), limit=limit, introduces=name)


def boot(making: Making) -> Part:
    """One that is defined already is started, and its console read."""
    name = making.guest.name
    return Part(HYPERVISOR, f"start {name}", (start(making), console(name)), limit=LIMIT, introduces=name)


def bring_back(making: Making) -> Part:
    """Defined again with the disk that is left: it has had its first boot, and its console is left too."""
    name, log = making.guest.name, making.paths.console
    shown = Run(("guest_keys", log), words=f"read the SSH host keys of {name} in {log}")
    actions = (*define(making, seed=False), start(making), shown)
    return Part(HYPERVISOR, f"define {name} again and start it", actions, limit=120, introduces=name)


# ---------------------------------------------------------------- the actions


def _image(making: Making, fetch: bool, curl: bool) -> Iterator[Action]:
    create = making.create
    if not fetch:
        return
    if not curl:
        yield Install(("curl", "ca-certificates"), refresh=True)
    yield Run(("guest_fetch", create.image, image_path(create), create.sha256 or ""), words=f"fetch {create.image}")


def _disk(making: Making) -> Run:
    """A fetched image has been compared already."""
    create, disk = making.create, making.paths.disk
    digest = (create.sha256,) if create.sha256 and create.image.startswith("/") else ()
    words = f"copy {image_path(create)} to {disk}, {create.disk} large"
    places = (image_path(create), disk, making.paths.console)
    return Run(("guest_disk", *places, str(int(create.disk)), *digest), words=words)


def _seed(making: Making) -> Iterator[Action]:
    paths = making.paths
    files = {f"{paths.directory}/{name}": content for name, content in making.seed.files.items()}
    yield from (WriteFile(path, content, making.was.get(path)) for path, content in files.items())
    iso = ("xorrisofs", "-quiet", "-output", paths.seed, "-volid", "cidata", "-joliet", "-rational-rock", *files)
    yield Run(iso, words=f"write {paths.seed}", undo=Run(("rm", "-f", paths.seed)))


def define(making: Making, *, seed: bool) -> Iterator[Action]:
    name, paths = making.guest.name, making.paths
    if not seed:
        yield Run(("mkdir", "-p", paths.directory))
    options = tuple(_virt_install(making, seed))
    words = f"define {name}: virt-install {shlex.join(options)}"
    yield Run(("guest_define", name, making.uuid, paths.definition, *options), words=words)
    yield Run(("virsh", "autostart", name))


def _virt_install(making: Making, seed: bool) -> Iterator[str]:
    """Debian 12's firmware would insist on Secure Boot, and its cloud kernel sees no CD-ROM on q35 (LAB)."""
    create, paths = making.create, making.paths
    yield from ("--memory", str(create.memory.mib), "--vcpus", str(create.vcpus), "--machine", "q35")
    yield from ("--virt-type", "kvm", "--cpu", "host-passthrough") if making.kvm else ("--virt-type", "qemu")
    yield from ("--import", "--osinfo", "detect=on,require=off")
    yield from ("--boot", "firmware=efi,firmware.feature0.name=secure-boot,firmware.feature0.enabled=no")
    yield from ("--disk", f"path={paths.disk},format=qcow2,bus=virtio,cache=none,discard=unmap")
    if seed:
        yield from ("--disk", f"path={paths.seed},format=raw,bus=virtio,readonly=on")
    for network, mac in making.networks:
        yield from ("--network", f"network={network},model=virtio,mac={mac}")
    yield from ("--channel", "unix,target.type=virtio,target.name=org.qemu.guest_agent.0")
    yield from ("--serial", f"pty,log.file={paths.console},log.append=on")
    yield from ("--rng", "/dev/urandom", "--tpm", "none", "--graphics", "none", "--noautoconsole")
