"""The installed command for guests that are only definitions: nothing inside them is asked or waited for.

python -m tests.rehearsal.on_paper VERB …: `guests.reach` and `guests.attach` as far as libvirt goes; `guests.address`
as it is: nobody answers it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.rehearsal import forked
from tests.rehearsal.wizard_on import WizardOn
from wizard import catalog, cli
from wizard.model import HYPERVISOR, Context, Do, FactUnknown, Nothing, Plan, Step, Unknown
from wizard.rehearsal import Rehearsal
from wizard.stages import guests
from wizard.stages.guests_address import STEP as ADDRESS
from wizard.stages.guests_attach import ATTACH
from wizard.stages.guests_reach import REACH

REPOSITORY = Path(__file__).parents[2]
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='{machine}'>hvm</type></os><features><acpi/></features><devices>{nics}
<graphics type='vnc' port='-1' passwd='{password}'/></devices></domain>"""
PASSWORD = "geheim"
NIC = "<interface type='{kind}'><mac address='{mac}'/><source {source}/><model type='virtio'/></interface>"


def nic(mac: str, kind: str = "bridge", source: str = "bridge='virbr9'") -> str:
    return NIC.format(kind=kind, mac=mac, source=source)


def on_paper(step: Step) -> Step:
    """Without what only the guest itself can say."""

    def plan(ctx: Context, target: str) -> Plan:
        try:
            found = step.plan(ctx, target)
        except FactUnknown:
            return Nothing("as far as libvirt knows")
        if isinstance(found, Unknown):
            return Nothing(f"as far as libvirt knows; {found.why}")
        if isinstance(found, Do):
            return replace(found, parts=tuple(part for part in found.parts if part.on == HYPERVISOR))
        return found

    return replace(step, plan=plan, facts=_here(step), needs=())


def _here(step: Step) -> Callable[..., dict[str, object]]:
    return lambda cluster, target: {HYPERVISOR: step.facts(cluster, target)[HYPERVISOR]}


class OnPaper(WizardOn):
    """`d0` and, where wanted, more: a control plane and workers without disks."""

    def __init__(self, machine: Rehearsal, directory: Path, names: tuple[str, ...] = ("d0",), more: str = "") -> None:
        super().__init__(machine, directory)
        head, _, _ = self.cluster_file.read_text().partition("guests:")
        rows = [
            f"- {{name: {name}, role: {'worker' if place else 'control-plane'}, ssh: owner@192.168.182.{200 + place}, "
            f"isolated_address: 192.168.190.{200 + place}{more}}}"
            for place, name in enumerate(names)
        ]
        self.cluster_file.write_text(head + "\n".join(["guests:", *rows, ""]))

    def argv(self, verb: str, *arguments: str) -> list[str]:
        _command, *rest = super().argv(verb, *arguments)
        return [sys.executable, "-m", "tests.rehearsal.on_paper", *rest]

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "PYTHONPATH": str(REPOSITORY)}

    def run(self, verb: str, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return forked.run(self.argv(verb, *arguments)[2:], self.machine.name, self.environment, timeout, main)

    # ------------------------------------------------------------ domains

    def define(self, name: str = "d0", *nics: str, machine: str = "q35", start: bool = False) -> str:
        """A domain; its definition as it is before the wizard comes, with the password in it."""
        xml = DOMAIN.format(name=name, machine=machine, nics="".join(nics), password=PASSWORD)
        self.inside(f"cat >/root/{name}.xml <<'END'\n{xml}\nEND\nvirsh -q define /root/{name}.xml")
        if start:
            self.inside(f"virsh -q start {name}")
        return self.definition(name)

    def inside(self, command: str) -> str:
        return self.machine.inside(f"export LC_ALL=C\n{command}")

    def definition(self, name: str = "d0") -> str:
        return self.inside(f"virsh dumpxml --inactive --security-info {name}")

    def nics(self, name: str = "d0", *, inactive: bool = False, network: str = "kube-isolated") -> list[str]:
        """The MACs on this network, as virsh says."""
        listed = self.inside(f"virsh -q domiflist {name} {'--inactive' if inactive else ''}").splitlines()
        return [row.split()[4] for row in listed if row.split()[2:3] == [network]]

    def obeying(self, name: str, times: int = 1) -> None:
        """A guest without a system does not react: this switches it off once it is asked to, for the `times`th time."""
        asked = "cat /var/lib/homek8s-wizard/jobs/*/log 2>/dev/null | grep -c 'is being shutdown'"
        script = f"until [ $({asked}) -ge {times} ]; do sleep 0.1; done; sleep 0.3; virsh destroy {name}"
        threading.Thread(target=lambda: self.machine.inside(script, check=False), daemon=True).start()

    def left(self) -> str:
        """What lies in the directory of kept definitions."""
        return self.inside("ls /var/lib/homek8s-wizard/domains 2>/dev/null; true").strip()


def main() -> None:
    steps = (on_paper(REACH), on_paper(ATTACH), ADDRESS)
    catalog.STAGES = tuple(
        replace(stage, steps=steps) if stage.id == guests.STAGE.id else stage for stage in catalog.STAGES
    )
    cli.main()


if __name__ == "__main__":
    main()
