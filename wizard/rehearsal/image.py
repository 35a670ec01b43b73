"""The cloud image that guests are made from: built once, kept in the cache, seen read-only by every hypervisor."""

from __future__ import annotations

import shutil
from pathlib import Path

from wizard.rehearsal import disk, once, tree
from wizard.rehearsal.guest_recipe import GuestRecipe
from wizard.rehearsal.once import Say
from wizard.rehearsal.recipe import digest_of
from wizard.rehearsal.runtime import cache

INSIDE = "/var/lib/libvirt/images/debian-12-cloud-amd64.qcow2"
ROOT_MIB = 960
RECIPE = GuestRecipe("bookworm")


def ensure(say: Say) -> Path:
    """The image, building it first (about a minute) when the cache has none."""

    def make(kept: Path, _: int) -> None:
        _build(kept, say)

    return once.ensure(cache() / "images" / name(), "guest image", make, say)


def name() -> str:
    """Changes with anything that changes the image, except what Debian publishes."""
    return f"debian-12-cloud-amd64-{digest_of([RECIPE.digest, disk.LAYOUT, str(ROOT_MIB)])}.qcow2"


def _build(kept: Path, say: Say) -> None:
    root = tree.ensure(RECIPE, say)
    work = kept.with_name(f".{kept.name}.building")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    say("Packing it as a disk image.")
    try:
        disk.pack(root, work, work / kept.name, ROOT_MIB)
        (work / kept.name).chmod(0o644)
        (work / kept.name).rename(kept)
    finally:
        shutil.rmtree(work, ignore_errors=True)
