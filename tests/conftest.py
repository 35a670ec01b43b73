"""For all tests: nothing is read from, or written to, the home of whoever runs them; and which of them take turns."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new, empty home directory per test; no SSH agent, no settings from the environment."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for variable in ("SSH_AUTH_SOCK", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOMEK8S_SUDO_PASSWORD_FILE"):
        monkeypatch.delenv(variable, raising=False)
    return home


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--turns", action="store_true", help="Of tests that take turns run one each, by the random seed.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("turns"):
        return
    sharing: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if what := _shared(item):
            sharing[what].append(item)
    waiting: set[pytest.Item] = set()
    for what, candidates in sharing.items():
        seed = config.getoption("randomly_seed", 0)
        chosen = random.Random(f"{seed} {what}").choice(sorted(candidates, key=lambda item: item.nodeid))
        waiting |= {*candidates} - {chosen}
    items[:] = [item for item in items if item not in waiting]
    config.hook.pytest_deselected(items=list(waiting))


def _shared(item: pytest.Item) -> str | None:
    """What it takes turns at: what its marker names, else what it would be without the parameters named there."""
    marks = list(item.iter_markers("turns"))
    if not marks:
        return None
    assert isinstance(item, pytest.Function)
    taking = {parameter for mark in marks for parameter in mark.args}
    kept = [f"{name}={value}" for name, value in item.callspec.params.items() if name not in taking] if taking else []
    named = next((mark.kwargs["at"] for mark in marks if "at" in mark.kwargs), None)
    return named or " ".join([item.nodeid.partition("[")[0], *sorted(kept)])
