"""Root trees: built once per recipe, kept in the cache, shared read-only by all rehearsals."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.rehearsal.commands import environment, failure
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.recipe import Recipe
from wizard.rehearsal.runtime import cache

Say = Callable[[str], None]


TIED_TO_US = (
    *("setpriv", "--pdeathsig", "TERM", "--"),
    *("unshare", "--mount", "--propagation=private", "--"),
)


def ensure(recipe: Recipe, say: Say) -> Path:
    """The tree for a recipe, building it first (under a minute on a usual machine) when the cache has none."""
    tree = cache() / "trees" / recipe.name
    if tree.is_dir():
        return tree
    tree.parent.mkdir(parents=True, exist_ok=True)
    with _builder(tree, say) as lock:
        if not tree.is_dir():
            _build(recipe, tree, lock, say)
    return tree


@contextmanager
def _builder(tree: Path, say: Say) -> Iterator[int]:
    """One builder at a time per tree. The lock's handle goes to mmdebstrap too, so that it holds while that runs."""
    lock = os.open(tree.with_name(f".{tree.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("The same root tree is being built already: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _build(recipe: Recipe, tree: Path, lock: int, say: Say) -> None:
    building = tree.with_name(f".{tree.name}.building")
    if building.exists():
        say("Removing what an interrupted build left.")
        shutil.rmtree(building)
    say(f"Building a Debian {recipe.suite} hypervisor ({recipe.flavour}); this happens once.")
    try:
        _mmdebstrap(recipe.command(str(building)), lock, say)
        building.chmod(0o755)
        building.rename(tree)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _mmdebstrap(command: list[str], lock: int, say: Say) -> None:
    """Show its steps as it goes. It ends when we are killed, and its mounts with it."""
    began = time.monotonic()
    last: deque[str] = deque(maxlen=30)
    with subprocess.Popen(
        [*TIED_TO_US, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        env=environment({"DEBIAN_FRONTEND": "noninteractive"}),
    ) as process:
        assert process.stdout
        for line in process.stdout:
            last.append(line.rstrip())
            if line.startswith("I: "):
                say(f"{time.monotonic() - began:5.0f} s  {_summary(line[3:].rstrip())}")
    if process.returncode != 0:
        what = failure(["mmdebstrap"], process.returncode, "\n".join(last))
        raise RehearsalError(
            f"The root tree could not be built. {what}\n"
            "Most often Debian's archive is not reachable from here, or the disk is full. Nothing half-built was kept."
        )


def _summary(line: str) -> str:
    """A hook is announced with its whole script."""
    return "setting the machine up..." if line.startswith("running --customize-hook") else line
