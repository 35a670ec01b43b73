"""The nodes' second NICs: cables to the hypervisor, plugged into its isolated bridge whenever that is there.

libvirt makes the bridge when the wizard has asked for it, and it is gone after each reboot until libvirt runs again: so
somebody stands by, for as long as the hypervisor's network lives.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from wizard.rehearsal import network
from wizard.rehearsal.commands import environment
from wizard.rehearsal.machines import Machine
from wizard.rehearsal.processes import Process

# The monitor runs before the first look, so nothing is missed; each thing that happens to a link is a reason to look.
STAND_BY = r"""
bridge=$1
shift
plug_in() {
  [ -n "$(ip -o link show dev "$bridge" type bridge 2>/dev/null)" ] || return 0
  for nic; do
    case $(ip -o link show dev "$nic") in
      *" master $bridge "*) ;;
      *) ip link set dev "$nic" master "$bridge" up ;;
    esac
  done
}
{ echo; exec ip -o monitor link; } | while read -r _; do plug_in "$@"; done
"""


@contextmanager
def standing_by(machine: Machine, leader: Process) -> Iterator[None]:
    """Keep the cables of nodes plugged in while the machine with this init runs; nothing happens without nodes."""
    nics = [nic for nic in machine.cables if nic not in machine.nics]
    if machine.host != network.HOSTNAME or not nics:
        yield
        return
    inside = ["nsenter", f"--net=/proc/{leader.pid}/ns/net", "--"]
    argv = ["setpriv", "--pdeathsig", "KILL", "--", *inside, "sh", "-c", STAND_BY, "sh", network.ISOLATED_BRIDGE, *nics]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=environment(), start_new_session=True) as watcher:
        try:
            yield
        finally:
            # All of it: whoever is left in there keeps a dead machine's network, and the cables' names with it.
            os.killpg(watcher.pid, signal.SIGKILL)
