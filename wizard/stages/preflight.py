"""Stage `preflight`: is this machine fit to be a hypervisor, and does it have the programs for it?"""

from __future__ import annotations

from wizard.facts.packages import PACKAGES
from wizard.facts.units import LIBVIRT_UNITS
from wizard.model import Stage, Step, on_hypervisor
from wizard.stages import preflight_packages

PACKAGES_STEP = Step(
    id="preflight.packages",
    title="Install libvirt and QEMU",
    why="Guests run in QEMU, which libvirt starts, stops and connects to networks. Debian's own packages are used.",
    plan=preflight_packages.plan,
    facts=on_hypervisor(PACKAGES, LIBVIRT_UNITS, preflight_packages.DROP_IN),
    needs=(),
)

STAGE = Stage(
    id="preflight",
    title="First look",
    why="Before anything is changed: can this machine carry the guests, and what stands in the way?",
    steps=(PACKAGES_STEP,),
)
