"""Network namespaces in the hypervisor: small machines on a bridge, where no guest is needed."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from wizard.rehearsal import Rehearsal

Shell = Callable[[str], str]
"""Runs a sh script somewhere and returns its output; a failure raises."""


@dataclass(frozen=True)
class Pair:
    """Two of them on one bridge."""

    bridge: str
    names: tuple[str, str]
    addresses: tuple[str, str]


ON_BR0 = Pair("br0", ("peer0", "peer1"), ("192.168.182.140", "192.168.182.141"))
ON_ISOLATED = Pair("kube-isolated", ("iso0", "iso1"), ("192.168.190.140", "192.168.190.141"))


def join_pair(machine: Rehearsal, pair: Pair) -> None:
    for name, address in zip(pair.names, pair.addresses, strict=True):
        join(machine, pair.bridge, name, f"{address}/64 nodad" if ":" in address else f"{address}/24")


def leave(machine: Rehearsal, pair: Pair) -> None:
    """Remove both, and their cables with them."""
    for name in pair.names:
        machine.inside(f"ip netns delete {name}")


def join(machine: Rehearsal, bridge: str, name: str, address: str) -> None:
    """Make a namespace whose eth0 is on the bridge with this address (with prefix); at most 13 letters of name."""
    machine.inside(
        f"set -e; ip netns add {name}\n"
        f"ip link add {name}-b type veth peer name eth0 netns {name}\n"
        f"ip link set {name}-b master {bridge} up\n"
        f"ip -n {name} address add {address} dev eth0\n"
        f"ip -n {name} link set lo up; ip -n {name} link set eth0 up"
    )


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
