"""The wizard on a terminal, driven by keys alone, against a real hypervisor: from the welcome to the last step."""

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
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import default_routes, forwarding_ports, links, networks
from wizard.catalog import steps
from wizard.engine.engine import Engine
from wizard.engine.settings import Settings
from wizard.events import NeedSecret, Question
from wizard.model import Secret, Step
from wizard.rehearsal import Rehearsal

LIMIT = 60


class Owner:
    """Somebody at the keyboard, who reads what is on the screen and presses keys."""

    def __init__(self, app: WizardApp, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot

    async def until(self, holds: Callable[[], object]) -> None:
        ends = time.monotonic() + LIMIT
        while not holds():
            if time.monotonic() > ends:
                pytest.fail(f"it never came to that; on the screen: {self.app.screen}\n{self.text()}")
            await asyncio.sleep(0.02)
        await self.pilot.pause()

    async def on(self, *kinds: type) -> None:
        await self.until(lambda: isinstance(self.app.screen, kinds) and self.app.screen.is_mounted)

    async def on_the_page_of(self, step: Step) -> None:
        """It is drawn, and the hosts have been looked at."""
        await self.on(StageScreen)
        await self.until(lambda: f"{step.title} (hypervisor)" in self.text() and not self.app.work.under_way)

    def text(self) -> str:
        return "\n".join(str(widget.content) for widget in self.app.screen.query(Plain) if widget.display)

    async def apply(self, step: Step) -> None:
        """From its page to its result, saying yes where it is asked, and on to the next page."""
        await self.on_the_page_of(step)
        await self.pilot.press("f4")
        while True:
            await self.on(Dialog, GuardDialog, ResultScreen)
            if isinstance(self.app.screen, ResultScreen):
                await self.pilot.press("enter")
                return
            asked = self.app.screen
            # A question has its safe answer focused; the guard has none, and Revert now comes first.
            await self.pilot.press(*(["tab"] if isinstance(asked, GuardDialog) else []), "tab", "enter")
            await self.until(lambda asked=asked: self.app.screen is not asked)


def wizard_app(machine: Rehearsal, directory: Path) -> WizardApp:
    status = machine.status()
    assert status is not None
    yaml = directory / "cluster.yaml"
    if not yaml.exists():
        yaml.write_text(status.cluster_file.read_text())
    password = Secret(status.password_file.read_text().strip())

    def given(question: Question) -> Secret | None:
        return password if isinstance(question, NeedSecret) else None

    settings = Settings(state_dir=directory / "state", ssh_config=status.ssh_config, at_keyboard=True)
    return WizardApp(yaml, settings, Engine, given=given)


async def test_a_whole_run_by_keyboard_at_80_by_24(hypervisor: Hypervisor, tmp_path: Path) -> None:
    machine = hypervisor()
    with machine.lan():
        app = wizard_app(machine, tmp_path)
        async with app.run_test(size=(80, 24), notifications=True, tooltips=True) as pilot:
            owner = Owner(app, pilot)
            await owner.on(WelcomeScreen)
            await owner.until(lambda: app.session is not None)
            await pilot.press("enter")
            for step in steps():
                await owner.apply(step)
            await owner.on(StageScreen)
        app.thread.finish(10)
    assert links(machine)["br0"]["addresses"] == ["192.168.182.100/24"]
    assert forwarding_ports(machine, "br0") == ["enp4s0"]
    assert default_routes(machine) == [("192.168.182.1", "br0")]
    assert {("vxlan10-bridge", "active", "yes"), ("kube-isolated", "active", "yes")} <= networks(machine)


async def test_silence_at_the_guard_goes_back_and_is_said(hypervisor: Hypervisor, tmp_path: Path) -> None:
    machine = hypervisor()
    with machine.lan():
        app = wizard_app(machine, tmp_path)
        app.settings = Settings(
            state_dir=app.settings.state_dir, ssh_config=app.settings.ssh_config, guard_seconds=15, at_keyboard=True
        )
        async with app.run_test(size=(80, 24), notifications=True, tooltips=True) as pilot:
            owner = Owner(app, pilot)
            await owner.on(WelcomeScreen)
            await owner.until(lambda: app.session is not None)
            await pilot.press("enter")
            for step in steps()[:2]:
                await owner.apply(step)
            await owner.on_the_page_of(steps()[2])
            await pilot.press("f4")
            await owner.on(Dialog)
            await pilot.press("tab", "enter")
            await owner.on(GuardDialog)
            await owner.on(ResultScreen)
        app.thread.finish(10)
    assert "br0" not in links(machine)
    assert links(machine)["enp4s0"]["addresses"] == ["192.168.182.100/24"]
