"""What comes by itself: not known yet, no change, and still something that `apply` runs."""

from __future__ import annotations

import pytest

from wizard.actions import Run
from wizard.cli.show import planned_text
from wizard.cli.verbs import _status_of, _sum_of
from wizard.cluster import Cluster
from wizard.engine.planned import Planned, as_json
from wizard.engine.planning import plan_step
from wizard.events import State
from wizard.model import Context, Part, Plan, Step, Unknown, on_hypervisor

CLUSTER = Cluster.model_validate({"name": "home", "hypervisor": {"ssh": "owner@192.168.182.100"}})
WAIT = Part("aki0", "aki0 answers over SSH", (Run(("uname", "-n")),), answers_within=560)


def planned(plan: Plan) -> Planned:
    step = Step("guests.reach", "", "", lambda ctx, target: plan, on_hypervisor())
    return plan_step(Context(CLUSTER), step, "aki0", {}, 120)


@pytest.mark.parametrize(("unreachable", "status"), [(True, 4), (False, 1)])
def test_it_is_unknown_and_no_change_is_pending(unreachable: bool, status: int) -> None:
    row = planned(Unknown("identity", "aki0 was started 40 s ago", unreachable, wait=WAIT))
    assert (row.state, row.reason) == (State.UNKNOWN, "aki0 was started 40 s ago")
    assert _status_of(row) == status
    assert _sum_of([row]) == "Nothing to change, and 1 that cannot be said yet."
    assert "`apply` waits, and looks again" in planned_text(row)


def test_its_script_is_shown_as_any_other() -> None:
    row = planned(Unknown("identity", "aki0 was started 40 s ago", True, wait=WAIT))
    assert row.parts == (WAIT,)
    [shown] = as_json(row)["parts"]
    assert shown["host"] == "aki0"
    assert "uname -n" in shown["script"]
    assert row.digest


def test_what_does_not_come_by_itself_has_nothing_to_run() -> None:
    row = planned(Unknown("identity", "no route to aki0", True))
    assert row.parts == row.scripts == ()
    assert "`apply`" not in planned_text(row)
