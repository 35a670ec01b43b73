"""The wizard on a terminal that a test drives, over an engine that a test scripts."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ["TEXTUAL_ANIMATIONS"] = "none"  # before Textual is imported: nothing here waits for a fade
os.environ["TEXTUAL_FPS"] = "20"

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Log

from screens.app import WizardApp
from screens.connect import ConnectScreen
from screens.plain import Plain
from screens.record import Record
from screens.session import Session
from screens.stage import StageScreen
from screens.welcome import WelcomeScreen
from tests.screens.scripted import Stand
from wizard.cluster.file import load
from wizard.engine.settings import Settings
from wizard.model import HYPERVISOR, Step

SIZES = ((80, 24), (120, 36))
SMALL = ((80, 24), (60, 20), (20, 5))
YAML = """\
# This is ours.
name: aki  # short
hypervisor:
  # the box in the cupboard
  ssh: owner@192.168.182.100
guests:
  - name: aki0
    role: control-plane
    ssh: owner@192.168.182.130
"""


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Ride:
    app: WizardApp
    pilot: Pilot[int]
    clock: Clock
    yaml: Path

    @property
    def screen(self) -> Screen[object]:
        return self.app.screen

    async def until(self, holds: Callable[[], object]) -> None:
        """Lets the app work until something is so; fails after some seconds in which it is not."""
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            if holds():
                await self.pilot.pause()
                return
            await asyncio.sleep(0.005)
        pytest.fail(f"it never came to that; on the screen: {self.screen}\n{self.text()}")

    async def on(self, kind: type) -> None:
        await self.until(lambda: isinstance(self.screen, kind) and self.screen.is_mounted)

    async def idle(self) -> None:
        await self.until(lambda: not self.app.work.under_way)

    def text(self) -> str:
        """All words on the screen, in the order of the widgets."""
        words = [str(widget.content) for widget in self.screen.query(Plain) if widget.display]
        return "\n".join([*words, *(line for log in self.screen.query(Log) for line in log.lines)])

    def button(self, key: str) -> str:
        """The id of a dialog's button."""
        choices = self.screen.choices  # type: ignore[attr-defined]
        return next(f"#choice-{number}" for number, choice in enumerate(choices) if choice.key == key)

    async def type(self, text: str) -> None:
        """All at once, as a terminal pastes; keys one by one are for what keys do."""
        await self.pilot.pause()
        focused = self.screen.focused
        assert focused is not None
        focused.post_message(Paste(text))
        await self.pilot.pause()

    async def to_connect(self) -> None:
        await self.on(WelcomeScreen)
        await self.until(lambda: self.app.session is not None)
        await self.pilot.press("enter")
        await self.until(lambda: isinstance(self.screen, ConnectScreen | StageScreen))

    async def at(self, step: Step, target: str = HYPERVISOR) -> StageScreen:
        """On a step at once, without the screens before it."""
        engine = self.app.new_engine(load(self.yaml), self.app.settings, self.app.asker.ask, self.app.feed.observe)
        self.app.session = session = Session(engine, Record(self.app.settings.directory("aki")), rows=engine.status())
        session.go_to(f"{step.id}@{target}" if target else step.id)
        screen = StageScreen(session)
        await self.app.push_screen(screen)
        await self.until(lambda: screen.shown)
        await self.idle()
        return screen

    async def to_stage(self, name: str = "") -> StageScreen:
        """Through the first screens to a step."""
        await self.to_connect()
        await self.on(StageScreen)
        await self.idle()
        assert isinstance(self.screen, StageScreen)
        if name:
            self.screen.go(name)
            await self.pilot.pause()
            await self.idle()
        return self.screen


@pytest.fixture
def stand() -> Stand:
    return Stand()


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(YAML)
    return path


Riding = Callable[..., "AsyncIterator[Ride]"]


@pytest.fixture
def ride(stand: Stand, yaml: Path, tmp_path: Path) -> Callable[..., object]:
    """`async with ride(size=(80, 24)) as wizard:`"""

    @asynccontextmanager
    async def riding(
        size: tuple[int, int] = (80, 24), path: Path | None = None, **options: bool
    ) -> AsyncIterator[Ride]:
        clock = Clock()
        app = WizardApp(
            path or tmp_path / "none.yaml", Settings(state_dir=tmp_path / "state"), stand, now=clock, **options
        )
        try:
            async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
                yield Ride(app, pilot, clock, yaml)
        finally:
            app.asker.close()
            for engine in stand.engines:
                engine.stopped.set()
            app.thread.finish(5)

    return riding
