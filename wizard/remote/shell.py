"""What the engine needs of a host: that sh scripts run there, over SSH (`Connection`) or here (`LocalConnection`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wizard.remote.connection import Answer

HOME = '"${HK8S_HOME:-/var/lib/homek8s-wizard}"'
"""Where the wizard's notes are on a host, as words of sh."""


class Shell(Protocol):
    """Runs scripts on one host; see `wizard.remote.connection.Connection` for what each means."""

    host: str
    address: str

    @property
    def alive(self) -> bool: ...

    def run(
        self, script: str, *, stdin: bytes = b"", limit: float = 60, root: bool = True, keep: int = 4 * 1024 * 1024
    ) -> Answer: ...

    def stream(
        self,
        script: str,
        on_output: Callable[[bytes], None],
        *,
        stop: threading.Event | None = None,
        on_error: Callable[[bytes], None] = lambda chunk: None,
        limit: float | None = None,
        root: bool = True,
    ) -> int | None: ...

    def close(self) -> None: ...
