"""join.init: made once, recognised, waited for, explained; what is half done is taken away only with consent."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stages.nodes_seen import MADE, NODE, PLANE, PREPARED, cluster, do, findings, listed, runs, seen
from wizard.actions import RemoveDirectory, TakeBack, WriteFile
from wizard.cluster import Cluster
from wizard.facts.cgroup import CGROUP_DRIVER
from wizard.facts.kube_nodes import KUBE_NODES, KubeNodes
from wizard.facts.kubeadm import Kubeadm
from wizard.facts.network import LINKS, SSH_PATH, Address, Link, Links, SshPath
from wizard.facts.ours import OURS, Ours, Record
from wizard.model import Blocked, Context, Do, FactUnknown, Nothing, Plan, Refused, Risk, Unknown, Unseen
from wizard.script import compile_part
from wizard.stages.join_addresses import lan_address, resolution
from wizard.stages.join_init import STEP

CUT_OFF = Kubeadm("v1.20.2", "v1.20.2", True, admin=True, joined=True, manifests=True, etcd=True, pki=True)


def plan(wanted: Cluster | None = None, **changed: Any) -> Plan:
    return STEP.plan(seen(wanted, **changed), "aki0")


def config(found: Do) -> list[dict[str, Any]]:
    [written] = [each for part in found.parts for each in part.actions if isinstance(each, WriteFile)]
    return list(yaml.safe_load_all(written.content))


# ---------------------------------------------------------------- not yet


def test_init_is_one_script_with_its_configuration() -> None:
    found = do(plan())
    [part] = found.parts
    assert (part.on, part.limit, found.risk) == ("aki0", 2700, Risk.NONE)
    assert runs(part.actions) == [
        "kubeadm init --config /var/lib/homek8s-wizard/kubeadm.yaml --skip-token-print",
        "wait until the API server says that it is ready (at most 300 s)",
    ]
    init, cluster_, kubelet = config(found)
    assert init["localAPIEndpoint"]["advertiseAddress"] == "192.168.182.130"
    assert cluster_["controlPlaneEndpoint"] == "192.168.182.130:6443"
    assert (cluster_["kubernetesVersion"], kubelet["cgroupDriver"]) == ("v1.20.2", "systemd")


def test_the_driver_is_that_of_containerd() -> None:
    assert config(do(plan(facts={("aki0", CGROUP_DRIVER): "cgroupfs"})))[2]["cgroupDriver"] == "cgroupfs"
    with pytest.raises(FactUnknown, match="cgroup-driver"):
        plan(facts={("aki0", CGROUP_DRIVER): Unseen("containerd does not say")})


def test_a_newer_kubeadm_validates_first() -> None:
    new = Kubeadm("v1.36.4", "v1.36.4")
    actions = do(plan(cluster(version="1.36"), aki0=new)).parts[0].actions
    assert runs(actions)[0] == "kubeadm config validate --config /var/lib/homek8s-wizard/kubeadm.yaml"


def test_an_endpoint_of_its_own_and_a_mirror() -> None:
    wanted = cluster(endpoint="k8s-api.home.arpa", images="mirror.home:5000/k8s")
    found = do(plan(wanted))
    assert config(found)[1]["controlPlaneEndpoint"] == "k8s-api.home.arpa:6443"
    assert config(found)[1]["imageRepository"] == "mirror.home:5000/k8s"
    assert not any("for good" in note for note in found.notes)


def test_an_accepted_small_guest_is_not_stopped_by_kubeadm() -> None:
    registered = config(do(plan(cluster(accept=("small-guest",)))))[0]["nodeRegistration"]
    assert registered["ignorePreflightErrors"] == ["NumCPU", "Mem"]


@pytest.mark.parametrize("wanted", [cluster(), cluster(endpoint="192.168.182.130")], ids=["left out", "said"])
def test_of_its_own_address_it_is_said_that_it_is_for_good(wanted: Cluster) -> None:
    found = do(plan(wanted))
    assert any("192.168.182.130:6443, the address of aki0, and that is for good" in note for note in found.notes)
    assert config(found)[0]["localAPIEndpoint"]["advertiseAddress"] == "192.168.182.130"


def test_a_name_that_nobody_knows_or_that_leads_elsewhere() -> None:
    wanted = cluster(endpoint="k8s-api.home.arpa")
    [name] = resolution(wanted)
    [finding] = findings(plan(wanted, facts={("aki0", name): ()}))
    assert finding.message == "aki0 does not know the name k8s-api.home.arpa, the API's endpoint"
    found = do(plan(wanted, facts={("aki0", name): ("192.168.182.9",)}))
    assert any("is 192.168.182.9, which aki0 does not have" in note for note in found.notes)


def test_a_single_node_is_told_about_taints() -> None:
    assert any("the only node" in note for note in do(plan(cluster(("control-plane",)))).notes)


@pytest.mark.parametrize(("planes", "said"), [(1, False), (2, True), (3, False), (4, True)])
def test_of_an_even_number_of_control_planes_it_is_said_before_the_first_is_made(planes: int, said: bool) -> None:
    wanted = cluster(("control-plane",) * planes + ("worker",), endpoint="k8s-api.home.arpa")
    note = f"{planes} control planes bear no more losses than {planes - 1}: etcd needs more than half of them."
    assert any(each.startswith(note) for each in do(plan(wanted)).notes) is said


def test_certificates_of_the_owners_own_are_used() -> None:
    found = do(plan(aki0=replace(PREPARED, pki=True)))
    assert len(found.parts) == 1
    assert "The certificates that lie in /etc/kubernetes/pki are used." in found.notes


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (Kubeadm(), "aki0 has no kubeadm and no kubelet yet"),
        (Kubeadm(version="v1.20.2"), "aki0 has no kubelet yet"),
        (Kubeadm("v1.20.2", "v1.21.0"), "aki0 has kubeadm v1.20.2, and its kubelet v1.21.0 is newer"),
        (
            Kubeadm("v1.36.4", "v1.32.2"),
            "aki0 has kubeadm v1.36.4, and its kubelet v1.32.2 is over 3 minor versions older",
        ),
    ],
)
def test_programs_that_are_missing_or_do_not_go_together(node: Kubeadm, why: str) -> None:
    assert plan(aki0=node) == Blocked("join.prerequisites", why)


def test_a_kubelet_that_kubeadm_takes_is_no_obstacle() -> None:
    """join.prerequisites leaves it as it is, by the same rule."""
    assert isinstance(plan(cluster(version="1.36"), aki0=Kubeadm("v1.36.4", "v1.33.1")), Do)


# ---------------------------------------------------------------- its address


def at(*addresses: str, arrives: str = "") -> Context:
    links = Links((Link("eth0", "", addresses=tuple(Address(ip_interface(each)) for each in addresses)),))
    path = SshPath("192.168.182.2", arrives, 22) if arrives else None
    return seen(facts={("aki0", SSH_PATH): path, ("aki0", LINKS): links})


def test_the_address_is_where_ssh_arrives_unless_that_is_not_on_the_lan() -> None:
    assert lan_address(at("192.168.190.100/24", "192.168.182.7/24", arrives="192.168.182.7"), "aki0") == "192.168.182.7"
    assert lan_address(at("192.168.182.7/24", arrives="192.168.190.100"), "aki0") == "192.168.182.7"
    assert lan_address(at("fd00::1/64", "10.244.0.1/24", "192.168.182.7/24", arrives="fd00::1"), "aki0")[-1] == "7"
    assert lan_address(at("192.168.182.7/24"), "aki0") == "192.168.182.7"


def test_a_node_without_an_address_on_the_lan() -> None:
    ctx = at("192.168.190.100/24", arrives="192.168.190.100")
    [finding] = findings(STEP.plan(ctx, "aki0"))
    assert finding.message == "aki0 has no IPv4 address on the LAN that its node could have"


# ---------------------------------------------------------------- there already


def test_a_cluster_that_is_there_is_adopted() -> None:
    assert plan(aki0=PLANE) == Nothing(
        "aki0 is a control plane of Kubernetes v1.20.2, and its API is ready, at 192.168.182.130:6443"
    )


def test_what_differs_from_the_file_is_said() -> None:
    made = replace(MADE, pod_cidr="10.10.0.0/16", version="v1.19.8", service_cidr="10.97.0.0/16", dns=False)
    found = plan(aki0=PLANE, made=made, nodes=KubeNodes((listed("old0"),)))
    assert isinstance(found, Nothing)
    assert found.why.endswith(
        "Other than in cluster.yaml: its nodes are called old0, none of them aki0, pods have 10.10.0.0/16, not "
        "10.244.0.0/16, services have 10.97.0.0/16, not 10.96.0.0/12, it is v1.19.8, not 1.20, it has no CoreDNS"
    )


def test_another_endpoint_is_refused_where_the_file_names_one() -> None:
    found = plan(cluster(endpoint="k8s-api.home.arpa"), aki0=PLANE)
    assert isinstance(found, Refused)
    assert findings(found)[0].cure.startswith("write `endpoint: 192.168.182.130`")


def test_a_worker_of_another_cluster_is_no_first_control_plane() -> None:
    found = plan(aki0=replace(NODE, server="https://10.0.0.1:6443"))
    assert isinstance(found, Refused)
    assert found.why == "aki0 is a worker of the cluster at https://10.0.0.1:6443"


def test_an_admin_kubeconfig_makes_no_control_plane_of_a_worker() -> None:
    """People bring it there to use kubectl; it leads to another machine's API."""
    found = plan(aki0=replace(NODE, admin=True))
    assert isinstance(found, Refused)
    assert found.why.startswith("aki0 is a worker of the cluster at ")
    half = replace(CUT_OFF, manifests=False, etcd=False)
    assert isinstance(plan(aki0=half), Do), "an init that was cut off before its manifests"


def test_a_control_plane_without_its_kubeconfig() -> None:
    [finding] = findings(plan(aki0=replace(PLANE, admin=False, api_ready=False)))
    assert "no /etc/kubernetes/admin.conf" in finding.message


def test_an_api_that_is_not_ready_after_a_boot_is_waited_for() -> None:
    found = waited_for(aki0=replace(PLANE, api_ready=False, up=20))
    assert found.why.startswith(
        "aki0 has a cluster whose API server is not ready, 20 s after aki0 started; its kubelet"
    )
    assert found.wait
    assert found.wait.risk is Risk.NONE
    assert runs(found.wait.actions) == ["wait until the API server says that it is ready (at most 300 s)"]


def waited_for(**changed: Any) -> Unknown:
    found = plan(**changed)
    assert isinstance(found, Unknown), found
    return found


def test_one_that_is_not_ready_now_is_waited_for_too() -> None:
    found = waited_for(aki0=replace(PLANE, api_ready=False, says="node not found"))
    assert "aki0 has a cluster whose API server is not ready; its kubelet says: node not found" in found.why
    assert "journalctl -u kubelet" in found.why
    assert found.wait


def test_without_its_kubelet_it_would_not_come() -> None:
    found = plan(aki0=replace(PLANE, api_ready=False, kubelet_active=False))
    assert isinstance(found, Blocked)
    assert findings(found)[0].cure.startswith("on aki0: sudo systemctl start kubelet")


# ---------------------------------------------------------------- half done


def test_an_init_that_was_cut_off_is_explained_and_reset_with_consent() -> None:
    found = do(plan(aki0=CUT_OFF))
    assert found.risk is Risk.DESTROYS_DATA
    assert found.irreversible
    assert [part.title for part in found.parts] == ["kubeadm reset", "kubeadm init"]
    assert found.why == (
        "kubeadm init began on aki0 and did not end: there are certificates in /etc/kubernetes/pki, "
        "/etc/kubernetes/admin.conf, /etc/kubernetes/kubelet.conf, the API server's manifest and data of etcd, and no "
        "API server answers there. It is taken away, and init begins anew"
    )


def test_one_whose_api_answers_is_half_done_all_the_same() -> None:
    """After a reboot the kubelet starts what lies there; the cluster's own configuration never came into it."""
    found = do(plan(aki0=replace(CUT_OFF, api_ready=True), made=replace(MADE, configured=False, joinable=False)))
    assert "its API server answers, but is not set up" in found.why


def test_a_cluster_made_otherwise_is_whole_when_nodes_can_join() -> None:
    assert isinstance(plan(aki0=replace(PLANE, finished=False)), Nothing)


def test_its_last_phase_is_made_up_for_where_it_was_ours() -> None:
    note = Record("a", "join.init@aki0", "undo", "kubeadm_away", "-", None)
    ours = Ours("m", "b", records=(note,))
    found = do(plan(aki0=PLANE, made=replace(MADE, dns=False), facts={("aki0", OURS): ours}))
    assert runs(found.parts[0].actions) == [
        "kubeadm init phase addon all --config /var/lib/homek8s-wizard/kubeadm.yaml"
    ]
    assert found.risk is Risk.NONE


def test_a_script_that_still_runs_there_is_not_half_done() -> None:
    ours = Ours("m", "b", jobs=("20261123-071530-join.init-1f3a",))
    assert isinstance(plan(aki0=CUT_OFF, facts={("aki0", OURS): ours}), Unknown)


# ---------------------------------------------------------------- the way back


def test_undo_resets_then_takes_back_the_rest() -> None:
    ctx = seen(aki0=PLANE, nodes=KubeNodes((listed("aki0"), listed("aki1"))))
    assert STEP.undo is not None
    found = do(STEP.undo(ctx, "aki0", (TakeBack("kubeadm_away"), RemoveDirectory("/x"))))
    [part] = found.parts
    assert found.risk is Risk.DESTROYS_DATA
    assert [each.summary.split(",")[0] for each in part.actions] == [
        "kubeadm reset",
        "remove the directory /x if it is empty",
    ]
    assert found.notes[0].startswith("Nodes that lose their cluster: aki1.")
    assert found.irreversible.startswith("The cluster goes")


def test_undo_of_what_no_longer_answers() -> None:
    ctx = seen(aki0=CUT_OFF, facts={("aki0", KUBE_NODES): Unseen("the Kubernetes API does not answer")})
    assert STEP.undo is not None
    assert do(STEP.undo(ctx, "aki0", ())).parts[0].title == "kubeadm reset"


# ---------------------------------------------------------------- the script


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_scripts_are_good_shell(tmp_path: Path) -> None:
    for part in do(plan(aki0=CUT_OFF)).parts:
        script = tmp_path / "script.sh"
        script.write_text(compile_part(STEP.id, "aki0", part))
        done = subprocess.run(["shellcheck", "-s", "sh", str(script)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_an_unconnected_runbook_has_it_too() -> None:
    wanted = cluster(version="1.36")
    found = do(STEP.plan(Context(wanted, STEP.fresh(wanted)), "aki0"))
    assert config(found)[0]["apiVersion"] == "kubeadm.k8s.io/v1beta4"
    assert config(found)[1]["kubernetesVersion"].startswith("READ-FROM-THE-HOST{kubeadm version")
    assert STEP.look(wanted, "aki0")[0].startswith("ssh owner@192.168.182.130 sudo kubectl")


@pytest.mark.parametrize(("endpoint", "elsewhere"), [("192.168.182.129", True), ("k8s-api.home.arpa", False)])
def test_unconnected_a_virtual_address_is_not_there_yet_and_a_name_is(endpoint: str, elsewhere: bool) -> None:
    wanted = cluster(endpoint=endpoint)
    found = do(STEP.plan(Context(wanted, STEP.fresh(wanted)), "aki0"))
    assert any(f"is {endpoint}, which aki0 does not have" in note for note in found.notes) is elsewhere
    assert any("does not have" in note for note in found.notes) is elsewhere
