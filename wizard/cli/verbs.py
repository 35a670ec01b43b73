"""The headless verbs: an engine, its answers from flags, progress to stderr, results to stdout, an exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from wizard.cli import answers, show
from wizard.cluster.file import load
from wizard.engine.doing import Outcome, worst
from wizard.engine.engine import Engine
from wizard.engine.planned import Planned, as_json
from wizard.engine.settings import GUARD_SECONDS, Settings
from wizard.events import Event, Observer, State, Waiting
from wizard.model import Blocked, Do, Refused, Unknown, Verdict

SHORT_GUARD = 90

Given = Mapping[str, Any]


def file_path(given: Given) -> Path | None:
    return given.get("file")


def settings(given: Given) -> Settings:
    return Settings(
        state_dir=given.get("state_dir"),
        ssh_config=given.get("ssh_config"),
        guard_seconds=given.get("guard_seconds") or GUARD_SECONDS,
        take_over=bool(given.get("take_over")),
        at_keyboard=sys.stdin.isatty() and sys.stderr.isatty() and not given.get("as_json"),
    )


@contextmanager
def _engine(given: Given, tell: Observer) -> Iterator[Engine]:
    file = load(file_path(given) or Path("cluster.yaml"))
    if settings(given).guard_seconds < SHORT_GUARD:
        click.echo(f"A guard under {SHORT_GUARD} s can end before a switch has learned the change.", err=True)
    engine = Engine(file, settings(given), answers.from_options(given, terminal=settings(given).at_keyboard), tell)
    try:
        yield engine
    finally:
        engine.leave()
        engine.close()


def _progress(event: Event) -> None:
    if text := show.event_text(event):
        click.echo(text, err=True)


def _what_is_waited_for(event: Event) -> None:
    """Of a look that may take minutes."""
    if isinstance(event, Waiting):
        _progress(event)


def _observer(given: Given, engine_name: Callable[[], str]) -> Observer:
    """Text to stderr; with --json, one event per line to stdout."""
    if not given.get("as_json"):
        return _progress

    def tell(event: Event) -> None:
        _json(engine_name(), {"at": _now(), **show.as_json(event)})

    return tell


def _json(cluster: str, content: Mapping[str, Any]) -> None:
    click.echo(json.dumps({"schema": 1, "cluster": cluster, **content}, ensure_ascii=False))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# ---------------------------------------------------------------- looking


def plan(given: Given) -> int:
    with _engine(given, _progress) as engine:
        rows = engine.plan(given["names"])
        changes = sum(isinstance(row.plan, Do) for row in rows)
        if given["as_json"]:
            _json(engine.cluster_file.cluster.name, {"changes": changes, "steps": [as_json(row) for row in rows]})
        else:
            for row in rows:
                click.echo(show.planned_text(row))
            click.echo(_sum_of(rows))
    return worst([_status_of(row) for row in rows])


def _sum_of(rows: Sequence[Planned]) -> str:
    """What is to be done, and what cannot be said."""
    changes = sum(isinstance(row.plan, Do) for row in rows)
    unclear = sum(isinstance(row.plan, Unknown | Refused | Blocked) for row in rows)
    words = f"{changes} to do" if changes else "Nothing to change"
    return f"{words}, and {unclear} that cannot be said yet." if unclear else f"{words}."


def _status_of(row: Planned) -> int:
    match row.plan:
        case Do():
            return 3
        case Refused():
            return 2
        case Blocked(by="you"):
            return 5
        case Unknown(unreachable=unreachable):
            return 4 if unreachable else 1
        case _:
            return 0


def status(given: Given) -> int:
    with _engine(given, _progress) as engine:
        rows = engine.status(given["names"])
        if given["as_json"]:
            _json(engine.cluster_file.cluster.name, {"steps": [_row(row) for row in rows]})
        else:
            width = max((len(row.name) for row in rows), default=0)
            for row in rows:
                click.echo(f"{row.name:{width}}  {row.state:11}  {row.reason}")
    return worst([2 if isinstance(row.plan, Refused) else 0 for row in rows])


def _row(row: Planned) -> dict[str, str]:
    return {"step": row.step.id, "target": row.target, "state": row.state, "reason": row.reason, "since": row.since}


def check(given: Given) -> int:
    with _engine(given, _what_is_waited_for) as engine:
        rows = engine.check(given["names"])
        if given["as_json"]:
            content = [
                {"check": c.id, "target": target, "verdict": c.verdict, "reason": c.reason, "cure": c.cure}
                for _, target, c in rows
            ]
            _json(engine.cluster_file.cluster.name, {"checks": content})
        else:
            for row in rows:
                click.echo(show.check_text(*row))
    return 3 if any(c.verdict in (Verdict.STOP, Verdict.UNKNOWN) for _, _, c in rows) else 0


# ---------------------------------------------------------------- doing


def apply(given: Given) -> int:
    return _do(given, lambda engine: engine.apply(given["names"]))


def undo(given: Given) -> int:
    if not given["names"] and not given["everything"]:
        raise click.UsageError("Say what to undo: a stage, a step, or --all.")
    return _do(given, lambda engine: engine.undo(given["names"], everything=given["everything"]))


def _do(given: Given, deed: Callable[[Engine], Outcome]) -> int:
    name = ""
    with _engine(given, _observer(given, lambda: name)) as engine:
        name = engine.cluster_file.cluster.name
        outcome = deed(engine)
        if not given["as_json"]:
            _summary(outcome)
    return outcome.status


def _summary(outcome: Outcome) -> None:
    counts: dict[State, int] = {}
    for step in outcome.steps:
        counts[step.state] = counts.get(step.state, 0) + 1
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()) or "nothing to do")


def export(given: Given) -> int:
    if given["form"] == "sh":
        return _export_scripts(given)
    with _engine(given, lambda event: None) as engine:
        text = engine.export(given["form"])
        if given["output"]:
            given["output"].write_text(text, encoding="utf-8")
            click.echo(f"Written to {given['output']}", err=True)
        else:
            click.echo(text, nl=False)
    return 0


def _export_scripts(given: Given) -> int:
    directory = given["output"]
    if directory is None:
        raise click.UsageError("Say where the scripts go: -o DIR, a directory that is empty or not there yet.")
    with _engine(given, lambda event: None) as engine:
        count = engine.export_scripts(directory)
        click.echo(f"{count} to run, in {directory}; begin with {directory / 'README.txt'}", err=True)
    return 0
