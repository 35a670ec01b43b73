"""Measurements that count no more: what they are about has been applied again since.

Memory decides here, and only here: a measurement is remembered with its time, and so is every script that has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from wizard.journal import Journal
from wizard.model import Context, Known, Step

Applied = Mapping[str, str]
"""When a script of each step last ended, RFC 3339 UTC, by the step's id."""


def last_applied(journal: Journal) -> Applied:
    return {entry.step: entry.utc for entry in journal.entries() if entry.kind == "ended"}


def outdated_by(at: str, about: Collection[str], applied: Applied) -> str:
    """The step that was applied after a measurement of `at` that asks `about` it; "" where there is none."""
    since = (step for step, utc in applied.items() if utc > at and about_it(step, about))
    return next(since, "") if at else ""


def about_it(step: str, about: Collection[str]) -> bool:
    return step in about or step.partition(".")[0] in about


def measured_at(ctx: Context, step: Step, target: str) -> str:
    """When the oldest of its remembered measurements was made; "" where it has none, or made them just now."""
    seen = (ctx.look(fact, host) for host, facts in step.facts(ctx.cluster, target).items() for fact in facts)
    return min((each.at for each in seen if isinstance(each, Known) and each.at), default="")
