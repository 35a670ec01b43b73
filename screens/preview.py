"""A plan as the owner reads it: why, risk in words, what to weigh, and per part its files as diffs and its commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from textual.content import Content

from screens.plain import content, one_line
from wizard.actions import Action, OnUndo, Run
from wizard.engine.planned import Planned
from wizard.model import Blocked, Check, Do, Finding, Nothing, Part, Refused, Risk, Unknown, Verdict, in_words

STRONG, QUIET, GOOD, BAD, MARK = "bold", "$text-muted", "$text-success", "$text-error", "$text-warning"
VERDICTS = {Verdict.OK: GOOD, Verdict.WARN: MARK, Verdict.STOP: BAD, Verdict.UNKNOWN: MARK}
EMPTY = "The hosts have not been looked at yet. F5 looks."


def joined(lines: Iterator[Content] | Sequence[Content]) -> Content:
    return Content("\n").join(lines)


def preview(planned: Planned | None) -> Content:
    """What F4 would do, action by action."""
    return joined(list(_plan_lines(planned))) if planned else content(EMPTY, QUIET)


def full_plan(planned: Planned | None) -> Content:
    """The preview and then every script, byte for byte as the host will run it."""
    if planned is None or not planned.scripts:
        return preview(planned)
    head = content("What runs, byte for byte:", STRONG)
    return joined([preview(planned), content(""), head, *(content(script) for script in planned.scripts)])


def _plan_lines(planned: Planned) -> Iterator[Content]:
    match planned.plan:
        case Do() as do:
            yield from _do_lines(do)
        case Nothing(why=why):
            yield content(f"Nothing to do: {one_line(why)}", GOOD)
        case Blocked(by=by, why=why, findings=findings):
            yield content(f"Waits for {by}: {one_line(why)}", MARK)
            yield from _finding_lines(findings)
        case Refused(findings=findings):
            yield content("This will not be done:", BAD)
            yield from _finding_lines(findings)
        case Unknown(why=why, wait=Part() as wait):
            yield content(f"Not known yet: {one_line(why)}", MARK)
            yield content("Nothing is to be changed for it: F4 waits, and looks again; F5 only looks.")
            yield from _numbered(1, wait)
        case Unknown(fact=fact, why=why, unreachable=unreachable):
            what = one_line(why) if unreachable else f"{fact} is unknown: {one_line(why)}"
            yield content(f"Cannot be planned: {what}. F5 looks again.", MARK)


def _finding_lines(findings: Sequence[Finding]) -> Iterator[Content]:
    for finding in findings:
        where = f"{finding.where}: " if finding.where else ""
        yield content(f"  {where}{one_line(finding.message)}")
        if finding.cure:
            yield content(f"    cure: {one_line(finding.cure)}", QUIET)


def _do_lines(do: Do) -> Iterator[Content]:
    yield content(do.why)
    yield content(f"Risk: {do.risk.words}", MARK if do.risk is not Risk.NONE else "")
    yield from (content(f"Note: {note}") for note in do.notes)
    if do.irreversible:
        yield content(f"Cannot be undone: {do.irreversible}", BAD)
    for number, part in enumerate(do.parts, 1):
        yield from _numbered(number, part)


def _numbered(number: int, part: Part) -> Iterator[Content]:
    yield content("")
    yield content(f"{number}. on {in_words(part.on)}: {part.title}", STRONG)
    yield from _part_lines(part)


def _part_lines(part: Part) -> Iterator[Content]:
    if part.guard:
        yield content("   guarded: the host goes back by itself unless you confirm over a new connection", MARK)
    for action in part.actions:
        if not isinstance(action, OnUndo):
            yield from _action_lines(action)
    for action in part.always:
        yield content(f"   - afterwards in any case: {one_line(action.summary)}")
    for action in part.actions:
        if isinstance(action, OnUndo):
            yield content(f"   - {one_line(action.summary)}", QUIET)


def _action_lines(action: Action) -> Iterator[Content]:
    yield content(f"   - {one_line(action.summary)}")
    if isinstance(action, Run) and action.words:
        yield content(f"     $ {shlex.join(action.argv)}", QUIET)
    yield from (_diff_line(line) for line in getattr(action, "diff", "").splitlines())


def _diff_line(line: str) -> Content:
    styles = {"+": GOOD, "-": BAD, "@": QUIET}
    return content(f"     {line}", styles.get(line[:1], ""))


def checks_table(checks: Sequence[Check]) -> Content:
    """A row per check: the verdict as a word, what was seen, and the cure where it is not well."""
    return joined([line for check in checks for line in _check_lines(check)])


def _check_lines(check: Check) -> Iterator[Content]:
    word = content(f"{check.verdict.value:<8}", VERDICTS[check.verdict])
    yield Content("").join([word, content(f"{one_line(check.title)}: {one_line(check.reason)}")])
    if check.verdict is not Verdict.OK:
        yield from (content(f"        {one_line(more)}", QUIET) for more in (check.why, _cure(check)) if more)


def _cure(check: Check) -> str:
    accept = f" Or accept it in cluster.yaml: hypervisor.accept: [{check.accept}]." if check.accept else ""
    return f"Cure: {check.cure}{accept}" if check.cure or accept else ""


def approval(planned: Sequence[Planned], risk: Risk, changed: str) -> Content:
    """What is asked before anything is done: why again, how risky, and every step with its plan."""
    lines = [content(f"Asked again: {changed}", MARK)] if changed else []
    lines.append(content(f"Risk: {risk.words}", STRONG))
    for row in planned:
        lines += [content(""), content(f"{row.step.title} ({in_words(row.target)})", STRONG), preview(row)]
    return joined(lines)
