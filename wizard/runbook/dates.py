"""Times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def when(at: str) -> str:
    """2026-11-23 07:15:30 UTC, of a time as the journal has it (RFC 3339)."""
    try:
        return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return "at an unknown time"
