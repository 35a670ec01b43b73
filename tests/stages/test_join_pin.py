"""join.pin: which way the pod network is told, when it may be, and what undo puts back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.stages.test_join_cni import cluster, data, links
from wizard.actions import OnUndo, Run, TakeBack
from wizard.cluster import Cluster
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode, KubeNodes
from wizard.facts.network import LINKS
from wizard.facts.pod_network import DETECTION, POD_NETWORK, Agent, PodNetwork
from wizard.model import Blocked, Context, Do, Known, Nothing, Plan, Seen, Unseen
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
