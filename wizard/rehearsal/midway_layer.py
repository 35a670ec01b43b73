"""The midway layer: a hypervisor's disk with the article half done and its guests asleep, to be laid under others.

It is made in a rehearsal of its own: an interrupted one is visible, and can be taken down, like any other.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from wizard.rehearsal import (
    assembly,
    identity,
    image,
    lan,
    machine,
    machines,
    midway_guest,
    midway_host,
    once,
    seed,
    tree,
)
from wizard.rehearsal.commands import failure, run
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.guests import Guest, first
from wizard.rehearsal.machines import Machine
from wizard.rehearsal.once import Say
from wizard.rehearsal.recipe import digest_of
from wizard.rehearsal.record import Boot, Spec
from wizard.rehearsal.runtime import Runtime, cache
from wizard.rehearsal.waiting import until

GUESTS = first(3)
RUNNING = GUESTS[:2]
GUEST_BOOT_LIMIT = 300.0

# In the guest: nothing is left to do when it falls asleep, and little in its memory.
QUIET = "sudo sh -c 'systemctl is-system-running --wait; sync; echo 3 > /proc/sys/vm/drop_caches'"

SLEEP = "".join(f"virsh --quiet managedsave {guest.name}\n" for guest in RUNNING)


def ensure(base: Spec, say: Say) -> Path:
    """The layer for a tree and an image, making it first (some minutes) when the cache has none."""

    def make(layer: Path, _: int) -> None:
        _build(base, layer, say)

    return once.ensure(cache() / "layers" / name(base), "midway layer", make, say)


def name(base: Spec) -> str:
    """Changes with the tree, the image and all that is done here."""
    guests = "".join(midway_guest.script(guest, "KEY") for guest in GUESTS)
    made_of = [Path(base.tree).name, Path(base.image).name, midway_host.recipe(GUESTS), guests]
    made_of += [str(midway_guest.ROOT_MIB), QUIET, SLEEP]
    return f"midway-{base.suite}-{digest_of(made_of)}"


def _build(base: Spec, layer: Path, say: Say) -> None:
    say("Making the midway hypervisor and its guests; this happens once and takes some minutes.")
    runtime = Runtime.named(layer.name)
    building = layer.with_name(f".{layer.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    runtime.directory.mkdir(parents=True, exist_ok=True)
    with runtime.locked():
        spec = replace(base, name=layer.name)
        assembly.wipe(runtime, spec)
        try:
            _play(runtime, spec, building, say)
            _keep(machines.hypervisor(runtime, spec), building)
            building.rename(layer)
        finally:
            shutil.rmtree(building, ignore_errors=True)
            assembly.remove(runtime)


def _play(runtime: Runtime, spec: Spec, building: Path, say: Say) -> None:
    """From an empty disk to a machine that is off, with its guests asleep."""
    hypervisor = machines.hypervisor(runtime, spec)
    identity.ensure(runtime, spec)
    seed.fresh(hypervisor)
    known = [_disk(hypervisor, guest, building / "guest", say) for guest in GUESTS]
    (building / "known_hosts").write_text("".join(known))
    assembly.make(runtime, spec, say)
    with runtime.known_hosts.open("a") as hosts:
        hosts.writelines(known)
    for script in (midway_host.bridge(), midway_host.wireguard(), midway_host.domains(GUESTS)):
        _inside(hypervisor, script)
    for guest in RUNNING:
        say(f"Waiting for {guest.name}.")
        machine.wait_ssh(runtime, GUEST_BOOT_LIMIT, guest.address)
        run(lan.on(runtime.netns, "ssh", "-F", str(runtime.ssh_config), guest.name, QUIET))
    say("Putting the guests to sleep.")
    _inside(hypervisor, f"set -e\n{SLEEP}systemctl --no-block poweroff\n")
    until(lambda: machine.boot_state(hypervisor) is Boot.OFF or None, 60, "The midway hypervisor did not power off")


def _disk(hypervisor: Machine, guest: Guest, work: Path, say: Say) -> str:
    say(f"Installing {guest.name}.")
    place = Path(f"{midway_host.IMAGES}/{guest.name}-installed.qcow2").relative_to("/")
    seed.parents(hypervisor.upper, hypervisor.tree, place)
    key = hypervisor.runtime.key.with_suffix(".pub").read_text()
    return midway_guest.install(tree.ensure(image.RECIPE, say), guest, key, work, hypervisor.upper / place)


def _keep(hypervisor: Machine, building: Path) -> None:
    """The disk and the owner's key, which the guests know; all else is each machine's own."""
    for journal in (hypervisor.upper / "var/log/journal").glob("*"):
        shutil.rmtree(journal)
    hypervisor.upper.rename(building / "upper")
    for key in (hypervisor.runtime.key, hypervisor.runtime.key.with_suffix(".pub")):
        shutil.copy2(key, building / key.name)


def _inside(hypervisor: Machine, script: str) -> None:
    done = machine.inside(hypervisor, script)
    if done.returncode != 0:
        raise RehearsalError(f"In the midway hypervisor, {failure(['sh'], done.returncode, done.stderr)}")
