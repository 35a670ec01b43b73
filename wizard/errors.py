"""What can go wrong, by what the owner can do about it. Each says what, where, why probably, and what next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class InputFinding:
    """One mistake in a file the owner wrote: `line` counts from 1, 0 where it is not about a line."""

    file: str
    line: int
    key: str
    message: str
    cure: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {key}{self.message}. {self.cure}".rstrip()


class WizardError(Exception):
    """The base of what is said to the owner. `status` is the exit status it stands for (DESIGN, command line)."""

    status = 1

    def __init__(self, what: str, *, where: str = "", why: str = "", cure: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.why, self.cure = what, where, why, cure

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.why:
            lines.append(f"Probably: {self.why}")
        if self.cure:
            lines.append(f"Next: {self.cure}")
        return "\n".join(lines)


class InputError(WizardError):
    """The owner's input is wrong; all findings at once."""

    status = 2

    def __init__(self, findings: Sequence[InputFinding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


class NewerState(WizardError):
    """Written by a newer version of the wizard; untouched."""

    status = 2


class HostUnavailable(WizardError):
    """Unreachable, host key refused, login refused, or sudo refused."""

    status = 4


class HostKeyRefused(HostUnavailable):
    """The host's key is unknown and was not accepted, or is another than the one known: trying again is no use."""


class HostLostError(WizardError):
    """An established connection broke; what runs on the host goes on."""

    status = 4


class TookTooLong(WizardError):
    """A command on a host did not end in time; it may still be running there."""

    status = 1


class WaitsForOwner(WizardError):
    """Consent, a lock held by somebody, a stop of preflight, or something only the owner can do."""

    status = 5


class StepFailed(WizardError):
    """A part failed on its host; `tail` is the end of its log."""

    status = 1

    def __init__(self, what: str, *, where: str = "", why: str = "", cure: str = "", tail: str = "") -> None:
        super().__init__(what, where=where, why=why, cure=cure)
        self.tail = tail
