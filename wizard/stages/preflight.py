"""Stage `preflight`: is this machine fit to be a hypervisor, and does it have the programs for it?"""

from __future__ import annotations

from wizard.checks import disks, machine, network, ways_in
from wizard.checks.question import answered, verdict_of
from wizard.facts.packages import PACKAGES
from wizard.facts.units import LIBVIRT_UNITS
from wizard.model import Check, Context, Plan, Stage, Step, on_hypervisor
from wizard.stages import fresh, preflight_packages

QUESTIONS = (*machine.QUESTIONS, *disks.QUESTIONS, *network.QUESTIONS, *ways_in.QUESTIONS)


def _checks(ctx: Context, target: str) -> tuple[Check, ...]:
    return answered(ctx, QUESTIONS)


def _plan(ctx: Context, target: str) -> Plan:
    return verdict_of(ctx, QUESTIONS)


HYPERVISOR_STEP = Step(
    id="preflight.hypervisor",
    title="Look at the machine",
    why="Nothing is changed: what could stop you later is better known now.",
    plan=_plan,
    facts=on_hypervisor(*dict.fromkeys(fact for question in QUESTIONS for fact in question.facts)),
    fields=("hypervisor.accept",),
    checks=_checks,
    look=fresh.look_at_machine,
)

PACKAGES_STEP = Step(
    id="preflight.packages",
    title="Install libvirt and QEMU",
    why="Guests run in QEMU, which libvirt starts, stops and connects. All from your system's own packages.",
    plan=preflight_packages.plan,
    facts=on_hypervisor(PACKAGES, LIBVIRT_UNITS, preflight_packages.DROP_IN, *preflight_packages.IN_USE),
    needs=(HYPERVISOR_STEP.id,),
    undo=preflight_packages.undo,
    fresh=fresh.packages,
    look=fresh.look_at_packages,
)

STAGE = Stage(
    id="preflight",
    title="First look",
    why="Before anything is changed: can this machine carry the guests, and what stands in the way?",
    steps=(HYPERVISOR_STEP, PACKAGES_STEP),
)
