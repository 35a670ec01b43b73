"""A machine itself: start, end, look inside, reboot."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from wizard.rehearsal import cgroup, lan, namespace, network, seed
from wizard.rehearsal.commands import failure
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.machines import Machine
from wizard.rehearsal.processes import Process, start
from wizard.rehearsal.record import Boot, State
from wizard.rehearsal.runtime import Runtime
from wizard.rehearsal.waiting import until

# systemd gives a service 90 s to stop; the next boot takes a few.
BOOT_LIMIT = 180.0


def boot_state(machine: Machine) -> Boot:
    """What the supervisor wrote last, if it still lives; a machine without one is no longer looked after."""
    supervisor = Process.recorded(machine.supervisor)
    state = State.load(machine.state)
    if supervisor is None or not supervisor.alive:
        return Boot.FAILED if state and state.boot is Boot.FAILED else Boot.OFF
    return state.boot if state else Boot.BOOTING


def ensure(machines: Sequence[Machine]) -> None:
    """Switch on those that are off, all at once, and wait until their boots have finished."""
    for machine in machines:
        if boot_state(machine) in (Boot.OFF, Boot.FAILED):
            _switch_on(machine)
    for machine in machines:
        _wait_up(machine, 1)


def end(machine: Machine) -> None:
    """Pull the plug and keep it pulled; the machine's disk stays."""
    state = State.load(machine.state)
    supervisor = Process.recorded(machine.supervisor)
    for process in (supervisor, state.leader if state else None):
        if process:
            process.end()
    cgroup.remove(machine)


def inside(machine: Machine, script: str) -> subprocess.CompletedProcess[str]:
    """Run a sh script as root in the machine, entering its init's namespaces: no network, no SSH, no sudo involved."""
    argv = ["nsenter", f"--target={_leader(machine).pid}", "--mount", "--uts", "--ipc", "--net", "--pid"]
    argv += ["--root", "--wd", "--", "env", "--ignore-environment", "LC_ALL=C.UTF-8", "HOME=/root"]
    argv += ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        while True:
            try:
                out, err = process.communicate(timeout=1)
                return subprocess.CompletedProcess(argv, process.returncode, out, err)
            except subprocess.TimeoutExpired:
                # A machine that goes down stops all that runs in it for a moment before it ends it; nsenter(1) stops
                # with its child, and would stay so.
                process.send_signal(signal.SIGCONT)


def reboot(machine: Machine, power: bool) -> None:
    """Restart the machine, through systemd or by cutting its power, and wait until the next boot has finished."""
    state = State.load(machine.state)
    before = state.boots if state else 0
    if power:
        _leader(machine).end()
    else:
        done = inside(machine, "systemctl reboot")
        # Its own death in the reboot that it started is no failure.
        if done.returncode not in (0, -signal.SIGKILL, 128 + signal.SIGKILL):
            raise RehearsalError(failure(["systemctl", "reboot"], done.returncode, done.stderr))
    _wait_up(machine, before + 1)


def wait_ssh(runtime: Runtime, limit: float, address: str = network.HYPERVISOR) -> None:
    """Wait until the sshd with this address greets a connection from the LAN."""
    until(lambda: greets(runtime.netns, address), limit, f"SSH on {address} did not answer")


def greets(netns: Path, address: str) -> bool | None:
    """True when an sshd on the LAN says hello within a second or so, None when not: made for `until`."""
    try:
        with namespace.entered(netns), socket.create_connection((address, 22), timeout=1) as connection:
            return True if connection.recv(256).startswith(b"SSH-") else None
    except OSError:
        return None


def _switch_on(machine: Machine) -> None:
    end(machine)
    if not machine.work.is_dir():
        seed.fresh(machine)
    machine.state.unlink(missing_ok=True)
    _supervise(machine)


def _supervise(machine: Machine) -> None:
    module = Path(__file__).resolve()
    argv = lan.on(machine.runtime.netns, "unshare", "--mount", "--propagation=private", "--", sys.executable)
    argv += ["-m", "wizard.rehearsal.supervisor", str(machine.runtime.directory), machine.host]
    search = os.pathsep.join(filter(None, [str(module.parents[2]), os.environ.get("PYTHONPATH")]))
    start(argv, machine.supervisor, machine.log, {"PYTHONPATH": search})


def _wait_up(machine: Machine, boots: int) -> None:
    try:
        until(lambda: _arrived(machine, boots), BOOT_LIMIT, f"{_named(machine)} did not finish booting")
    except RehearsalError as error:
        log = machine.log
        tail = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        raise RehearsalError("\n".join([str(error), f"The end of {log}:", *(f"    {line}" for line in tail)])) from None


def _arrived(machine: Machine, boots: int) -> bool | None:
    boot = boot_state(machine)
    if boot in (Boot.OFF, Boot.FAILED):
        raise RehearsalError(f"{_named(machine)} is off: it was powered off, or did not come through its boot.")
    state = State.load(machine.state)
    return True if boot is Boot.UP and state and state.boots >= boots else None


def _leader(machine: Machine) -> Process:
    state = State.load(machine.state)
    if state is None or state.leader is None or not state.leader.alive:
        raise RehearsalError(f"{_named(machine)} of rehearsal {machine.runtime.name} is not running.")
    return state.leader


def _named(machine: Machine) -> str:
    """At the beginning of a sentence; a node's name stays as it is."""
    return machine.called[0].upper() + machine.called[1:] if " " in machine.called else machine.called
