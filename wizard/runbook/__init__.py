"""The runbook of one cluster, as Markdown: what was done or would be done, why, how to see it and how to undo it."""

from wizard.runbook.book import Material
from wizard.runbook.fresh import planned_fresh
from wizard.runbook.making import export, runbook

__all__ = ["Material", "export", "planned_fresh", "runbook"]
