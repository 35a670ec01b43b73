"""What `plan` answers for one step and one target: the plan itself, its scripts, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wizard.events import State
from wizard.model import Blocked, Check, Do, Nothing, Part, Plan, Refused, Risk, Step, Unknown
from wizard.script import digest_of


@dataclass(frozen=True)
class Planned:
    step: Step
    target: str
    plan: Plan
    state: State
    reason: str
    scripts: tuple[str, ...] = ()
    """One per part, in order: byte for byte what the host will run."""
    checks: tuple[Check, ...] = ()
    since: str = ""
    """RFC 3339 UTC: when it came into this state, as far as the journal knows."""
    measured: str = ""
    """RFC 3339 UTC: when the oldest remembered measurement that it rests on was made; empty for none."""

    @property
    def name(self) -> str:
        return f"{self.step.id}@{self.target}"

    @property
    def digest(self) -> str:
        return digest_of(self.scripts) if self.scripts else ""

    @property
    def parts(self) -> tuple[Part, ...]:
        """What `apply` runs: what there is to do, or to wait for."""
        return parts_of(self.plan)

    @property
    def risk(self) -> Risk:
        return self.plan.risk if isinstance(self.plan, Do) else Risk.NONE


def as_json(planned: Planned) -> dict[str, Any]:
    """The shape of `plan --json` (DESIGN, command line)."""
    return {
        "step": planned.step.id,
        "target": planned.target,
        "state": planned.state.value,
        "reason": planned.reason,
        "risk": planned.risk.value,
        "digest": planned.digest,
        "parts": [
            {
                "host": part.on,
                "title": part.title,
                "script": script,
                "actions": [
                    {
                        "kind": action.kind,
                        "summary": action.summary,
                        "path": getattr(action, "path", None),
                        "diff": getattr(action, "diff", None),
                        "argv": list(action.argv) if action.kind == "run" else None,
                    }
                    for action in part.actions
                ],
            }
            for part, script in zip(planned.parts, planned.scripts, strict=True)
        ],
    }


def parts_of(plan: Plan) -> tuple[Part, ...]:
    match plan:
        case Do(parts=parts):
            return parts
        case Unknown(wait=Part() as wait):
            return (wait,)
        case _:
            return ()


def first_state(plan: Plan) -> tuple[State, str]:
    """The state that the plan alone gives, and its reason."""
    match plan:
        case Do(why=why):
            return State.TODO, why
        case Nothing(why=why):
            return State.DONE, why
        case Blocked(by=by, why=why):
            return State.BLOCKED, f"waits for {by}: {why}"
        case Refused():
            return State.BLOCKED, plan.why
        case Unknown(fact=fact, why=why, unreachable=unreachable, wait=wait):
            return State.UNKNOWN, why if unreachable or wait else f"{fact}: {why}"
