"""What nodes say, for the tests of the steps that make a cluster of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

from wizard.actions import Action, Run
from wizard.cluster import Cluster
from wizard.facts.cgroup import CGROUP_DRIVER
from wizard.facts.identity import IDENTITY, Identity
from wizard.facts.kube_cluster import KUBE_CLUSTER, KubeCluster
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode, KubeNodes
from wizard.facts.kubeadm import KUBEADM, Kubeadm
from wizard.facts.network import LINKS, SSH_PATH, Address, Link, Links, SshPath
from wizard.facts.ours import OURS, Ours
from wizard.model import Context, Do, Finding, Known, Plan, Seen, Unseen
from wizard.stages.join_addresses import resolution
from wizard.stages.join_init_parts import CONFIG, PATH

HASH, OTHER = "a" * 64, "b" * 64
PREPARED = Kubeadm(version="v1.20.2", kubelet="v1.20.2")
PLANE = Kubeadm(
    *("v1.20.2", "v1.20.2"),
    *(True,) * 6,
    ca_hash=HASH,
    server="https://192.168.182.130:6443",
    api_ready=True,
    finished=True,
    up=5000,
)
NODE = replace(PLANE, admin=False, manifests=False, etcd=False, api_ready=False)
MADE = KubeCluster(
    configured=True,
    joinable=True,
    dns=True,
    version="v1.20.2",
    endpoint="192.168.182.130:6443",
    pod_cidr="10.244.0.0/16",
    service_cidr="10.96.0.0/12",
)
SILENT = Unseen("aki1: no route to host", unreachable=True)


def cluster(
    roles: tuple[str, ...] = ("control-plane", "worker", "worker"), accept: tuple[str, ...] = (), **kubernetes: Any
) -> Cluster:
    guests = [
        {"name": f"aki{number}", "role": role, "ssh": f"owner@192.168.182.13{number}"}
        for number, role in enumerate(roles)
    ]
    return Cluster.model_validate(
        {
            "name": "home",
            "hypervisor": {"ssh": "owner@192.168.182.100", "accept": list(accept)},
            "isolated": {"name": "kube-isolated", "cidr": "192.168.190.0/24"},
            "kubernetes": {"version": "1.20", **kubernetes},
            "guests": guests,
        }
    )


def listed(name: str, **changed: Any) -> KubeNode:
    known: dict[str, Any] = {
        "machine_id": f"machine of {name}",
        "internal_ip": f"192.168.182.13{name[-1]}",
        "ready": True,
        "kubelet": "v1.20.2",
        "control_plane": name == "aki0",
    }
    return KubeNode(name, **(known | changed))


def seen(wanted: Cluster | None = None, **changed: Any) -> Context:
    """Three prepared nodes. `aki0=PLANE` is what kubeadm made of one; `nodes`, `made` what its cluster says; `facts` is
    what else is to be otherwise, by host and fact."""
    wanted = wanted or cluster()
    values: dict[tuple[str, Any], Any] = {
        ("aki0", KUBE_NODES): changed.get("nodes", KubeNodes(there=False)),
        ("aki0", KUBE_CLUSTER): changed.get("made", MADE),
        ("aki0", CONFIG): {PATH: None},
    }
    for guest in wanted.guests:
        values |= _node(wanted, guest.name, changed.get(guest.name, PREPARED))
    values |= changed.get("facts", {})
    return Context(wanted, {(host, fact.id): _seen(value) for (host, fact), value in values.items()})


def _seen(value: object) -> Seen:
    return value if isinstance(value, Unseen) else Known(value)


def _node(wanted: Cluster, name: str, node: object) -> dict[tuple[str, Any], Any]:
    at = f"192.168.182.13{name[-1]}"
    links = (
        Link("enp2s0", "", addresses=(Address(ip_interface(f"192.168.190.10{name[-1]}/24")),)),
        Link("enp1s0", "", addresses=(Address(ip_interface(f"{at}/24")),)),
        Link("cni0", "", addresses=(Address(ip_interface("10.244.0.1/24")),)),
    )
    return {
        (name, KUBEADM): node,
        (name, IDENTITY): Identity(name, f"machine of {name}", "", "", ()),
        (name, SSH_PATH): SshPath("192.168.182.2", at, 22),
        (name, LINKS): Links(links),
        (name, CGROUP_DRIVER): "systemd",
        (name, OURS): Ours("m", "b"),
        **{(name, fact): ("192.168.182.130",) for fact in resolution(wanted)},
    }


def do(plan: Plan) -> Do:
    assert isinstance(plan, Do), plan
    return plan


def runs(actions: tuple[Action, ...]) -> list[str]:
    return [action.summary for action in actions if isinstance(action, Run)]


def findings(plan: Plan) -> list[Finding]:
    found: tuple[Finding, ...] = getattr(plan, "findings", ())
    assert found, plan
    assert all(each.cure for each in found)
    return list(found)
