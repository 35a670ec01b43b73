"""Somebody at the keyboard of the wizard, for tests that drive it by keys alone, against a real hypervisor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.dialogs import Dialog
from screens.guard import GuardDialog
from screens.plain import Plain
from screens.result import ResultScreen
from screens.stage import StageScreen
from screens.welcome import WelcomeScreen
from wizard.engine.engine import Engine
from wizard.engine.settings import Settings
from wizard.events import NeedSecret, Question, State
from wizard.model import Secret, Step
from wizard.rehearsal import Rehearsal

LIMIT = 60
"""Seconds for anything to come about on the screen."""


class Owner:
    """Somebody at the keyboard, who reads what is on the screen and presses keys."""

    def __init__(self, app: WizardApp, pilot: Pilot[int], limit: float = LIMIT) -> None:
        self.app, self.pilot, self.limit = app, pilot, limit

    async def until(self, holds: Callable[[], object]) -> None:
        ends = time.monotonic() + self.limit
        while not holds():
            if time.monotonic() > ends:
                pytest.fail(f"it never came to that; on the screen: {self.app.screen}\n{self.text()}")
            await asyncio.sleep(0.02)
        await self.pilot.pause()

    async def welcomed(self) -> None:
        """From the first screen to the first page."""
        await self.on(WelcomeScreen)
        await self.until(lambda: self.app.session is not None)
        await self.pilot.press("enter")

    async def on(self, *kinds: type) -> None:
        await self.until(lambda: isinstance(self.app.screen, kinds) and self.app.screen.is_mounted)

    async def on_the_page_of(self, step: Step) -> None:
        """It is drawn, and the hosts have been looked at."""
        await self.on(StageScreen)
        await self.until(lambda: f"{step.title} (hypervisor)" in self.text() and not self.app.work.under_way)

    def text(self) -> str:
        return "\n".join(str(widget.content) for widget in self.app.screen.query(Plain) if widget.display)

    async def apply(self, step: Step) -> None:
        """The page of this step is shown, and it is applied."""
        await self.on_the_page_of(step)
        await self.apply_shown()

    async def to_the_end(self) -> list[str]:
        """Applies what is shown until nothing is open; the wizard leads to what is next. Gives what was applied."""
        applied = []
        while True:
            await self.on(StageScreen)
            await self.until(lambda: self.app.session.rows and not self.app.work.under_way)
            place = self.app.session.place
            planned = self.app.session.planned(place)
            if planned is not None and planned.state is State.DONE:
                return applied
            if planned is not None and planned.state is State.UNKNOWN:  # a guest was too slow to be asked
                await self.pilot.press("f5")
                await self.until(lambda seen=planned: self.app.session.planned(self.app.session.place) is not seen)
                continue
            applied.append(place.name)
            await self.apply_shown()

    async def apply_shown(self) -> None:
        """From the page to the result, saying yes where it is asked, and on to the next page."""
        await self.pilot.press("f4")
        while True:
            await self.on(Dialog, GuardDialog, ResultScreen)
            if isinstance(self.app.screen, ResultScreen):
                assert self.app.screen.well, self.text()
                await self.pilot.press("enter")
                return
            asked = self.app.screen
            # A question has its safe answer focused; the guard has none, and Revert now comes first.
            await self.pilot.press(*(["tab"] if isinstance(asked, GuardDialog) else []), "tab", "enter")
            await self.until(lambda asked=asked: self.app.screen is not asked)


def wizard_app(machine: Rehearsal, directory: Path, state_dir: Path | None = None) -> WizardApp:
    status = machine.status()
    assert status is not None
    yaml = directory / "cluster.yaml"
    if not yaml.exists():
        yaml.write_text(status.cluster_file.read_text())
    password = Secret(status.password_file.read_text().strip())

    def given(question: Question) -> Secret | None:
        return password if isinstance(question, NeedSecret) else None

    settings = Settings(state_dir=state_dir or directory / "state", ssh_config=status.ssh_config, at_keyboard=True)
    return WizardApp(yaml, settings, Engine, given=given)
