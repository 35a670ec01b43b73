"""verify.nodes: who is there and Ready, at which address, in which version, with which pods and certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.stages.test_join_cni import data, links
from wizard.cluster import Cluster
from wizard.facts.kube_certificates import CERTIFICATES, Certificate
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode, KubeNodes
from wizard.facts.kube_system import API_VERSION, SYSTEM_PODS, SystemPod
from wizard.facts.network import LINKS, SSH_PATH, SshPath
from wizard.model import Blocked, Check, Context, Known, Nothing, Plan, Seen, Unseen, Verdict
from wizard.stages.verify_nodes import STEP

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CLUSTER = Cluster.model_validate(data())
BY_NAME = data()
"""aki1 is reached by a name, of which the owner's SSH knows the address."""
BY_NAME["guests"][1]["ssh"] = "aki1"
STOPPED = "Kubelet stopped posting node status."


def node(name: str, **more: Any) -> KubeNode:
    number = name[-1]
    usual = {"machine_id": "", "internal_ip": f"192.168.182.13{number}", "ready": True, "kubelet": "v1.36.4"}
    return KubeNode(name, **usual | more)


def certificate(path: str, days: int) -> Certificate:
    return Certificate(path, NOW + timedelta(days=days), days)


PKI = "/etc/kubernetes/pki"
GOOD = (certificate(f"{PKI}/apiserver.crt", 364), certificate(f"{PKI}/ca.crt", 3649))


def context(*nodes: KubeNode, **changed: Any) -> Context:
    usual = (node("aki0"), node("aki1"))
    certificates = {"aki0": GOOD, "aki1": (certificate("/var/lib/kubelet/pki/kubelet-client-current.pem", 364),)}
    seen: dict[tuple[str, Any], Seen] = {
        ("aki0", KUBE_NODES): Known(changed.get("found", KubeNodes(nodes or usual))),
        ("aki0", API_VERSION): Known(changed.get("api", "v1.36.4")),
        ("aki0", SYSTEM_PODS): changed.get("pods", Known((SystemPod("kube-system", "etcd-aki0", "aki0"),))),
        **{
            (name, CERTIFICATES): found if isinstance(found, Unseen) else Known(found)
            for name, found in (certificates | changed.get("certificates", {})).items()
        },
    }
    seen |= changed.get("said", {})
    return Context(changed.get("wish", CLUSTER), {(host, fact.id): value for (host, fact), value in seen.items()})


def plan(*nodes: KubeNode, **changed: Any) -> Plan:
    return STEP.plan(context(*nodes, **changed), "aki0")


def check(name: str, *nodes: KubeNode, **changed: Any) -> Check:
    return next(each for each in STEP.checks(context(*nodes, **changed), "aki0") if each.id == f"nodes-{name}")


def test_all_is_well() -> None:
    assert plan() == Nothing("5 checks, nothing stands in the way")
    assert check("ready").reason == "aki0, aki1: all Ready"
    assert check("addresses").reason == "aki0 192.168.182.130, aki1 192.168.182.131"
    assert check("versions").reason == "the API v1.36.4, kubelets v1.36.4"
    assert check("system-pods").reason == "1 of Kubernetes' own pods run"
    assert check("certificates").reason == (
        "good until: aki0 2027-11-22 (apiserver.crt, 364 days); "
        "aki1 2027-11-22 (kubelet-client-current.pem, 364 days); the authorities until 2036-11-19"
    )
    assert STEP.facts(CLUSTER, "aki0")["aki1"] == (CERTIFICATES, SSH_PATH, LINKS)


def test_without_a_cluster_there_is_nothing_to_ask() -> None:
    assert plan(found=KubeNodes(there=False)) == Blocked("join.init", "there is no cluster yet")


def test_listed_is_not_ready() -> None:
    found = plan(node("aki0"), node("aki1", ready=False, reason=STOPPED))
    assert isinstance(found, Blocked)
    assert "aki1 is not Ready: Kubelet stopped posting node status" in found.why
    assert "on aki1: `systemctl status kubelet`" in found.findings[0].cure
    silent = check("ready", node("aki0"), node("aki1", ready=False))
    assert silent.reason.endswith("its kubelet has never said anything")


def test_one_that_is_missing_and_one_that_nobody_asked_for() -> None:
    found = check("ready", node("aki0"), node("aki7"))
    assert (found.verdict, found.reason) == (Verdict.STOP, "aki1 is not in the cluster")
    assert found.cure == "homek8s-wizard apply join.nodes"
    stranger = check("strangers", node("aki0"), node("aki1"), node("aki7"))
    assert stranger.verdict is Verdict.WARN
    assert "aki7 (192.168.182.137)" in stranger.reason
    cordoned = check("ready", node("aki0"), node("aki1", schedulable=False))
    assert (cordoned.verdict, "uncordon aki1" in cordoned.cure) == (Verdict.WARN, True)


def test_another_address_than_planned() -> None:
    found = check("addresses", node("aki0"), node("aki1", internal_ip="192.168.190.101"))
    assert found.verdict is Verdict.STOP
    assert found.reason.endswith("aki1 has 192.168.190.101, not 192.168.182.131")
    assert found.cure.startswith("on aki1: write `--node-ip=192.168.182.131` among KUBELET_KUBEADM_ARGS")


def reached(*addresses: str, at: str = "") -> dict[tuple[str, Any], Seen]:
    """What aki1 says of its own addresses."""
    arrives = Known(SshPath("192.168.182.2", at, 22) if at else None)
    return {("aki1", LINKS): links(*addresses), ("aki1", SSH_PATH): arrives}


def test_without_an_address_in_the_file_it_is_the_one_that_a_join_would_take() -> None:
    wish = Cluster.model_validate(BY_NAME)
    own = reached("192.168.190.101/24", "192.168.182.131/24", at="192.168.182.131")
    assert check("addresses", wish=wish, said=own).reason == "aki0 192.168.182.130, aki1 192.168.182.131"
    apart = (node("aki0"), node("aki1", internal_ip="192.168.190.101"))
    found = check("addresses", *apart, wish=wish, said=own)
    assert found.verdict is Verdict.WARN, "nobody has asked for another one"
    assert found.reason.endswith(": aki1 has 192.168.190.101, not 192.168.182.131, which a join would give it")
    assert "on aki1: write `--node-ip=192.168.182.131`" in found.cure
    both = (node("aki0", internal_ip=""), apart[1])
    assert check("addresses", *both, wish=wish, said=own).verdict is Verdict.STOP


def test_an_address_that_nobody_knows_is_not_compared() -> None:
    silent = Unseen("aki1: no route", unreachable=True)
    nothing = {("aki1", LINKS): silent, ("aki1", SSH_PATH): silent}
    wish = Cluster.model_validate(BY_NAME)
    for said in (nothing, reached("192.168.190.101/24")):
        found = check("addresses", wish=wish, said=said)
        assert (found.verdict, found.reason) == (Verdict.OK, "aki0 192.168.182.130; not compared: aki1")
        alone = check("addresses", node("aki1"), wish=wish, said=said)
        assert (alone.verdict, alone.reason) == (Verdict.UNKNOWN, "not compared: aki1")
    assert isinstance(plan(wish=wish, said=nothing), Nothing), "a silent node stops nobody"


@pytest.mark.parametrize(("strangers", "even"), [(0, False), (1, True), (2, False), (3, True)])
def test_an_even_number_of_control_planes(strangers: int, even: bool) -> None:
    there = (node("aki0", control_plane=True), node("aki1"))
    others = tuple(node(f"aki{number}", control_plane=True) for number in range(2, 2 + strangers))
    found = [each for each in STEP.checks(context(*there, *others), "aki0") if each.id == "nodes-control-planes"]
    assert [each.verdict for each in found] == [Verdict.WARN] * even
    count = 1 + strangers
    assert all(each.reason.startswith(f"{count} control planes bear no more losses than {count - 1}") for each in found)


@pytest.mark.parametrize(
    ("api", "kubelet", "words"),
    [
        ("v1.36.4", "v1.33.0", ""),
        ("v1.36.4", "v1.32.9", "over 3 minor versions older"),
        ("v1.35.1", "v1.36.0", "newer than the API"),
        ("v1.26.1", "v1.24.0", ""),
        ("v1.27.1", "v1.24.0", "over 2 minor versions older"),
    ],
)
def test_versions_that_may_be_together(api: str, kubelet: str, words: str) -> None:
    found = check("versions", node("aki0", kubelet=api), node("aki1", kubelet=kubelet), api=api)
    assert (found.verdict is Verdict.STOP) == bool(words)
    assert words in found.reason


def served(**versions: str) -> Known[tuple[SystemPod, ...]]:
    return Known(
        tuple(
            SystemPod("kube-system", f"kube-apiserver-{name}", name, image=f"mirror/kube-apiserver:{version}")
            for name, version in versions.items()
        )
    )


def test_each_control_plane_has_an_api_server_of_its_own() -> None:
    """The one that answers is only one of them."""
    together = check("versions", pods=served(aki0="v1.36.4", aki1="v1.37.1"))
    assert (together.verdict, together.reason) == (Verdict.OK, "the API v1.36.4, v1.37.1, kubelets v1.36.4")
    apart = check("versions", node("aki0", kubelet="v1.34.1"), pods=served(aki0="v1.36.4", aki1="v1.34.2"))
    assert apart.verdict is Verdict.STOP
    assert apart.reason == ("the API servers are more than one minor version apart: v1.36.4 on aki0, v1.34.2 on aki1")
    newer = check("versions", pods=served(aki0="v1.36.4", aki1="v1.35.9"))
    assert newer.reason.startswith("the kubelet of aki0 (v1.36.4) is newer than the API (v1.35.9)")
    old = check("versions", node("aki0", kubelet="v1.33.0"), pods=served(aki0="v1.36.4", aki1="v1.37.0"))
    assert old.reason.endswith("(v1.33.0) is over 3 minor versions older than the API (v1.37.0)")
    assert check("versions", pods=Unseen("the Kubernetes API does not answer: refused")).verdict is Verdict.OK


def test_a_system_pod_that_does_not_run_is_named_with_its_reason() -> None:
    pods = (
        SystemPod("kube-system", "coredns-1", "aki1", "coredns CrashLoopBackOff (last: Error with status 1)"),
        SystemPod("kube-system", "etcd-aki0", "aki0"),
    )
    found = check("system-pods", pods=Known(pods))
    assert found.reason == "kube-system/coredns-1 on aki1: coredns CrashLoopBackOff (last: Error with status 1)"
    assert "`kubectl -n kube-system describe pod coredns-1`" in found.cure
    young = SystemPod("kube-system", "etcd-aki0", "aki0", "etcd runs and is not ready", starting=True)
    assert check("system-pods", pods=Known((*pods, young))).verdict is Verdict.STOP
    started = check("system-pods", pods=Known((young,)))
    assert (started.verdict, started.reason.endswith("etcd runs and is not ready")) == (Verdict.WARN, True)
    down = check("system-pods", node("aki0"), node("aki1", ready=False, reason=STOPPED), pods=Known(pods))
    assert down.verdict is Verdict.OK, "that its node is down is said already"
    unknown = check("system-pods", pods=Unseen("the Kubernetes API does not answer: refused"))
    assert unknown.verdict is Verdict.UNKNOWN


def test_certificates_that_end() -> None:
    soon = check("certificates", certificates={"aki0": (certificate(f"{PKI}/apiserver.crt", 12), *GOOD)})
    assert (soon.verdict, "aki0 2026-12-05 (apiserver.crt, 12 days)" in soon.reason) == (Verdict.WARN, True)
    over = check("certificates", certificates={"aki0": (certificate(f"{PKI}/apiserver.crt", -1), *GOOD)})
    assert (over.verdict, over.reason) == (Verdict.STOP, "expired: apiserver.crt of aki0")
    assert "kubeadm certs renew all" in over.cure
    silent = check("certificates", certificates={"aki1": Unseen("aki1: no route", unreachable=True)})
    assert silent.reason.endswith("not seen: aki1")
    unknown = check("certificates", certificates={"aki0": Unseen("openssl is missing"), "aki1": ()})
    assert (unknown.verdict, unknown.reason) == (Verdict.UNKNOWN, "openssl is missing")
