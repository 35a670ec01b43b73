"""Waiting for a node or for the API, with ears: what the other side says meanwhile is shown whenever it changes."""

from __future__ import annotations

from wizard.actions import Run


def heard(limit: int, words: str, probe: tuple[str, ...]) -> Run:
    """Waits until `probe` succeeds, at most `limit` seconds (templates/host/kubeadm.sh)."""
    return Run(("await_heard", str(limit), words, *probe), f"wait until {words} (at most {limit} s)")
