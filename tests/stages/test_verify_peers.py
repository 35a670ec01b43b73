"""verify.peers: sessions that are there, that are missing, and the rule of the hypervisor that is the cause."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.stages.test_join_cni import cluster, data
from wizard.cluster import Cluster
from wizard.facts.bird import SPEAKERS, Session, Speaker, Speakers
from wizard.facts.bridged import BRIDGED, Bridged
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode, KubeNodes
from wizard.facts.nat import NAT_LIVE
from wizard.facts.nat_files import NAT_FILES, NatFiles
from wizard.facts.nat_iptables import parse_save
from wizard.facts.network import LINKS, Links
from wizard.model import HYPERVISOR, Blocked, Check, Context, FactUnknown, Known, Nothing, Seen, Unseen, Verdict
from wizard.stages.verify_peers import STEP

MASQUERADE = parse_save("iptables-nft", "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n")
ON_BR0 = parse_save("iptables-nft", "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o br0 -j MASQUERADE\nCOMMIT\n")
IN_IPV6 = parse_save("ip6tables-nft", "*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n")
NET = "192.168.190.10"


def speaker(number: int, peers: tuple[int, ...], state: str = "Established", net: str = NET, **more: Any) -> Speaker:
    sessions = tuple(Session(f"Mesh_{net}{each}".replace(".", "_"), state, f"{net}{each}") for each in peers)
    name = f"kube-system/calico-node-{number}"
    return Speaker(f"aki{number}", name, router=f"{net}{number}", sessions=sessions, **more)


GOOD = Speakers((speaker(0, (1,)), speaker(1, (0,))))
ERROR = "Socket: Connection timed out"
DOWN = Speakers(
    (
        dataclasses.replace(
            speaker(0, ()), sessions=(Session(f"Mesh_{NET}1", "Active", f"{NET}1", ERROR),), strangers=("10.0.0.1",)
        ),
        speaker(1, (0,), state="Passive"),
    )
)


def context(speakers: Speakers | Seen = GOOD, wish: Cluster | None = None, **changed: Any) -> Context:
    nodes = KubeNodes(tuple(KubeNode(name, "", "", ready=True) for name in changed.get("nodes", ("aki0", "aki1"))))
    seen: dict[tuple[str, Any], Seen] = {
        ("aki0", SPEAKERS): Known(speakers) if isinstance(speakers, Speakers) else speakers,
        ("aki0", KUBE_NODES): Known(nodes),
        (HYPERVISOR, LINKS): Known(Links(())),
        (HYPERVISOR, NAT_LIVE): changed.get("nat", Known((MASQUERADE,))),
        (HYPERVISOR, NAT_FILES): Known(NatFiles()),
        (HYPERVISOR, BRIDGED): Known(Bridged({"bridge-nf-call-iptables": changed.get("filtered", 1)})),
    }
    return Context(wish or cluster(), {(host, fact.id): value for (host, fact), value in seen.items()})


def checks(*args: Any, **changed: Any) -> dict[str, Check]:
    return {check.id: check for check in STEP.checks(context(*args, **changed), "aki0")}


def sessions(*args: Any, **changed: Any) -> Check:
    return checks(*args, **changed)["bgp-sessions"]


def test_all_is_well() -> None:
    found = checks()
    assert (found["bgp-sessions"].verdict, found["bgp-sessions"].reason) == (
        Verdict.OK,
        "1 session between 2 nodes, all Established",
    )
    assert found["bgp-network"].reason == "all within 192.168.190.0/24"
    assert isinstance(STEP.plan(context(), "aki0"), Nothing)


def test_the_rule_that_does_it_is_named() -> None:
    found = sessions(DOWN)
    assert found.verdict is Verdict.STOP
    assert found.reason == (
        f"aki0 ({NET}0) to aki1 ({NET}1): Active, {ERROR}; aki0 was called from 10.0.0.1, which is no node's address; "
        f"aki1 ({NET}1) to aki0 ({NET}0): Passive"
    )
    assert found.cure == (
        "the hypervisor rewrites what nodes say to each other by `-j MASQUERADE` (iptables, table nat, chain "
        "POSTROUTING): set `firewall.nat` to restrict-source in cluster.yaml, then homek8s-wizard apply firewall.nat"
    )
    assert isinstance(STEP.plan(context(DOWN), "aki0"), Blocked)


def test_the_cure_of_a_file_that_asks_for_it() -> None:
    wish = Cluster.model_validate({**data(), "firewall": {"nat": "restrict-source"}})
    assert sessions(DOWN, wish).cure.endswith(": homek8s-wizard apply firewall.nat")


def test_no_rule_is_blamed_without_cause() -> None:
    assert sessions(DOWN, filtered=0).cure.startswith("not the NAT rules of the hypervisor (`-j MASQUERADE`")
    for nat in (Known(()), Known((ON_BR0, IN_IPV6))):
        cure = sessions(DOWN, nat=nat).cure
        assert cure.startswith("no NAT rule of the hypervisor rewrites these addresses; look at each node's firewall")
        assert "kubectl -n kube-system logs calico-node-0" in cure
    assert sessions(DOWN, nat=Unseen("no answer")).cure == (
        "the hypervisor's NAT rules could not be looked at: no answer"
    )


def test_pods_that_say_nothing() -> None:
    silent = dataclasses.replace(speaker(1, ()), answers=False)
    stopped = dataclasses.replace(speaker(1, ()), running=False)
    one = speaker(0, (1,))
    assert sessions(Speakers((one, silent))).reason == "no BIRD answers in kube-system/calico-node-1 on aki1"
    assert "kube-system/calico-node-1 on aki1 does not run" in sessions(Speakers((one, stopped))).reason


def test_sessions_and_nodes_that_are_missing() -> None:
    assert sessions(Speakers((speaker(0, ()), speaker(1, (0,))))).reason == "aki0 knows 0 of its 1 peers"
    reason = sessions(nodes=("aki0", "aki1", "aki2")).reason
    assert reason == "aki2 runs no calico-node; aki0 knows 1 of its 2 peers; aki1 knows 1 of its 2 peers"


def test_a_mesh_of_the_owners_own_is_not_counted() -> None:
    peer = (Session("Node_10_0_0_1", "Established", "10.0.0.1"),)
    found = Speakers(tuple(dataclasses.replace(each, sessions=peer) for each in GOOD.all))
    assert sessions(found).verdict is Verdict.OK


def test_where_there_is_no_bgp() -> None:
    assert sessions(Speakers()).reason.startswith("no calico-node runs here")
    quiet = Speakers(tuple(dataclasses.replace(each, backend="vxlan", sessions=()) for each in GOOD.all))
    found = checks(quiet)
    assert found["bgp-sessions"].reason == "Calico runs without BGP (it routes with vxlan)"
    assert "bgp-network" not in found
    assert sessions(Speakers(there=False)).cure == "homek8s-wizard apply join"


def test_sessions_over_the_lan() -> None:
    lan = "192.168.182.13"
    found = checks(Speakers((speaker(0, (1,), net=lan), speaker(1, (0,), net=lan))))["bgp-network"]
    assert (found.verdict, found.cure) == (Verdict.WARN, "homek8s-wizard apply join.pin")
    assert found.reason == "outside 192.168.190.0/24: aki0 to 192.168.182.131, aki1 to 192.168.182.130"


def test_pods_that_could_not_be_asked_are_not_known_and_no_cluster_is_no_question() -> None:
    silent = Unseen("the Kubernetes API does not answer")
    assert sessions(silent).verdict is Verdict.UNKNOWN
    with pytest.raises(FactUnknown, match="does not answer"):
        STEP.plan(context(silent), "aki0")
    nobody = {("aki0", KUBE_NODES.id): Known(KubeNodes(there=False))}
    assert STEP.plan(Context(cluster(), nobody), "aki0") == Blocked("join.init", "there is no cluster yet")
