"""A journal and plans made up for exports, and a machine in a directory that runs what was exported."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path
from typing import Any

from wizard.actions import Action, WriteFile
from wizard.cluster import Cluster
from wizard.engine.planned import Planned
from wizard.engine.planning import plan_step
from wizard.events import State
from wizard.journal import Entry
from wizard.model import HYPERVISOR, Context, Do, Guard, Nothing, Part, Plan, Probe, Stage, Step, Unknown
from wizard.runbook import Material
from wizard.runbook.markdown import in_base64
from wizard.script import compile_part

AT = "2026-11-23T07:30:00+00:00"
CLUSTER = Cluster.model_validate(
    {
        "name": "aki",
        "hypervisor": {"ssh": "owner@192.168.182.100"},
        "guests": [
            {
                "name": "aki0",
                "role": "control-plane",
                "ssh": "owner@192.168.182.130",
                "isolated_address": "192.168.190.100",
            }
        ],
        "isolated": {"name": "kube-isolated", "cidr": "192.168.190.0/24"},
    }
)


def step(name: str, plan: Plan, *targets: str) -> Step:
    """A step that on a fresh host plans this."""
    return Step(
        name, f"the step {name}", "why", lambda ctx, target: plan, lambda cluster, target: {}, targets=lambda c: targets
    )


def part(*actions: Action, on: str = HYPERVISOR, guard: Guard | None = None, title: str = "a part") -> Part:
    return Part(on, title, actions, guard=guard, limit=60)


def file(path: str, content: str = "x\n", was: str | None = None) -> WriteFile:
    return WriteFile(path, content, was)


def of(*steps: Step, **more: Any) -> Material:
    """What is exported unconnected, unless `planned` says what was seen."""
    stages = (Stage("stage", "Stage", "why", steps),)
    ctx = Context(CLUSTER)
    fresh = tuple(plan_step(ctx, each, target, {}, 120) for each in steps for target in each.targets(CLUSTER))
    values = {"planned": fresh, "entries": (), "unseen": "no route to host", "fresh": fresh, **more}
    return Material(CLUSTER, "name: aki\n", stages, at=AT, **values)


def seen(step: Step, plan: Plan, target: str = HYPERVISOR) -> Planned:
    scripts = tuple(compile_part(step.id, target, each) for each in plan.parts) if isinstance(plan, Do) else ()
    why = plan.why if isinstance(plan, Do | Nothing | Unknown) else "in the way"
    return Planned(step, target, plan, State.TODO, why, scripts)


class Log:
    """A journal as the engine writes it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, kind: str, of: str, attempt: str = "", **payload: Any) -> None:
        name, _, target = of.partition("@")
        at = f"2026-11-23T07:00:{len(self.entries):02}.000Z"
        self.entries.append(Entry(len(self.entries) + 1, at, kind, name, target or HYPERVISOR, attempt, payload))

    def ran(self, of: str, part: Part, rc: int = 0, kept: bool | None = None, end: str = "done") -> str:
        """One part, run; its script."""
        name, _, target = of.partition("@")
        attempt, script = f"a{len(self.entries)}", compile_part(name, target or HYPERVISOR, part)
        probes = [[each.title, *each.argv] for each in part.guard.probes] if part.guard else None
        self.add("started", of, undoing=end == "undone")
        self.add(
            "intent",
            of,
            attempt,
            host=part.on,
            part=1,
            parts=1,
            title=part.title,
            script=script,
            limit=part.limit,
            reach=list(part.guard.reach) if part.guard else None,
            probes=probes,
        )
        self.add("ended", of, attempt, word="ended", rc=rc, seconds=1.0)
        if kept is not None:
            self.add("settled", of, attempt, kept=kept, why="")
        self.add(end, of, attempt, reason="")
        return script


GUARD = Guard(("192.168.182.100",), (Probe("the gateway answers", ("test", "-e", "/gateway")),))

SYSTEMD_RUN = r"""#!/bin/sh
# Runs at once what a service would run; a timer is only noted.
for each in "$@"; do
  case $each in --on-active=*) echo "$*" >>{home}/timers; exit 0 ;; ExecStopPost=*) end=${each#*=} ;; esac
  run=$last last=$each
done
status=0
"$run" "$last" || status=$?
if [ "$status" = 0 ]; then result=success; else result=exit-code; fi
SERVICE_RESULT=$result EXIT_CODE=exited EXIT_STATUS=$status $end
"""


class Machine:
    """A directory in the place of a host: /var/lib/homek8s-wizard, /etc/systemd and /gateway are in it."""

    def __init__(self, root: Path) -> None:
        self.root, self.home, self.programs = root, root / "home", root / "bin"
        self.programs.mkdir()
        self.home.mkdir()
        (root / "units").mkdir()
        programs = {"systemctl": "#!/bin/sh\n", "systemd-run": SYSTEMD_RUN, "sync": "#!/bin/sh\n"}
        for name, text in programs.items():
            (self.programs / name).write_text(text.replace("{home}", str(self.home)))
            (self.programs / name).chmod(0o755)

    def here(self, script: str) -> str:
        """With the paths of this machine, and as if root ran it; in what stands in base64 too."""
        if encoded := re.search(r"(?<=<<'END_OF_PART'\n)[A-Za-z0-9+/=\n]+(?=END_OF_PART\n)", script):
            part = base64.b64decode(encoded[0]).decode("utf-8", "surrogateescape")
            script = script.replace(encoded[0], in_base64(self._moved(part)))
        return self._moved(script)

    def _moved(self, script: str) -> str:
        for there, here in {
            "/var/lib/homek8s-wizard": str(self.home),
            "/etc/systemd/system": str(self.root / "units"),
            "/gateway": str(self.root / "gateway"),
            "PATH=/usr/local/sbin": f"PATH={self.programs}:/usr/local/sbin",
            "$PATH:}/usr/local/sbin": f"$PATH:}}{self.programs}:/usr/local/sbin",
            '"$(id -u)" = 0': "0 = 0",
        }.items():
            script = script.replace(there, here)
        return script

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        path = self.root / "script.sh"
        path.write_text(self.here(script), errors="surrogateescape")
        return subprocess.run(["sh", str(path), *words], capture_output=True, text=True, timeout=120)

    def notes(self) -> list[list[str]]:
        path = self.home / "manifest"
        return [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []
