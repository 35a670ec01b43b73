"""What the hypervisor knows of the restart test: the one after which all nodes came back, and one that is under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wizard.model import Fact, Output

DIRECTORY = "/var/lib/homek8s-wizard/verified"
RECORD = f"{DIRECTORY}/reboot"


@dataclass(frozen=True)
class CameBack:
    """`seconds` from the request to restart the hypervisor until all nodes were Ready; no more than that is claimed."""

    subject: str
    """The sha256 of what was tested, as cluster.yaml had it."""
    at: datetime
    """When that was noted, by our own clock: what was measured before says nothing about afterwards."""
    seconds: int


@dataclass(frozen=True)
class UnderWay:
    """`boots` are those in which each machine was when it was begun, `age` seconds ago."""

    subject: str
    age: int
    boots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RebootTest:
    came_back: CameBack | None = None
    under_way: UnderWay | None = None


def parse_test(output: Output) -> RebootTest:
    now, *lines = output.text.splitlines()
    rows = [line.split() for line in lines]
    back = {key: value for which, key, value, *_ in rows if which == "back"}
    begun = {key: value for which, key, value, *_ in rows if which == "begun"}
    boots = {row[2]: row[3] for row in rows if row[:2] == ["begun", "boot"]}
    ours = (output.asked[0] or int(now)) - int(now)
    return RebootTest(
        CameBack(back["subject"], datetime.fromtimestamp(int(back["at"]) + ours, UTC), int(back["seconds"]))
        if back
        else None,
        UnderWay(begun["subject"], int(now) - int(begun["at"]), boots) if begun else None,
    )


REBOOT_TEST = Fact(
    "reboot-test",
    f"date +%s; sed 's/^/back /' {RECORD} 2>/dev/null; sed 's/^/begun /' {RECORD}-begun 2>/dev/null; true",
    parse_test,
)
