"""A host restarts because a part asked it to: it is waited for until it has come up anew (RELIABILITY 3.3).

The proof is another boot_id, read over a new connection: that SSH answers says nothing, it does so until the end.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from wizard.engine.here import is_here
from wizard.engine.hosts import SAY_EVERY, Hosts
from wizard.engine.running import Control, LetGo
from wizard.errors import HostKeyRefused, HostLostError, HostUnavailable, StepFailed, TookTooLong
from wizard.events import HostAwaited, HostConnected, Note, Observer

if TYPE_CHECKING:
    from wizard.remote.shell import Shell

LIMIT = 600.0
"""Seconds for a machine to come back: a firmware that checks its memory fits in."""
COMING_UP = 180
"""Seconds for its services to have started, once it answers."""
PAUSE = 2.0
BOOT = "cat /proc/sys/kernel/random/boot_id"
STILL_UP = "it has not gone down yet"
UP = f"timeout {COMING_UP} systemctl is-system-running --wait; systemctl --failed --plain --no-legend | cut -d' ' -f1"

CURE = "look at its console; where it hangs on its way down, `systemd-inhibit --list` and `systemctl list-jobs` say why"
ENDS_HERE = (
    "The wizard runs on the machine that now restarts, so it ends with it. "
    "Start it again when the machine is back: it goes on where it was."
)


class Restarter:
    def __init__(self, hosts: Hosts, tell: Observer, control: Control) -> None:
        self._hosts, self._tell, self._control = hosts, tell, control

    def before(self, host: str) -> str:
        """The boot that is now to end. Says so where the wizard itself ends with it."""
        connection = self._hosts.connection(host)
        if is_here(connection.address):
            self._tell(Note(ENDS_HERE))
        boot = _boot(connection)
        if not boot:
            raise StepFailed("it does not say which boot of it this is, so a restart could not be told", where=host)
        return boot

    def wait(self, host: str, before: str) -> None:
        """Until it has come up anew. Raises `StepFailed` when it has not in time, `LetGo` when the owner leaves."""
        deadline, said = time.monotonic() + LIMIT, ("", LIMIT + SAY_EVERY)
        while reason := self._not_yet(host, before):
            left = deadline - time.monotonic()
            if self._control.let_go.is_set():
                raise LetGo
            if left < 0 or self._control.end_now.is_set():
                raise StepFailed("it was asked to restart, and is not back", where=host, why=reason, cure=CURE)
            if reason != said[0] or left < said[1] - SAY_EVERY:
                said = (reason, left)
                self._tell(HostAwaited(host, reason, left))
            self._control.let_go.wait(PAUSE)

    def _not_yet(self, host: str, before: str) -> str:
        """Why it is not back; "" when it is, and its connection is then the one in use."""
        try:
            connection = self._hosts.fresh(host, timeout=8)
            self._hosts.adopt(host, connection)
            boot = _boot(connection)
            if boot in ("", before):
                return STILL_UP if boot else "it does not say which boot this is"
            self._tell(HostConnected(host, connection.address))
            self._services(host, connection)
        except HostKeyRefused:
            raise
        except (HostUnavailable, HostLostError, TookTooLong) as error:
            return error.what
        return ""

    def _services(self, host: str, connection: Shell) -> None:
        """Waits until they have started; one that fails is told, and is no failure of the restart."""
        state, *failed = connection.run(UP, limit=COMING_UP + 30).text.split() or [""]
        if state not in ("running", "degraded"):
            self._tell(Note(f"{host} is back, and after {COMING_UP} s still says: {state or 'nothing'}"))
        if failed:
            self._tell(Note(f"{host} is back, without {', '.join(failed)} (`systemctl status` there says why)"))


def _boot(connection: Shell) -> str:
    """Its boot_id; "" where what it says is none."""
    said = connection.run(BOOT, limit=20).text.strip()
    try:
        return str(uuid.UUID(said))
    except ValueError:
        return ""
