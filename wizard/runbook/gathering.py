"""What goes into every form of the export: from the hosts, or where they cannot be reached, from what is remembered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wizard.errors import HostLostError, HostUnavailable
from wizard.runbook.book import Material
from wizard.runbook.fresh import planned_fresh

if TYPE_CHECKING:
    from wizard.engine.engine import Engine


def gather(engine: Engine) -> Material:
    cluster, unseen = engine.cluster_file.cluster, ""
    fresh = planned_fresh(cluster, engine.stages, engine.settings.guard_seconds)
    try:
        planned = engine.status()
    except (HostUnavailable, HostLostError) as error:
        planned, unseen = fresh, error.what
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entries = tuple(engine.journal.entries())
    return Material(cluster, engine.cluster_file.text(), engine.stages, planned, entries, now, unseen, fresh)
