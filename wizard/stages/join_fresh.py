"""What nodes would say when the turn of `join.init` and `join.nodes` comes, for a runbook made unconnected.

Every node is prepared; when others join, the first control plane has its cluster, with a pod network if one is wanted.
"""

from __future__ import annotations

from ipaddress import ip_interface

from wizard.cluster import Cluster
from wizard.facts.cgroup import CGROUP_DRIVER
from wizard.facts.identity import IDENTITY, Identity
from wizard.facts.kube_cluster import KUBE_CLUSTER, KubeCluster
from wizard.facts.kube_nodes import KUBE_NODES, KubeNode, KubeNodes
from wizard.facts.kubeadm import KUBEADM, Kubeadm
from wizard.facts.network import LINKS, SSH_PATH, Address, Link, Links, SshPath
from wizard.marks import read_there
from wizard.model import Known, Seen
from wizard.stages import guest_nics, nodes
from wizard.stages.fresh import Values
from wizard.stages.guests_defaults import lan_address
from wizard.stages.join_addresses import resolution
from wizard.stages.join_config import host_port
from wizard.stages.join_init_parts import CONFIG, PATH
from wizard.stages.join_names import endpoint_name

DRIVER = read_there('containerd config dump | grep -q "SystemdCgroup = true" && echo systemd || echo cgroupfs')
OWN_ADDRESS = read_there('hostname -I | cut -d" " -f1')


def fresh_init(cluster: Cluster) -> Values:
    values: dict[tuple[str, str], Seen] = {}
    for name in nodes.first(cluster):
        values |= _node(cluster, name)
        values |= {
            (name, CONFIG.id): Known({PATH: None}),
            (name, KUBE_CLUSTER.id): Known(KubeCluster(there=False)),
            (name, KUBE_NODES.id): Known(KubeNodes(there=False)),
        }
    return values


def fresh_nodes(cluster: Cluster) -> Values:
    values = {key: seen for name in nodes.every(cluster) for key, seen in _node(cluster, name).items()}
    for name in nodes.first(cluster):
        values |= {
            (name, KUBEADM.id): Known(_control_plane(cluster)),
            (name, KUBE_CLUSTER.id): Known(_made(cluster, name)),
            (name, KUBE_NODES.id): Known(KubeNodes((_listed(cluster, name),))),
        }
    return values


def _node(cluster: Cluster, name: str) -> Values:
    at = _literal(cluster, name)
    addresses = (Address(ip_interface(f"{at}/24")),) if at else ()
    return {
        (name, KUBEADM.id): Known(_prepared(cluster)),
        (name, IDENTITY.id): Known(Identity(name, f"{name}'s own", "", "", ())),
        (name, SSH_PATH.id): Known(SshPath("", at or OWN_ADDRESS, 22)),
        (name, LINKS.id): Known(Links((Link("enp1s0", "", addresses=addresses),))),
        (name, CGROUP_DRIVER.id): Known(DRIVER),
        **{(name, fact.id): Known((_endpoint(cluster),)) for fact in resolution(cluster)},
    }


def _endpoint(cluster: Cluster) -> str:
    """An address, or where a name leads that only /etc/hosts of the nodes knows: to the first control plane."""
    [first] = nodes.first(cluster)
    address = cluster.kubernetes.endpoint if cluster.kubernetes and not endpoint_name(cluster) else None
    return address or _literal(cluster, first) or OWN_ADDRESS


def _literal(cluster: Cluster, name: str) -> str:
    """Its address, where cluster.yaml has it."""
    guest = guest_nics.guest(cluster, name)
    found = lan_address(cluster, guest) or (guest.create.address.ip if guest.create else None)
    return str(found or "")


def _version(cluster: Cluster) -> str:
    wanted = cluster.kubernetes.version if cluster.kubernetes else ""
    return f"v{wanted}" if wanted.count(".") == 2 else read_there("kubeadm version -o short")


def _prepared(cluster: Cluster) -> Kubeadm:
    return Kubeadm(version=_version(cluster), kubelet=_version(cluster))


def _control_plane(cluster: Cluster) -> Kubeadm:
    version = _version(cluster)
    return Kubeadm(version, version, True, *(True,) * 5, api_ready=True, finished=True)


def _made(cluster: Cluster, first: str) -> KubeCluster:
    wanted = cluster.kubernetes
    assert wanted is not None
    return KubeCluster(
        configured=True,
        joinable=True,
        dns=True,
        version=_version(cluster),
        endpoint=host_port(wanted.endpoint or _literal(cluster, first) or first),
        pod_cidr=str(wanted.pod_cidr),
        service_cidr=str(wanted.service_cidr),
    )


def _listed(cluster: Cluster, name: str) -> KubeNode:
    connected = cluster.kubernetes is not None and cluster.kubernetes.cni.name != "none"
    return KubeNode(name, f"{name}'s own", _literal(cluster, name), ready=connected, control_plane=True)
