"""join.cni: what is wanted, what is there, what is applied, and the way back."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
import yaml

from wizard.actions import OnUndo, Run, TakeBack, WriteFile, digest
from wizard.cluster import Cluster
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode, KubeNodes
from wizard.facts.network import LINKS, Address, Link, Links
from wizard.facts.owner_files import owner_file
from wizard.facts.pod_network import CNI_FILES, POD_NETWORK, Agent, Applied, CniFiles, PodNetwork
from wizard.model import (
    OWNER,
    Blocked,
    Context,
    Do,
    FactUnknown,
    Known,
    Nothing,
    Plan,
    Refused,
    Risk,
    Seen,
    Unknown,
    Unseen,
)
from wizard.script import compile_part
from wizard.stages import join_cni_calico
from wizard.stages.join_cni import STEP
from wizard.stages.join_cni_parts import INSTALLATION, MANIFEST, OWN, RECORD_FILE

MANIFEST_TEXT = "apiVersion: v1\nkind: Namespace\nmetadata: {name: net}\n"
WAITS = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:docker: cni"


def data(cni: object = "calico", version: str = "1.36", **more: Any) -> dict[str, Any]:
    guest = {"ssh": "owner@192.168.182.130", "isolated_address": "192.168.190.100"}
    other = {"ssh": "owner@192.168.182.131", "isolated_address": "192.168.190.101"}
    return {
        "name": "home",
        "hypervisor": {"ssh": "owner@192.168.182.100"},
        "isolated": {"name": "kube-isolated", "cidr": "192.168.190.0/24"},
        "kubernetes": {"version": version, "cni": cni, **more},
        "guests": [
            {"name": "aki0", "role": "control-plane", **guest},
            {"name": "aki1", "role": "worker", **other},
        ],
    }


def cluster(cni: object = "calico", version: str = "1.36", **more: Any) -> Cluster:
    return Cluster.model_validate(data(cni, version, **more))


def links(*addresses: str) -> Known[Links]:
    return Known(Links((Link("e", "m", addresses=tuple(Address(ip_interface(each)) for each in addresses)),)))


def waiting(name: str = "aki0", reason: str = WAITS) -> KubeNode:
    return KubeNode(name, "", "", ready=False, reason=reason)


def context(wish: Cluster, **changed: Any) -> Context:
    manifest = wish.kubernetes.cni.manifest if wish.kubernetes else ""
    seen: dict[tuple[str, Any], Seen] = {
        ("aki0", POD_NETWORK): Known(changed.get("network", PodNetwork())),
        ("aki0", KUBE_NODES): Known(KubeNodes(changed.get("nodes", (waiting(),)))),
        ("aki0", CNI_FILES): Known(CniFiles(changed.get("files", ()))),
        ("aki1", CNI_FILES): changed.get("other_files", Unseen("no route", unreachable=True)),
        ("aki0", LINKS): changed.get("links", links("192.168.182.130/24", "192.168.190.100/24")),
        ("aki1", LINKS): changed.get("other_links", links("192.168.182.131/24", "192.168.190.101/24")),
        ("aki0", OWN): Known({INSTALLATION: None, MANIFEST: None, RECORD_FILE: None}),
        (OWNER, owner_file(manifest)): changed.get("owner", Known(MANIFEST_TEXT)),
    }
    return Context(wish, {(host, fact.id): value for (host, fact), value in seen.items()})


def plan(wish: Cluster, **changed: Any) -> Plan:
    return STEP.plan(context(wish, **changed), "aki0")


def do(wish: Cluster, **changed: Any) -> Do:
    found = plan(wish, **changed)
    assert isinstance(found, Do), found
    return found


def nothing(wish: Cluster, **changed: Any) -> str:
    found = plan(wish, **changed)
    assert isinstance(found, Nothing), found
    return found.why


def refused(wish: Cluster, **changed: Any) -> str:
    found = plan(wish, **changed)
    assert isinstance(found, Refused), found
    assert all(each.cure and each.where for each in found.findings)
    return found.why


def commands(found: Do) -> list[str]:
    return [action.line() for action in found.parts[0].actions if isinstance(action, Run)]


def written(found: Do) -> dict[str, str]:
    return {action.path: action.content for action in found.parts[0].actions if isinstance(action, WriteFile)}


CALICO_3_32 = join_cni_calico.Calico("3.32.1", 36, "10.244.0.0/16")

# ---------------------------------------------------------------- calico


def test_calico_is_applied_in_order_by_the_server() -> None:
    found = do(cluster())
    base = "https://raw.githubusercontent.com/projectcalico/calico/v3.32.1/manifests"
    verbs = [line.replace("kubectl --kubeconfig=/etc/kubernetes/admin.conf ", "") for line in commands(found)]
    paths = [line.split()[2] for line in verbs if line.startswith("network_fetch")]
    assert verbs == [
        f"network_fetch {base}/v1_crd_projectcalico_org.yaml {paths[0]}",
        f"apply --server-side --force-conflicts -f {paths[0]}",
        f"network_fetch {base}/tigera-operator.yaml {paths[1]}",
        f"apply --server-side --force-conflicts -f {paths[1]}",
        "wait --for=condition=Established crd/installations.operator.tigera.io --timeout=120s",
        f"apply --server-side --force-conflicts -f {INSTALLATION}",
        f"apply --server-side --force-conflicts -f {RECORD_FILE}",
        "network_ready 600 aki0",
    ]
    assert found.why == "pods are to be connected by Calico 3.32.1"
    assert "quay.io" in found.notes[0]


def test_the_installation_has_the_owners_ranges() -> None:
    [text, record] = written(do(cluster(pod_cidr="10.50.0.0/16"))).values()
    network = yaml.safe_load(text)["spec"]["calicoNetwork"]
    assert network["ipPools"][0]["cidr"] == "10.50.0.0/16"
    assert network["ipPools"][0]["encapsulation"] == "VXLANCrossSubnet"
    assert network["ipPools"][0]["natOutgoing"] == "Enabled"
    assert network["ipPools"][0]["name"] == "default-ipv4-ippool"
    assert (
        "name"
        not in yaml.safe_load(join_cni_calico.Calico("3.26.5", 28, "10.0.0.0/16").installation({}))["spec"][
            "calicoNetwork"
        ]["ipPools"][0]
    )
    assert network["nodeAddressAutodetectionV4"] == {"cidrs": ["192.168.190.0/24"]}
    applied = yaml.safe_load(record)
    assert (applied["metadata"]["namespace"], applied["data"]["source"]) == ("kube-system", "3.32.1")


@pytest.mark.parametrize(
    ("changed", "detection"),
    [
        ({"other_links": links("192.168.182.131/24")}, {"cidrs": ["192.168.182.0/24"]}),
        ({"other_links": Unseen("off")}, {"cidrs": ["192.168.182.0/24"]}),
        ({"other_links": links("10.0.0.1/24")}, {"kubernetes": "NodeInternalIP"}),
        (
            {"network": PodNetwork(installation={"calicoNetwork": {"nodeAddressAutodetectionV4": {"interface": "e"}}})},
            {"interface": "e"},
        ),
    ],
)
def test_where_calico_looks_for_addresses(changed: dict[str, Any], detection: object) -> None:
    text = written(do(cluster(), **changed))[INSTALLATION]
    assert yaml.safe_load(text)["spec"]["calicoNetwork"]["nodeAddressAutodetectionV4"] == detection


def test_the_lan_is_known_where_ssh_has_a_port_of_its_own() -> None:
    wish = data()
    wish["guests"][1]["ssh"] = "ssh://owner@192.168.182.131:2222"
    text = written(do(Cluster.model_validate(wish), other_links=links("192.168.182.131/24")))[INSTALLATION]
    detection = yaml.safe_load(text)["spec"]["calicoNetwork"]["nodeAddressAutodetectionV4"]
    assert detection == {"cidrs": ["192.168.182.0/24"]}


@pytest.mark.parametrize(
    ("version", "calico", "files"),
    [
        ("1.37", "3.33.0", ("v3_projectcalico_org.yaml", "tigera-operator.yaml")),
        ("1.36.4", "3.32.1", ("v1_crd_projectcalico_org.yaml", "tigera-operator.yaml")),
        ("1.33", "3.31.7", ("operator-crds.yaml", "tigera-operator.yaml")),
        ("1.30", "3.30.7", ()),
        ("1.29", "3.29.7", ("tigera-operator.yaml",)),
        ("1.22", "3.24.6", ("tigera-operator.yaml",)),
    ],
)
def test_a_calico_that_is_tested_with_this_kubernetes(version: str, calico: str, files: tuple[str, ...]) -> None:
    wish = cluster(version=version)
    assert wish.kubernetes
    found = join_cni_calico.wanted(wish.kubernetes)
    assert isinstance(found, join_cni_calico.Calico)
    minor = int(version.split(".")[1])
    tested = dict(join_cni_calico.TESTED)
    assert minor in tested[found.version]
    if files:
        assert (found.version, found.manifests) == (calico, files)


def test_a_calico_of_the_owners_choice() -> None:
    found = do(cluster(version="1.20", cni_version="3.24.6"))
    assert found.notes[0] == "Calico 3.24.6 is not listed as tested with Kubernetes 1.20, as far as the wizard knows."
    assert not any("not listed" in note for note in do(cluster(cni_version="3.32.0")).notes)
    assert join_cni_calico.Calico("3.33.1", 35, "").manifests[0] == "v1_crd_projectcalico_org.yaml"
    assert "3.24 and later" in refused(cluster(cni_version="3.20.0"))


def test_no_calico_fits() -> None:
    assert refused(cluster(version="1.20")) == (
        "no Calico that the wizard knows is tested with Kubernetes 1.20 (1.22 to 1.37 are)"
    )


def test_what_is_applied_stays() -> None:
    there = PodNetwork(applied=CALICO_3_32.applied)
    ready = KubeNode("aki0", "", "", ready=True)
    assert nothing(cluster(), network=there, nodes=(ready,)) == "pods are connected by Calico 3.32.1"
    # A kubelet that is silent, or ill in another way, is not this step's matter.
    silent = waiting("aki1", "Kubelet stopped posting node status.")
    assert nothing(cluster(), network=there, nodes=(ready, silent))


def test_what_is_applied_and_not_ready_is_waited_for() -> None:
    found = plan(cluster(), network=PodNetwork(applied=CALICO_3_32.applied))
    assert isinstance(found, Unknown)
    assert found.why.startswith("Calico 3.32.1 is applied, and aki0 still waits for it: container runtime network")
    assert found.wait
    assert [action.argv for action in found.wait.actions if isinstance(action, Run)] == [
        ("network_ready", "600", "aki0")
    ]


def test_another_version_is_applied_over_it() -> None:
    older = join_cni_calico.Calico("3.31.7", 36, "10.244.0.0/16")
    found = do(cluster(), network=PodNetwork(applied=older.applied))
    assert found.why == "pods are to be connected by Calico 3.32.1, so far Calico 3.31.7"


def test_another_network_is_not_put_over_the_wizards_own() -> None:
    there = PodNetwork(applied=Applied("manifest", "net.yaml", "x"))
    assert refused(cluster(), network=there) == (
        "pods are connected by the manifest net.yaml, which the wizard applied; cluster.yaml now says Calico 3.32.1"
    )


# ---------------------------------------------------------------- a manifest


def test_the_owners_manifest_is_written_and_applied() -> None:
    found = do(cluster({"manifest": "net.yaml"}))
    assert written(found)[MANIFEST] == MANIFEST_TEXT
    assert commands(found)[0].endswith(f"apply --server-side --force-conflicts -f {MANIFEST}")
    record = yaml.safe_load(written(found)[RECORD_FILE])["data"]
    assert record == {"name": "manifest", "source": "net.yaml", "sha256": digest(MANIFEST_TEXT)}


def test_an_edited_manifest_is_a_change() -> None:
    wish = cluster({"manifest": "net.yaml"})
    there = PodNetwork(applied=Applied("manifest", "net.yaml", digest(MANIFEST_TEXT)))
    ready = (KubeNode("aki0", "", "", ready=True),)
    assert nothing(wish, network=there, nodes=ready) == "pods are connected by the manifest net.yaml"
    # Without its last line break it is the same.
    assert nothing(wish, network=there, nodes=ready, owner=Known(MANIFEST_TEXT.rstrip()))
    found = do(wish, network=there, nodes=ready, owner=Known(MANIFEST_TEXT + "# more\n"))
    assert found.why == "pods are to be connected by the manifest net.yaml (it was edited since it was applied)"
    assert found.notes == ("What is no longer in the manifest stays in the cluster until you delete it.",)


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        (Known(None), "there is no file net.yaml beside cluster.yaml"),
        (Unseen("Permission denied"), "net.yaml cannot be read: Permission denied"),
        (Known("<html>Not found</html>\n"), "net.yaml is no manifest of Kubernetes: no line says `kind:`"),
    ],
)
def test_a_manifest_that_cannot_be(owner: Seen, why: str) -> None:
    assert refused(cluster({"manifest": "net.yaml"}), owner=owner) == why


def test_a_manifest_from_the_web_is_kept_on_the_node() -> None:
    wish = cluster({"manifest": "https://mirror.home.arpa/net/flannel.yml"})
    found = do(wish)
    fetch, apply = commands(found)[:2]
    path = fetch.split()[-1]
    assert path.startswith("/etc/kubernetes/homek8s/flannel-")
    assert fetch == f"network_fetch https://mirror.home.arpa/net/flannel.yml {path}"
    assert apply.endswith(path)
    assert OWNER not in STEP.facts(wish, "aki0")
    assert OWNER in STEP.facts(cluster({"manifest": "net.yaml"}), "aki0")


# ---------------------------------------------------------------- cilium, none, somebody else's


def test_cilium_needs_its_command() -> None:
    found = plan(cluster("cilium"))
    assert isinstance(found, Blocked)
    assert found.by == "you"
    assert "sha256sum --check" in found.findings[0].cure
    done = do(cluster("cilium", cni_version="1.18.2"), network=PodNetwork(cilium_cli="0.18.7"))
    line = commands(done)[0]
    assert "cilium install --version 1.18.2 --set ipam.mode=kubernetes" in line
    assert line.startswith("kubectl --kubeconfig=/etc/kubernetes/admin.conf -n kube-system get daemonset cilium")
    there = PodNetwork(applied=Applied("cilium", "1.17.0", "x"), cilium_cli="0.18.7")
    assert "cilium upgrade --version 1.18.2" in commands(do(cluster("cilium", cni_version="1.18.2"), network=there))[0]


def test_none_is_left_to_the_owner() -> None:
    assert "leaves the pod network to you" in nothing(cluster("none"))


def test_no_cluster_yet() -> None:
    no_cluster = PodNetwork(there=False)
    for cni in ("calico", "cilium", "none", {"manifest": "net.yaml"}, {"manifest": "https://a/net.yaml"}):
        assert plan(cluster(cni), network=no_cluster) == Blocked("join.init", "aki0 has no cluster yet")
    assert isinstance(plan(cluster("none", "1.20"), network=no_cluster), Blocked)


def test_what_cannot_be_applied_is_said_before_there_is_a_cluster() -> None:
    no_cluster = PodNetwork(there=False)
    assert refused(cluster(version="1.20"), network=no_cluster).startswith("no Calico that the wizard knows")
    own = cluster({"manifest": "net.yaml"})
    assert refused(own, network=no_cluster, owner=Known(None)) == "there is no file net.yaml beside cluster.yaml"


def test_a_network_of_somebody_elses_is_adopted() -> None:
    ready = (KubeNode("aki0", "", "", ready=True),)
    flannel = PodNetwork(agents=(Agent("kube-system", "kube-proxy"), Agent("kube-flannel", "kube-flannel-ds")))
    assert nothing(cluster(), network=flannel, nodes=ready, files=("10-flannel.conflist",)) == (
        "pods are connected by 10-flannel.conflist (kube-flannel-ds), which the wizard did not install: "
        "left as it is, though cluster.yaml says `cni: calico`"
    )
    calico = PodNetwork(agents=(Agent("kube-system", "calico-node"),))
    why = nothing(cluster(), network=calico, nodes=ready, files=("10-calico.conflist",))
    assert "though" not in why


def test_what_a_container_program_brings_is_no_pod_network() -> None:
    ready = (KubeNode("aki0", "", "", ready=True),)
    found = do(cluster(), nodes=ready, files=("87-podman-bridge.conflist",))
    assert found.notes[-1].startswith("87-podman-bridge.conflist on aki0 connects containers of that machine alone")


# ---------------------------------------------------------------- the way back, the scripts, the runbook


def test_undo_deletes_and_then_cleans_the_nodes() -> None:
    ctx = context(cluster(), files=("10-calico.conflist", "87-podman.conflist"))
    inverses = (TakeBack("network_delete /x.yaml"), TakeBack("rm -f /x.yaml"))
    assert STEP.undo
    found = STEP.undo(ctx, "aki0", inverses)
    assert isinstance(found, Do)
    [first] = found.parts
    assert (first.on, first.actions[:2], first.risk) == ("aki0", inverses, Risk.BRIEF_INTERRUPTION)
    assert "rm -rf /etc/cni/net.d/10-calico.conflist" in first.actions[2].shell()
    assert "podman" not in first.actions[2].shell()
    assert found.notes[0].startswith("aki1 does not answer")
    both = STEP.undo(context(cluster(), other_files=Known(CniFiles(("10-calico.conflist",)))), "aki0", inverses)
    assert isinstance(both, Do)
    assert [part.on for part in both.parts] == ["aki0", "aki1"]


def test_undo_without_a_cluster_asks_none() -> None:
    assert STEP.undo
    inverses = (TakeBack("network_delete /x.yaml"), TakeBack("rm -f /x.yaml"))
    found = STEP.undo(context(cluster(), network=PodNetwork(there=False)), "aki0", inverses)
    assert isinstance(found, Do)
    assert [part.actions for part in found.parts] == [(inverses[1],)]


def test_every_deed_has_its_way_back() -> None:
    found = do(cluster())
    for action in found.parts[0].actions:
        if isinstance(action, Run) and (action.argv[0] == "network_fetch" or "apply" in action.argv):
            assert action.undo
    assert not any(isinstance(action, OnUndo) for action in found.parts[0].actions)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("cni", ["calico", {"manifest": "net.yaml"}])
def test_the_script_is_good_shell(tmp_path: Path, cni: object) -> None:
    found = do(cluster(cni))
    script = tmp_path / "script.sh"
    script.write_text(compile_part("join.cni", "aki0", found.parts[0]))
    options = ["--shell=dash", "--severity=warning", "--exclude=SC2034"]
    done = subprocess.run(["shellcheck", *options, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_on_paper() -> None:
    wish = cluster()
    found = STEP.plan(Context(wish, STEP.fresh(wish)), "aki0")
    assert isinstance(found, Do)
    assert len(STEP.look(wish, "aki0")) == 3
    own = cluster({"manifest": "net.yaml"})
    on_paper = Context(own, STEP.fresh(own))
    with pytest.raises(FactUnknown):
        STEP.plan(on_paper, "aki0")
