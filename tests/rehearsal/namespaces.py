"""Network namespaces in the hypervisor: small machines on a bridge, where no guest is needed."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable

from wizard.rehearsal import Rehearsal

Shell = Callable[[str], str]
"""Runs a sh script somewhere and returns its output; a failure raises."""


def join(machine: Rehearsal, bridge: str, name: str, address: str) -> None:
    """Make a namespace whose eth0 is on the bridge with this address (with prefix); at most 13 letters of name."""
    machine.inside(
        f"set -e; ip netns add {name}\n"
        f"ip link add {name}-b type veth peer name eth0 netns {name}\n"
        f"ip link set {name}-b master {bridge} up\n"
        f"ip -n {name} address add {address} dev eth0\n"
        f"ip -n {name} link set lo up; ip -n {name} link set eth0 up"
    )


def leave(machine: Rehearsal, name: str) -> None:
    """Remove the namespace, and its cable with it."""
    machine.inside(f"ip netns delete {name}")


def within(machine: Rehearsal, name: str) -> Shell:
    """A shell in a namespace of the hypervisor, as root."""
    return lambda script: machine.inside(f"nsenter --net=/run/netns/{name} sh -c {shlex.quote(script)}")


def over_ssh(machine: Rehearsal, host: str) -> Shell:
    """A shell on the hypervisor or a guest, as the owner, from the LAN."""

    def run(script: str) -> str:
        done = subprocess.run(machine.ssh(script, host=host), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"on {host}: {script}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run
