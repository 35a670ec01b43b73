"""A control group of its own for each machine.

Containers started from one group would share one `payload` group, and each would see the other's services in it.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

from wizard.rehearsal.machines import Machine
from wizard.rehearsal.waiting import until


def join(machine: Machine) -> None:
    """Put this process, and so all that it starts, into the machine's group."""
    for group in _groups(machine):
        group.mkdir(exist_ok=True)
        _give_processors(group)
        (group / "cgroup.procs").write_text(str(os.getpid()))


def remove(machine: Machine) -> None:
    """Kill what is left in the group, which is the machine's alone, then remove it and all below it."""
    groups = _groups(machine)
    # Only the unified hierarchy has it (Linux 5.14): no pid is named, so none can be the wrong one.
    for switch in (group / "cgroup.kill" for group in groups):
        if switch.exists():
            switch.write_text("1")
    for group in groups:
        until(partial(_removed, group), 10, f"The control group {group} did not become empty")


def _groups(machine: Machine) -> list[Path]:
    """One per hierarchy: the unified one, and beside it, on older hosts, systemd's own and one for each controller."""
    tag = hashlib.sha256(str(machine.directory).encode()).hexdigest()[:8]
    return [hierarchy / f"homek8s-{machine.runtime.name}-{tag}" for hierarchy in _hierarchies()]


def _hierarchies() -> list[Path]:
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            found.append(Path(place))
    return found


def _give_processors(group: Path) -> None:
    """A new group of the old cpuset controller has none, and takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (group / name).exists() and "cpuset" in group.parent.name:
            (group / name).write_text((group.parent / name).read_text())


def _removed(group: Path) -> bool | None:
    """A group stays busy for a moment after its last process was killed."""
    for directory, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return True
