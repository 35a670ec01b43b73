"""From what is seen to what would be done, or undone: pure, one step and target at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from wizard.actions import Forget
from wizard.engine.planned import Planned, first_state, parts_of
from wizard.engine.stale import Applied, about_it, measured_at, outdated_by
from wizard.events import State
from wizard.facts.ours import OURS, Ours
from wizard.journal import Standing
from wizard.model import (
    HYPERVISOR,
    NOT_MEASURED,
    Context,
    Do,
    FactUnknown,
    Finding,
    Known,
    Nothing,
    Part,
    Plan,
    Refused,
    Step,
    Unknown,
    Unseen,
)
from wizard.script import compile_part

Standings = Mapping[tuple[str, str], Standing]
Targets = Iterable[tuple[Step, str]]


NOTHING_YET: Applied = MappingProxyType({})


def plan_step(
    ctx: Context,
    step: Step,
    target: str,
    standings: Standings,
    guard_seconds: int,
    applied: Applied = NOTHING_YET,
) -> Planned:
    """What `step` would do for `target`, its scripts, and where it stands by what is seen and what is remembered."""
    try:
        plan = step.plan(ctx, target)
    except FactUnknown as unknown:
        plan = _not_known(step, unknown)
    measured = measured_at(ctx, step, target)
    if later := outdated_by(measured, step.asks_about, applied):
        plan = Nothing(f"measured {measured[:16].replace('T', ' ')} UTC, and {later} was applied since")
        state, reason = State.STALE, plan.why
    else:
        state, reason = _state(ctx, step, target, plan, standings.get((step.id, target)))
    since = standings[step.id, target].since if (step.id, target) in standings else ""
    scripts = scripts_of(step, target, plan, guard_seconds)
    return Planned(step, target, plan, state, reason, scripts, step.checks(ctx, target), since, measured)


def _not_known(step: Step, unknown: FactUnknown) -> Plan:
    """What a check step has yet to measure is no change; whatever else is not known may hide one."""
    if step.only_checks and unknown.reason == NOT_MEASURED:
        return Nothing(f"{unknown.fact} is {NOT_MEASURED}")
    return Unknown(unknown.fact, unknown.reason, unknown.unreachable)


def plan_undo(ctx: Context, step: Step, target: str, guard_seconds: int) -> Planned:
    """What takes the step back, from what the hosts have noted; refused where somebody changed our files since."""
    try:
        plan = _undo(ctx, step, target)
    except FactUnknown as unknown:
        plan = Unknown(unknown.fact, unknown.reason, unknown.unreachable)
    return Planned(step, target, plan, *first_state(plan), scripts_of(step, target, plan, guard_seconds))


def unless_stood_on(ctx: Context, planned: Planned, others: Targets, guard_seconds: int) -> Planned:
    """What takes a step back; refused while one of `others` stands on it. Where nobody knows, the owner is told."""
    if not isinstance(planned.plan, Do):
        return planned
    findings, notes = [], []
    for step, target in others:
        if not about_it(planned.step.id, step.stands_on):
            continue
        try:
            if why := step.stands(ctx, target, planned.target):
                findings.append(Finding("stood-on", why, _way_out(plan_undo(ctx, step, target, guard_seconds))))
        except FactUnknown as unknown:
            notes.append(f"Whether {name(step, target)} still needs it is not known: {unknown.reason}.")
    if findings:
        plan = Refused(tuple(findings))
        return Planned(planned.step, planned.target, plan, *first_state(plan))
    return dataclasses.replace(planned, plan=dataclasses.replace(planned.plan, notes=(*planned.plan.notes, *notes)))


def _way_out(back: Planned) -> str:
    return f"first: homek8s-wizard undo {back.step.id}" if isinstance(back.plan, Do) else back.reason


def scripts_of(step: Step, target: str, plan: Plan, guard_seconds: int) -> tuple[str, ...]:
    parts = parts_of(plan)
    return tuple(
        compile_part(step.id, target, part, number=number, count=len(parts), guard_seconds=guard_seconds)
        for number, part in enumerate(parts, 1)
    )


# ---------------------------------------------------------------- where a step stands


def _state(ctx: Context, step: Step, target: str, plan: Plan, standing: Standing | None) -> tuple[State, str]:
    """What is seen comes first; memory adds how an unfinished step came to be unfinished."""
    for ours in ours_on(ctx):
        if pending := ours.waits_for(name(step, target)):
            return State.GUARDED, f"goes back by itself in {pending.seconds:.0f} s unless confirmed"
    state, reason = first_state(plan)
    if step.only_checks and isinstance(plan, Nothing) and (missing := not_measured(ctx, step, target)):
        return State.CHECK, f"not measured yet: {', '.join(missing)}"
    if state is State.TODO and (
        drifts := [drift.path for ours in ours_on(ctx) for drift in ours.drifts(name(step, target))]
    ):
        return State.DRIFTED, f"changed by somebody since: {', '.join(drifts)}"
    if standing is not None and state in (State.TODO, State.UNKNOWN):
        if standing.state in (State.RUNNING, State.GUARDED):
            return _under_way(ctx, standing)
        if standing.state in (State.FAILED, State.REVERTED, State.SKIPPED, State.INTERRUPTED):
            return standing.state, standing.reason or reason
    return State.CHECK if step.only_named and state is State.TODO else state, reason


def _under_way(ctx: Context, standing: Standing) -> tuple[State, str]:
    """What the hosts say of an attempt that the journal left running or guarded."""
    for ours in ours_on(ctx):
        if standing.attempt in ours.jobs:
            return State.RUNNING, "its script runs on the host"
        if ours.outcome.get(standing.attempt, "").startswith("reverted"):
            return State.REVERTED, "it was not confirmed in time; all is as it was"
    return State.INTERRUPTED, "it was under way when the wizard ended; apply goes on with it"


def not_measured(ctx: Context, step: Step, target: str) -> list[str]:
    """The costly facts of a check step that nobody has measured yet."""
    return [
        fact.id
        for host, facts in step.facts(ctx.cluster, target).items()
        for fact in facts
        if ctx.look(fact, host) == Unseen(NOT_MEASURED)
    ]


def name(step: Step, target: str) -> str:
    return f"{step.id}@{target}"


def ours_on(ctx: Context) -> tuple[Ours, ...]:
    """What we left, on every host where it could be seen."""
    hosts = sorted({host for host, fact in ctx.seen if fact == OURS.id})
    return tuple(seen.value for host in hosts if isinstance(seen := ctx.look(OURS, host), Known))


# ---------------------------------------------------------------- the way back


def _undo(ctx: Context, step: Step, target: str) -> Plan:
    if step.undo is not None and step.undone_from_afar and _silent(ctx, target):
        return step.undo(ctx, target, ())
    done = _notes_of(ctx, step, target)
    if not done:
        nothing = Nothing("nothing that the wizard did is left of it")
        return step.undo(ctx, target, ()) if step.undo is not None and step.undone_as_seen else nothing
    drifts = [drift for ours in done.values() for drift in ours.drifts(name(step, target))]
    if drifts:
        return Refused(
            tuple(
                Finding(
                    "drift",
                    f"{drift.path} was changed by somebody after it was written here:\n{drift.diff}",
                    "put it back as it was (the diff shows how), or keep your change and leave this step as it is",
                    drift.path,
                )
                for drift in drifts
            )
        )
    if step.undo is not None:
        actions = tuple(action for ours in done.values() for action in ours.inverses(name(step, target)))
        plan = step.undo(ctx, target, actions)
    else:
        parts = (
            Part(host, f"take back {step.title}", ours.inverses(name(step, target))) for host, ours in done.items()
        )
        plan = Do("takes back what was noted on the host", tuple(parts))
    return _closing(plan, {host: ours.attempts(name(step, target)) for host, ours in done.items()})


def _silent(ctx: Context, host: str) -> bool:
    seen = ctx.look(OURS, host)
    return isinstance(seen, Unseen) and seen.unreachable


def _notes_of(ctx: Context, step: Step, target: str) -> dict[str, Ours]:
    """What is noted of it, by host. A guest that does not answer matters only where the hypervisor has no notes."""
    done: dict[str, Ours] = {}
    hosts = {HYPERVISOR, *([target] if step.changes_target else [])} & step.facts(ctx.cluster, target).keys()
    for host in sorted(hosts, key=lambda each: each == target):
        if not (done and isinstance(ctx.look(OURS, host), Unseen)):
            ours = ctx.see(OURS, host)
            done |= {host: ours} if ours.of(name(step, target)) else {}
    return done


def _closing(plan: Plan, attempts: Mapping[str, tuple[str, ...]]) -> Plan:
    """The last part on each host ends by closing the notes of what it undid."""
    if not isinstance(plan, Do):
        return plan
    last = {part.on: index for index, part in enumerate(plan.parts)}
    parts = tuple(
        dataclasses.replace(part, actions=(*part.actions, Forget(attempts[part.on])))
        if last[part.on] == index and part.on in attempts
        else part
        for index, part in enumerate(plan.parts)
    )
    return dataclasses.replace(plan, parts=parts)
