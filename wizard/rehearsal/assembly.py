"""All parts of one rehearsal, made in order, and removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from wizard.rehearsal import cluster_file, domains, identity, lan, machine, machines, network, pod_network, seed
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.once import Say
from wizard.rehearsal.record import Spec
from wizard.rehearsal.runtime import Runtime, write


def make(files: Runtime, spec: Spec, say: Say) -> None:
    """Every part completes what is there, so a second try after an interruption goes on where the first ended."""
    for needed in filter(None, (spec.tree, spec.image, spec.layer, spec.node_tree, spec.kit)):
        if not Path(needed).exists():
            raise RehearsalError(f"{needed} is gone: take {spec.name} down and bring it up again.")
    spec.save(files.spec)
    identity.ensure(files, spec)
    if not files.cluster_file.exists():
        write(files.cluster_file, cluster_file.text(spec))
    if spec.nodes and not files.pod_network.exists():
        write(files.pod_network, pod_network.manifest())
    lan.ensure(files, spec)
    every = machines.every(files, spec)
    say(f"Booting {', '.join(each.called for each in every)}.")
    machine.ensure(every)
    for each in every:
        if not any(each.cut(nic).exists() for nic in each.nics):
            machine.wait_ssh(files, 90, each.address)
            if each.host == network.HOSTNAME:
                domains.wake(each, spec.named_guests)
    say(f"Rehearsal {spec.name} is running ({spec}).")


def wipe(files: Runtime, spec: Spec) -> None:
    """Back to what it was before the first boot, less the keys and the password."""
    for each in machines.every(files, spec):
        machine.end(each)
        seed.wipe(each)
        for nic in each.cables:
            each.cut(nic).unlink(missing_ok=True)
    lan.remove(files)
    for left in (files.cluster_file, files.pod_network):
        left.unlink(missing_ok=True)


def remove(files: Runtime) -> None:
    """Every trace of it, of a half-made one too."""
    spec = Spec.load(files.spec)
    for each in machines.every(files, spec) if spec else ():
        machine.end(each)
    lan.remove(files)
    shutil.rmtree(files.directory)
