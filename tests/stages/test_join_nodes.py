"""join.nodes: recognised, refused, joined with secrets that are minted when they are needed, and taken out again."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stages.nodes_seen import (
    HASH,
    MADE,
    NODE,
    OTHER,
    PLANE,
    PREPARED,
    SILENT,
    cluster,
    do,
    findings,
    listed,
    runs,
    seen,
)
from wizard.actions import SecretFile, TakeBack
from wizard.cluster import Cluster
from wizard.engine.planning import plan_undo
from wizard.facts.cgroup import CGROUP_DRIVER
from wizard.facts.identity import IDENTITY, Identity
from wizard.facts.kube_nodes import KUBE_NODES, KubeNodes
from wizard.facts.kubeadm import KUBEADM, Kubeadm
from wizard.facts.network import LINKS, SSH_PATH, Address, Link, Links
from wizard.facts.ours import OURS, Ours, Record
from wizard.model import Blocked, Context, Do, FactUnknown, Nothing, Plan, Refused, Risk, Unknown, Unseen
from wizard.script import compile_part
from wizard.stages.join_addresses import resolution
from wizard.stages.join_nodes import STEP

ALONE = KubeNodes((listed("aki0"),))
BOTH = KubeNodes((listed("aki0"), listed("aki1")))
HIGHLY = cluster(("control-plane", "control-plane", "worker"), endpoint="k8s-api.home.arpa")
NAMED = replace(MADE, endpoint="k8s-api.home.arpa:6443")
VIRTUAL = "192.168.182.129"


def plan(wanted: Cluster | None = None, **changed: Any) -> Plan:
    return STEP.plan(seen(wanted, **({"aki0": PLANE, "nodes": ALONE} | changed)), "aki1")


def secret(found: Do) -> SecretFile:
    [written] = [each for part in found.parts for each in part.actions if isinstance(each, SecretFile)]
    return written


# ---------------------------------------------------------------- joins


def test_a_worker_joins_in_one_part_on_itself() -> None:
    found = do(plan())
    [part] = found.parts
    assert (part.on, found.risk) == ("aki1", Risk.NONE)
    assert runs(part.actions) == [
        "wait until the Kubernetes API answers at 192.168.182.130:6443 (at most 60 s)",
        "compare the clocks",
        "kubeadm join --config /run/homek8s-join.yaml",
        "wait until aki1 is listed among the nodes (at most 120 s)",
        "see whether aki1 becomes Ready",
    ]
    assert runs(part.always) == ["rm -f /run/homek8s-join.yaml"]


def test_the_token_is_a_hole_and_the_hash_is_not() -> None:
    written = secret(do(plan()))
    assert written.path.startswith("/run/")
    [hole] = written.holes
    assert (hole.on, hole.argv[:3]) == ("aki0", ("kubeadm", "token", "create"))
    [config] = yaml.safe_load_all(written.content)
    assert config["discovery"]["bootstrapToken"] == {
        "apiServerEndpoint": "192.168.182.130:6443",
        "token": "SECRET{join-token}",
        "caCertHashes": [f"sha256:{HASH}"],
    }
    assert config["nodeRegistration"]["kubeletExtraArgs"] == {"node-ip": "192.168.182.131"}


def test_without_a_pod_network_it_is_not_waited_for() -> None:
    found = do(plan(nodes=KubeNodes((listed("aki0", ready=False),))))
    assert runs(found.parts[0].actions)[-1].startswith("wait until aki1 is listed")
    assert found.notes == ("aki1 is NotReady until a pod network is there (join.cni).",)


def test_a_second_control_plane_gets_the_certificates() -> None:
    found = do(plan(HIGHLY, made=NAMED))
    assert [hole.name for hole in secret(found).holes] == ["join-token", "certificate-key"]
    assert "certificateKey: SECRET{certificate-key}" in secret(found).content
    assert found.notes[0].startswith("2 control planes bear no more losses than 1")


def test_an_accepted_small_control_plane_is_not_stopped_by_kubeadm() -> None:
    wanted = cluster(("control-plane", "control-plane", "worker"), ("small-guest",), endpoint="k8s-api.home.arpa")
    small = "ignorePreflightErrors"
    assert small in secret(do(plan(wanted, made=NAMED))).content
    worker = STEP.plan(seen(wanted, aki0=PLANE, nodes=ALONE, made=NAMED), "aki2")
    assert small not in secret(do(worker)).content, "of a worker kubeadm asks for neither"
    assert small not in secret(do(plan(HIGHLY, made=NAMED))).content


def test_control_planes_join_one_at_a_time_before_the_workers() -> None:
    assert STEP.targets(HIGHLY) == ("aki1", "aki2")
    assert [STEP.side_by_side(HIGHLY, name) for name in STEP.targets(HIGHLY)] == [False, True]


def test_of_a_name_that_leads_to_the_first_it_is_said_what_that_means() -> None:
    """The default of `seen`: every node takes the endpoint for aki0's own address."""
    words = "k8s-api.home.arpa:6443 leads to aki0 itself: when aki0 is down, so is the API"
    assert any(note.startswith(words) for note in do(plan(HIGHLY, made=NAMED)).notes)
    [name] = resolution(HIGHLY)
    for elsewhere in ((VIRTUAL,), ("192.168.182.130", "192.168.182.131")):
        found = do(plan(HIGHLY, made=NAMED, facts={("aki1", name): elsewhere}))
        assert not any("itself" in note for note in found.notes)
    assert do(STEP.plan(seen(HIGHLY, aki0=PLANE, nodes=ALONE, made=NAMED), "aki2")).notes == ()


def test_a_virtual_address_is_of_no_node() -> None:
    wanted = cluster(("control-plane", "control-plane"), endpoint=VIRTUAL)
    [address] = resolution(wanted)
    both = tuple(Address(ip_interface(each)) for each in (f"{VIRTUAL}/32", "192.168.182.130/24"))
    facts = {
        ("aki0", SSH_PATH): None,
        ("aki0", LINKS): Links((Link("enp1s0", "", addresses=both),)),
        ("aki1", address): (VIRTUAL,),
    }
    found = do(plan(wanted, made=replace(MADE, endpoint=f"{VIRTUAL}:6443"), facts=facts))
    assert f"apiServerEndpoint: {VIRTUAL}:6443" in secret(found).content
    assert [hole.argv[-1].count("advertiseAddress: 192.168.182.130") for hole in secret(found).holes] == [0, 1]
    assert not any("itself" in note for note in found.notes)


@pytest.mark.parametrize(
    ("physical", "said"),
    [
        ((), "aki0, aki1, aki2 are guests of one host: when it is down, so is the API."),
        (("aki1",), "aki0, aki2 are guests of one host: when it is down, so is the API."),
        (("aki0", "aki1"), ""),
    ],
)
def test_control_planes_on_one_host(physical: tuple[str, ...], said: str) -> None:
    """Half of etcd's members are one too few."""
    wanted = cluster(("control-plane",) * 3, endpoint="k8s-api.home.arpa")
    guests = [guest.model_copy(update={"physical": guest.name in physical}) for guest in wanted.guests]
    found = do(plan(wanted.model_copy(update={"guests": tuple(guests)}), made=NAMED))
    assert [note for note in found.notes if "one host" in note] == [said][: bool(said)]


# ---------------------------------------------------------------- in it already, or elsewhere


def test_a_node_of_this_cluster_is_recognised() -> None:
    assert plan(aki1=NODE, nodes=BOTH) == Nothing("aki1 is a node of the cluster (v1.20.2, 192.168.182.131), Ready")
    waits = KubeNodes((listed("aki0"), listed("aki1", ready=False, reason="cni plugin not initialized")))
    found = plan(aki1=NODE, nodes=waits)
    assert isinstance(found, Nothing)
    assert found.why.endswith("not Ready yet: cni plugin not initialized")


def test_a_node_of_another_cluster_is_refused_with_its_server() -> None:
    found = plan(aki1=replace(NODE, ca_hash=OTHER, server="https://10.0.0.1:6443"))
    assert isinstance(found, Refused)
    assert found.why == "aki1 belongs to another cluster, at https://10.0.0.1:6443"


def test_one_that_has_another_name_there() -> None:
    there = KubeNodes((listed("aki0"), listed("old", machine_id="machine of aki1", internal_ip="")))
    assert findings(plan(aki1=NODE, nodes=there))[0].message == "aki1 is in the cluster already, under the name old"


@pytest.mark.parametrize("plane", [True, False])
def test_one_that_is_not_what_the_file_says(plane: bool) -> None:
    there = KubeNodes((listed("aki0"), listed("aki1", control_plane=plane)))
    found = plan(cluster() if plane else HIGHLY, aki1=NODE, nodes=there, made=NAMED)
    assert findings(found)[0].id == "other-role"


@pytest.mark.parametrize(
    "node", [replace(PREPARED, pki=True, ca_hash=HASH), replace(PREPARED, joined=True, pki=True, ca_hash=HASH), NODE]
)
def test_one_that_began_or_was_taken_out_of_the_list_is_reset_with_consent(node: Kubeadm) -> None:
    found = do(plan(aki1=node))
    assert found.risk is Risk.DESTROYS_DATA
    assert [part.title for part in found.parts] == ["kubeadm reset", "kubeadm join"]
    assert "there are certificates in /etc/kubernetes/pki" in found.why


# ---------------------------------------------------------------- what stands in the way


@pytest.mark.parametrize(
    ("chief", "made", "why"),
    [
        (PREPARED, MADE, "there is no cluster on aki0 yet"),
        (replace(PLANE, api_ready=False), MADE, "the API server of aki0 is not ready"),
        (PLANE, replace(MADE, joinable=False), "the cluster on aki0 is half made"),
    ],
)
def test_there_must_be_a_cluster(chief: Kubeadm, made: object, why: str) -> None:
    assert plan(aki0=chief, made=made) == Blocked("join.init", why)


def test_programs_of_another_minor() -> None:
    found = plan(aki1=Kubeadm("v1.21.3", "v1.21.3"))
    assert found == Blocked("join.prerequisites", "aki1 has kubeadm v1.21.3, and the cluster is of Kubernetes v1.20.2")
    assert plan(aki1=Kubeadm()) == Blocked("join.prerequisites", "aki1 has no kubeadm and no kubelet yet")


def test_programs_as_the_file_wants_them_and_the_cluster_has_not() -> None:
    """join.prerequisites would say that all is done."""
    found = plan(cluster(version="1.21"), aki1=Kubeadm("v1.21.3", "v1.21.3"))
    assert isinstance(found, Refused)
    [finding] = findings(found)
    assert finding.message.startswith("the cluster is of Kubernetes v1.20.2; cluster.yaml asks for 1.21")
    assert (finding.where, finding.cure[:23]) == ("kubernetes.version", 'write `version: "1.20"`')


def test_another_cgroup_driver() -> None:
    found = plan(facts={("aki1", CGROUP_DRIVER): "cgroupfs"})
    assert isinstance(found, Blocked)
    assert found.why == "containerd on aki1 has the cgroup driver cgroupfs, and on aki0 systemd"


def test_a_copied_machine() -> None:
    copied = Identity("aki1", "machine of aki0", "", "", ())
    [finding] = findings(plan(facts={("aki1", IDENTITY): copied}))
    assert finding.message == "aki1 has the machine-id of the node aki0: one was copied from the other"


def test_a_name_that_another_machine_has() -> None:
    there = KubeNodes((listed("aki0"), listed("aki1", machine_id="another")))
    assert findings(plan(nodes=there))[0].message == "another machine is the node aki1 already, at 192.168.182.131"
    gone = KubeNodes((listed("aki0"), listed("aki1", machine_id="another", ready=False)))
    assert isinstance(plan(nodes=gone), Do)


def test_one_that_was_reset_a_moment_ago() -> None:
    assert "reset a moment ago" in findings(plan(nodes=BOTH))[0].message


def test_an_endpoint_that_the_node_does_not_know() -> None:
    [name] = resolution(HIGHLY)
    found = plan(HIGHLY, made=NAMED, facts={("aki1", name): ()})
    assert findings(found)[0].id == "endpoint-unknown"


def test_a_second_control_plane_needs_an_endpoint_of_its_own() -> None:
    assert findings(plan(HIGHLY, made=MADE))[0].id == "no-endpoint"
    assert findings(plan(HIGHLY, made=replace(MADE, endpoint="")))[0].id == "no-endpoint"


def test_a_cluster_without_an_endpoint_is_joined_at_its_control_plane() -> None:
    assert "apiServerEndpoint: 192.168.182.130:6443" in secret(do(plan(made=replace(MADE, endpoint="")))).content


def test_a_silent_node_is_not_judged() -> None:
    with pytest.raises(FactUnknown):
        plan(aki1=SILENT)
    ours = Ours("m", "b", jobs=("20261123-071530-join.nodes-1f3a",))
    assert isinstance(plan(facts={("aki1", OURS): ours}), Unknown)


# ---------------------------------------------------------------- the way back


def undo(target: str, wanted: Cluster | None = None, **changed: Any) -> Plan:
    note = Record("a", f"join.nodes@{target}", "undo", "kubeadm_away", "-", None)
    own = {} if changed.get(target) is SILENT else {(target, OURS): Ours("m", "b", records=(note,))}
    facts = {**own, **changed.pop("facts", {})}
    ctx = seen(wanted, **({"aki0": PLANE, "aki1": NODE, "nodes": BOTH} | changed), facts=facts)
    return plan_undo(ctx, STEP, target, 120).plan


def test_a_worker_is_drained_and_taken_out_of_the_list_then_reset() -> None:
    found = do(undo("aki1"))
    assert (found.risk, bool(found.irreversible)) == (Risk.DESTROYS_DATA, True)
    assert [(part.on, part.title) for part in found.parts] == [
        ("aki0", "drain aki1, and take it out of the list"),
        ("aki1", "kubeadm reset"),
    ]
    drain, delete = found.parts[0].actions
    assert "--ignore-daemonsets --delete-emptydir-data" in drain.shell()
    assert delete.shell().endswith("delete node aki1 --ignore-not-found")
    assert [each.summary for each in found.parts[1].actions][1:] == ["close the notes of what was undone"]


def test_a_control_plane_is_reset_before_it_leaves_the_list() -> None:
    there = KubeNodes((listed("aki0"), listed("aki1", control_plane=True)))
    found = do(undo("aki1", HIGHLY, nodes=there))
    assert [part.title for part in found.parts] == ["drain aki1", "kubeadm reset", "take aki1 out of the list"]


def test_one_that_is_not_listed_any_more_is_only_reset() -> None:
    for nodes in (ALONE, KubeNodes(there=False)):
        assert [part.title for part in do(undo("aki1", nodes=nodes)).parts] == ["kubeadm reset"]


def test_a_silent_one_is_taken_out_of_the_list() -> None:
    gone = {("aki1", OURS): SILENT}
    found = do(undo("aki1", aki1=SILENT, facts=gone))
    assert [(part.on, part.title) for part in found.parts] == [("aki0", "take aki1 out of the list")]
    assert "kubeadm reset --force" in found.notes[0]
    assert isinstance(undo("aki1", aki1=SILENT, nodes=ALONE, facts=gone), Nothing)


def test_of_a_silent_control_plane_etcd_still_counts_the_member() -> None:
    there = KubeNodes((listed("aki0"), listed("aki1", control_plane=True)))
    found = do(undo("aki1", HIGHLY, aki1=SILENT, nodes=there, facts={("aki1", OURS): SILENT}))
    assert "exec etcd-aki0 -- etcdctl" in found.notes[1]


def test_where_the_cluster_cannot_be_asked_nothing_is_undone() -> None:
    unseen = {("aki0", KUBE_NODES): Unseen("the Kubernetes API does not answer")}
    assert isinstance(undo("aki1", facts=unseen), Unknown)
    assert isinstance(undo("aki1", facts={("aki1", KUBEADM): Unseen("garbled")}), Unknown)


def test_without_notes_there_is_nothing_to_take_back() -> None:
    assert isinstance(undo("aki1", facts={("aki1", OURS): Ours("m", "b")}), Nothing)


def test_the_notes_name_what_is_taken_back() -> None:
    ours = Ours("m", "b", records=(Record("a", "join.nodes@aki1", "undo", "kubeadm_away", "-", None),))
    assert ours.inverses("join.nodes@aki1") == (TakeBack("kubeadm_away"),)


# ---------------------------------------------------------------- the script


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_scripts_are_good_shell(tmp_path: Path) -> None:
    for found in (plan(), undo("aki1")):
        for part in do(found).parts:
            script = tmp_path / "script.sh"
            script.write_text(compile_part(STEP.id, "aki1", part))
            done = subprocess.run(["shellcheck", "-s", "sh", str(script)], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout


def test_an_unconnected_runbook_has_it_too() -> None:
    """Even the CA's hash is only known by then, on another host: a hole, like the secrets."""
    wanted = cluster(("control-plane", "control-plane", "worker"), version="1.36", endpoint="k8s-api.home.arpa")
    ctx = Context(wanted, STEP.fresh(wanted))
    assert [hole.name for hole in secret(do(STEP.plan(ctx, "aki1"))).holes] == [
        "join-token",
        "certificate-key",
        "ca-hash",
    ]
    assert any("k8s-api.home.arpa:6443 leads to aki0 itself" in note for note in do(STEP.plan(ctx, "aki1")).notes)
    assert "apiVersion: kubeadm.k8s.io/v1beta4" in secret(do(STEP.plan(ctx, "aki2"))).content
    assert STEP.look(wanted, "aki2")[0].startswith("ssh owner@192.168.182.130 sudo kubectl")
