"""The way through the wizard: from the first screen to a result, at both sizes."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from screens.connect import ConnectScreen
from screens.dialogs import Dialog
from screens.result import ResultScreen
from screens.run import RunScreen
from screens.stage import StageScreen
from screens.welcome import WelcomeScreen
from tests.screens.conftest import SIZES
from tests.screens.scripted import DO, LOOK, SPAN, finished
from wizard.errors import HostUnavailable
from wizard.events import State
from wizard.journal import Standing


@pytest.mark.parametrize("size", SIZES)
async def test_from_the_file_to_a_result(ride, stand, yaml, size):
    async with ride(size, path=yaml) as wizard:
        await wizard.to_stage(SPAN.id)
        assert "br0 is not there yet" in wizard.text()
        assert "+Name=br0" in wizard.text()
        await wizard.pilot.press("f4")
        await wizard.on(ResultScreen)
        assert "Done." in wizard.text()
        assert stand.engine.called("apply") == [
            ("apply", ("road.span@hypervisor",), {"road.span@hypervisor": stand_digest()})
        ]
        await wizard.pilot.press("enter")
        await wizard.on(StageScreen)


def stand_digest() -> str:
    from tests.screens.scripted import planned

    return planned(SPAN, "hypervisor", DO).digest


async def test_a_new_cluster_begins_with_a_name_and_a_machine(ride, tmp_path):
    path = tmp_path / "new.yaml"
    async with ride(path=path) as wizard:
        await wizard.on(WelcomeScreen)
        await wizard.type("aki")
        await wizard.pilot.press("enter")
        await wizard.type("me@host")
        await wizard.pilot.press("enter")
        await wizard.until(lambda: wizard.app.session)
        assert "name: aki" in path.read_text()
        await wizard.pilot.press("enter")
        await wizard.on(StageScreen)


async def test_a_wrong_name_is_said_and_nothing_is_written(ride, tmp_path):
    path = tmp_path / "new.yaml"
    async with ride(path=path) as wizard:
        await wizard.on(WelcomeScreen)
        await wizard.pilot.click("#ssh")
        await wizard.type("me@host")
        await wizard.pilot.press("enter")
        await wizard.until(lambda: "name" in str(wizard.screen.query_one("#error").content))
        assert not path.exists()


async def test_a_file_with_mistakes_shows_all_of_them(ride, yaml):
    yaml.write_text("name: A!\nhypervisor: {ssh: me@host}\nbridge: {port: ''}\n")
    async with ride(path=yaml) as wizard:
        await wizard.until(lambda: "cluster.yaml:1" in wizard.text() and "cluster.yaml:3" in wizard.text())
        assert wizard.app.session is None


async def test_what_is_unfinished_is_said_and_since_when(ride, stand, yaml):
    stand.remembered = (
        Standing(LOOK.id, "hypervisor", State.DONE, "", "2020-01-01T00:00:00Z"),
        Standing(SPAN.id, "hypervisor", State.FAILED, "it broke", "2020-01-01T00:00:00Z"),
    )
    async with ride(path=yaml) as wizard:
        await wizard.until(lambda: "failed" in wizard.text())
        assert "Span the bridge (hypervisor)" in wizard.text()
        assert "d ago: it broke" in wizard.text()


async def test_another_wizard_at_work_is_said_and_apply_is_refused(ride, stand, yaml):
    stand.read_only = "process 7 on desk"
    async with ride(path=yaml) as wizard:
        await wizard.until(lambda: "process 7 on desk" in wizard.text())
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        assert "process 7 on desk" in wizard.text()
        assert not stand.engine.called("apply")


async def test_a_host_that_does_not_answer_can_be_tried_again(ride, stand, yaml):
    tries = []

    def connect(engine):
        tries.append(1)
        if len(tries) == 1:
            raise HostUnavailable("no answer on port 22", where="hypervisor", why="it is off", cure="switch it on")

    stand.connect = connect
    async with ride(path=yaml) as wizard:
        await wizard.to_connect()
        await wizard.until(lambda: "Probably: it is off" in wizard.text())
        assert "Next: switch it on" in wizard.text()
        await wizard.pilot.press("enter")
        await wizard.on(StageScreen)


async def test_another_address_is_typed_where_the_first_failed(ride, stand, yaml):
    def connect(engine):
        if engine.cluster_file.cluster.hypervisor.ssh != "me@there":
            raise HostUnavailable("no answer on port 22")

    stand.connect = connect
    async with ride(path=yaml) as wizard:
        await wizard.to_connect()
        assert isinstance(wizard.screen, ConnectScreen)
        await wizard.until(lambda: wizard.screen.failed)
        await wizard.pilot.click("#edit")
        await wizard.type("me@there")
        await wizard.pilot.press("f5")
        await wizard.on(StageScreen)
        assert "ssh: me@there" in yaml.read_text()
        assert "# the box in the cupboard" in yaml.read_text()


async def test_back_from_a_failed_connection_lets_go_of_the_file(ride, stand, yaml):
    def connect(engine):
        raise HostUnavailable("no answer on port 22")

    stand.connect = connect
    async with ride(path=yaml) as wizard:
        await wizard.to_connect()
        await wizard.until(lambda: wizard.screen.failed)
        await wizard.pilot.press("escape")
        await wizard.on(WelcomeScreen)
        await wizard.until(lambda: len(stand.engines) == 2)
        assert stand.engines[0].called("close")


async def test_apply_twice_in_a_row_runs_once(ride, stand):
    def apply(engine, names):
        engine.begin()
        engine.stopped.wait(10)
        return engine.end(finished(SPAN))

    stand.apply = apply
    async with ride() as wizard:
        await wizard.at(SPAN)
        wizard.screen.query_one("#apply").focus()
        await wizard.pilot.press("enter", "enter", "f4", "f4")
        await wizard.on(RunScreen)
        stand.engine.stopped.set()
        await wizard.on(ResultScreen)
        await wizard.idle()
        assert len(stand.engine.called("apply")) == 1


async def test_a_failure_says_what_why_and_what_next(ride, stand):
    tail = "".join(f"line {number}\n" for number in range(40))
    failed = finished(
        SPAN,
        state=State.FAILED,
        reason="status 1\nProbably: the disk is full",
        log_tail=tail,
        next_steps=("Make room.",),
    )
    stand.apply = lambda engine, names: (engine.begin(), engine.end(failed, status=1))[1]
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        await wizard.on(ResultScreen)
        text = wizard.text()
        assert "Span the bridge (hypervisor): failed" in text
        assert "part 1 of 1 on hypervisor: write the files" in text
        assert "Probably: the disk is full" in text
        assert "line 25" in text
        assert "line 24" not in text
        assert "Make room." in text
        assert (wizard.app.record.directory).name == "aki"


async def test_what_can_be_done_about_a_failure(ride, stand):
    failed = finished(SPAN, State.FAILED, "status 1")
    stand.apply = lambda engine, names: engine.end(failed, status=1)
    stand.undo = stand.apply
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        for button, call in (("#retry", "apply"), ("#undo", "undo")):
            await wizard.on(ResultScreen)
            await wizard.idle()
            await wizard.pilot.click(button)
            await wizard.until(lambda call=call: stand.engine.called(call))
        await wizard.on(ResultScreen)
        await wizard.idle()
        await wizard.pilot.click("#by-hand")
        await wizard.until(lambda: stand.engine.called("by hand"))
        await wizard.on(Dialog)
        assert "Not yet" in wizard.text()


async def test_a_step_is_left_out_with_a_reason(ride, stand):
    stand.apply = lambda engine, names: engine.end(finished(SPAN, State.FAILED), status=1)
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        await wizard.on(ResultScreen)
        await wizard.pilot.click("#skip")
        await wizard.on(Dialog)
        assert isinstance(wizard.screen.focused, Input)
        await wizard.type("later")
        await wizard.pilot.press("enter")
        await wizard.until(lambda: stand.engine.called("skip"))
        assert stand.engine.called("skip") == [("skip", SPAN.id, "hypervisor", "later")]
        await wizard.on(StageScreen)


async def test_a_run_that_ends_with_an_error_says_it(ride, stand):
    def apply(engine, names):
        raise HostUnavailable("the login was refused", where="hypervisor", cure="check the key")

    stand.apply = apply
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        await wizard.on(ResultScreen)
        assert "the login was refused" in wizard.text()
        assert "check the key" in wizard.text()
