"""Contexts for tests of the stage `firewall`: what real hosts said (tests/facts/capture_firewall.py), and changes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tests.facts.capture_firewall import FACTS
from wizard.cluster import Cluster
from wizard.model import HYPERVISOR, AnyFact, Context, Known, Output

FIXTURES = Path(__file__).parent / "facts" / "fixtures" / "firewall"
SUITES = ("bookworm", "trixie")


@cache
def seen(suite: str, state: str) -> dict[str, Any]:
    """Every fact's value: fresh, article, everywhere or ufw."""
    directory = FIXTURES / suite / state
    return {fact.id: fact.parse(Output(0, (directory / f"{fact.id}.out").read_bytes())) for fact in FACTS}


def cluster(firewall: dict[str, Any] | None = None, **sections: Any) -> Cluster:
    """With br0 on 192.168.182.0/24, unless `bridge` says otherwise."""
    data: dict[str, Any] = {"name": "aki", "hypervisor": {"ssh": "owner@192.168.182.100"}}
    data["bridge"] = {"port": "enp4s0", "addresses": ["192.168.182.100/24"]}
    data |= {"firewall": firewall} if firewall is not None else {}
    return Cluster.model_validate({key: value for key, value in (data | sections).items() if value is not None})


def context(
    wanted: Cluster, suite: str = "bookworm", state: str = "fresh", changed: dict[AnyFact[Any], Any] | None = None
) -> Context:
    values = seen(suite, state) | {fact.id: value for fact, value in (changed or {}).items()}
    return Context(wanted, {(HYPERVISOR, fact): Known(value) for fact, value in values.items()})
