"""join.pin: which way the pod network is told, when it may be, and what undo puts back."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.stages.test_join_cni import cluster, data, links
from wizard import catalog
from wizard.actions import OnUndo, Run, TakeBack
from wizard.cluster import Cluster
from wizard.engine.planning import plan_undo
from wizard.engine.stale import about_it
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode, KubeNodes
from wizard.facts.network import LINKS
from wizard.facts.ours import OURS, Ours
from wizard.facts.pod_network import DETECTION, POD_NETWORK, Agent, Applied, PodNetwork
from wizard.model import HYPERVISOR, Blocked, Context, Do, Known, Nothing, Plan, Refused, Seen, Unseen
from wizard.script import compile_part
from wizard.stages.join_pin import ANNOTATION, STEP

CIDR = "192.168.190.0/24"
MANIFEST = PodNetwork(agents=(Agent("kube-system", "calico-node", {DETECTION: "first-found"}),))
PINNED = PodNetwork(agents=(Agent("kube-system", "calico-node", {DETECTION: f"cidr={CIDR}"}),))


def operator(**detection: Any) -> PodNetwork:
    spec = {"calicoNetwork": {"nodeAddressAutodetectionV4": detection}} if detection else {}
    return PodNetwork(agents=(Agent("calico-system", "calico-node"),), installation=spec)


def node(name: str, address: str = "") -> KubeNode:
    return KubeNode(name, "", "", ready=True, annotations={ANNOTATION: address} if address else {})


def context(network: PodNetwork, wish: Cluster | None = None, **changed: Any) -> Context:
    seen: dict[tuple[str, Any], Seen] = {
        ("aki0", POD_NETWORK): Known(network),
        ("aki0", KUBE_NODES): Known(KubeNodes(changed.get("nodes", (node("aki0"), node("aki1"))))),
        ("aki0", LINKS): links("192.168.182.130/24", "192.168.190.100/24"),
        ("aki1", LINKS): changed.get("other", links("192.168.182.131/24", "192.168.190.101/24")),
    }
    return Context(wish or cluster(), {(host, fact.id): value for (host, fact), value in seen.items()})


def plan(network: PodNetwork, wish: Cluster | None = None, **changed: Any) -> Plan:
    return STEP.plan(context(network, wish, **changed), "aki0")


def do(network: PodNetwork, **changed: Any) -> Do:
    found = plan(network, **changed)
    assert isinstance(found, Do), found
    return found


def nothing(network: PodNetwork, wish: Cluster | None = None, **changed: Any) -> str:
    found = plan(network, wish, **changed)
    assert isinstance(found, Nothing), found
    return found.why


def pin_of(found: Do) -> Run:
    return next(a for a in found.parts[0].actions if isinstance(a, Run) and a.undo)


def patched(run: Run) -> Any:
    return json.loads(run.argv[-1])["spec"]["calicoNetwork"]["nodeAddressAutodetectionV4"]


@pytest.mark.parametrize(
    ("now", "wanted", "back"),
    [
        ({"firstFound": True}, {"firstFound": None, "cidrs": [CIDR]}, {"cidrs": None, "firstFound": True}),
        (
            {"cidrs": ["192.168.182.0/24"]},
            {"firstFound": None, "cidrs": [CIDR]},
            {"cidrs": ["192.168.182.0/24"]},
        ),
        (
            {"kubernetes": "NodeInternalIP"},
            {"kubernetes": None, "firstFound": None, "cidrs": [CIDR]},
            {"cidrs": None, "kubernetes": "NodeInternalIP"},
        ),
        ({}, {"firstFound": None, "cidrs": [CIDR]}, None),
    ],
)
def test_calico_by_its_operator(now: dict[str, Any], wanted: object, back: object) -> None:
    found = do(operator(**now))
    pin = pin_of(found)
    assert pin.argv[2:7] == ("patch", "installation.operator.tigera.io", "default", "--type=merge", "-p")
    assert patched(pin) == wanted
    assert pin.undo
    assert patched(pin.undo) == back
    lines = [action.summary for action in found.parts[0].actions if not isinstance(action, OnUndo)]
    assert lines[1:] == [
        "wait until the operator has told calico-node (at most 120 s)",
        "wait until calico-node has been restarted on every node (at most 300 s)",
        "wait until nodes name their new addresses (at most 120 s)",
    ]


@pytest.mark.parametrize(("before", "back"), [("first-found", f"{DETECTION}=first-found"), (None, f"{DETECTION}-")])
def test_a_calico_node_of_a_manifest(before: str | None, back: str) -> None:
    env = {DETECTION: before} if before else {}
    pin = pin_of(do(PodNetwork(agents=(Agent("kube-system", "calico-node", env),))))
    assert pin.argv[2:] == ("-n", "kube-system", "set", "env", "daemonset/calico-node", f"{DETECTION}=cidr={CIDR}")
    assert pin.undo
    assert pin.undo.argv[-1] == back


def test_what_is_pinned_stays() -> None:
    assert nothing(PINNED) == f"calico-node takes nodes' addresses from {CIDR}"
    assert nothing(operator(cidrs=[CIDR], firstFound=False)) == f"Calico's operator takes nodes' addresses from {CIDR}"
    named = (node("aki0", "192.168.190.100/24"), node("aki1", "192.168.190.101/24"))
    assert nothing(PINNED, nodes=named)
    assert nothing(PINNED, other=Unseen("off"))


def test_a_node_that_still_names_another_address_is_waited_for() -> None:
    found = do(PINNED, nodes=(node("aki0", "192.168.190.100/24"), node("aki1", "192.168.182.131/24")))
    assert found.why == f"aki1 still names an address outside {CIDR}"
    [wait] = found.parts[0].actions
    assert isinstance(wait, Run)
    assert wait.argv == ("network_moved", "120", "aki0=192.168.190.100", "aki1=192.168.190.101")


def test_only_when_every_node_has_its_address() -> None:
    assert plan(MANIFEST, other=links("192.168.182.131/24")) == Blocked(
        "guests.address", "aki1 has no 192.168.190.101 yet"
    )
    assert plan(MANIFEST, other=Unseen("off")) == Blocked(
        "guests.address", "nobody knows whether aki1 has 192.168.190.101: off"
    )
    stranger = plan(MANIFEST, nodes=(node("aki0"), node("pi")))
    assert isinstance(stranger, Blocked)
    assert "pi is a node of the cluster, but not in cluster.yaml" in stranger.why


def test_without_an_isolated_network() -> None:
    without = data()
    del without["guests"][1]["isolated_address"]
    assert nothing(MANIFEST, Cluster.model_validate(without)).startswith("aki1 has no `isolated_address`")
    del without["guests"][0]["isolated_address"]
    assert nothing(MANIFEST, Cluster.model_validate(without)).startswith("aki0, aki1 have no `isolated_address`")
    del without["isolated"]
    assert nothing(MANIFEST, Cluster.model_validate(without)).startswith("cluster.yaml has no isolated network")


@pytest.mark.parametrize("network", [PINNED, operator(cidrs=[CIDR])])
def test_a_node_without_an_address_there_has_no_network_once_it_is_pinned(network: PodNetwork) -> None:
    without = data()
    del without["guests"][1]["isolated_address"]
    wish = Cluster.model_validate(without)
    found = plan(network, wish)
    assert isinstance(found, Refused)
    assert found.why.startswith("aki1 has no `isolated_address`, and ")
    assert found.findings[0].cure == "give it an `isolated_address`, or run `homek8s-wizard undo join.pin`"
    assert nothing(MANIFEST, wish) == nothing(PodNetwork(there=False), wish)
    assert isinstance(STEP.plan(Context(wish, STEP.fresh(wish)), "aki0"), Nothing), "on paper nothing is pinned"


def test_networks_that_cannot_be_told() -> None:
    assert "InternalIPs" in nothing(PodNetwork(agents=(Agent("kube-system", "cilium"),)))
    other = PodNetwork(agents=(Agent("kube-system", "kube-proxy"), Agent("kube-flannel", "kube-flannel-ds")))
    assert nothing(other) == "kube-flannel-ds has no address detection that the wizard knows"
    assert nothing(PodNetwork()) == "the pod network has no address detection that the wizard knows"
    assert plan(PodNetwork(there=False)) == Blocked("join.init", "aki0 has no cluster yet")


def test_undo_puts_back_what_was() -> None:
    assert STEP.undo
    inverses = (TakeBack("kubectl x"),)
    found = STEP.undo(context(PINNED), "aki0", inverses)
    assert isinstance(found, Do)
    assert found.parts[0].actions == inverses
    gone = STEP.undo(context(PodNetwork(there=False)), "aki0", inverses)
    assert isinstance(gone, Do)
    assert gone.parts[0].actions == ()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("network", [MANIFEST, operator(firstFound=True)])
def test_the_script_is_good_shell(tmp_path: Path, network: PodNetwork) -> None:
    script = tmp_path / "script.sh"
    script.write_text(compile_part("join.pin", "aki0", do(network).parts[0]))
    options = ["--shell=dash", "--severity=warning", "--exclude=SC2034"]
    done = subprocess.run(["shellcheck", *options, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("cni", ["calico", "cilium"])
def test_on_paper(cni: str) -> None:
    wish = cluster(cni)
    assert isinstance(STEP.plan(Context(wish, STEP.fresh(wish)), "aki0"), Nothing)
    assert STEP.look(wish, "aki0")


# ---------------------------------------------------------------- undone first


def installed(network: PodNetwork) -> PodNetwork:
    """By join.cni, which leaves join.pin nothing to do, and nothing to note."""
    return replace(network, applied=Applied("calico", "3.32.1"))


def undone(network: PodNetwork, **changed: Any) -> Plan:
    ctx = context(network, **changed)
    ours = {(host, OURS.id): Known(Ours("m", "b")) for host in ("aki0", "aki1")}
    return plan_undo(Context(ctx.cluster, {**ctx.seen, **ours}), STEP, "aki0", 120).plan


def test_a_pod_network_that_was_pinned_from_its_beginning_goes_to_the_lan() -> None:
    found = undone(installed(operator(cidrs=[CIDR])))
    assert isinstance(found, Do)
    assert found.why == (
        f"Calico's operator takes nodes' addresses from {CIDR} since the pod network was installed; "
        "it is to take them from 192.168.182.0/24"
    )
    told, awaited, restarted = found.parts[0].actions
    assert isinstance(told, Run)
    assert patched(told) == {"cidrs": ["192.168.182.0/24"]}
    assert f"!= cidr={CIDR} ]" in awaited.shell()
    assert "network_restarted 300 calico-system calico-node" in restarted.shell()
    assert isinstance(undone(installed(operator(cidrs=["192.168.182.0/24"]))), Nothing)


def test_without_a_common_lan_it_goes_to_the_nodes_own_addresses() -> None:
    other = links("192.168.183.131/24", "192.168.190.101/24")
    found = undone(installed(operator(cidrs=[CIDR])), other=other)
    assert isinstance(found, Do)
    assert isinstance(told := found.parts[0].actions[0], Run)
    assert patched(told) == {"cidrs": None, "kubernetes": "NodeInternalIP"}
    found = undone(installed(PINNED), other=other)
    assert isinstance(found, Do)
    assert isinstance(told := found.parts[0].actions[0], Run)
    assert told.argv[-1] == f"{DETECTION}=kubernetes-internal-ip"


def test_a_manifest_that_says_it_itself() -> None:
    found = undone(installed(PINNED))
    assert isinstance(found, Do)
    told, restarted = found.parts[0].actions
    assert isinstance(told, Run)
    assert told.argv[2:] == (
        *("-n", "kube-system", "set", "env", "daemonset/calico-node"),
        f"{DETECTION}=cidr=192.168.182.0/24",
    )
    assert "network_restarted" in restarted.shell()


def test_what_somebody_else_set_up_stays_and_how_to_end_it_is_said() -> None:
    found = undone(PINNED)
    assert isinstance(found, Nothing)
    assert found.why.startswith(f"calico-node takes nodes' addresses from {CIDR}; the wizard did not set that. ")
    assert f"set env daemonset/calico-node {DETECTION}=cidr=192.168.182.0/24`" in found.why
    for other in (MANIFEST, PodNetwork(there=False), PodNetwork()):
        assert undone(other) == Nothing("nothing that the wizard did is left of it")


@pytest.mark.parametrize("under", [HYPERVISOR, "aki1"])
@pytest.mark.parametrize("network", [PINNED, installed(operator(cidrs=[CIDR]))])
def test_it_stands_on_the_isolated_network(network: PodNetwork, under: str) -> None:
    assert STEP.stands(context(network), "aki0", under).endswith(f" takes nodes' addresses from {CIDR}")
    assert not STEP.stands(context(MANIFEST), "aki0", under)
    assert not STEP.stands(context(PodNetwork(there=False)), "aki0", under)


def test_it_does_not_stand_on_a_guest_that_is_no_node() -> None:
    assert not STEP.stands(context(PINNED, nodes=(node("aki0"),)), "aki0", "aki1")


def test_what_it_stands_on_is_what_gives_nodes_their_addresses_there() -> None:
    on = {step.id for step in catalog.steps() if about_it(step.id, STEP.stands_on)}
    assert on == {"isolated.network", "guests.attach", "guests.address"}
