"""The menu and the palette offer the same, for the step on the screen."""

from __future__ import annotations

import pytest
from textual.command import CommandPalette
from textual.widgets import OptionList

from screens.commands import commands
from screens.dialogs import Dialog
from screens.more import MoreDialog
from screens.page import Page
from screens.runbook import RunbookScreen
from tests.screens.scripted import SPAN


async def more(wizard, title):
    await wizard.pilot.press("ctrl+o")
    await wizard.on(MoreDialog)
    titles = [deed.title for deed in wizard.screen.deeds]
    wizard.screen.query_one(OptionList).highlighted = titles.index(title)
    await wizard.pilot.press("enter")


async def test_the_palette_goes_to_steps_and_offers_what_the_menu_does(ride):
    async with ride() as wizard:
        screen = await wizard.at(SPAN)
        titles = [command.title for command in commands(wizard.app, screen)]
        assert "Undo this step" in titles
        assert "Go to: Road > Seal the road hypervisor" in titles
        assert titles[-1] == "Quit"
        await wizard.pilot.press("ctrl+p")
        await wizard.on(CommandPalette)
        await wizard.type("seal the road")
        await wizard.until(lambda: wizard.screen.query_one(OptionList).option_count == 1)
        await wizard.pilot.press("enter")
        if isinstance(wizard.screen, CommandPalette):
            await wizard.pilot.press("enter")
        await wizard.until(lambda: "Seal the road (hypervisor)" in wizard.text())


@pytest.mark.parametrize(
    ("title", "call"),
    [
        ("Undo this step", ("undo", ("road.span@hypervisor",))),
        ("Apply with all it needs", ("apply", ("road.span@hypervisor",), None)),
        ("Apply this stage", ("apply", ("road",), None)),
        ("Apply everything", ("apply", (), None)),
        ("Done by hand", ("by hand", "road.span", "hypervisor")),
    ],
)
async def test_what_the_menu_has_the_engine_do(ride, stand, title, call):
    async with ride() as wizard:
        await wizard.at(SPAN)
        await more(wizard, title)
        await wizard.until(lambda: call in stand.engine.calls)


async def test_checks_are_a_page(ride):
    async with ride() as wizard:
        await wizard.at(SPAN)
        await more(wizard, "Check this step")
        await wizard.on(Page)
        assert "stop    Console: there is none" in wizard.text()


async def test_the_runbook_is_written_where_the_owner_says(ride, yaml):
    async with ride() as wizard:
        await wizard.at(SPAN)
        await more(wizard, "Runbook")
        await wizard.on(RunbookScreen)
        await wizard.pilot.click("#write")
        path = yaml.with_name("runbook.md")
        await wizard.until(lambda: str(path) in wizard.text())
        assert path.read_text() == "# Runbook (md)\n"
        path.write_text("mine")
        await wizard.until(lambda: not wizard.screen.query_one("#write").has_class("-active"))
        await wizard.pilot.click("#write")
        await wizard.on(Dialog)
        await wizard.pilot.press("enter")
        assert path.read_text() == "mine"
        await wizard.pilot.press("f3")
        await wizard.on(Page)
        assert "# Runbook" in wizard.text()
