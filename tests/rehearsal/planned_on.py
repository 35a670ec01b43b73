"""Steps planned from what a rehearsal says over SSH, their scripts run on it past its network, and pictures of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wizard.cluster import Cluster
from wizard.engine.planning import plan_undo
from wizard.events import NeedSecret, Question
from wizard.facts.ours import OURS
from wizard.model import HYPERVISOR, Context, Do, Plan, Secret, Step
from wizard.rehearsal import Rehearsal
from wizard.remote.connection import Connection, connect
from wizard.remote.destination import resolve
from wizard.remote.login import Login
from wizard.remote.observe import observe
from wizard.remote.ssh_config import SshConfig
from wizard.script import compile_part

SCRIPT = "/root/script.sh"


class PlannedOn:
    """One hypervisor and what is wanted of it."""

    def __init__(self, machine: Rehearsal, directory: Path) -> None:
        self.machine, self._directory = machine, directory
        self._attempts = 0

    def connect(self) -> Connection:
        status = self.machine.status()
        assert status is not None
        password = Secret(status.password_file.read_text().strip())

        def ask(question: Question) -> Secret:
            assert isinstance(question, NeedSecret)
            return password

        destination = resolve("owner@192.168.182.100", SshConfig(status.ssh_config))
        with self.machine.lan():
            return connect(Login(destination, ask, self._directory / "known_hosts", host=HYPERVISOR))

    def see(self, step: Step, cluster: Cluster) -> Context:
        """The step's facts, over a new SSH connection."""
        connection = self.connect()
        try:
            facts = [*step.facts(cluster, HYPERVISOR)[HYPERVISOR], OURS]
            answers = observe(connection, facts)
        finally:
            connection.close()
        return Context(cluster, {(HYPERVISOR, fact): seen for fact, seen in answers.items()})

    def plan(self, step: Step, cluster: Cluster) -> Plan:
        return step.plan(self.see(step, cluster), HYPERVISOR)

    def undo(self, step: Step, cluster: Cluster) -> Plan:
        """What the engine makes of undoing it, the notes on the host included."""
        return plan_undo(self.see(step, cluster), step, HYPERVISOR, 120).plan

    def run(self, step: Step, plan: Plan, *words: str, guard_seconds: int = 120, check: bool = True) -> str:
        """The plan's one script, as a new attempt; `words` are what is said to it afterwards: "keep"."""
        assert isinstance(plan, Do), plan
        [part] = plan.parts
        script = compile_part(step.id, HYPERVISOR, part, guard_seconds=guard_seconds)
        self._attempts += 1
        attempt = f"{step.id}-{self._attempts}"
        self.machine.inside(f"cat >{SCRIPT} <<'END_OF_SCRIPT'\n{script}\nEND_OF_SCRIPT")
        said = self._say(attempt, "", check)
        return said + self._say(attempt, " ".join(words), check) if part.guard and words else said

    def _say(self, attempt: str, words: str, check: bool) -> str:
        said = self.machine.inside(f"sh {SCRIPT} {attempt} {words} 2>&1; echo status $?")
        assert not check or said.endswith("status 0\n"), said
        return said

    def apply(self, step: Step, cluster: Cluster) -> Plan:
        """Planned, run and kept; the plan is given back."""
        plan = self.plan(step, cluster)
        self.run(step, plan, "keep")
        return plan


def picture(machine: Rehearsal) -> dict[str, Any]:
    """Links, addresses, routes and networkd's files, without what passes by itself (times, counters, indexes)."""
    links = {link["ifname"]: _lasting(link) for link in json.loads(machine.inside("ip -j -d addr"))}
    routes = [json.loads(machine.inside(f"ip -j {family} route")) for family in ("-4", "-6")]
    files = machine.inside(
        "find /etc/systemd /run/systemd/network -type f -o -type l | sort | xargs sha256sum; ls /etc/systemd/network"
    )
    return {
        "links": links,
        "routes": sorted(json.dumps(r, sort_keys=True) for rs in routes for r in rs),
        "files": files,
    }


PASSING = re.compile(
    "ifindex|link_index|.*_life_time|.*timer|qdisc|tentative|bridge_id|no|id|designated_port|fdb_n_learned"
)


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lasting(each) for key, each in value.items() if not PASSING.fullmatch(key)}
    if isinstance(value, list):
        return sorted((_lasting(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value
