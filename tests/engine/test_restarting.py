"""A host that restarts is waited for, and only another boot_id is believed."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from wizard.engine import restarting
from wizard.engine.restarting import ENDS_HERE, STILL_UP, Restarter
from wizard.engine.running import Control, LetGo
from wizard.errors import HostKeyRefused, HostLostError, HostUnavailable, StepFailed
from wizard.events import HostAwaited, HostConnected, Note
from wizard.remote.connection import Answer

OLD, NEW = "b0b64b1c-9bd1-4b4c-8c5a-3f9d0f1e7a11", "0d0f4f0e-27e8-4a0c-a5a3-6c1f54b8a2c2"


class Machine:
    """Each new connection finds it in the next of these conditions: a boot_id, or an error."""

    def __init__(self, *conditions: str | Exception, up: str = "running", address: str = "192.168.182.131") -> None:
        self.conditions, self.up, self.address = iter(conditions), up, address
        self.adopted: list[Any] = []
        self.events: list[object] = []
        self.control = Control.new()

    def fresh(self, host: str, timeout: float) -> Any:
        found = next(self.conditions)
        if isinstance(found, HostUnavailable):
            raise found
        return SimpleNamespace(address=self.address, run=self._says(found))

    def _says(self, found: str | Exception) -> Any:
        def run(script: str, limit: float) -> Answer:
            if isinstance(found, Exception):
                raise found
            return Answer(0, (found if "boot_id" in script else self.up).encode())

        return run

    def connection(self, host: str) -> Any:
        return SimpleNamespace(address=self.address, run=self._says(OLD))

    def adopt(self, host: str, connection: Any) -> None:
        self.adopted.append(connection)

    @property
    def restarter(self) -> Restarter:
        hosts: Any = self
        return Restarter(hosts, self.events.append, self.control)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(restarting, "PAUSE", 0)
    return iter(())


def test_it_is_back_when_it_is_in_another_boot() -> None:
    machine = Machine(OLD, HostUnavailable("refused"), HostLostError("lost"), "x", NEW)
    assert machine.restarter.before("aki1") == OLD
    machine.restarter.wait("aki1", OLD)
    said = [event.reason for event in machine.events if isinstance(event, HostAwaited)]
    assert said == [STILL_UP, "refused", "lost", "it does not say which boot this is"]
    assert machine.events[-1] == HostConnected("aki1", "192.168.182.131")
    assert len(machine.adopted) == 4, "the old connection is not used any more"


def test_what_did_not_start_is_told_and_stops_nothing() -> None:
    machine = Machine(NEW, up="degraded\nnfs-server.service\n")
    machine.restarter.wait("aki1", OLD)
    assert machine.events[-1] == Note("aki1 is back, without nfs-server.service (`systemctl status` there says why)")
    late = Machine(NEW, up="starting\n")
    late.restarter.wait("aki1", OLD)
    assert late.events[-1] == Note("aki1 is back, and after 180 s still says: starting")


def test_one_that_never_goes_down_is_said_with_how_to_look_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarting, "LIMIT", -1)
    with pytest.raises(StepFailed, match="is not back") as failed:
        Machine(OLD).restarter.wait("aki1", OLD)
    assert failed.value.why == STILL_UP
    assert "systemd-inhibit" in failed.value.cure


def test_the_owner_may_leave_or_end_it() -> None:
    machine = Machine(OLD)
    machine.control.let_go.set()
    with pytest.raises(LetGo):
        machine.restarter.wait("aki1", OLD)
    machine = Machine(OLD)
    machine.control.end_now.set()
    with pytest.raises(StepFailed):
        machine.restarter.wait("aki1", OLD)


def test_another_machine_at_its_address_is_not_waited_for() -> None:
    with pytest.raises(HostKeyRefused):
        Machine(HostKeyRefused("another key")).restarter.wait("aki1", OLD)


def test_a_wizard_that_ends_with_the_machine_says_so_before() -> None:
    machine = Machine(address="127.0.0.1")
    machine.restarter.before("hypervisor")
    assert machine.events == [Note(ENDS_HERE)]
