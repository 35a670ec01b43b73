"""What pods on every node find when each is asked to reach all others (templates/verify/pods.sh)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wizard.model import Fact, FactError, Output
from wizard.template import text

NAMESPACE = "homek8s-verify"
IMAGE = "docker.io/library/busybox:1.36"
PAIRED = ("large", "bulk")
ASKED = ("mtu", "dns", "outside", "service")
KINDS = ("pod", "http", *PAIRED, *ASKED, "logs", "exec")


@dataclass(frozen=True)
class Found:
    """An answer: to `kind` of question, from the pod on `node`, about `other` node where it is about two."""

    kind: str
    node: str
    other: str
    ok: bool
    words: str

    @property
    def where(self) -> str:
        return f"{self.node} to {self.other}" if self.other else self.node


@dataclass(frozen=True)
class PodsTried:
    all: tuple[Found, ...]

    def of(self, kind: str) -> tuple[Found, ...]:
        return tuple(each for each in self.all if each.kind == kind)

    @property
    def missing(self) -> Mapping[str, tuple[str, ...]]:
        """For each node whose pod runs and left questions without an answer: those questions."""
        running = [each.node for each in self.of("pod") if each.ok]
        left = {node: tuple(self._unanswered(node, running)) for node in running}
        return {node: questions for node, questions in left.items() if questions}

    def _unanswered(self, node: str, running: list[str]) -> Iterator[str]:
        """Large packets and long answers are only tried where HTTP works."""
        found = {(each.kind, each.other): each.ok for each in self.all if each.node == node}
        for other in running:
            for kind in ("http", *(PAIRED if found.get(("http", other)) else ())):
                if other != node and (kind, other) not in found:
                    yield f"{kind} to {other}"
        yield from (kind for kind in ASKED if (kind, "") not in found)

    @property
    def mtu(self) -> Mapping[str, int]:
        return {each.node: int(each.words) for each in self.of("mtu")}


def parse_tried(output: Output) -> PodsTried:
    """Raises `FactError` for a test that broke off: what it found until then says nothing about the rest."""
    lines = [line.split("\t") for line in output.text.splitlines()]
    if output.rc or not lines or lines[-1][0] != "end":
        last = output.complaint.splitlines()[-1:] or ["nothing was said"]
        raise FactError(f"the test with pods broke off: {last[0]}")
    return PodsTried(tuple(_found(*line) for line in lines[:-1]))


def _found(kind: str, node: str, other: str, ok: str, words: str) -> Found:
    if kind not in KINDS or ok not in ("ok", "no"):
        raise FactError(f"the test with pods says {kind} {ok}, which nobody asked")
    return Found(kind, node, "" if other == "-" else other, ok == "ok", words.strip())


PODS_TRIED = Fact("pods-tried", text("verify/pods.sh"), parse_tried, limit=900, costly=True)
