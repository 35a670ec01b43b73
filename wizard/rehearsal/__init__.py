"""A throwaway hypervisor on this machine: real systemd, sshd, networkd, libvirtd and ufw on a LAN of its own."""

from wizard.rehearsal.error import BadRequest, RehearsalError
from wizard.rehearsal.recipe import SUITES
from wizard.rehearsal.record import Boot
from wizard.rehearsal.rehearsal import Host, Rehearsal, RehearsalStatus
from wizard.rehearsal.runtime import existing

__all__ = [
    "SUITES",
    "BadRequest",
    "Boot",
    "Host",
    "Rehearsal",
    "RehearsalError",
    "RehearsalStatus",
    "existing",
]
