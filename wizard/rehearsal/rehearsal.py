"""One throwaway hypervisor on a LAN of its own, from nothing to nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wizard.rehearsal import (
    assembly,
    domains,
    image,
    kubernetes,
    lan,
    machine,
    machines,
    midway_layer,
    namespace,
    network,
    requirements,
    tree,
)
from wizard.rehearsal.commands import environment, failure
from wizard.rehearsal.error import BadRequest, RehearsalError
from wizard.rehearsal.guests import first
from wizard.rehearsal.machines import Machine
from wizard.rehearsal.node_recipe import NodeRecipe
from wizard.rehearsal.once import Say
from wizard.rehearsal.recipe import SUITES, Recipe
from wizard.rehearsal.record import Boot, Spec
from wizard.rehearsal.runtime import Runtime

MADE_THERE = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
"""A guest that somebody makes in a rehearsal has a key that nobody knew before."""


@dataclass(frozen=True)
class Host:
    """A machine on the rehearsal's LAN that answers SSH."""

    name: str
    address: str
    user: str
    boot: Boot


@dataclass(frozen=True)
class RehearsalStatus:
    """Where everything of a rehearsal is. `netns` is for `nsenter --net=`."""

    name: str
    suite: str
    bare: bool
    midway: bool
    netns: Path
    cluster_file: Path
    ssh_config: Path
    known_hosts: Path
    key: Path
    password_file: Path
    log: Path
    hosts: tuple[Host, ...]


def _silent(_: str) -> None:
    pass


class Rehearsal:
    """A rehearsal by name. Making the object touches nothing; several names live side by side."""

    def __init__(self, name: str = "default") -> None:
        self.name = name
        self._runtime = Runtime.named(name)

    def up(
        self,
        suite: str | None = None,
        bare: bool | None = None,
        say: Say = _silent,
        *,
        guests: int | None = None,
        midway: bool | None = None,
        nodes: int | None = None,
    ) -> None:
        """Bring it up, or complete what is missing; None means as it is (a new one: bookworm, full, nothing on it)."""
        known = Spec.load(self._runtime.spec)
        if known:
            self._must_be(known, suite=suite, bare=bare, guests=guests, midway=midway, nodes=nodes)
        if known and self._running(known):
            say(f"Rehearsal {self.name} is already running ({known}).")
            return
        if midway and (bare or guests):
            raise BadRequest("A midway hypervisor has libvirt and its three guests already: ask for neither.")
        if nodes and (midway or guests):
            raise BadRequest("Guests and nodes have the same names and addresses: ask for one of the two.")
        requirements.demand()
        spec = known or self._new(Recipe(suite or SUITES[0], bool(bare)), guests or 0, nodes or 0, bool(midway), say)
        if spec.nodes:
            requirements.make_room(say)
        self._runtime.directory.mkdir(parents=True, exist_ok=True)
        with self._locked():
            assembly.make(self._runtime, spec, say)

    def down(self) -> bool:
        """Remove every trace of it; gives False when there was none."""
        with self._runtime.locked() as exists:
            if exists:
                assembly.remove(self._runtime)
            return exists

    def reset(self) -> None:
        """Fresh disk, LAN and cluster.yaml, same name, keys and password: what tests use between scenarios."""
        spec = self._spec()
        with self._locked():
            assembly.wipe(self._runtime, spec)
            assembly.make(self._runtime, spec, _silent)

    def status(self) -> RehearsalStatus | None:
        """Where everything is and how far the boot has come; None when there is no such rehearsal."""
        spec = Spec.load(self._runtime.spec)
        if spec is None:
            return None
        files = self._runtime
        return RehearsalStatus(
            name=self.name,
            suite=spec.suite,
            bare=spec.bare,
            midway=spec.midway,
            netns=files.netns,
            cluster_file=files.cluster_file,
            ssh_config=files.ssh_config,
            known_hosts=files.known_hosts,
            key=files.key,
            password_file=files.password_file,
            log=files.log("supervisor"),
            hosts=_hosts(files, spec),
        )

    def on_lan(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` on the LAN, as the owner's laptop."""
        self._spec()
        return lan.on(self._runtime.netns, *argv)

    def run_on_lan(self, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run a command on the LAN, as the owner's laptop; options are those of subprocess.run."""
        options.setdefault("env", environment())
        return subprocess.run(self.on_lan(argv), check=options.pop("check", False), **options)

    def ssh(self, *command: str, host: str = network.HOSTNAME) -> list[str]:
        """The command that runs `command`, or a shell, on a host as the owner, over SSH from the LAN."""
        spec = self._spec()
        made_there = not spec.midway and machines.find(self._runtime, spec, host) is None
        trust = MADE_THERE if made_there else ()
        return self.on_lan(["ssh", "-F", str(self._runtime.ssh_config), *trust, host, *command])

    @contextmanager
    def lan(self) -> Iterator[None]:
        """Put the current thread, and threads started by it, on the LAN: sockets made meanwhile stay there."""
        self._spec()
        with namespace.entered(self._runtime.netns):
            yield

    def inside(self, script: str, *, check: bool = True, host: str = network.HOSTNAME) -> str:
        """Run a sh script as root in the hypervisor or a node, bypassing its network, and return its output."""
        there = self._machine(host)
        done = machine.inside(there, script)
        if check and done.returncode != 0:
            raise RehearsalError(f"In {there.called}, {failure(['sh', '-c', script], done.returncode, done.stderr)}")
        return done.stdout

    def cut(self, nics: Sequence[str] = (), *, host: str = network.HOSTNAME) -> None:
        """Cut the cables of these NICs, or of all on the LAN. They stay cut, over reboots too, until `restore`."""
        there = self._machine(host)
        for nic in _known(there, nics):
            lan.cut(there, nic)

    def restore(self, nics: Sequence[str] = (), *, host: str = network.HOSTNAME) -> None:
        """Plug the cables of these NICs, or of all on the LAN, in again."""
        there = self._machine(host)
        for nic in _known(there, nics):
            lan.restore(there, nic)

    def reboot(self, power: bool = False, *, host: str = network.HOSTNAME) -> None:
        """Reboot, or cut the power and let it come back; returns when SSH answers again."""
        machine.reboot(self._machine(host), power)
        self.wait_ssh(host=host)

    def wait_ssh(self, timeout: float = 60.0, host: str = network.HOSTNAME) -> None:
        """Wait until a host's sshd greets a connection from the LAN; raise RehearsalError after `timeout` seconds."""
        spec = self._spec()
        known = {each.name: each.address for each in (*spec.named_guests, *spec.named_nodes)}
        address = {network.HOSTNAME: network.HYPERVISOR, **known}.get(host)
        if address is None:
            raise BadRequest(f"Rehearsal {self.name} has no host {host}.")
        machine.wait_ssh(self._runtime, timeout, address)

    def _new(self, recipe: Recipe, guests: int, nodes: int, midway: bool, say: Say) -> Spec:
        for count in (guests, nodes):
            first(count)
        built, disk = tree.ensure(recipe, say), image.ensure(say)
        spec = Spec(self.name, recipe.suite, recipe.bare, str(built), str(disk), guests, midway)
        if nodes:
            kit, node_tree = kubernetes.ensure(say), tree.ensure(NodeRecipe(), say)
            spec = replace(spec, nodes=nodes, node_tree=str(node_tree), kit=str(kit))
        return replace(spec, layer=str(midway_layer.ensure(spec, say))) if midway else spec

    def _must_be(self, known: Spec, **wanted: object) -> None:
        """What exists already under this name cannot become something else."""
        if any(value not in (None, getattr(known, field)) for field, value in wanted.items()):
            raise BadRequest(f"Rehearsal {self.name} is {known}. Take it down first, or choose another name.")

    def _running(self, spec: Spec) -> bool:
        every = machines.every(self._runtime, spec)
        return all(machine.boot_state(each) is Boot.UP for each in every) and lan.complete(self._runtime, spec)

    def _machine(self, host: str) -> Machine:
        """Raise BadRequest for a host that is none of ours; nobody looks into a guest from outside."""
        found = machines.find(self._runtime, self._spec(), host)
        if found is None:
            raise BadRequest(f"Rehearsal {self.name} has no machine {host}.")
        return found

    def _spec(self) -> Spec:
        spec = Spec.load(self._runtime.spec)
        if spec is None:
            raise BadRequest(
                f"There is no rehearsal {self.name}. Make one with: homek8s-wizard rehearse up --name {self.name}"
            )
        return spec

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._runtime.locked() as exists:
            if not exists:
                raise RehearsalError(f"Rehearsal {self.name} was taken down meanwhile.")
            yield


def _hosts(files: Runtime, spec: Spec) -> tuple[Host, ...]:
    ours = [Host(m.host, m.address, network.USER, machine.boot_state(m)) for m in machines.every(files, spec)]
    guests = spec.named_guests
    states = zip(guests, domains.boot_states(machines.hypervisor(files, spec), guests), strict=True)
    return (*ours, *(Host(guest.name, guest.address, network.USER, boot) for guest, boot in states))


def _known(there: Machine, nics: Sequence[str]) -> Sequence[str]:
    unknown = sorted(set(nics) - set(there.cables))
    if unknown:
        raise BadRequest(f"{there.host} has no NIC {', '.join(unknown)}: choose of {', '.join(there.cables)}.")
    return nics or there.nics
