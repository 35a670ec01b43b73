"""The state of systemd units that the checks care about, existing or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class Unit:
    """As `systemctl show` has it: `load` "loaded", "not-found" or "masked"; `active` "active"; `file` "enabled"."""

    load: str = "not-found"
    active: str = "inactive"
    file: str = ""

    @property
    def exists(self) -> bool:
        return self.load != "not-found"

    @property
    def is_active(self) -> bool:
        return self.active in ("active", "activating", "reloading")

    @property
    def is_enabled(self) -> bool:
        return self.file.startswith("enabled")


Units = Mapping[str, Unit]


def _units(output: Output) -> Units:
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in output.text.strip().split("\n\n")]
    if not all("Id" in block for block in blocks):
        raise FactError(output.complaint or "systemctl told nothing")
    return {block["Id"]: Unit(block["LoadState"], block["ActiveState"], block["UnitFileState"]) for block in blocks}


def units(fact_id: str, *names: str) -> Fact[Units]:
    """A fact about these units; a name that is an alias of another appears under the other's name."""
    return Fact(fact_id, f"systemctl show -p Id,LoadState,ActiveState,UnitFileState {' '.join(names)}", _units)


LIBVIRT_UNITS = units("libvirt-units", "libvirtd.service", "libvirtd.socket", "virtqemud.service", "virtqemud.socket")

FIREWALL_UNITS = units("firewall-units", "ufw.service", "firewalld.service", "nftables.service", "docker.service")
