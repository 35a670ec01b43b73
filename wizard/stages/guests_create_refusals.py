"""What stands in the way of making a guest, in words, each with its cure."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.cluster import Create, Guest
from wizard.facts.images import GuestFiles, Image
from wizard.facts.libvirt import DOMAINS
from wizard.model import Context, Finding
from wizard.stages.guests_create_parts import Paths, image_path
from wizard.stages.guests_create_seen import disk_is_ours, files_of, networks

GIB = 1024**3


def refusals(ctx: Context, wanted: Guest, create: Create) -> Iterator[Finding]:
    files = ctx.see(files_of(wanted, create))
    yield from _macs(ctx, wanted)
    if files.disk is not None:
        yield from () if disk_is_ours(ctx, wanted.name) else (_disk_taken(wanted.name),)
    else:
        yield from _image(create, files)
        yield from _room(create, files)


def _macs(ctx: Context, wanted: Guest) -> Iterator[Finding]:
    ours = {mac.lower() for _, mac in networks(ctx.cluster, wanted)}
    for domain in ctx.see(DOMAINS):
        for mac in sorted(ours & {each.mac.lower() for each in domain.interfaces + domain.live_interfaces}):
            why = f"the guest {domain.name} has the MAC {mac} already"
            cure = f"give {wanted.name} another one: `mac` or `isolated_mac` below `create`"
            yield Finding("mac-taken", why, cure, f"guests.{wanted.name}.create.mac")


def _disk_taken(name: str) -> Finding:
    disk = Paths(name).disk
    why = f"{disk} is there already, and is not from here: it may be the disk of a guest that libvirt no longer knows"
    cure = f"define that guest again, or move the file away, or name the new guest otherwise than {name}"
    return Finding("disk-taken", why, cure, disk)


def _image(create: Create, files: GuestFiles) -> Iterator[Finding]:
    path, where = image_path(create), "guests.create.image"
    image = files.image
    if image is None:
        if create.image.startswith("/"):
            cure = "put a cloud image there (fetched from your distributor), or write its URL and `sha256` instead"
            yield Finding("no-image", f"there is no image {path} on the hypervisor", cure, where)
    elif not image.is_disk:
        yield Finding("not-an-image", _not_a_disk(path, image), "fetch it again: the file is no disk image", where)
    elif image.virtual > create.disk:
        why = f"the disk in {path} has {_gib(image.virtual)}, more than the {create.disk} that `disk` gives the guest"
        yield Finding("disk-too-small", why, f"write at least `disk: {-(-image.virtual // GIB)}GiB`", where)


def _not_a_disk(path: str, image: Image) -> str:
    what = "qemu-img cannot read it" if not image.format else "it does not begin with a partition table"
    return f"{path} ({image.size} bytes) is no disk image: {what}"


def _room(create: Create, files: GuestFiles) -> Iterator[Finding]:
    """The copy takes at most what is in the image; how far the disk may grow later is a note."""
    needed = files.image.virtual if files.image else 0
    if needed > files.available:
        why = f"the disk needs up to {_gib(needed)} at once, and {_gib(files.available)} are free in its directory"
        yield Finding("no-room", why, "make room there (df -h), or mount a larger disk", image_path(create))


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
