"""Sizes of memory and disks: whole MiB, written with a binary unit."""

from __future__ import annotations

import re
from collections.abc import Callable

from wizard.cluster.mistakes import Wrong, shown
from wizard.cluster.names import text

MIB = 1024**2
UNITS = {"TiB": 1024**4, "GiB": 1024**3, "MiB": MIB}


class Size(int):
    """Bytes, a whole number of MiB; prints as the owner writes it ("8GiB")."""

    def __str__(self) -> str:
        unit, factor = next((unit, factor) for unit, factor in UNITS.items() if self % factor == 0 or unit == "MiB")
        return f"{self // factor}{unit}"

    __repr__ = __str__

    @property
    def mib(self) -> int:
        return self // MIB


def size(value: object) -> Size:
    """Bytes from a number and a binary unit."""
    if isinstance(value, Size):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise Wrong(f"{shown(value)} has no unit", f"Write {value}MiB or {value}GiB.")
    word = text(value)
    match = re.fullmatch(r"([1-9][0-9]{0,6})(MiB|GiB|TiB)", word, re.ASCII)
    if match:
        return Size(int(match[1]) * UNITS[match[2]])
    loose = re.fullmatch(r"([1-9][0-9]{0,6}) ?([MGTmgt])i?[Bb]?", word, re.ASCII)
    cure = (
        f"Write {loose[1]}{loose[2].upper()}iB." if loose else "Write a whole number and MiB, GiB or TiB, such as 8GiB."
    )
    raise Wrong(f"{shown(word)} is no size", cure)


def within(low: Size, high: Size) -> Callable[[object], Size]:
    """A size between two others, both included."""

    def parse(value: object) -> Size:
        found = size(value)
        if not low <= found <= high:
            raise Wrong(f"{found} is out of range", f"Use {low} to {high}.")
        return found

    return parse


def mib(count: int) -> Size:
    return Size(count * MIB)


def gib(count: int) -> Size:
    return Size(count * UNITS["GiB"])
