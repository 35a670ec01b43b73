"""A node's clock, beside our own: certificates that one machine makes are not valid yet on one that is behind."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.facts.system import pairs
from wizard.model import Fact, Output


@dataclass(frozen=True)
class NodeClock:
    synchronised: bool | None
    """The kernel says so (timedatectl(1)); None where nothing can tell."""
    ahead: float = 0.0
    """Seconds by which it is ahead of our own at the least, behind where negative: it was read between our question and
    its answer, and nobody knows when."""


def _clock(output: Output) -> NodeClock:
    found = pairs(output)
    now, (asked, answered) = float(found["now"]), output.asked
    ahead = max(0.0, now - answered) + min(0.0, now - asked) if answered else 0.0
    return NodeClock({"yes": True, "no": False}.get(found.get("NTPSynchronized", "")), ahead)


NODE_CLOCK = Fact(
    "node-clock",
    "echo now=$(date +%s.%N); timedatectl show -p NTPSynchronized 2>/dev/null || true",
    _clock,
)
