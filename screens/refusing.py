"""Why the step on the screen cannot be applied now, in words; nothing when it can."""

from __future__ import annotations

from screens.plain import one_line
from wizard.engine.planned import Planned
from wizard.events import State
from wizard.model import Blocked, Nothing, Refused

NOT_SEEN = "The hosts have not been looked at yet. F5 looks."
VIEWER = "Another wizard works on this cluster ({who}); this one only shows."
NOTHING = "Nothing to do: {why}"
WAITS = "Waits for {by}: {why}. Do that first; Ctrl+O can apply a step together with all it needs."
REFUSED = "This will not be done: {why}"
UNKNOWN = "Not known: {why}. F5 looks again."
BY_RUNNING = (State.CHECK, State.STALE, State.RUNNING, State.GUARDED, State.INTERRUPTED)
"""States in which applying measures, or picks up what runs, whatever the plan says."""


def why_not(planned: Planned | None, viewer: str) -> str:
    if viewer:
        return VIEWER.format(who=viewer)
    if planned is None:
        return NOT_SEEN
    if isinstance(planned.plan, Refused):
        return REFUSED.format(why=one_line(planned.plan.why))
    if planned.parts or planned.state in BY_RUNNING:
        return ""
    return _words(planned)


def _words(planned: Planned) -> str:
    match planned.plan:
        case Nothing(why=why):
            return NOTHING.format(why=one_line(why))
        case Blocked(by=by, why=why):
            return WAITS.format(by=by, why=one_line(why).rstrip("."))
        case plan:
            return UNKNOWN.format(why=one_line(plan.why).rstrip("."))
