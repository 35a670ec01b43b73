"""What is left where the wizard keeps things: on the owner's machine, on the nodes, and in a runbook."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.rehearsal.wizard_on import WizardOn

KEPT = "/var/lib/homek8s-wizard /run /var/log/journal"


def left(wizard: WizardOn, pattern: str, nodes: Iterable[str]) -> set[str]:
    """Everything there that looks like this; the pattern is one for both Python and `grep -E`."""
    exported = wizard.ok("export").stdout
    kept = [path.read_bytes().decode("utf-8", "replace") for path in wizard.directory.rglob("*") if path.is_file()]
    found = {match[0] for text in (exported, *kept) for match in re.finditer(pattern, text)}
    look = (
        f"grep -raohE --exclude-dir=rootfs '{pattern}' {KEPT}; journalctl --no-pager -u 'hk8s-*' | grep -oE '{pattern}'"
    )
    for node in nodes:
        found |= set(wizard.machine.inside(look, check=False, host=node).split())
    return found
