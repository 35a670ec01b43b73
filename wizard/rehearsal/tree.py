"""Root trees: built once per recipe, kept in the cache, shared read-only by all rehearsals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from wizard.rehearsal import once
from wizard.rehearsal.commands import followed
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.once import Say
from wizard.rehearsal.runtime import cache

TIED_TO_US = (
    *("setpriv", "--pdeathsig", "TERM", "--"),
    *("unshare", "--mount", "--propagation=private", "--"),
)


class Recipe(Protocol):
    """What a root tree is made of: `name` changes with anything that changes the tree."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """What is built, as in "Building TITLE"."""

    def command(self, directory: str) -> list[str]:
        """The mmdebstrap command that makes the tree in `directory`."""


def ensure(recipe: Recipe, say: Say) -> Path:
    """The tree for a recipe, building it first (under a minute on a usual machine) when the cache has none."""

    def make(tree: Path, lock: int) -> None:
        _build(recipe, tree, lock, say)

    return once.ensure(cache() / "trees" / recipe.name, "root tree", make, say)


def _build(recipe: Recipe, tree: Path, lock: int, say: Say) -> None:
    building = tree.with_name(f".{tree.name}.building")
    if building.exists():
        say("Removing what an interrupted build left.")
        shutil.rmtree(building)
    say(f"Building {recipe.title}; this happens once.")
    try:
        _mmdebstrap(recipe.command(str(building)), lock, say)
        building.chmod(0o755)
        building.rename(tree)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _mmdebstrap(command: list[str], lock: int, say: Say) -> None:
    """Show its steps as it goes. It ends when we are killed, and its mounts with it."""
    try:
        followed([*TIED_TO_US, *command], "mmdebstrap", lock, say)
    except RehearsalError as error:
        raise RehearsalError(
            f"The root tree could not be built. {error}\n"
            "Most often Debian's archive is not reachable from here, or the disk is full. Nothing half-built was kept."
        ) from None
