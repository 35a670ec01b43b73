"""What is written down about the machine: which one it is, and how far its boot has come."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from wizard.rehearsal.guests import MOST, Guest, first
from wizard.rehearsal.processes import Process
from wizard.rehearsal.runtime import write


class Boot(StrEnum):
    """Where the machine is between wall power and a finished boot."""

    OFF = "off"
    BOOTING = "booting"
    UP = "up"
    FAILED = "failed"


@dataclass(frozen=True)
class Spec:
    """Which machine was asked for, written before anything else is made.

    `image` is what guests are made from; `guests` is how many cluster.yaml asks for; a midway one has its guests
    already, on a disk that lies over `layer`. `nodes` machines run beside the hypervisor, made of `node_tree`, and get
    from `kit` what makes them Kubernetes nodes.
    """

    name: str
    suite: str
    bare: bool
    tree: str
    image: str = ""
    guests: int = 0
    midway: bool = False
    layer: str = ""
    nodes: int = 0
    node_tree: str = ""
    kit: str = ""

    @property
    def named_guests(self) -> tuple[Guest, ...]:
        """Those in cluster.yaml, made or to be made."""
        return first(MOST if self.midway else self.guests)

    @property
    def named_nodes(self) -> tuple[Guest, ...]:
        """Machines of their own beside the hypervisor."""
        return first(self.nodes)

    def __str__(self) -> str:
        words = [self.suite, "bare" if self.bare else "", _counted(self.guests, "guest"), _counted(self.nodes, "node")]
        return ", ".join(filter(None, [*words, "midway" if self.midway else ""]))

    def save(self, path: Path) -> None:
        write(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Spec | None:
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None


@dataclass(frozen=True)
class State:
    """Written by the supervisor. `boots` counts from 1; `leader` is the machine's init, seen from outside."""

    boot: Boot
    boots: int
    leader: Process | None

    def save(self, path: Path) -> None:
        write(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> State | None:
        try:
            raw = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return cls(Boot(raw["boot"]), raw["boots"], Process(**raw["leader"]) if raw["leader"] else None)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}" if number else ""
