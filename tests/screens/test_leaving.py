"""Every way out: what is typed is saved, what runs goes on, a mistake of ours is said without a traceback."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from screens import app as app_module
from screens.dialogs import Dialog
from screens.leaving import on_signals
from screens.result import ResultScreen
from screens.run import RunScreen
from screens.shell import command
from tests.screens.scripted import SPAN, finished
from wizard.cluster.file import load


def never_ending(engine, names):
    engine.begin()
    engine.say("working\n")
    engine.stopped.wait(10)
    return engine.end(finished(SPAN))


async def test_quit_when_nothing_runs_is_at_once(ride):
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f10")
        await wizard.until(lambda: not wizard.app.is_running)
        assert wizard.app.return_value == 0


async def test_quit_saves_what_is_typed(ride, yaml):
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.type("enp4s0")
        await wizard.pilot.press("ctrl+q")
        await wizard.until(lambda: not wizard.app.is_running)
    assert "port: enp4s0" in yaml.read_text()


async def test_quit_asks_about_what_is_not_right_yet(ride, yaml):
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.type("not a nic!")
        await wizard.pilot.press("f10")
        await wizard.on(Dialog)
        assert "Network card" in wizard.text()
        await wizard.pilot.press("enter")
        assert wizard.app.is_running
        await wizard.pilot.press("f10", "tab", "enter")
        await wizard.until(lambda: not wizard.app.is_running)
    assert "bridge" not in yaml.read_text()


async def test_quit_while_something_runs_lets_it_run_on(ride, stand):
    stand.apply = never_ending
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        await wizard.on(RunScreen)
        await wizard.pilot.press("f10")
        await wizard.on(Dialog)
        assert "goes on on the host" in wizard.text()
        await wizard.pilot.press("enter")
        await wizard.on(RunScreen)
        assert not stand.engine.stopped.is_set()
        await wizard.pilot.press("f10")
        await wizard.on(Dialog)
        await wizard.pilot.click(wizard.button("leave"))
        await wizard.until(lambda: not wizard.app.is_running)
        assert stand.engine.stopped.wait(5)
        assert stand.engine.called("leave")


async def test_stopping_has_three_honest_answers(ride, stand):
    stand.apply = never_ending
    async with ride() as wizard:
        await wizard.at(SPAN)
        for key, call in (("after", "stop after"), ("now", "stop now"), ("leave", "leave")):
            stand.engine.stopped.clear()
            wizard.app.work.apply("a run", [])
            await wizard.on(RunScreen)
            await wizard.pilot.press("escape")
            await wizard.on(Dialog)
            assert "unknown until the host is looked at" in wizard.text()
            await wizard.pilot.click(wizard.button(key))
            await wizard.until(lambda call=call: stand.engine.called(call))
            await wizard.on(ResultScreen)
            await wizard.pilot.press("escape")


async def test_a_run_that_ends_takes_its_dialogs_along(ride, stand):
    stand.apply = never_ending
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        await wizard.on(RunScreen)
        await wizard.pilot.press("escape")
        await wizard.on(Dialog)
        await wizard.pilot.press("f10")
        await wizard.until(lambda: len(wizard.app.screen_stack) > 5)
        assert len(wizard.app.screen_stack) == 6
        stand.engine.stopped.set()
        await wizard.on(ResultScreen)
        await wizard.idle()
        assert isinstance(wizard.screen, ResultScreen)
        assert len(wizard.app.screen_stack) == 4


async def test_an_unanswered_question_ends_with_the_app(ride, stand):
    from tests.screens.test_questions import KEY

    answers = []

    def connect(engine):
        answers.append(engine.ask(KEY))

    stand.connect = connect
    async with ride() as wizard:
        await wizard.at(SPAN)
        wizard.app.work.call("x", stand.engine.connect, lambda nothing: None)
        await wizard.on(Dialog)
        wizard.app.leave(0)
        await wizard.until(lambda: answers)
        assert answers == [None]


async def test_a_mistake_in_the_engine_is_said_and_reported(ride, stand):
    def apply(engine, names):
        password = "hunter2"
        raise ValueError(password)

    stand.apply = apply
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        await wizard.on(Dialog)
        assert "A mistake in the wizard" in wizard.text()
        assert "Traceback" not in wizard.text()
        await wizard.pilot.press("enter")
        await wizard.until(lambda: not wizard.app.is_running)
        assert wizard.app.return_value == 70
        report = next(wizard.app.record.directory.glob("bug-*.txt")).read_text()
        assert "ValueError" in report
        assert "hunter2" not in report


async def test_a_mistake_in_a_screen_prints_no_traceback(ride, capsys):
    password, rides = "hunter2", []

    def broken():
        return password + 1  # type: ignore[operator]

    async def ridden():
        async with ride() as wizard:
            rides.append(wizard.app)
            screen = await wizard.at(SPAN)
            screen.call_later(broken)
            await wizard.until(lambda: not wizard.app.is_running)

    with pytest.raises(TypeError):
        await ridden()
    assert rides[0].return_code == 70
    printed = "".join(capsys.readouterr())
    assert "hunter2" not in printed
    assert "Traceback" not in printed
    assert "bug-" in printed


async def test_a_signal_leaves_in_good_order():
    left = asyncio.Event()
    statuses = []

    def leave(status):
        statuses.append(status)
        left.set()

    before = signal.getsignal(signal.SIGTERM)
    on_signals(leave)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(left.wait(), 5)
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(signal.SIGTERM, before)
    assert statuses == [128 + 15]


def test_a_shell_goes_where_the_file_says(yaml, tmp_path, monkeypatch):
    cluster = load(yaml).cluster
    assert command(cluster, "aki0", None) == ["ssh", "--", "owner@192.168.182.130"]
    assert command(cluster, "", tmp_path) == ["ssh", "-F", str(tmp_path), "--", "owner@192.168.182.100"]
    monkeypatch.setenv("SHELL", "/bin/dash")
    yaml.write_text("name: aki\nhypervisor: {ssh: localhost}\n")
    assert command(load(yaml).cluster, "hypervisor", None) == ["/bin/dash"]


async def test_the_last_error_is_copied_and_kept(ride, stand):
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f8")
        wizard.app.remember_error("it [/x] broke")
        await wizard.pilot.press("f8")
        assert wizard.app.clipboard == "it [/x] broke"
        assert (wizard.app.record.directory / "last-error.txt").read_text() == "it [/x] broke"
    assert app_module.BUG == 70
