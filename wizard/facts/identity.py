"""Who a machine is: what must differ between any two nodes of a cluster (kubernetes.io, install-kubeadm)."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.facts.system import pairs
from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class Identity:
    """As the machine itself says; seen as root, so it proves that sudo works."""

    hostname: str
    machine_id: str
    """machine-id(5); empty where there is none."""
    product_uuid: str
    """From the firmware, lower case; libvirt gives a guest its domain's uuid. Empty where there is none."""
    boot_id: str
    macs: tuple[str, ...]
    """Of its network cards; bridges, bonds and pods' links are left out."""


def _identity(output: Output) -> Identity:
    found = pairs(output)
    if found["uid"] != "0":
        raise FactError("the commands did not run as root")
    uuid = found["uuid"].lower()
    return Identity(found["hostname"], found["machine"], uuid, found["boot"], tuple(found["macs"].lower().split()))


IDENTITY = Fact(
    "identity",
    "echo uid=$(id -u); echo hostname=$(cat /proc/sys/kernel/hostname); "
    "echo machine=$(cat /etc/machine-id 2>/dev/null); "
    "echo uuid=$(cat /sys/class/dmi/id/product_uuid 2>/dev/null); echo boot=$(cat /proc/sys/kernel/random/boot_id); "
    'echo macs=$(for nic in /sys/class/net/*/device; do cat "${nic%/device}/address" 2>/dev/null; done)',
    _identity,
)
