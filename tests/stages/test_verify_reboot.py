"""verify.reboot: what is restarted in which order, how a test that was cut off goes on, and what is noted."""

from __future__ import annotations

import dataclasses
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.stages.test_join_cni import data
from wizard import catalog
from wizard.actions import RESTART
from wizard.cluster import Cluster
from wizard.engine.planning import plan_step
from wizard.events import State
from wizard.facts.kube_nodes import KUBE_NODES, KubeNodes
from wizard.facts.ours import OURS, Ours
from wizard.facts.reboot_test import REBOOT_TEST, CameBack, RebootTest, UnderWay, parse_test
from wizard.model import (
    HYPERVISOR,
    Blocked,
    Check,
    Context,
    Do,
    Fact,
    Known,
    Nothing,
    Output,
    Plan,
    Risk,
    Seen,
    Step,
    Unseen,
    Verdict,
    on_hypervisor,
)
from wizard.script import compile_part
from wizard.stages import verify_reboot
from wizard.stages.verify_reboot import EARLIER, STEP, TOO_OLD, subject

CLUSTER = Cluster.model_validate(data())
BOOTS = {
    "aki1": "11111111-0000-4000-8000-000000000000",
    "aki0": "22222222-0000-4000-8000-000000000000",
    HYPERVISOR: "33333333-0000-4000-8000-000000000000",
}
CAME_BACK = CameBack(subject(CLUSTER), datetime(2026, 11, 23, 10, 12, tzinfo=UTC), 95)


def context(test: RebootTest, *restarted: str, wish: Cluster = CLUSTER, there: bool = True) -> Context:
    seen: dict[tuple[str, str], Any] = {
        (HYPERVISOR, REBOOT_TEST.id): Known(test),
        ("aki0", KUBE_NODES.id): Known(KubeNodes(there=there)),
    }
    for name, boot in BOOTS.items():
        seen[name, OURS.id] = Known(Ours("machine", f"{boot}{' anew' if name in restarted else ''}"))
    return Context(wish, seen)


def plan(test: RebootTest, *restarted: str, **more: Any) -> Plan:
    return STEP.plan(context(test, *restarted, **more), HYPERVISOR)


def do(test: RebootTest, *restarted: str) -> Do:
    found = plan(test, *restarted)
    assert isinstance(found, Do), found
    return found


def restarts(found: Do) -> list[str]:
    assert all((part.actions[-1] is RESTART) == part.restarts for part in found.parts)
    return [part.on for part in found.parts if part.restarts]


def under_way(**more: Any) -> RebootTest:
    return RebootTest(under_way=dataclasses.replace(UnderWay(subject(CLUSTER), 240, BOOTS), **more))


@pytest.fixture
def earlier(monkeypatch: pytest.MonkeyPatch) -> dict[str, Plan]:
    """What the steps before it would do: by their ids."""
    plans: dict[str, Plan] = {"bridge.port": Nothing("br0 is there"), "join.init": Nothing("a cluster")}

    def step(name: str) -> Step:
        return Step(name, name, "", lambda ctx, target: plans[name], lambda cluster, target: {})

    monkeypatch.setattr(verify_reboot, "EARLIER", tuple(map(step, plans)))
    return plans


# ---------------------------------------------------------------- the order


def test_workers_first_then_control_planes_then_the_hypervisor() -> None:
    found = do(RebootTest())
    assert found.why == "nobody has tried yet whether the cluster comes back by itself"
    assert restarts(found) == ["aki1", "aki0", HYPERVISOR]
    assert [(part.on, part.title) for part in found.parts] == [
        (HYPERVISOR, "note in which boot each machine is"),
        ("aki1", "restart aki1"),
        ("aki1", "wait until aki1 is Ready again"),
        ("aki0", "restart aki0"),
        ("aki0", "wait until aki0 is Ready again"),
        (HYPERVISOR, "restart the hypervisor, and all guests with it"),
        ("aki0", "wait until aki0 is Ready again"),
        ("aki1", "wait until aki1 is Ready again"),
        (HYPERVISOR, "note when all nodes were Ready again"),
        ("aki0", "wait until Kubernetes' own pods run again"),
        (HYPERVISOR, "note that all nodes came back, and in which time"),
    ]
    assert found.risk is Risk.RESTARTS_MACHINE
    assert all(part.answers_within for part in found.parts if "Ready again" in part.title and part.on != HYPERVISOR)


def test_every_script_is_good_shell(tmp_path: Path) -> None:
    for number, part in enumerate(do(RebootTest()).parts):
        script = tmp_path / f"script{number}"
        script.write_text(compile_part(STEP.id, HYPERVISOR, part))
        done = subprocess.run(["shellcheck", "-s", "sh", str(script)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_what_it_means_is_said_before() -> None:
    assert "Nothing is drained before" in do(RebootTest()).notes[0]
    wish = data()
    wish["hypervisor"]["ssh"] = "localhost"
    wish["guests"][1] |= {"physical": True, "isolated_mac": "dc:a6:32:00:00:10"}
    found = plan(RebootTest(), wish=Cluster.model_validate(wish))
    assert isinstance(found, Do)
    assert found.notes[1].startswith("aki1 is a machine of its own")
    assert found.notes[2].startswith("The wizard runs on the hypervisor, so it ends when that restarts.")


def test_it_is_no_change_that_plan_counts() -> None:
    found = plan_step(context(RebootTest()), STEP, HYPERVISOR, {}, 120)
    assert found.state is State.CHECK
    assert STEP.only_named
    assert not STEP.targets(Cluster.model_validate({**data(), "guests": ()}))


# ---------------------------------------------------------------- cut off, and gone on with


def test_it_goes_on_where_it_was() -> None:
    found = do(under_way(), "aki1")
    assert found.why == "begun 4 min ago; still to restart: aki0, hypervisor"
    assert restarts(found) == ["aki0", HYPERVISOR]
    assert found.parts[0].title == "wait until aki1 is Ready again", "whether it came back is not known yet"
    last = do(under_way(), "aki1", "aki0", HYPERVISOR)
    assert restarts(last) == []
    assert last.risk is Risk.NONE
    assert [part.on for part in last.parts] == ["aki0", "aki1", HYPERVISOR, "aki0", HYPERVISOR]
    assert last.parts[-1].title == "note that all nodes came back, and in which time"


@pytest.mark.parametrize(
    "begun", [under_way(age=TOO_OLD + 1), under_way(subject="another"), under_way(boots={"aki0": "boot of aki0"})]
)
def test_one_that_says_nothing_any_more_is_begun_anew(begun: RebootTest) -> None:
    assert restarts(do(begun, "aki1", "aki0", HYPERVISOR)) == ["aki1", "aki0", HYPERVISOR]


def test_a_machine_that_does_not_answer_is_not_taken_for_one_that_restarted() -> None:
    ctx = context(under_way())
    silent = Context(CLUSTER, {**ctx.seen, ("aki1", OURS.id): Unseen("aki1: no route", unreachable=True)})
    found = plan_step(silent, STEP, HYPERVISOR, {}, 120)
    assert (found.state, found.reason) == (State.UNKNOWN, "aki1: no route")


# ---------------------------------------------------------------- afterwards


def test_all_nodes_came_back_and_all_holds(earlier: dict[str, Plan]) -> None:
    found = plan(RebootTest(CAME_BACK))
    assert isinstance(found, Nothing)
    assert found.why.startswith(
        "on 2026-11-23 10:12 UTC all nodes were Ready within 95 s of the hypervisor's restart, and since then"
    )


def test_what_does_not_hold_any_more_is_named(earlier: dict[str, Plan]) -> None:
    earlier["bridge.port"] = Do("there is no br0", ())
    found = plan(RebootTest(CAME_BACK))
    assert isinstance(found, Blocked)
    assert found.by == f"bridge.port@{HYPERVISOR}"
    assert found.why.endswith(" s of the hypervisor's restart; since then: there is no br0")


SPEED = Fact("speed", "measure", lambda output: int(output.text), costly=True)
CHECKED = Step(
    "look.speed",
    "Is it quick?",
    "",
    lambda ctx, target: Nothing("quick enough") if ctx.see(SPEED) > 5 else Blocked("you", "too slow"),
    on_hypervisor(SPEED),
    checks=lambda ctx, target: (Check("speed", "Speed", Verdict.OK, "9"),),
)


@pytest.mark.parametrize(
    ("speed", "why"),
    [
        (Known(9, "2026-11-23T10:11:59.000Z"), "not measured again"),
        (Unseen("not measured yet"), "not measured yet"),
        (Known(9, "2026-11-23T10:12:30.000Z"), ""),
        (Known(9), ""),
        (Known(2), "too slow"),
    ],
)
def test_only_what_was_measured_after_it_counts(monkeypatch: pytest.MonkeyPatch, speed: Seen, why: str) -> None:
    monkeypatch.setattr(verify_reboot, "EARLIER", (CHECKED,))
    ctx = context(RebootTest(CAME_BACK))
    found = STEP.plan(Context(CLUSTER, {**ctx.seen, (HYPERVISOR, SPEED.id): speed}), HYPERVISOR)
    if why:
        assert isinstance(found, Blocked)
        assert (found.by, found.why.rpartition(": ")[2]) == (f"look.speed@{HYPERVISOR}", why)
    else:
        assert isinstance(found, Nothing)


def test_what_every_step_before_it_measures_is_stale_by_a_restart() -> None:
    checks = {each.id: each for each in map(catalog.find, STEP.needs)}
    assert set(checks) == {"verify.nodes", "verify.peers", "verify.pods"} <= {step.id for step in EARLIER}
    for each in checks.values():
        facts = [fact for some in each.facts(CLUSTER, "aki0").values() for fact in some]
        costly = any(isinstance(fact, Fact) and fact.costly for fact in facts)
        assert costly == (STEP.id in each.asks_about), each.id


def test_when_it_was_noted_is_told_by_our_own_clock() -> None:
    said = b"1764000100\nback subject x\nback at 1764000000\nback seconds 95\n"
    ahead = parse_test(Output(0, said, asked=(1763000100.0, 1763000101.0))).came_back
    assert ahead is not None
    assert ahead.at == datetime.fromtimestamp(1763000000, UTC)


def test_of_another_cluster_file_it_says_nothing() -> None:
    found = plan(RebootTest(CAME_BACK), wish=Cluster.model_validate(data(version="1.35")))
    assert isinstance(found, Do)
    assert found.why == "cluster.yaml has changed since the last test, on 2026-11-23 10:12 UTC"
    renamed = data()
    renamed["hypervisor"]["ssh"] = "me@192.168.182.100"
    assert subject(Cluster.model_validate(renamed)) == CAME_BACK.subject, "who logs in is no part of it"


def test_without_a_cluster_it_waits() -> None:
    assert plan(RebootTest(), there=False) == Blocked("verify.pods", "there is no cluster yet")


def test_it_looks_at_all_that_the_steps_before_it_look_at() -> None:
    facts = STEP.facts(CLUSTER, HYPERVISOR)
    assert {step.id.partition(".")[0] for step in EARLIER} == {
        "preflight",
        "bridge",
        "firewall",
        "isolated",
        "guests",
        "join",
        "verify",
    }
    for step in EARLIER:
        for target in step.targets(CLUSTER):
            for host, some in step.facts(CLUSTER, target).items():
                assert {fact.id for fact in some} <= {fact.id for fact in facts[host]}


# ---------------------------------------------------------------- on the host


class Host:
    """A directory in the place of /var/lib/homek8s-wizard, in which parts are run."""

    def __init__(self, root: Path) -> None:
        self.root, self.attempts = root, 0

    def run(self, part: Any) -> None:
        self.attempts += 1
        script = compile_part(STEP.id, HYPERVISOR, part)
        path = self.root / "script.sh"
        path.write_text(script)
        environment = {"HK8S_HOME": str(self.root), "PATH": "/usr/bin:/bin"}
        subprocess.run(["sh", str(path), f"a{self.attempts}"], check=True, capture_output=True, env=environment)

    def seen(self) -> RebootTest:
        command = REBOOT_TEST.command.replace("/var/lib/homek8s-wizard", str(self.root))
        done = subprocess.run(["sh", "-c", command], check=True, capture_output=True)
        return parse_test(Output(0, done.stdout))


def test_what_is_noted_is_read_back(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.seen() == RebootTest()
    found = do(RebootTest())
    host.run(found.parts[0])
    begun = host.seen().under_way
    assert begun is not None
    assert (begun.subject, begun.boots, begun.age < 60) == (
        subject(CLUSTER),
        BOOTS,
        True,
    )
    hypervisor = next(part for part in found.parts if part.on == HYPERVISOR and part.restarts)
    host.run(dataclasses.replace(hypervisor, actions=hypervisor.actions[:1]))
    ready, last = (part for part in found.parts[-3:] if part.on == HYPERVISOR)
    host.run(ready)
    host.run(last)
    noted = host.seen().came_back
    assert noted is not None
    assert (noted.subject, 0 <= noted.seconds < 60) == (subject(CLUSTER), True)
    assert host.seen().under_way is None
    assert "undo\trm -f /var/lib/homek8s-wizard/verified/reboot" in (tmp_path / "manifest").read_text()
