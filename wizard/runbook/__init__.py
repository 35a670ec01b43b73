"""What was or would be done to one cluster, on paper: as Markdown, as a page of HTML, as scripts to run by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.model import Secret
from wizard.runbook.book import Material
from wizard.runbook.directory import write
from wizard.runbook.fresh import planned_fresh
from wizard.runbook.gathering import gather
from wizard.runbook.html import page
from wizard.runbook.making import runbook
from wizard.runbook.scripts import scripts

if TYPE_CHECKING:
    from wizard.engine.engine import Engine

__all__ = ["Material", "export", "export_scripts", "planned_fresh", "runbook"]


def export(engine: Engine, secrets: Iterable[Secret] = (), form: str = "md") -> str:
    """The runbook of the engine's cluster, as "md" or "html"."""
    material = gather(engine)
    text = runbook(material, secrets)
    return page(text, f"Runbook of the cluster {material.cluster.name}") if form == "html" else text


def export_scripts(engine: Engine, directory: Path, secrets: Iterable[Secret] = ()) -> int:
    """The same as scripts to run by hand, in their order, with README.txt; how many there are to run."""
    exported = scripts(gather(engine), secrets)
    write(exported, directory)
    return exported.count
