"""The wizard on a terminal, driven by keys alone, against a real hypervisor: from the welcome to the last step."""

from __future__ import annotations

from pathlib import Path

from screens.app import end_engine
from screens.dialogs import Dialog
from screens.guard import GuardDialog
from screens.result import ResultScreen
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.keyboard import Owner, wizard_app
from tests.rehearsal.wizard_on import default_routes, forwarding_ports, links, networks
from wizard.catalog import steps
from wizard.engine.settings import Settings


async def test_a_whole_run_by_keyboard_at_80_by_24(hypervisor: Hypervisor, tmp_path: Path) -> None:
    machine = hypervisor()
    with machine.lan():
        app = wizard_app(machine, tmp_path)
        async with app.run_test(size=(80, 24), notifications=True, tooltips=True) as pilot:
            owner = Owner(app, pilot)
            await owner.welcomed()
            applied = await owner.to_the_end()
            assert "isolated.network@hypervisor" in applied
        end_engine(app)
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
            await owner.welcomed()
            for step in steps()[:2]:
                await owner.apply(step)
            await owner.on_the_page_of(steps()[2])
            await pilot.press("f4")
            await owner.on(Dialog)
            await pilot.press("tab", "enter")
            await owner.on(GuardDialog)
            await owner.on(ResultScreen)
        end_engine(app)
    assert "br0" not in links(machine)
    assert links(machine)["enp4s0"]["addresses"] == ["192.168.182.100/24"]
