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
from tests.rehearsal.tcp import tcp_source_of_guest
from tests.rehearsal.wizard_on import default_routes, forwarding_ports, links, networks
from wizard.catalog import steps
from wizard.engine.engine import Engine
from wizard.engine.settings import Settings
from wizard.events import NeedSecret, Question, State
from wizard.model import Secret, Step
from wizard.rehearsal import Rehearsal

LIMIT = 60
BOOTS = 900
"""Seconds for what waits for an emulated guest to start."""


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
            applied = await owner.to_the_end()
            assert "isolated.network@hypervisor" in applied
        app.thread.finish(10)
    assert links(machine)["br0"]["addresses"] == ["192.168.182.100/24"]
    assert forwarding_ports(machine, "br0") == ["enp4s0"]
    assert default_routes(machine) == [("192.168.182.1", "br0")]
    assert {("vxlan10-bridge", "active", "yes"), ("kube-isolated", "active", "yes")} <= networks(machine)


async def test_the_article_half_done_is_finished_by_keyboard(hypervisor: Hypervisor, tmp_path: Path) -> None:
    machine = hypervisor(midway=True)
    with machine.lan():
        app = wizard_app(machine, tmp_path)
        async with app.run_test(size=(80, 24), notifications=True, tooltips=True) as pilot:
            owner = Owner(app, pilot, BOOTS)
            await owner.on(WelcomeScreen)
            await owner.until(lambda: app.session is not None)
            await pilot.press("enter")
            applied = await owner.to_the_end()
            assert {row.state for row in app.session.rows} == {State.DONE}
        app.thread.finish(10)
    assert "bridge.network@hypervisor" not in applied
    assert "guests.reach@aki0" not in applied
    assert {"bridge.port@hypervisor", "firewall.ufw@hypervisor", "guests.reach@aki2", "guests.address@aki0"} <= set(
        applied
    )
    assert "enp4s0" in forwarding_ports(machine, "br0")
    assert tcp_source_of_guest(machine, "aki0", "aki2", "192.168.190.102") == "192.168.190.100"


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
