"""Where a guest is that cluster.yaml gives no address: libvirt's word, for as long as it is true."""

from __future__ import annotations

import socket
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
from wizard.facts.guests import ADDRESSES, GuestAddresses
from wizard.facts.libvirt import DOMAINS, Domain, Domains
from wizard.model import HYPERVISOR, Known, Seen

CLUSTER = Cluster.model_validate(
    {"name": "home", "hypervisor": {"ssh": "owner@127.0.0.1"}, "guests": [{"name": "aki0", "role": "worker"}]}
)
MAC = "52:54:00:00:00:01"
NIC = f"<interface type='network'><mac address='{MAC}'/><source network='lan'/></interface>"
AKI0 = Domain("aki0", "1", active=True, live_xml=f"<domain><devices>{NIC}</devices></domain>")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What libvirt says of guests' addresses."""
    addresses: dict[str, str] = {}

    def observe(connection: Any, facts: Any) -> Mapping[str, Seen]:
        agent = {name: ((MAC, IPv4Address(address)),) for name, address in addresses.items()}
        return {ADDRESSES.id: Known(GuestAddresses(agent)), DOMAINS.id: Known(Domains((AKI0,)))}

    monkeypatch.setattr(module, "observe", observe)
    return addresses


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """Nobody listens at the port where guests are looked for."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        (tmp_path / "config").write_text(f"Host *\n  Port {sock.getsockname()[1]}\n")
    found = Hosts(
        CLUSTER, Settings(ssh_config=tmp_path / "config"), tmp_path, lambda question: None, lambda event: None
    )
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
