"""What is open: one cluster.yaml, its engine, what it last said, and where the owner looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from screens.contract import Engine
from screens.draft import ITEM, Draft, keys_of
from screens.record import Record
from wizard.cluster.file import ClusterFile
from wizard.engine.planned import Planned
from wizard.journal import Standing
from wizard.model import Stage, Step, Suggestion

if TYPE_CHECKING:
    from wizard.engine.doing import Outcome


@dataclass(frozen=True)
class Place:
    """One row of the rail: a step, for one target ("" where it has none yet)."""

    stage: Stage
    step: Step
    target: str

    @property
    def name(self) -> str:
        return f"{self.step.id}@{self.target}" if self.target else self.step.id


@dataclass
class Session:
    engine: Engine
    record: Record
    remembered: tuple[Standing, ...] = ()
    """Where steps stood when the wizard last looked."""
    rows: tuple[Planned, ...] = ()
    suggestions: dict[str, Mapping[str, tuple[Suggestion, ...]]] = field(default_factory=dict)
    """By step id, since the hosts were last looked at."""
    drafts: dict[str, Draft] = field(default_factory=dict)
    """What is typed, by the place's name."""
    at: int = 0
    """Which of `places` is shown."""

    @property
    def file(self) -> ClusterFile:
        return self.engine.cluster_file

    @property
    def places(self) -> list[Place]:
        return [
            Place(stage, step, target)
            for stage in self.engine.stages
            for step in stage.steps
            for target in self._targets(step)
        ]

    def _targets(self, step: Step) -> list[str]:
        """Those that are, and "" for one more where the form can make one, or where there is none at all."""
        targets = [row.target for row in self.rows if row.step.id == step.id]
        return targets if targets and not makes_targets(step) else [*targets, ""]

    def draft(self, place: Place) -> Draft:
        """What is typed for a place; begun anew where nothing is."""
        if place.name not in self.drafts:
            self.drafts[place.name] = Draft(self.file, keys_of(place.step.fields, self.file.data(), place.target))
        return self.drafts[place.name]

    @property
    def unsaved(self) -> list[Draft]:
        return [draft for draft in self.drafts.values() if draft.typed]

    def read_again(self) -> None:
        """The file was saved or read again: what is typed and not saved stays typed, where its place still is."""
        kept = {place.name: place for place in self.places if place.name in self.drafts}
        data = self.file.data()
        self.drafts = {
            name: self.drafts[name]
            for name, place in kept.items()
            if self.drafts[name].keys == keys_of(place.step.fields, data, place.target)
        }
        for draft in self.drafts.values():
            draft.rebase(self.file)

    @property
    def place(self) -> Place:
        places = self.places
        return places[min(self.at, len(places) - 1)]

    def planned(self, place: Place) -> Planned | None:
        found = (row for row in self.rows if row.step.id == place.step.id and row.target == place.target)
        return next(found, None)

    def take(self, rows: tuple[Planned, ...]) -> None:
        """New rows; the owner goes on looking at what they looked at."""
        name = self.place.name
        self.rows = rows
        self.go_to(name)

    def heard(self, outcome: Outcome) -> None:
        """What a run says of its steps counts until the hosts have been looked at again."""
        said = {(step.step, step.target): step for step in outcome.steps}
        self.rows = tuple(
            dataclasses.replace(row, state=step.state, reason=step.reason)
            if (step := said.get((row.step.id, row.target)))
            else row
            for row in self.rows
        )

    def go_to(self, name: str) -> None:
        """To `step@target`, or to the step when that target is gone."""
        places = self.places
        same = [at for at, place in enumerate(places) if place.name == name]
        step = name.partition("@")[0]
        close = [at for at, place in enumerate(places) if place.step.id == step]
        self.at = (same or close or [min(self.at, len(places) - 1)])[0]

    def first_open(self) -> int:
        """Where to begin: the first row that is neither done nor skipped."""
        settled = {"done", "skipped"}
        for at, place in enumerate(self.places):
            planned = self.planned(place)
            if planned is not None and planned.state.value not in settled:
                return at
        return 0

    def title_of(self, step_id: str) -> str:
        steps = (step for stage in self.engine.stages for step in stage.steps)
        return next((step.title for step in steps if step.id == step_id), step_id)


def makes_targets(step: Step) -> bool:
    """Whether its form can name one more target: a form for the items of a list, their name included."""
    return any(key.endswith(f"{ITEM}.name") for key in step.fields)
