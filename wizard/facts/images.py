"""Disk images on the hypervisor: the one a guest is made from, the guest's own disk, and the room for it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from wizard.model import Fact, FactError, Output

IMAGES = "/var/lib/libvirt/images"


@dataclass(frozen=True)
class Image:
    """A file that qemu-img was asked about. `size` is the file's, `virtual` that of the disk in it; bytes."""

    size: int
    format: str = ""
    """As qemu-img names it; empty where it cannot read the file."""
    virtual: int = 0
    bootable: bool = True
    """Does a raw image begin with a partition table (55 AA at its end)? qemu-img takes any file for a raw image."""

    @property
    def is_disk(self) -> bool:
        return bool(self.format) and (self.format != "raw" or self.bootable)


@dataclass(frozen=True)
class GuestFiles:
    """What a guest is made from and of. `available` is the room for its disk in bytes."""

    image: Image | None
    disk: Image | None
    seed: bool
    available: int
    curl: bool = True


def _guest_files(output: Output) -> GuestFiles:
    rows = {key: values for key, *values in (line.split("\t") for line in output.text.splitlines())}
    if "end" not in rows:
        raise FactError(output.complaint or "nothing was said")
    [available] = rows["room"]
    image, disk = (_image(rows[key]) if key in rows else None for key in ("image", "disk"))
    return GuestFiles(image, disk, "seed" in rows, int(available), "curl" in rows)


def _image(row: list[str]) -> Image:
    size, signature, info = row
    found: Mapping[str, Any] = json.loads(info) if info else {}
    return Image(int(size), found.get("format", ""), found.get("virtual-size", 0), signature == "55aa")


@cache
def guest_files(name: str, image: str, disk: str, seed: str) -> Fact[GuestFiles]:
    """About the guest `name`: its paths on the hypervisor. `-U`: a running guest holds its disk's lock."""
    about = r"""{ [ ! -f "$2" ] || printf '%s\t%s\t%s\t%s\n' "$1" "$(stat -L -c %s "$2")" \
  "$(od -An -tx1 -j510 -N2 "$2" | tr -d ' ')" \
  "$(timeout 10 qemu-img info -U --output=json "$2" 2>/dev/null | tr -d '\n\t')"; }"""
    return Fact(
        f"guest-files {name}",
        f"""about() {about}
about image {shlex.quote(image)}
about disk {shlex.quote(disk)}
[ ! -e {shlex.quote(seed)} ] || echo seed
d={shlex.quote(disk.rpartition("/")[0])}; while [ ! -d "$d" ]; do d=${{d%/*}}; d=${{d:-/}}; done
printf 'room\\t%s\\n' "$(($(stat -f -c '%a * %S' "$d")))"
! command -v curl >/dev/null || echo curl
echo end""",
        _guest_files,
        limit=30,
    )


IMAGES_FOUND: Fact[tuple[str, ...]] = Fact(
    "images-found",
    f"cd {IMAGES} 2>/dev/null || exit 0\n"
    'for f in *.img *.qcow2 *.raw; do [ ! -f "$f" ] || printf \'%s\\n\' "$f"; done | head -n 200',
    lambda output: tuple(f"{IMAGES}/{name}" for name in output.text.splitlines()),
)
"""Files that could be images; disks of guests are among them."""
