"""A question that a check step asks: from facts to a verdict. One that cannot be answered never hides the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from wizard.model import AnyFact, Blocked, Check, Context, FactUnknown, Finding, Nothing, Plan, Refused, Verdict


@dataclass(frozen=True)
class Answer:
    """What was seen, and what to do about it; `contradicts`: cluster.yaml asks for what this host cannot be."""

    verdict: Verdict
    reason: str
    cure: str = ""
    contradicts: bool = False


def ok(reason: str) -> Answer:
    return Answer(Verdict.OK, reason)


def warn(reason: str, cure: str = "") -> Answer:
    return Answer(Verdict.WARN, reason, cure)


def stop(reason: str, cure: str = "", *, contradicts: bool = False) -> Answer:
    return Answer(Verdict.STOP, reason, cure, contradicts)


@dataclass(frozen=True)
class Question:
    """`ask` answers from `facts`, with None where the question does not arise, and may raise `FactUnknown`.

    A stop can be accepted by the id in `accept`. Without an answer to a `needed` one, nobody can tell whether to go on.
    """

    id: str
    title: str
    why: str
    facts: tuple[AnyFact[Any], ...]
    ask: Callable[[Context], Answer | None]
    accept: str = ""
    needed: bool = False


def answered(ctx: Context, questions: Sequence[Question]) -> tuple[Check, ...]:
    """The checks of those questions that arise."""
    return tuple(check for question in questions if (check := _check(ctx, question)) is not None)


def _check(ctx: Context, question: Question) -> Check | None:
    try:
        answer = question.ask(ctx)
    except FactUnknown as unknown:
        answer = Answer(Verdict.UNKNOWN, unknown.reason)
    if answer is None:
        return None
    if answer.verdict is Verdict.STOP and question.accept in ctx.cluster.hypervisor.accept:
        answer = warn(f"{answer.reason} (accepted in cluster.yaml)", answer.cure)
    return Check(
        id=question.id,
        title=question.title,
        verdict=answer.verdict,
        reason=answer.reason,
        why=question.why,
        cure=answer.cure,
        accept=question.accept if answer.verdict is Verdict.STOP else "",
        contradicts=answer.contradicts,
    )


def verdict_of(ctx: Context, questions: Sequence[Question]) -> Plan:
    """The plan of a step that only looks: what stands in the way, or nothing. Raises `FactUnknown` for a needed one."""
    checks = answered(ctx, questions)
    stops = [check for check in checks if check.verdict is Verdict.STOP]
    findings = tuple(_finding(check) for check in sorted(stops, key=lambda check: not check.contradicts))
    if any(check.contradicts for check in stops):
        return Refused(findings)
    if stops:
        return Blocked("you", "; ".join(f"{check.title}: {check.reason}" for check in stops), findings)
    for question in questions:
        if question.needed:
            question.ask(ctx)
    warnings = sum(check.verdict is Verdict.WARN for check in checks)
    unknown = sum(check.verdict is Verdict.UNKNOWN for check in checks)
    counts = [f"{count} {what}" for count, what in ((warnings, "to weigh"), (unknown, "not known")) if count]
    return Nothing(", ".join([f"{len(checks)} checks, nothing stands in the way", *counts]))


def _finding(check: Check) -> Finding:
    accept = f" Or accept it: add {check.accept} to hypervisor.accept in cluster.yaml." if check.accept else ""
    return Finding(
        check.accept or check.id, f"{check.title}: {check.reason}", f"{check.cure}{accept}".strip(), "hypervisor"
    )
