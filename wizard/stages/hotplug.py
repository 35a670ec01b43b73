"""Whether a running guest has room for one more NIC, from its live XML alone (libvirt, "PCI topology and hotplug")."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, fromstring

PORTS = ("pcie-root-port", "pcie-switch-downstream-port")
"""Each takes one device while the machine runs; libvirt makes no new ones then."""
FIRST_ON_I440FX = 3
"""Slots 0 to 2 of pci.0 are the host bridge's, the chipset's and the graphics card's."""


def has_room(live_xml: str) -> bool:
    """A q35 machine needs an empty PCIe port, an i440fx one a free slot and ACPI."""
    root = fromstring(live_xml)
    return any(_empty_ports(root)) or any(_free_slots(root))


def _empty_ports(root: Element) -> Iterator[int]:
    taken = {bus for bus, _ in _addresses(root)}
    for controller in _controllers(root):
        target = controller.find("target")
        fixed = target is not None and target.get("hotplug") == "off"
        if controller.get("model") in PORTS and not fixed and (bus := int(controller.get("index", "0"))) not in taken:
            yield bus


def _free_slots(root: Element) -> Iterator[int]:
    """Of pci.0; without ACPI QEMU says "Bus 'pci.0' does not support hotplugging"."""
    if root.find("./features/acpi") is None or not any(each.get("model") == "pci-root" for each in _controllers(root)):
        return
    taken = {slot for bus, slot in _addresses(root) if bus == 0}
    yield from (slot for slot in range(FIRST_ON_I440FX, 32) if slot not in taken)


def _controllers(root: Element) -> list[Element]:
    return root.findall("./devices/controller[@type='pci']")


def _addresses(root: Element) -> Iterator[tuple[int, int]]:
    """(bus, slot) of every device; an `<address>` inside a `<source>` is the host's."""
    for device in root.findall("./devices/*"):
        for address in device.findall("./address[@type='pci']"):
            yield int(address.get("bus", "0"), 16), int(address.get("slot", "0"), 16)
