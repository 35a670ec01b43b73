"""The guests on a running hypervisor: which of them run, and which answer."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.rehearsal import machine
from wizard.rehearsal.guests import Guest
from wizard.rehearsal.record import Boot
from wizard.rehearsal.runtime import Runtime
from wizard.rehearsal.waiting import until


def boot_states(runtime: Runtime, guests: Sequence[Guest]) -> list[Boot]:
    """How far each guest has come: up when its sshd greets the LAN, off when libvirt knows no running domain."""
    if not guests or machine.boot_state(runtime) is not Boot.UP:
        return [Boot.OFF for _ in guests]
    running = machine.inside(runtime, "virsh -c qemu:///system list --name").stdout.split()
    return [_boot_state(runtime, guest) if guest.name in running else Boot.OFF for guest in guests]


def wait_ssh(runtime: Runtime, guest: Guest, limit: float) -> None:
    """Wait until the guest's sshd greets a connection from the LAN."""
    until(lambda: machine.greets(runtime.netns, guest.address), limit, f"SSH on {guest.address} did not answer")


def _boot_state(runtime: Runtime, guest: Guest) -> Boot:
    return Boot.UP if machine.greets(runtime.netns, guest.address) else Boot.BOOTING
