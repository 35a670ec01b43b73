"""A guest without an address in cluster.yaml is where libvirt says, while that is true; and one that is waited for."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wizard.cluster import Cluster
from wizard.engine import hosts as module
from wizard.engine.hosts import Hosts
from wizard.engine.settings import Settings
from wizard.errors import HostUnavailable
from wizard.events import Event, HostAwaited
from wizard.facts.guests import ADDRESSES, GuestAddresses, console
from wizard.facts.libvirt import DOMAINS, Domain, Domains
from wizard.model import HYPERVISOR, Known, Output, Seen

CLUSTER = Cluster.model_validate(
    {"name": "home", "hypervisor": {"ssh": "owner@127.0.0.1"}, "guests": [{"name": "aki0", "role": "worker"}]}
)
MAC = "52:54:00:00:00:01"
NIC = f"<interface type='network'><mac address='{MAC}'/><source network='lan'/></interface>"
CONSOLE = console("aki0")
AKI0 = Domain("aki0", "1", active=True, live_xml=f"<domain><devices>{NIC}</devices></domain>")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What libvirt says of guests' addresses."""
    addresses: dict[str, str] = {}

    def observe(connection: Any, facts: Any) -> Mapping[str, Seen]:
        agent = {name: ((MAC, IPv4Address(address)),) for name, address in addresses.items()}
        console = {CONSOLE.id: Known("Loading Linux ...")}
        return {ADDRESSES.id: Known(GuestAddresses(agent)), DOMAINS.id: Known(Domains((AKI0,))), **console}

    monkeypatch.setattr(module, "observe", observe)
    return addresses


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def hosts(tmp_path: Path, told: list[Event]) -> Hosts:
    """Nobody listens at the port where guests are looked for."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        (tmp_path / "config").write_text(f"Host *\n  Port {sock.getsockname()[1]}\n")
    found = Hosts(CLUSTER, Settings(ssh_config=tmp_path / "config"), tmp_path, lambda question: None, told.append)
    hypervisor: Any = SimpleNamespace(alive=True, close=lambda: None)
    found.adopt(HYPERVISOR, hypervisor)
    return found


def tried(hosts: Hosts) -> str:
    with pytest.raises(HostUnavailable) as failure:
        hosts.connection("aki0")
    return f"{failure.value.what} {failure.value.why}"


def test_one_that_does_not_answer_is_asked_for_again(hosts: Hosts, said: dict[str, str]) -> None:
    assert "its address is not known" in tried(hosts)
    said["aki0"] = "127.0.0.2"
    assert "127.0.0.2" in tried(hosts)
    said["aki0"] = "127.0.0.3"
    assert "127.0.0.3" in tried(hosts)
    said.clear()
    assert "127.0.0.3" in tried(hosts), "where libvirt knows none any more, the last one is tried"
    said["aki0"] = "127.0.0.4"
    assert "127.0.0.4" in tried(hosts)


def test_one_that_is_waited_for_is_looked_at_by_its_console(
    hosts: Hosts, said: dict[str, str], told: list[Event]
) -> None:
    said["aki0"] = "127.0.0.2"
    with pytest.raises(HostUnavailable) as failure:
        hosts.await_answer("aki0", 1, threading.Event())
    [awaited] = [event for event in told if isinstance(event, HostAwaited)]
    assert awaited.reason.endswith("; its console says: Loading Linux ...")
    assert failure.value.what.endswith("; its console says: Loading Linux ...")
    assert failure.value.why.startswith("no SSH server runs there")
    assert failure.value.cure.startswith("start it on that machine's console"), "what helped before still does"
    assert failure.value.cure.endswith(
        "; or look at its console, on the hypervisor: virsh console aki0 (leave with Ctrl+]), "
        "or /var/log/libvirt/qemu/aki0-console.log"
    )


def test_the_last_line_of_a_console_is_plain(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"[    0.0] Linux\r\n\x1b[32m  OK  \x1b[0m Started \x1b[1mssh\x1b[0m.\r\r\n \r\n")
    script = CONSOLE.command.replace("/var/log/libvirt/qemu/aki0-console.log", str(log))
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert CONSOLE.parse(Output(0, done.stdout)) == "OK   Started ssh."
    log.unlink()
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
    assert CONSOLE.parse(Output(0, done.stdout)) == ""
