"""The guests on a running hypervisor: which of them run, and which answer."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.rehearsal import machine
from wizard.rehearsal.guests import Guest
from wizard.rehearsal.machines import Machine
from wizard.rehearsal.record import Boot

RUNNING = "virsh -c qemu:///system list --name"
# libvirt starts those marked for autostart before it answers; the others wait to be told.
ASLEEP = "virsh -c qemu:///system list --inactive --with-managed-save --name"
WAKE_LIMIT = 240.0


def boot_states(hypervisor: Machine, guests: Sequence[Guest]) -> list[Boot]:
    """How far each guest has come: up when its sshd greets the LAN, off when libvirt knows no running domain."""
    if not guests or machine.boot_state(hypervisor) is not Boot.UP:
        return [Boot.OFF for _ in guests]
    running = machine.inside(hypervisor, RUNNING).stdout.split()
    return [_boot_state(hypervisor, guest) if guest.name in running else Boot.OFF for guest in guests]


def wake(hypervisor: Machine, guests: Sequence[Guest]) -> None:
    """Go on with guests that were put to sleep (`virsh managedsave`), and wait until all that run answer."""
    asleep = [guest for guest in guests if guest.name in machine.inside(hypervisor, ASLEEP).stdout.split()]
    if not asleep:
        return
    for guest in asleep:
        machine.inside(hypervisor, f"virsh -c qemu:///system start {guest.name}")
    running = machine.inside(hypervisor, RUNNING).stdout.split()
    for guest in (guest for guest in guests if guest.name in running):
        machine.wait_ssh(hypervisor.runtime, WAKE_LIMIT, guest.address)


def _boot_state(hypervisor: Machine, guest: Guest) -> Boot:
    return Boot.UP if machine.greets(hypervisor.runtime.netns, guest.address) else Boot.BOOTING
