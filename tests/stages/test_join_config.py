"""kubeadm's configuration: one golden file for each apiVersion, and the fields that each of them has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from wizard.stages.join_config import (
    NEWEST,
    ClusterConfig,
    NodeConfig,
    host_port,
    init_yaml,
    join_yaml,
    version_of,
)

GOLDEN = Path(__file__).parent / "golden"
APIS = {"v1beta2": ("v1.20.2", "v1.21.14"), "v1beta3": ("v1.22.0", "v1.30.14"), "v1beta4": ("v1.31.0", "v1.37.0")}
MINORS = [(each, "v1beta2" if each < 22 else "v1beta3" if each < 31 else "v1beta4") for each in range(20, NEWEST + 1)]
TOKEN, KEY, HASH = "SECRET{join-token}", "SECRET{certificate-key}", "a" * 64
CLUSTER = ClusterConfig("k8s-api.home.arpa:6443", "10.244.0.0/16", "10.96.0.0/12", "systemd")

# From types.go of the three: what is not here, a strict reader refuses.
INIT = {
    "InitConfiguration": {"apiVersion", "kind", "localAPIEndpoint", "nodeRegistration"},
    "ClusterConfiguration": {"apiVersion", "kind", "kubernetesVersion", "controlPlaneEndpoint", "networking"},
    "KubeletConfiguration": {"apiVersion", "kind", "cgroupDriver"},
}


def node(version: str, name: str = "aki0", address: str = "192.168.182.130", small: bool = False) -> NodeConfig:
    return NodeConfig(name, address, version_of(version), small)


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


@pytest.mark.parametrize(("minor", "api"), MINORS)
def test_every_minor_has_the_api_that_its_kubeadm_reads(minor: int, api: str) -> None:
    assert version_of(f"v1.{minor}.3").api == api
    for text in (init_yaml(node(f"v1.{minor}.3"), CLUSTER), join_yaml(node(f"v1.{minor}.3"), "a:6443", HASH, TOKEN)):
        spoken = {each["apiVersion"] for each in documents(text) if each["kind"] != "KubeletConfiguration"}
        assert spoken == {f"kubeadm.k8s.io/{api}"}


@pytest.mark.parametrize("api", APIS)
def test_golden_files(api: str) -> None:
    """Written anew by hand when the templates change; read beside types.go of that version."""
    version = APIS[api][0]
    made = {
        f"kubeadm-init-{api}.yaml": init_yaml(node(version), CLUSTER),
        f"kubeadm-join-{api}.yaml": join_yaml(
            node(version, "aki1", "192.168.182.131", small=True), CLUSTER.endpoint, HASH, TOKEN, KEY
        ),
    }
    assert made == {name: (GOLDEN / name).read_text() for name in made}


@pytest.mark.parametrize("version", [version for both in APIS.values() for version in both])
def test_init_field_by_field(version: str) -> None:
    init, cluster, kubelet = documents(init_yaml(node(version), CLUSTER))
    assert {each["kind"]: set(each) for each in (init, cluster, kubelet)} == INIT
    assert init["localAPIEndpoint"] == {"advertiseAddress": "192.168.182.130", "bindPort": 6443}
    assert cluster["kubernetesVersion"] == version
    assert cluster["controlPlaneEndpoint"] == "k8s-api.home.arpa:6443"
    assert cluster["networking"] == {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/12"}
    assert kubelet == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
    }


@pytest.mark.parametrize("version", [version for both in APIS.values() for version in both])
def test_a_node_is_registered_with_its_name_its_socket_and_its_address_on_the_lan(version: str) -> None:
    """Without `taints`, so that a control plane gets its own; arguments are a list from v1beta4 on."""
    listed = version_of(version).api == "v1beta4"
    address = "192.168.182.130"
    arguments = [{"name": "node-ip", "value": address}] if listed else {"node-ip": address}
    for text in (init_yaml(node(version), CLUSTER), join_yaml(node(version), "a:6443", HASH, TOKEN)):
        assert documents(text)[0]["nodeRegistration"] == {
            "name": "aki0",
            "criSocket": "unix:///run/containerd/containerd.sock",
            "kubeletExtraArgs": arguments,
        }


@pytest.mark.parametrize("version", [version for both in APIS.values() for version in both])
def test_kubeadm_is_told_of_a_small_control_plane(version: str) -> None:
    """A list of names in all of them."""
    small = node(version, small=True)
    for text in (init_yaml(small, CLUSTER), join_yaml(small, "a:6443", HASH, TOKEN, KEY)):
        assert documents(text)[0]["nodeRegistration"]["ignorePreflightErrors"] == ["NumCPU", "Mem"]


@pytest.mark.parametrize("version", [versions[0] for versions in APIS.values()])
def test_a_worker_and_a_control_plane_join(version: str) -> None:
    [worker] = documents(join_yaml(node(version), "a:6443", HASH, TOKEN))
    shared = {"timeouts": {"discovery": "1m0s"}} if version == "v1.31.0" else {}
    own = {} if shared else {"timeout": "1m0s"}
    token = {"apiServerEndpoint": "a:6443", "token": TOKEN, "caCertHashes": [f"sha256:{HASH}"]}
    assert worker["discovery"] == {"bootstrapToken": token, **own}
    assert set(worker) == {"apiVersion", "kind", "discovery", "nodeRegistration", *shared}
    assert worker.get("timeouts") == shared.get("timeouts")
    [plane] = documents(join_yaml(node(version), "a:6443", HASH, TOKEN, KEY))
    assert plane["controlPlane"] == {
        "localAPIEndpoint": {"advertiseAddress": "192.168.182.130", "bindPort": 6443},
        "certificateKey": KEY,
    }


def test_a_mirror_of_images_and_another_driver() -> None:
    config = ClusterConfig("a:6443", "10.1.0.0/16", "10.2.0.0/16", "cgroupfs", "mirror.home:5000/k8s")
    _, cluster, kubelet = documents(init_yaml(node("v1.36.4"), config))
    assert cluster["imageRepository"] == "mirror.home:5000/k8s"
    assert kubelet["cgroupDriver"] == "cgroupfs"


def test_versions_and_endpoints() -> None:
    assert version_of("READ-FROM-THE-HOST{…}", "1.36").api == "v1beta4"
    with pytest.raises(ValueError, match="no version"):
        version_of("", "")
    assert (host_port("a.b"), host_port("fd00::1")) == ("a.b:6443", "[fd00::1]:6443")
