"""Whatever a host says, and however small the window: nothing breaks, and nothing reaches the terminal but text."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Log

from screens.dialogs import told
from screens.more import MoreDialog
from screens.page import Page
from screens.rail import StepsDialog
from screens.result import ResultScreen
from screens.run import RunScreen
from screens.runbook import RunbookScreen
from tests.screens.conftest import SMALL
from tests.screens.scripted import FOUND, HOSTILE, LOOK, SPAN, finished
from tests.screens.test_questions import APPROVE, CHOOSE, KEEP, KEY, SUDO, asked
from wizard.errors import HostUnavailable, StepFailed
from wizard.events import (
    Approve,
    Choose,
    GuardArmed,
    HostKey,
    HostLost,
    KeepOrRevert,
    NeedSecret,
    Note,
    ProbeResult,
    SecretKind,
    State,
)
from wizard.model import Blocked, Check, Do, Finding, Part, Refused, Risk, Suggestion, Verdict

BAD = HOSTILE[:300]
BAD_CHECK = Check(BAD, BAD, Verdict.STOP, HOSTILE, BAD, BAD, BAD)
QUESTIONS = (
    HostKey(BAD, BAD, BAD, BAD),
    NeedSecret(BAD, SecretKind.SUDO, BAD),
    Approve((), Risk.DESTROYS_DATA, HOSTILE, BAD),
    KeepOrRevert(BAD, BAD, BAD, 60, BAD, (ProbeResult(BAD, False, True),)),
    Choose(BAD, HOSTILE, ((BAD, BAD), ("b", "[/b]"))),
)


def harmless(wizard):
    text = wizard.text()
    assert not {"\x1b", "\r", "\0", "\x9b", "\u202e"} & set(text)
    return text


async def test_every_screen_at_every_size(ride, yaml):
    async with ride(path=yaml) as wizard:
        screen = await wizard.to_stage(SPAN.id)
        app = wizard.app
        failed = StepFailed(BAD, where=BAD, why=BAD, cure=BAD, tail=HOSTILE * 20)
        for size in SMALL:
            await wizard.pilot.resize_terminal(*size)
            await wizard.until(lambda size=size: ("needs 80x24" in wizard.text()) == (size != (80, 24)))
            for key, kind in (("f1", Page), ("f3", Page), ("f7", StepsDialog), ("ctrl+o", MoreDialog)):
                await wizard.pilot.press(key)
                await wizard.on(kind)
                await wizard.pilot.press("escape")
                await wizard.until(lambda: wizard.screen is screen)
            for page in (
                RunbookScreen(app.session),
                RunScreen("a run", app.now),
                ResultScreen(app.session, failed, app.progress, lambda: None),
            ):
                app.push_screen(page)
                await wizard.until(lambda page=page: wizard.screen is page and page.is_mounted)
                app.pop_screen()


@pytest.mark.parametrize("size", SMALL)
async def test_the_first_screens_at_every_size(ride, stand, yaml, size):
    def connect(engine):
        raise HostUnavailable(HOSTILE, where=BAD, why=BAD, cure=BAD)

    stand.connect = connect
    async with ride(size, path=yaml) as wizard:
        await wizard.to_connect()
        await wizard.until(lambda: "Probably" in wizard.text())
        harmless(wizard)
        wizard.app.notify(BAD, markup=False)
        wizard.app.push_screen(told(HOSTILE, HOSTILE))
        await wizard.pilot.pause()
        harmless(wizard)


async def test_hostile_questions(ride):
    async with ride() as wizard:
        for question in (*QUESTIONS, KEY, SUDO, APPROVE, KEEP, CHOOSE):
            await asked(wizard, question)
            harmless(wizard)
            wizard.app.pop_screen()
            await wizard.pilot.pause()


async def test_hostile_facts_and_plans(ride, stand):
    stand.found = {key: (Suggestion(BAD, BAD, BAD),) for key in FOUND}
    stand.says(LOOK, Refused((Finding(BAD, HOSTILE, BAD, BAD),)), checks=(BAD_CHECK,))
    stand.says(SPAN, Do(HOSTILE, (Part(BAD, BAD, ()),), (BAD,), BAD))
    async with ride((120, 36)) as wizard:
        screen = await wizard.at(SPAN)
        harmless(wizard)
        await wizard.pilot.press("f9")
        stand.says(SPAN, Blocked(BAD, BAD))
        await wizard.pilot.press("f5")
        await wizard.idle()
        await wizard.pilot.press("f4")
        screen.go("ground.look@hypervisor")
        await wizard.until(lambda: "Look at the machine (hypervisor)" in wizard.text())
        assert "[/x]" in harmless(wizard)


async def test_hostile_output(ride, stand):
    failed = finished(SPAN, State.FAILED, HOSTILE, log_tail=HOSTILE * 20, next_steps=(BAD,))

    def apply(engine, names):
        engine.begin()
        engine.say(HOSTILE)
        engine.tell(Note(HOSTILE))
        engine.tell(HostLost(BAD, BAD, 3))
        engine.tell(GuardArmed(SPAN.id, BAD, BAD, 60))
        engine.stopped.wait(10)
        return engine.end(failed, status=1)

    stand.apply = apply
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        await wizard.on(RunScreen)
        await wizard.until(lambda: wizard.screen.query_one(Log).line_count > 4)
        assert "[/x]" in harmless(wizard)
        await wizard.until(lambda: "guard: goes back in" in wizard.text())
        assert "connection lost" in wizard.text()
        await wizard.pilot.press("f6")
        stand.engine.stopped.set()
        await wizard.on(ResultScreen)
        assert "[/x]" in harmless(wizard)
        await wizard.pilot.press("f8")
        await wizard.pilot.pause()


async def test_a_long_log_is_drawn_in_batches_and_stops_while_it_is_read(ride, stand):
    def apply(engine, names):
        engine.begin()
        for number in range(200):
            engine.say(f"line {number}\n")
        engine.stopped.wait(10)
        engine.say("more\n" * 50)
        stand.more = True
        engine.stopped.clear()
        engine.stopped.wait(10)
        return engine.end(finished(SPAN))

    stand.apply = apply
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        await wizard.on(RunScreen)
        log = wizard.screen.query_one(Log)
        await wizard.until(lambda: log.line_count > 200 and wizard.screen.following)
        await wizard.pilot.press("pageup", "pageup")
        await wizard.until(lambda: not wizard.screen.following)
        stand.engine.stopped.set()
        await wizard.until(lambda: "PAUSED, 50 new lines" in wizard.text())
        await wizard.pilot.press("end")
        await wizard.until(lambda: "PAUSED" not in wizard.text() and log.line_count > 250)
        stand.engine.stopped.set()
        await wizard.on(ResultScreen)
        assert "line 199" in wizard.app.record.log.read_text()


def test_no_step_is_named_in_the_screens():
    from wizard.catalog import STAGES

    texts = "".join(path.read_text() for path in Path("screens").glob("*.py"))
    assert not [step.id for stage in STAGES for step in stage.steps if step.id in texts]
