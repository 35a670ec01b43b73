"""What a rehearsal reports when it cannot go on."""

from __future__ import annotations


class RehearsalError(Exception):
    """What failed, where, the likely reason and what to do next, in words for the person at the keyboard."""

    exit_status = 1


class BadRequest(RehearsalError):
    """The request itself cannot be met: a bad name, a missing tool. Nothing was touched."""

    exit_status = 2
