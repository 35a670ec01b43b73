"""Exported scripts as an owner runs them: copied with scp, run by sudo over ssh, confirmed from a new login."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.rehearsal.wizard_on import WizardOn

UNDER_WAY = ("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=5")
"""A connection that a change cut is given up soon."""


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

    def copy(self) -> None:
        status = self.wizard.status
        copied = self.wizard.machine.run_on_lan(
            ["scp", "-q", "-F", str(status.ssh_config), "-r", str(self.directory), "hypervisor:exported"]
        )
        assert copied.returncode == 0

    def say(self, command: str) -> subprocess.CompletedProcess[str]:
        """As root, by a new login."""
        status = self.wizard.status
        ssh = ["ssh", "-F", str(status.ssh_config), *UNDER_WAY, "hypervisor", f"sudo -S -p '' {command}"]
        return self.wizard.machine.run_on_lan(
            ssh, input=status.password_file.read_text(), capture_output=True, text=True, timeout=120
        )

    def run(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.say(" ".join(("sh", f"exported/{name}", *words)))

    def ok(self, name: str, *words: str) -> str:
        done = self.run(name, *words)
        assert done.returncode == 0, f"{name}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def step(self, step: str) -> str:
        """Run, and where it is guarded and did something, confirmed; what it said."""
        name = self.of(step)
        begun, confirm = self.run(name), self.confirmation(name)
        if not confirm or "nothing to do; it ran before" in begun.stdout:
            assert begun.returncode == 0, begun.stdout + begun.stderr
            return begun.stdout
        assert begun.returncode in (0, 255), begun.stdout + begun.stderr
        kept = self.ok(confirm)
        assert kept.endswith(f"{confirm}: kept\n")
        return begun.stdout + kept

    def all(self) -> dict[str, str]:
        """Every step, in its order; what each said."""
        return {step: self.step(step) for step in (re.sub(r"^\d+-\w+-|\.sh$", "", name) for name in self.scripts)}


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
