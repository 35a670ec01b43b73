"""Consoles that have no colours, and no lines."""

from __future__ import annotations

import pytest

from screens.app import WizardApp
from screens.dialogs import told
from tests.screens.scripted import SPAN
from wizard.cluster.file import load
from wizard.engine.settings import Settings


def drawn(app) -> str:
    return app.export_screenshot(simplify=True)


@pytest.mark.parametrize("ascii_only", [True, False])
async def test_borders_are_plain_characters_where_asked(stand, tmp_path, ascii_only):
    app = WizardApp(tmp_path / "none.yaml", Settings(state_dir=tmp_path), stand, ascii_only=ascii_only)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(told("Title", "text"))
        await pilot.pause()
        assert ("╭" in drawn(app)) is not ascii_only
    app.thread.finish(5)


async def test_without_colours_nothing_is_coloured(monkeypatch, ride, yaml):
    monkeypatch.setenv("NO_COLOR", "1")
    async with ride() as wizard:
        await wizard.at(SPAN)
        assert wizard.app.native_ansi_color
        assert wizard.app.theme == "ansi-dark"
        assert "todo" in wizard.text()
        assert load(yaml)
