"""All parts of one rehearsal, made in order, and removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from wizard.rehearsal import cluster_file, domains, identity, lan, machine, network
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.once import Say
from wizard.rehearsal.record import Spec
from wizard.rehearsal.runtime import Runtime, write


def make(files: Runtime, spec: Spec, say: Say) -> None:
    """Every part completes what is there, so a second try after an interruption goes on where the first ended."""
    for needed in filter(None, (spec.tree, spec.image, spec.layer)):
        if not Path(needed).exists():
            raise RehearsalError(f"{needed} is gone: take {spec.name} down and bring it up again.")
    spec.save(files.spec)
    identity.ensure(files, spec)
    if not files.cluster_file.exists():
        write(files.cluster_file, cluster_file.text(spec))
    lan.ensure(files)
    say("Booting the hypervisor.")
    machine.ensure(files, spec)
    if not any(files.cut(nic).exists() for nic in network.NICS):
        machine.wait_ssh(files, 90)
        domains.wake(files, spec.named_guests)
    say(f"Rehearsal {spec.name} is running ({spec}).")


def wipe(files: Runtime) -> None:
    """Back to what it was before the first boot, less the keys and the password."""
    machine.end(files)
    machine.wipe(files)
    lan.remove(files)
    for left in (files.cluster_file, *map(files.cut, network.NICS)):
        left.unlink(missing_ok=True)


def remove(files: Runtime) -> None:
    """Every trace of it."""
    machine.end(files)
    lan.remove(files)
    shutil.rmtree(files.directory)
