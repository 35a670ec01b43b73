"""Swap on a node: what is in use now, and what would switch it on again at the next boot.

Three things do: a line of fstab(5), a swap unit of its own (systemd.swap(5), also one that is generated for a
partition), and services that make swap in memory or in a file (zram-tools, zram-generator, dphys-swapfile).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.model import Fact, FactError, Output

FSTAB = "/etc/fstab"
MAKERS = ("zramswap.service", "systemd-zram-setup@zram0.service", "dphys-swapfile.service")
"""Services that make swap of their own: zram-tools, systemd's zram-generator, Raspberry Pi OS."""


@dataclass(frozen=True)
class SwapUnit:
    """A swap unit, or a service that makes swap, as systemctl(1) has it."""

    name: str
    load: str
    active: str
    source: str = ""
    """The file that it was made from."""
    file: str = ""
    """The state of its own file: enabled, disabled, generated, masked, …"""
    path: str = ""
    """Its own file."""

    @property
    def is_local(self) -> bool:
        """Its file is where a mask would lie, so it can only be disabled."""
        return self.path.startswith("/etc/")

    @property
    def is_off(self) -> bool:
        """For good."""
        return self.load == "masked" or (self.is_local and self.file == "disabled" and self.active == "inactive")

    @property
    def by_fstab(self) -> bool:
        return self.source == FSTAB


@dataclass(frozen=True)
class Swap:
    in_use: tuple[str, ...] = ()
    """What is swapped to now, by /proc/swaps."""
    units: tuple[SwapUnit, ...] = ()


def _swap(output: Output) -> Swap:
    rows = [line.split("\t") for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    units = (SwapUnit(*row[1:7]) for row in rows if row[0] == "unit" and len(row) == 7 and row[2] != "not-found")
    return Swap(tuple(row[1] for row in rows if row[0] == "swap"), tuple(units))


SWAP = Fact(
    "swap",
    rf"""tail -n +2 /proc/swaps | while read -r name _; do printf 'swap\t%s\n' "$name"; done
units=$(systemctl list-units --all --plain --no-legend --type=swap | awk '{{ print $1 }}'
systemctl list-unit-files --plain --no-legend --type=swap | awk '{{ print $1 }}')
for unit in $(printf '%s\n' $units | sort -u) {" ".join(MAKERS)}; do
  one() {{ systemctl show -p "$1" --value -- "$unit"; }}
  printf 'unit\t%s\t%s\t%s\t%s\t%s\t%s\n' "$unit" "$(one LoadState)" "$(one ActiveState)" "$(one SourcePath)" \
    "$(one UnitFileState)" "$(one FragmentPath)"
done
echo end""",
    _swap,
)


def swap_lines(fstab: str) -> tuple[str, ...]:
    """The lines of fstab that are about swap and count: their third field says so (fstab(5))."""
    return tuple(line for line in fstab.splitlines() if re.match(r"\s*[^#\s]\S*\s+\S+\s+swap(\s|$)", line))
