"""Exported scripts as an owner runs them: copied with scp, run by sudo over ssh, confirmed from a new login."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.rehearsal.wizard_on import WizardOn

UNDER_WAY = ("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=5")
"""A connection that a change cut is given up soon."""
BOOTS = 900
"""Seconds for what makes or starts an emulated guest."""


class ByHand:
    """One export, and the host that its scripts run on."""

    def __init__(self, wizard: WizardOn, directory: Path) -> None:
        self.wizard, self.directory = wizard, directory

    @property
    def scripts(self) -> list[str]:
        """Those to run, in their order."""
        return sorted(each.name for each in self.directory.glob("*.sh") if not each.name.endswith("-confirm.sh"))

    def of(self, step: str) -> str:
        [name] = [each for each in self.scripts if re.fullmatch(rf"\d+-\w+-{re.escape(step)}\.sh", each)]
        return name

    def confirmation(self, name: str) -> str:
        confirm = name.replace(".sh", "-confirm.sh")
        return confirm if (self.directory / confirm).exists() else ""

    def copy(self, host: str = "hypervisor") -> None:
        status = self.wizard.status
        scp = ["scp", "-q", *self._options(host), "-F", str(status.ssh_config), "-r", str(self.directory)]
        copied = self.wizard.machine.run_on_lan([*scp, f"{host}:exported"], capture_output=True, text=True)
        assert copied.returncode == 0, copied.stderr

    def say(self, command: str, host: str = "hypervisor") -> subprocess.CompletedProcess[str]:
        """As root, by a new login."""
        status = self.wizard.status
        ssh = ["ssh", "-F", str(status.ssh_config), *self._options(host), *UNDER_WAY, host]
        return self.wizard.machine.run_on_lan(
            [*ssh, f"sudo -S -p '' {command}"],
            input=status.password_file.read_text(),
            capture_output=True,
            text=True,
            timeout=120 if host == "hypervisor" and "guests." not in command else BOOTS,
        )

    def _options(self, host: str) -> tuple[str, ...]:
        """Of a guest that was just made nobody knows the key yet."""
        if host == "hypervisor":
            return ()
        known = self.wizard.directory / "known_guests"
        return ("-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={known}")

    def run(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.say(" ".join(("sh", f"exported/{name}", *words)), _host(name))

    def ok(self, name: str, *words: str) -> str:
        done = self.run(name, *words)
        assert done.returncode == 0, f"{name}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def step(self, step: str) -> str:
        return self.script(self.of(step))

    def script(self, name: str) -> str:
        """Run, and where it is guarded and did something, confirmed; what it said."""
        begun, confirm = self.run(name), self.confirmation(name)
        if not confirm or "nothing to do; it ran before" in begun.stdout:
            assert begun.returncode == 0, begun.stdout + begun.stderr
            return begun.stdout
        assert begun.returncode in (0, 255), begun.stdout + begun.stderr
        kept = self.ok(confirm)
        assert kept.endswith(f"{confirm}: kept\n")
        return begun.stdout + kept

    def all(self) -> dict[str, str]:
        """Every script, in its order, first copied to a guest that has come up; what each said."""
        said: dict[str, str] = {}
        there = {"hypervisor"}
        for name in self.scripts:
            if _host(name) not in there:
                self.wizard.machine.wait_ssh(BOOTS, host=_host(name))
                self.copy(_host(name))
                there.add(_host(name))
            said[name] = self.script(name)
        return said


def _host(name: str) -> str:
    return name.split("-")[1]


def exported(wizard: WizardOn, guard_seconds: int = 120) -> ByHand:
    """An export by a wizard that reaches no host and remembers nothing, copied to the host."""
    directory, nowhere = wizard.directory / "exported", wizard.directory / "nowhere"
    nowhere.write_text("Host *\n  Port 1\n")
    options = ["--ssh-config", str(nowhere), "--state-dir", str(wizard.directory / "empty")]
    seconds = ["--guard-seconds", str(guard_seconds)]
    done = wizard.run("export", *options, *seconds, "--format", "sh", "-o", str(directory))
    assert done.returncode == 0, done.stderr
    assert "No host was looked at" in (directory / "README.txt").read_text()
    by_hand = ByHand(wizard, directory)
    by_hand.copy()
    return by_hand
