"""The hypervisor itself: start, end, look inside, reboot."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from wizard.rehearsal import cgroup, lan, namespace, network, seed
from wizard.rehearsal.commands import failure
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.processes import Process, start
from wizard.rehearsal.record import Boot, Spec, State
from wizard.rehearsal.runtime import Runtime
from wizard.rehearsal.waiting import until

# systemd gives a service 90 s to stop; the next boot takes a few.
BOOT_LIMIT = 180.0


def boot_state(runtime: Runtime) -> Boot:
    """What the supervisor wrote last, if it still lives; a machine without one is no longer looked after."""
    supervisor = Process.recorded(runtime.process("supervisor"))
    state = State.load(runtime.state)
    if supervisor is None or not supervisor.alive:
        return Boot.FAILED if state and state.boot is Boot.FAILED else Boot.OFF
    return state.boot if state else Boot.BOOTING


def ensure(runtime: Runtime, spec: Spec) -> None:
    """Switch the machine on if it is off, and wait until its boot has finished."""
    if boot_state(runtime) in (Boot.OFF, Boot.FAILED):
        end(runtime)
        if not runtime.work.is_dir():
            seed.fresh(runtime, spec)
        runtime.state.unlink(missing_ok=True)
        _supervise(runtime)
    _wait_up(runtime, 1)


def end(runtime: Runtime) -> None:
    """Pull the plug and keep it pulled; the machine's disk stays."""
    state = State.load(runtime.state)
    supervisor = Process.recorded(runtime.process("supervisor"))
    for process in (supervisor, state.leader if state else None):
        if process:
            process.end()
    cgroup.remove(runtime)


def wipe(runtime: Runtime) -> None:
    """Forget the machine's disk; the next start makes a fresh one."""
    shutil.rmtree(runtime.work, ignore_errors=True)
    shutil.rmtree(runtime.upper, ignore_errors=True)


def inside(runtime: Runtime, script: str) -> subprocess.CompletedProcess[str]:
    """Run a sh script as root in the machine, entering its init's namespaces: no network, no SSH, no sudo involved."""
    argv = ["nsenter", f"--target={_leader(runtime).pid}", "--mount", "--uts", "--ipc", "--net", "--pid"]
    argv += ["--root", "--wd", "--", "env", "--ignore-environment", "LC_ALL=C.UTF-8", "HOME=/root"]
    argv += ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", script]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def reboot(runtime: Runtime, power: bool) -> None:
    """Restart the machine, through systemd or by cutting its power, and wait until the next boot has finished."""
    state = State.load(runtime.state)
    before = state.boots if state else 0
    if power:
        _leader(runtime).end()
    else:
        done = inside(runtime, "systemctl reboot")
        # Its own death in the reboot that it started is no failure.
        if done.returncode not in (0, -signal.SIGKILL, 128 + signal.SIGKILL):
            raise RehearsalError(failure(["systemctl", "reboot"], done.returncode, done.stderr))
    _wait_up(runtime, before + 1)


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


def _supervise(runtime: Runtime) -> None:
    module = Path(__file__).resolve()
    argv = lan.on(runtime.netns, "unshare", "--mount", "--propagation=private", "--", sys.executable)
    argv += ["-m", "wizard.rehearsal.supervisor", str(runtime.directory)]
    search = os.pathsep.join(filter(None, [str(module.parents[2]), os.environ.get("PYTHONPATH")]))
    start(argv, runtime.process("supervisor"), runtime.log("supervisor"), {"PYTHONPATH": search})


def _wait_up(runtime: Runtime, boots: int) -> None:
    try:
        until(lambda: _arrived(runtime, boots), BOOT_LIMIT, "The hypervisor did not finish booting")
    except RehearsalError as error:
        log = runtime.log("supervisor")
        tail = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        raise RehearsalError("\n".join([str(error), f"The end of {log}:", *(f"    {line}" for line in tail)])) from None


def _arrived(runtime: Runtime, boots: int) -> bool | None:
    boot = boot_state(runtime)
    if boot in (Boot.OFF, Boot.FAILED):
        raise RehearsalError("The hypervisor is off: it was powered off, or did not come through its boot.")
    state = State.load(runtime.state)
    return True if boot is Boot.UP and state and state.boots >= boots else None


def _leader(runtime: Runtime) -> Process:
    state = State.load(runtime.state)
    if state is None or state.leader is None or not state.leader.alive:
        raise RehearsalError(f"The hypervisor of rehearsal {runtime.name} is not running.")
    return state.leader
