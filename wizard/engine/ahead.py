"""Steps with nothing to do, seen together: while nothing is changed, one look at the hosts is enough for all of them.

Only hosts that are connected already are asked, so that nobody waits for a guest, or is asked about one, before its
turn; and what is to be done is always looked at again just before.
"""

from __future__ import annotations

from wizard.engine.hosts import Hosts
from wizard.engine.looking import Looker, Targets
from wizard.engine.planned import Planned
from wizard.events import State
from wizard.model import Fact, Nothing, Step


class Ahead:
    def __init__(self, looker: Looker, hosts: Hosts) -> None:
        self._looker, self._hosts = looker, hosts
        self._nothing: dict[tuple[str, str], Planned] = {}
        self._asked: frozenset[str] = frozenset()
        """The hosts that were connected at the last look."""

    def changed(self) -> None:
        """Something is being done: what was seen before counts no longer."""
        self._nothing, self._asked = {}, frozenset()

    def nothing(self, step: Step, target: str) -> Planned | None:
        """The step's plan, if it was seen and has nothing to do."""
        return self._nothing.get((step.id, target))

    def look(self, rest: Targets) -> None:
        """After a step with nothing to do, at the `rest`: where one is as wanted, the next ones often are, too."""
        connected = self._hosts.connected()
        if connected <= self._asked:
            return
        self._asked = connected
        unseen = ((step, target) for step, target in rest if self.nothing(step, target) is None)
        within = tuple((step, target) for step, target in unseen if self._is_within(step, target, connected))
        if len(within) > 1:
            self._nothing |= {
                (each.step.id, each.target): each
                for each in self._looker.plan(within)
                if isinstance(each.plan, Nothing) and each.state is State.DONE
            }

    def _is_within(self, step: Step, target: str, connected: frozenset[str]) -> bool:
        """Its facts are those of connected hosts, and none of them has to be measured."""
        asked = step.facts(self._looker.file.cluster, target)
        costly = any(isinstance(fact, Fact) and fact.costly for facts in asked.values() for fact in facts)
        return not costly and connected >= set(asked)
