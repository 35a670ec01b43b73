"""The wall socket of one machine: boots it, boots it again after a reboot or a power cut, ends after a poweroff.

Started by `machine.start` inside the LAN's network namespace and a mount namespace of its own, detached from
whoever started it. All mounts live in that namespace and end with the last process in it.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from wizard.rehearsal import cgroup, image, lan, network
from wizard.rehearsal.commands import environment, run
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.processes import Process
from wizard.rehearsal.record import Boot, Spec, State
from wizard.rehearsal.runtime import Runtime

NOTIFY = "/run/homek8s-notify"
FRUITLESS_BOOTS = 3
THE_LAN = Path("/proc/self/ns/net")


def main(directory: Path) -> None:
    """Supervise the machine described in this runtime directory until it is powered off or no longer boots."""
    runtime = Runtime(directory.name, directory)
    spec = Spec.load(runtime.spec)
    assert spec
    cgroup.join(runtime)
    _mount(runtime, spec)
    supervise(runtime, spec)


def supervise(runtime: Runtime, spec: Spec) -> None:
    """Boot again and again; give up when several boots in a row do not get through."""
    last = State.load(runtime.state)
    boots = last.boots if last else 0
    fruitless = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(NOTIFY)
        while fruitless < FRUITLESS_BOOTS:
            boots += 1
            State(Boot.BOOTING, boots, None).save(runtime.state)
            status = _boot(runtime, spec, notify, boots)
            state = State.load(runtime.state)
            if status == 0:
                State(Boot.OFF, boots, None).save(runtime.state)
                return
            fruitless = 0 if state and state.boot is Boot.UP else fruitless + 1
    State(Boot.FAILED, boots, None).save(runtime.state)


def _mount(runtime: Runtime, spec: Spec) -> None:
    """The machine's disk; a /run of our own, because systemd-nspawn leaves traces there; nobody else's namespaces."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - nsfs " in line:
            with suppress(RehearsalError):  # its rehearsal may be removed at this moment
                run(["umount", line.split()[4]])
    run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
    lower = ":".join(filter(None, [spec.layer and f"{spec.layer}/upper", spec.tree]))
    layers = f"lowerdir={lower},upperdir={runtime.upper},workdir={runtime.work}"
    run(["mount", "-t", "overlay", "overlay", "-o", layers, str(runtime.root)])


def _boot(runtime: Runtime, spec: Spec, notify: socket.socket, boots: int) -> int:
    """One life of the machine, up to its end; gives systemd-nspawn's status (0 poweroff, 133 reboot)."""
    _unplug_leftovers()
    with subprocess.Popen(
        _nspawn(runtime, spec), stdin=subprocess.DEVNULL, env=environment({"NOTIFY_SOCKET": NOTIFY})
    ) as nspawn:
        ended = os.pidfd_open(nspawn.pid)
        try:
            while True:
                ready, _, _ = select.select([notify.fileno(), ended], [], [])
                if notify.fileno() in ready:
                    _heed(runtime, notify.recv(65536).decode(), boots)
                elif ended in ready:
                    return nspawn.wait()
        finally:
            os.close(ended)


def _nspawn(runtime: Runtime, spec: Spec) -> list[str]:
    """setpriv ties systemd-nspawn's life to ours, and systemd-nspawn ties the machine's to its own."""
    cables = [f"--network-veth-extra={network.lan_end(nic)}:{nic}" for nic in network.NICS]
    return [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *("systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit", "--boot"),
        *(f"--directory={runtime.root}", f"--machine=rehearsal-{runtime.name}", f"--hostname={network.HOSTNAME}"),
        *("--private-network", *cables),
        *("--capability=all", "--bind=/dev/net/tun", "--console=pipe", "--notify-ready=yes"),
        *([f"--bind-ro={spec.image}:{image.INSIDE}"] if spec.image else []),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
    ]


def _heed(runtime: Runtime, message: str, boots: int) -> None:
    """systemd-nspawn says when the machine's init runs (its cables exist then), systemd when its boot is done."""
    words = dict(line.partition("=")[::2] for line in message.splitlines())
    state = State.load(runtime.state)
    leader = state.leader if state else None
    if "X_NSPAWN_LEADER_PID" in words:
        leader = Process.of(int(words["X_NSPAWN_LEADER_PID"]))
        _plug_in(runtime)
        State(Boot.BOOTING, boots, leader).save(runtime.state)
    if words.get("READY") == "1":
        State(Boot.UP, boots, leader).save(runtime.state)


def _plug_in(runtime: Runtime) -> None:
    for nic in network.NICS:
        run(["ip", "link", "set", network.lan_end(nic), "master", network.BRIDGE])
        if not runtime.cut(nic).exists():
            run(["ip", "link", "set", network.lan_end(nic), "up"])


def _unplug_leftovers() -> None:
    """The kernel removes a dead machine's interfaces in its own time; the next boot needs their names now."""
    for nic in network.NICS:
        lan.delete(THE_LAN, network.lan_end(nic))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
