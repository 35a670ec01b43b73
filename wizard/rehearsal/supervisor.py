"""The wall socket of one machine: boots it, boots it again after a reboot or a power cut, ends after a poweroff.

Started by `machine.switch_on` inside the LAN's network namespace and a mount namespace of its own, detached from
whoever started it. All mounts live in that namespace and end with the last process in it.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from wizard.rehearsal import cgroup, isolated, lan, machines, network
from wizard.rehearsal.commands import environment, run
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.machines import Machine
from wizard.rehearsal.processes import Process
from wizard.rehearsal.record import Boot, Spec, State
from wizard.rehearsal.runtime import Runtime

NOTIFY = "/run/homek8s-notify"
FRUITLESS_BOOTS = 3
THE_LAN = Path("/proc/self/ns/net")


def main(directory: Path, host: str = network.HOSTNAME) -> None:
    """Supervise a machine of the rehearsal in this directory until it is powered off or no longer boots."""
    runtime = Runtime(directory.name, directory)
    spec = Spec.load(runtime.spec)
    assert spec
    machine = machines.find(runtime, spec, host)
    assert machine
    cgroup.join(machine)
    _mount(machine)
    supervise(machine)


def supervise(machine: Machine) -> None:
    """Boot again and again; give up when several boots in a row do not get through."""
    last = State.load(machine.state)
    boots = last.boots if last else 0
    fruitless = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(NOTIFY)
        while fruitless < FRUITLESS_BOOTS:
            boots += 1
            State(Boot.BOOTING, boots, None).save(machine.state)
            status = _boot(machine, notify, boots)
            state = State.load(machine.state)
            if status == 0:
                State(Boot.OFF, boots, None).save(machine.state)
                return
            fruitless = 0 if state and state.boot is Boot.UP else fruitless + 1
    State(Boot.FAILED, boots, None).save(machine.state)


def _mount(machine: Machine) -> None:
    """The machine's disk; a /run of our own, because systemd-nspawn leaves traces there; nobody else's namespaces."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - nsfs " in line:
            with suppress(RehearsalError):  # its rehearsal may be removed at this moment
                run(["umount", line.split()[4]])
    run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
    layers = f"lowerdir={':'.join(machine.trees)},upperdir={machine.upper},workdir={machine.work}"
    run(["mount", "-t", "overlay", "overlay", "-o", layers, str(machine.root)])


def _boot(machine: Machine, notify: socket.socket, boots: int) -> int:
    """One life of the machine, up to its end; gives systemd-nspawn's status (0 poweroff, 133 reboot)."""
    _unplug_leftovers(machine)
    nspawn_environment = environment({"NOTIFY_SOCKET": NOTIFY})
    with (
        subprocess.Popen(_nspawn(machine), stdin=subprocess.DEVNULL, env=nspawn_environment) as nspawn,
        ExitStack() as life,
    ):
        ended = os.pidfd_open(nspawn.pid)
        life.callback(os.close, ended)
        while True:
            ready, _, _ = select.select([notify.fileno(), ended], [], [])
            if notify.fileno() in ready:
                _heed(machine, notify.recv(65536).decode(), boots, life)
            elif ended in ready:
                return nspawn.wait()


def _nspawn(machine: Machine) -> list[str]:
    """setpriv ties systemd-nspawn's life to ours, and systemd-nspawn ties the machine's to its own."""
    cables = [f"--network-veth-extra={network.lan_end(machine.host, nic)}:{nic}" for nic in machine.cables]
    return [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *("systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit", "--boot"),
        *(f"--directory={machine.root}", f"--machine={machine.container}", f"--hostname={machine.host}"),
        *("--private-network", *cables),
        *("--capability=all", "--bind=/dev/net/tun", "--console=pipe", "--notify-ready=yes"),
        *machine.options,
        *(f"--bind={machine.beside(path)}:{path}" for path in machine.plain),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
    ]


def _heed(machine: Machine, message: str, boots: int, life: ExitStack) -> None:
    """systemd-nspawn says when the machine's init runs (its cables exist then), systemd when its boot is done."""
    words = dict(line.partition("=")[::2] for line in message.splitlines())
    state = State.load(machine.state)
    leader = state.leader if state else None
    if "X_NSPAWN_LEADER_PID" in words:
        leader = Process.of(int(words["X_NSPAWN_LEADER_PID"]))
        _plug_in(machine, leader)
        if leader:
            life.enter_context(isolated.standing_by(machine, leader))
        State(Boot.BOOTING, boots, leader).save(machine.state)
    if words.get("READY") == "1":
        State(Boot.UP, boots, leader).save(machine.state)


def _plug_in(machine: Machine, leader: Process | None) -> None:
    for nic, mac in machine.macs.items():
        if leader:
            run(["nsenter", f"--net=/proc/{leader.pid}/ns/net", "--", "ip", "link", "set", nic, "address", mac])
    for nic, switch in machine.cables.items():
        end = network.lan_end(machine.host, nic)
        run(["ip", "link", "set", end, "master", switch])
        if not machine.cut(nic).exists():
            run(["ip", "link", "set", end, "up"])


def _unplug_leftovers(machine: Machine) -> None:
    """The kernel removes a dead machine's interfaces in its own time; the next boot needs their names now."""
    for nic in machine.cables:
        lan.delete(THE_LAN, network.lan_end(machine.host, nic))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
