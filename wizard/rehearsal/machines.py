"""The machines of a rehearsal: the hypervisor, and the nodes beside it. What each is made of, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wizard.rehearsal import image, network, node
from wizard.rehearsal.guests import Guest
from wizard.rehearsal.recipe import libvirt_guests
from wizard.rehearsal.record import Spec
from wizard.rehearsal.runtime import Runtime

Files = Mapping[str, tuple[str, int]]

# Seconds that a reboot waits for guests: emulated ones need about ten to shut down, disk-less ones never do.
GUESTS_STOP = 60


@dataclass(frozen=True)
class Machine:
    """One machine and its files; those of the hypervisor lie in the rehearsal's own directory.

    `trees` lie under its disk, the uppermost first. `cables` leads from each NIC to a switch on the LAN's side; a NIC
    in `macs` has that MAC address. `files` (path: text and mode) are on a fresh disk, `options` are systemd-nspawn's,
    and what is at the paths in `plain` lies on no overlay, and begins as another directory's copy.
    """

    runtime: Runtime
    host: str
    address: str
    directory: Path
    trees: tuple[str, ...]
    cables: Mapping[str, str]
    options: tuple[str, ...] = ()
    macs: Mapping[str, str] = field(default_factory=dict)
    files: Files = field(default_factory=dict)
    plain: Mapping[str, Path] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """As in "CALLED did not finish booting"."""
        return "the hypervisor" if self.host == network.HOSTNAME else self.host

    @property
    def tree(self) -> Path:
        return Path(self.trees[-1])

    @property
    def nics(self) -> tuple[str, ...]:
        """Those on the LAN."""
        return tuple(nic for nic, switch in self.cables.items() if switch == network.BRIDGE)

    @property
    def container(self) -> str:
        """Its name among the containers of this machine."""
        suffix = "" if self.host == network.HOSTNAME else f"-{self.host}"
        return f"rehearsal-{self.runtime.name}{suffix}"

    @property
    def state(self) -> Path:
        return self.directory / "state.json"

    @property
    def machine_id(self) -> Path:
        return self.directory / "machine-id"

    @property
    def host_keys(self) -> Path:
        return self.directory / "host-keys"

    @property
    def upper(self) -> Path:
        return self.directory / "upper"

    @property
    def work(self) -> Path:
        return self.directory / "work"

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def supervisor(self) -> Path:
        """Where its supervisor's process is recorded."""
        return self.directory / "supervisor.pid"

    @property
    def log(self) -> Path:
        return self.directory / "supervisor.log"

    def cut(self, nic: str) -> Path:
        """Exists while the cable of this NIC is cut."""
        return self.directory / f"{nic}.cut"

    def beside(self, path: str) -> Path:
        """Where the content of a path in `plain` really lies."""
        return self.directory / "plain" / path.strip("/").replace("/", "-")


def every(runtime: Runtime, spec: Spec) -> tuple[Machine, ...]:
    """The hypervisor first."""
    return (hypervisor(runtime, spec), *(_node(runtime, spec, each) for each in spec.named_nodes))


def find(runtime: Runtime, spec: Spec, host: str) -> Machine | None:
    """The machine of this name, if it is one of ours; a guest is not."""
    return next((each for each in every(runtime, spec) if each.host == host), None)


def hypervisor(runtime: Runtime, spec: Spec) -> Machine:
    to_nodes = {network.isolated_cable(each.name): network.isolated_cable(each.name) for each in spec.named_nodes}
    return Machine(
        runtime=runtime,
        host=network.HOSTNAME,
        address=network.HYPERVISOR,
        directory=runtime.directory,
        trees=tuple(filter(None, [spec.layer and f"{spec.layer}/upper", spec.tree])),
        cables=dict.fromkeys(network.NICS, network.BRIDGE) | to_nodes,
        options=(f"--bind-ro={spec.image}:{image.INSIDE}",) if spec.image else (),
        files={"etc/default/libvirt-guests": (libvirt_guests(GUESTS_STOP), 0o644)} if spec.named_guests else {},
    )


def _node(runtime: Runtime, spec: Spec, guest: Guest) -> Machine:
    return Machine(
        runtime=runtime,
        host=guest.name,
        address=guest.address,
        directory=runtime.directory / guest.name,
        trees=(spec.node_tree,),
        cables={network.NODE_NIC: network.BRIDGE, network.ISOLATED_NIC: network.isolated_cable(guest.name)},
        options=node.options(Path(spec.kit)),
        macs={network.ISOLATED_NIC: guest.isolated_mac},
        files=node.FILES,
        plain=node.plain(Path(spec.kit)),
    )
