"""The table of contents of the product: its stages and steps, in the order in which they are done."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.errors import InputError, InputFinding
from wizard.model import Stage, Step
from wizard.stages import bridge, firewall, guests, isolated, join, preflight, verify

STAGES: tuple[Stage, ...] = (
    preflight.STAGE,
    bridge.STAGE,
    firewall.STAGE,
    isolated.STAGE,
    guests.STAGE,
    join.STAGE,
    verify.STAGE,
)


def steps() -> tuple[Step, ...]:
    return tuple(step for stage in STAGES for step in stage.steps)


def find(step_id: str) -> Step:
    return next(step for step in steps() if step.id == step_id)


def chosen(names: Sequence[str], *, with_needs: bool, every: bool = False) -> tuple[tuple[Step, str], ...]:
    """The steps that `names` (stage, stage.step or stage.step@target) mean, in catalog order, each with its target.

    No name means all. Those that are done only when named are meant by their own id, or where `every` one is asked for.
    `with_needs` adds what they need, and what that needs. The target is "" for all targets. Raises `InputError` naming
    every unknown name.
    """
    wanted: dict[str, set[str]] = {}
    unknown: list[InputFinding] = []
    for name in names or [stage.id for stage in STAGES]:
        plain, _, target = name.partition("@")
        found = [step for stage in STAGES for step in stage.steps if plain in (stage.id, step.id)]
        for step in found:
            if every or plain == step.id or not step.only_named:
                wanted.setdefault(step.id, set()).add(target)
        if not found:
            unknown.append(_unknown(name))
    if unknown:
        raise InputError(unknown)
    if with_needs:
        for step in reversed(steps()):
            if step.id in wanted:
                for need in step.needs:
                    wanted.setdefault(need, {""})
    return tuple((step, target) for step in steps() for target in sorted(wanted.get(step.id, ())))


def _unknown(name: str) -> InputFinding:
    known = ", ".join([stage.id for stage in STAGES] + [step.id for step in steps()])
    return InputFinding("command line", 0, name, "there is no such stage or step", f"Known: {known}")
