"""A step on the screen: its form, its plan, and what Apply refuses."""

from __future__ import annotations

import pytest
from textual.widgets import Input, OptionList, Select

from screens.dialogs import Dialog
from screens.form import FieldRow
from screens.more import MoreDialog
from screens.page import Page
from screens.rail import Rail, StepsDialog
from screens.refusing import why_not
from screens.work import VALUES
from tests.screens.scripted import CHECKS, LOOK, RAISE, SEAL, SPAN, planned
from wizard.actions import Run
from wizard.events import State
from wizard.model import Blocked, Finding, Nothing, Part, Refused, Unknown

BOOTS = Part("aki0", "aki0 answers over SSH", (Run(("uname", "-n"), "it calls itself:"),), answers_within=560)


def row(screen, key) -> FieldRow:
    return next(found for found in screen.query(FieldRow) if found.key == key)


async def test_what_is_typed_ends_in_the_file_with_its_comments(ride, stand, yaml):
    async with ride() as wizard:
        screen = await wizard.at(SPAN)
        await wizard.type("enp4s0")
        await wizard.pilot.press("enter")
        await wizard.type("192.168.182.100/24,10.0.0.2/8")
        await wizard.pilot.press("f4")
        await wizard.until(lambda: "Saved." in wizard.text())
        await wizard.idle()
        text = yaml.read_text()
        assert "# the box in the cupboard" in text
        assert "port: enp4s0" in text
        assert "10.0.0.2/8" in text
        assert stand.engine.called("reload")
        assert not stand.engine.called("apply"), "what is typed is planned before it is applied"
        assert row(screen, "bridge.port").control.value == "enp4s0"
        await wizard.pilot.press("f4")
        await wizard.until(lambda: stand.engine.called("apply"))


async def test_values_that_are_still_looked_for_hold_up_nobody(ride, stand):
    async with ride() as wizard:
        screen = await wizard.at(SPAN)
        stand.may_find.clear()
        wizard.app.session.suggestions.clear()
        screen.redraw()
        await wizard.until(lambda: wizard.app.work.busy == VALUES)
        await wizard.pilot.press("f4")
        stand.may_find.set()
        await wizard.until(lambda: stand.engine.called("apply"))


async def test_what_is_wrong_is_said_as_it_is_typed_and_not_saved(ride, stand, yaml):
    before = yaml.read_text()
    async with ride() as wizard:
        screen = await wizard.at(SPAN)
        await wizard.type("enp4s0")
        row(screen, "bridge.gateway").control.focus()
        await wizard.type("10.0.0.1")
        wrong = row(screen, "bridge.gateway")
        await wizard.until(lambda: wrong.has_class("-wrong"))
        await wizard.pilot.press("f4")
        assert "not right yet" in wizard.text()
        await wizard.pilot.press("f3")
        assert "Not saved" in wizard.text()
        assert yaml.read_text() == before
        assert not stand.engine.called("apply")


async def test_what_was_found_stands_beside_and_overwrites_nothing(ride):
    async with ride() as wizard:
        screen = await wizard.at(SPAN)
        port = row(screen, "bridge.port")
        assert port.control.value == ""
        assert "enp4s0" in port.control.placeholder
        await wizard.until(lambda: port.query(OptionList))
        found = [str(port.query_one(OptionList).get_option_at_index(at).prompt) for at in range(2)]
        assert found[0] == "enp4s0  1 Gbit/s, cable in, carries this connection  (found on hypervisor)"
        await wizard.pilot.press("tab", "down", "enter")
        assert port.control.value == "enp5s0"
        await wizard.pilot.press("f9")
        assert port.control.value == "enp4s0"
        await wizard.pilot.press("end", "9")
        await wizard.pilot.press("ctrl+o")
        await wizard.on(MoreDialog)
        titles = [deed.title for deed in wizard.screen.deeds]
        wizard.screen.query_one(OptionList).highlighted = titles.index("Use all that was found")
        await wizard.pilot.press("enter")
        await wizard.until(lambda: row(screen, "bridge.gateway").control.value)
        assert port.control.value == "enp4s09"
        assert row(screen, "bridge.gateway").control.value == "192.168.182.1"


async def test_a_choice_is_chosen_by_keyboard(ride):
    async with ride() as wizard:
        screen = await wizard.at(SPAN)
        nat = row(screen, "firewall.nat")
        assert isinstance(nat.control, Select)
        nat.control.focus()
        await wizard.pilot.press("enter", "down", "enter")
        await wizard.until(lambda: screen.form.draft.typed)
        assert list(screen.form.draft.typed) == ["firewall.nat"]


async def test_what_is_typed_is_still_there_when_one_comes_back(ride, yaml):
    async with ride() as wizard:
        screen = await wizard.at(SPAN)
        row(screen, "bridge.gateway").control.focus()
        await wizard.type("10.0.0.1")
        await wizard.pilot.press("ctrl+n")
        await wizard.until(lambda: "Seal the road" in wizard.text())
        await wizard.pilot.press("ctrl+b")
        await wizard.until(lambda: "Span the bridge" in wizard.text())
        await wizard.until(lambda: screen.form)
        assert row(screen, "bridge.gateway").control.value == "10.0.0.1"
        assert "10.0.0.1" not in yaml.read_text()


async def test_what_is_right_is_saved_when_one_goes_on(ride, yaml):
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.type("enp4s0")
        await wizard.pilot.press("ctrl+n")
        await wizard.idle()
        assert "port: enp4s0" in yaml.read_text()
        assert "Seal the road" in wizard.text()


async def test_a_file_that_changed_on_disk_is_said_and_read_again(ride, stand, yaml):
    async with ride() as wizard:
        screen = await wizard.at(SPAN)
        await wizard.type("enp4s0")
        yaml.write_text(yaml.read_text() + "# theirs\n")
        await wizard.pilot.press("f3")
        await wizard.on(Dialog)
        assert "changed by somebody else" in wizard.text()
        await wizard.pilot.press("tab", "enter")
        await wizard.until(lambda: stand.engine.called("reload"))
        await wizard.idle()
        assert row(screen, "bridge.port").control.value == "enp4s0"
        assert screen.form.draft.typed
        await wizard.pilot.press("f3")
        await wizard.until(lambda: "port: enp4s0" in yaml.read_text())
        assert "# theirs" in yaml.read_text()


async def test_one_more_guest_is_typed_in_a_form_of_its_own(ride, yaml):
    async with ride() as wizard:
        screen = await wizard.at(RAISE, "")
        assert screen.form.draft.keys[0] == "guests[1].name"
        await wizard.type("aki1")
        await wizard.pilot.press("enter", "enter", "down", "enter", "tab")
        row(screen, "guests[1].ssh").control.focus()
        await wizard.type("owner@192.168.182.131")
        await wizard.pilot.press("f3")
        await wizard.until(lambda: "aki1" in yaml.read_text())
        await wizard.idle()
        assert [place.target for place in wizard.app.session.places][-3:] == ["aki0", "aki1", ""]


async def test_every_step_is_reached_by_keyboard_and_by_mouse(ride):
    async with ride((120, 36)) as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f7")
        await wizard.on(StepsDialog)
        await wizard.pilot.press("down", "enter")
        await wizard.until(lambda: "Seal the road (hypervisor)" in wizard.text())
        await wizard.pilot.click(Rail, offset=(4, 1))
        await wizard.until(lambda: "Look at the machine (hypervisor)" in wizard.text())
        words = " ".join(str(option.prompt) for option in wizard.screen.query_one(Rail).options)
        assert "done        Look at the machine" in words
        assert "blocked     Seal the road" in words


async def test_checks_have_a_verdict_in_words_and_a_cure(ride):
    async with ride() as wizard:
        await wizard.at(LOOK)
        text = wizard.text()
        assert "ok      Virtualisation: /dev/kvm works" in text
        assert "stop    Console: there is none" in text
        assert "Cure: Attach one. Or accept it in cluster.yaml: hypervisor.accept: [no-console]." in text
        assert len(CHECKS) == 3


async def test_the_plan_in_full_shows_the_script(ride):
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f3")
        await wizard.on(Page)
        assert "byte for byte" in wizard.text()
        assert "echo script" in wizard.text()
        await wizard.pilot.press("escape")
        await wizard.pilot.press("f1")
        await wizard.on(Page)
        assert "F4" in wizard.text()


async def test_apply_is_refused_in_a_window_that_is_too_small(ride, stand):
    async with ride((79, 24)) as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        assert "needs 80x24" in wizard.text()
        await wizard.pilot.resize_terminal(80, 23)
        await wizard.pilot.press("f4")
        assert not stand.engine.called("apply")
        await wizard.pilot.resize_terminal(80, 24)
        await wizard.pilot.press("f4")
        await wizard.until(lambda: stand.engine.called("apply"))


async def test_a_disabled_apply_explains_itself(ride, stand):
    async with ride() as wizard:
        await wizard.at(SEAL)
        await wizard.pilot.click("#apply")
        assert "Waits for road.span: there is no bridge." in wizard.text()
        assert wizard.screen.query_one("#apply").has_class("-refused")
        assert not stand.engine.called("apply")
        assert isinstance(wizard.screen.focused, Input) is False


@pytest.mark.parametrize(
    ("plan", "state", "words"),
    [
        (Nothing("all is there."), State.DONE, "Nothing to do: all is there."),
        (Nothing("not measured"), State.CHECK, ""),
        (Nothing("measured before join.nodes"), State.STALE, ""),
        (Blocked("you", "the console is missing."), State.BLOCKED, "Waits for you: the console is missing. "),
        (Refused((Finding("x", "no such NIC"),)), State.BLOCKED, "This will not be done: no such NIC"),
        (Unknown("net.links", "timeout"), State.UNKNOWN, "Not known: timeout. F5 looks again."),
        (Unknown("net.links", "timeout"), State.RUNNING, ""),
        (Unknown("identity", "it boots", unreachable=True, wait=BOOTS), State.UNKNOWN, ""),
    ],
)
def test_why_a_step_cannot_be_applied(plan, state, words):
    refusal = why_not(planned(SPAN, "hypervisor", plan, state), "")
    assert refusal.startswith(words)
    assert bool(refusal) == bool(words)


async def test_what_comes_by_itself_is_waited_for_on_request(ride, stand):
    stand.says(SPAN, Unknown("identity", "it was started 40 s ago", unreachable=True, wait=BOOTS))
    async with ride() as wizard:
        await wizard.at(SPAN)
        assert "Not known yet: it was started 40 s ago" in wizard.text()
        assert "F4 waits, and looks again" in wizard.text()
        assert "it calls itself:" in wizard.text()
        await wizard.pilot.press("f4")
        await wizard.until(lambda: stand.engine.called("apply"))


async def test_what_is_found_late_disturbs_nobody_who_types(ride, stand):
    found, stand.found = stand.found, {}
    async with ride() as wizard:
        screen = await wizard.at(SPAN)
        row(screen, "bridge.gateway").control.focus()
        await wizard.type("192.168.")
        stand.found = found
        await wizard.pilot.press("f5")
        await wizard.idle()
        await wizard.until(lambda: row(screen, "bridge.port").found)
        assert screen.focused is row(screen, "bridge.gateway").control
        await wizard.pilot.press("1")
        assert row(screen, "bridge.gateway").control.value == "192.168.1"
        assert "enp4s0" in row(screen, "bridge.port").control.placeholder
