"""What facts' commands print on a rehearsal, kept as fixtures: python -m tests.facts.capture REHEARSAL DIRECTORY."""

from __future__ import annotations

import sys
from pathlib import Path

from wizard.facts.access import CONSOLE, SSHD
from wizard.facts.firewall import FORWARDING
from wizard.facts.packages import PACKAGES
from wizard.facts.storage import FSYNC, VOLUMES
from wizard.facts.system import CLOCK, HOSTNAME, INIT, MEMORY, PROCESSOR, RELEASE
from wizard.facts.units import FIREWALL_UNITS, LIBVIRT_UNITS
from wizard.facts.virtualisation import KVM
from wizard.facts.wireguard import WIREGUARD
from wizard.rehearsal import Rehearsal
from wizard.stages.preflight_packages import DROP_IN

FIXTURES = Path(__file__).parent / "fixtures"
FACTS = (
    *(RELEASE, INIT, PROCESSOR, MEMORY, CLOCK, HOSTNAME, KVM, VOLUMES, FSYNC, LIBVIRT_UNITS, FIREWALL_UNITS),
    *(PACKAGES, DROP_IN, FORWARDING, WIREGUARD, CONSOLE, SSHD),
)


def main(name: str, directory: str) -> None:
    (FIXTURES / directory).mkdir(parents=True, exist_ok=True)
    for fact in FACTS:
        out = Rehearsal(name).inside(f"export LC_ALL=C\n{fact.command}", check=False)
        (FIXTURES / directory / f"{fact.id}.out").write_text(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
