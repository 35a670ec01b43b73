"""Waiting for what sends no event: another process's state file, a port that opens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from wizard.rehearsal.error import RehearsalError

T = TypeVar("T")


def until(found: Callable[[], T | None], limit: float, what: str) -> T:
    """Ask every 20 ms until `found` returns something; after `limit` seconds raise with `what` did not happen."""
    deadline = time.monotonic() + limit
    while True:
        result = found()
        if result is not None:
            return result
        if time.monotonic() > deadline:
            raise RehearsalError(f"{what} within {limit:g} s.")
        time.sleep(0.02)
