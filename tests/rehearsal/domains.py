"""Disk-less domains: 64 MiB, emulated, with any NICs; enough for whatever only touches libvirt's XML."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from wizard.rehearsal import Rehearsal

VIRSH = "virsh --quiet --connect qemu:///system"

SOURCES = {
    "network": "<source network='{0}'/>",
    "bridge": "<source bridge='{0}'/>",
    "direct": "<source dev='{0}' mode='bridge'/>",
}

# q35, because only its ports take a NIC while the domain runs; two of them stay free.
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>{ports}{nics}</devices>
</domain>
"""
PORTS = "<controller type='pci' model='pcie-root'/>" + "<controller type='pci' model='pcie-root-port'/>" * 5


def define(machine: Rehearsal, name: str, nics: Sequence[tuple[str, str]] = (), *, start: bool = True) -> list[str]:
    """Define a domain with NICs such as ("network", "vxlan10-bridge"), ("bridge", "br0") or ("direct", "enp4s0").

    It is started unless told otherwise (a macvtap one cannot be, in a container). Gives its MACs.
    """
    text = DOMAIN.format(name=name, ports=PORTS, nics="".join(_nic(kind, source) for kind, source in nics))
    machine.inside(f"cat > /run/{name}.xml <<'END'\n{text}END\n{VIRSH} define /run/{name}.xml")
    if start:
        machine.inside(f"{VIRSH} start {name}")
    return macs(machine, name)


def macs(machine: Rehearsal, name: str, *, inactive: bool = True) -> list[str]:
    """The MACs of a domain's NICs, in order: as it will have them at its next start, or has them now."""
    shown = machine.inside(f"{VIRSH} dumpxml {name} {'--inactive' if inactive else ''}")
    found = ElementTree.fromstring(shown).findall("./devices/interface/mac")
    return [mac.attrib["address"] for mac in found]


def _nic(kind: str, source: str) -> str:
    return f"<interface type='{kind}'>{SOURCES[kind].format(source)}<model type='virtio'/></interface>"
