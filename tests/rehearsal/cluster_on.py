"""The wizard on machines that become a cluster, and the cluster as kubectl sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.rehearsal.wizard_on import WizardOn
from wizard.rehearsal import Rehearsal, pod_network

NODE = "aki0"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"


Checks = dict[str, tuple[str, str, str]]
"""Verdict, reason and cure by the check's id."""


class ClusterOn(WizardOn):
    """The wizard with a pod network's manifest beside cluster.yaml."""

    def __init__(self, machine: Rehearsal, directory: Path) -> None:
        super().__init__(machine, directory)
        self.manifest = directory / pod_network.FILE
        self.manifest.write_text(pod_network.manifest())

    def kubectl(self, words: str, *, check: bool = True) -> str:
        return self.machine.inside(f"{KUBECTL} {words}", host=NODE, check=check)

    def ready(self, node: str = NODE) -> bool:
        conditions = json.loads(self.kubectl(f"get node {node} -o json"))["status"]["conditions"]
        return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)

    def planned(self, step: str) -> Any:
        return next(each for each in self.json("plan", step)["steps"] if each["step"] == step)


def checked(wizard: ClusterOn, step: str) -> Checks:
    rows = wizard.json("check", step)["checks"]
    return {row["check"]: (row["verdict"], row["reason"], row["cure"]) for row in rows}


@contextmanager
def but_for(wizard: ClusterOn, host: str, fault: str, cure: str) -> Iterator[None]:
    """What is done on a host for a while, and what ends it."""
    wizard.machine.inside(fault, host=host)
    try:
        yield
    finally:
        wizard.machine.inside(cure, host=host)
