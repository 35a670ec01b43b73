"""The wizard as its owner runs it: the installed command, on the rehearsal's LAN, with a state directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.rehearsal import forked
from wizard.rehearsal import Rehearsal, RehearsalStatus

COMMAND = Path(sys.executable).with_name("homek8s-wizard")


class WizardOn:
    """Runs `homek8s-wizard` against one machine; `machine.inside` stays the independent eye on it."""

    def __init__(self, machine: Rehearsal, directory: Path) -> None:
        self.machine, self.directory = machine, directory
        directory.mkdir(exist_ok=True)
        status = machine.status()
        assert status is not None
        self.status: RehearsalStatus = status
        self.cluster_file = directory / "cluster.yaml"
        self.cluster_file.write_text(status.cluster_file.read_text())

    def argv(self, verb: str, *arguments: str) -> list[str]:
        options = ["-c", str(self.cluster_file), "--ssh-config", str(self.status.ssh_config)]
        password = ["--sudo-password-file", str(self.status.password_file)]
        return [str(COMMAND), verb, *options, *password, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """An owner whose kubeconfig is not that of whoever runs the tests."""
        kept = {"XDG_STATE_HOME": "state", "KUBECONFIG": "kubeconfig"}
        return {**os.environ, **{name: str(self.directory / path) for name, path in kept.items()}}

    def run(self, verb: str, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return forked.run(self.argv(verb, *arguments), self.machine.name, self.environment, timeout)

    def start(self, verb: str, *arguments: str) -> subprocess.Popen[str]:
        """The installed command under way, its output readable line by line."""
        return subprocess.Popen(
            self.machine.on_lan(self.argv(verb, *arguments)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )

    def ok(self, verb: str, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        done = self.run(verb, *arguments, timeout=timeout)
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, verb: str, *arguments: str) -> Any:
        done = self.run(verb, *arguments, "--json")
        assert done.stdout, f"status {done.returncode}\n{done.stderr}"
        return json.loads(done.stdout)

    def remembers(self, secret: str) -> list[Path]:
        """The files that the wizard keeps on the owner's machine, those of them with this in it."""
        kept = (path for path in (self.directory / "state").rglob("*") if path.is_file())
        return [path for path in kept if secret.encode() in path.read_bytes()]

    def states(self) -> dict[str, str]:
        return {row["step"]: row["state"] for row in self.json("status")["steps"]}

    def wish(self, **changes: str) -> None:
        """Lines of cluster.yaml's bridge section replaced: `port="enp5s0"`."""
        lines = self.cluster_file.read_text().splitlines()
        for key, value in changes.items():
            [index] = [number for number, line in enumerate(lines) if line.startswith(f"  {key}:")]
            lines[index] = f"  {key}: {value}" if value else ""
        self.cluster_file.write_text("\n".join(lines) + "\n")


def until_said(running: subprocess.Popen[str], words: str) -> str:
    """What it said up to the first line with these words."""
    assert running.stdout is not None
    seen = []
    for line in running.stdout:
        seen.append(line)
        if words in line:
            return "".join(seen)
    raise AssertionError(f"it ended before it said {words!r}:\n{''.join(seen)}")


def until_part_runs(running: subprocess.Popen[str]) -> str:
    return until_said(running, "==>")


def cut_off(machine: Rehearsal, seconds: int = 4) -> None:
    """All of its cables are out for so long."""
    machine.cut()
    machine.inside(f"sleep {seconds}")
    machine.restore()


def links(machine: Rehearsal) -> dict[str, dict[str, Any]]:
    """Every link with its master and its global addresses, as `ip` says."""
    found = json.loads(machine.inside("ip -j -d addr"))
    return {
        link["ifname"]: {
            "master": link.get("master"),
            "addresses": sorted(f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] == "global"),
            "kind": link.get("linkinfo", {}).get("info_kind"),
        }
        for link in found
    }


def default_routes(machine: Rehearsal) -> list[tuple[str, str]]:
    return [(r["gateway"], r["dev"]) for r in json.loads(machine.inside("ip -j -4 route show default"))]


def forwarding_ports(machine: Rehearsal, bridge: str) -> list[str]:
    found = json.loads(machine.inside("bridge -j link"))
    return sorted(p["ifname"] for p in found if p.get("master") == bridge and p["state"] == "forwarding")


def networks(machine: Rehearsal) -> set[tuple[str, str, str]]:
    """(name, state, autostart), as virsh says."""
    lines = machine.inside("command -v virsh >/dev/null || exit 0; LC_ALL=C virsh -q net-list --all").splitlines()
    return {tuple(line.split()[:3]) for line in lines if line.strip()}  # type: ignore[misc]


def picture(machine: Rehearsal) -> dict[str, Any]:
    """All that undo must bring back: files under /etc, links, addresses, routes, libvirt's networks."""
    known = networks(machine)  # first: once libvirtd answers, it has given its filters under /etc their UUIDs
    places = "/etc /usr/lib/systemd -xdev ! -path '/etc/libvirt/qemu/networks/autostart/*'"
    files = machine.inside(f"find {places} -type f -exec sha256sum {{}} +; find {places} -type l -printf '%p -> %l\\n'")
    routes = sorted(json.dumps(route, sort_keys=True) for route in json.loads(machine.inside("ip -j -4 route")))
    return {
        "files": sorted(files.splitlines()),
        "links": links(machine),
        "routes": routes,
        "networks": known,
    }
