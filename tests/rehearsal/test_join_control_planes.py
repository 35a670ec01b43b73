"""Two control planes and a worker, with real kubeadm: all Ready, at an address that either can have; each leaves."""

from __future__ import annotations

import base64
import json
import re
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.rehearsal import traces
from tests.rehearsal.cluster_on import ClusterOn, but_for
from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.test_join import TOKEN
from wizard.facts.pods_tried import IMAGE
from wizard.rehearsal import Rehearsal, RehearsalError
from wizard.rehearsal.network import ISOLATED, ISOLATED_NIC, LAN, NODE_NIC
from wizard.rehearsal.waiting import until
from wizard.stages.join_config import version_of
from wizard.stages.join_nodes_parts import PATH
from wizard.stages.join_secrets import certificate_key

VIP = f"{LAN}.129"
NODES = ("aki0", "aki1", "aki2")
LONG = 900
KEY = r"\b[0-9a-f]{64}\b"
PKI = "/etc/kubernetes/pki"
MEMBERS = (
    f"-n kube-system exec etcd-aki0 -- etcdctl --cacert {PKI}/etcd/ca.crt --cert {PKI}/etcd/server.crt "
    f"--key {PKI}/etcd/server.key member list -w json"
)
"""As the wizard tells its owner to ask, where a control plane is lost."""
LEFT = (
    "find /etc/kubernetes /etc/cni/net.d /var/lib/etcd -type f 2>/dev/null; iptables-save | grep KUBE; "
    "ss -Hltn 'sport = :6443 or sport = :2379 or sport = :10250'"
)


class HighlyAvailable(ClusterOn):
    """The API has an address of its own, which the test gives to one control plane, as keepalived or kube-vip would."""

    def __init__(self, machine: Rehearsal, directory: Path) -> None:
        super().__init__(machine, directory)
        text = self.cluster_file.read_text()
        text = text.replace("kubernetes:\n", f"kubernetes:\n  endpoint: {VIP}\n")
        text = text.replace("- name: aki1\n    role: worker", "- name: aki1\n    role: control-plane")
        self.cluster_file.write_text(text)
        self.move_to("aki0")

    def move_to(self, node: str) -> None:
        """Nodes forget where it was, as they would when its new owner announces it."""
        for each in NODES:
            self.machine.inside(f"ip address del {VIP}/32 dev {NODE_NIC} 2>/dev/null || true", host=each)
        self.machine.inside(f"ip address add {VIP}/32 dev {NODE_NIC}", host=node)
        for each in NODES:
            self.machine.inside(f"ip neigh flush to {VIP}", host=each)

    def members(self) -> list[str]:
        return sorted(each["name"] for each in json.loads(self.kubectl(MEMBERS))["members"])

    def pods_of_aki1_are_led_over_the_isolated_network(self) -> bool | None:
        pods = self.kubectl("get node aki1 -o jsonpath='{.spec.podCIDR}'")
        way = f"{pods} via {ISOLATED}.101 dev {ISOLATED_NIC}"
        return True if way in self.machine.inside("ip route", host="aki0") else None

    def api_of(self, node: str) -> str:
        """What its own API server says of itself; nothing where there is none."""
        return self.machine.inside(f"curl -sk --max-time 5 https://{LAN}.13{node[-1]}:6443/readyz || true", host="aki2")


@pytest.fixture
def wizard(hypervisor: Hypervisor, tmp_path: Path) -> HighlyAvailable:
    return HighlyAvailable(hypervisor(nodes=len(NODES)), tmp_path)


@pytest.mark.turns(at="nodes join")
@pytest.mark.long(first=True)
def test_a_second_control_plane_joins_leaves_and_joins_again(wizard: HighlyAvailable) -> None:
    said = wizard.ok("apply", "join", "--yes", timeout=LONG).stderr
    assert said.index("on aki1: kubeadm join") < said.index("on aki2: kubeadm join")
    all_is_well(wizard)
    no_secret_is_left(wizard)
    either_can_have_the_address(wizard)
    it_leaves_and_joins_again(wizard)
    a_worker_is_drained_first(wizard)


def all_is_well(wizard: HighlyAvailable) -> None:
    assert all(wizard.ready(node) for node in NODES)
    assert [wizard.api_of(node) for node in NODES] == ["ok", "ok", ""]
    assert wizard.members() == ["aki0", "aki1"]
    until(wizard.pods_of_aki1_are_led_over_the_isolated_network, 30, "aki0 knows no way to the pods of aki1")
    planned = wizard.json("plan", "join")
    assert (planned["changes"], {row["state"] for row in planned["steps"]}) == (0, {"done"}), planned


def no_secret_is_left(wizard: HighlyAvailable) -> None:
    """No token; and of all that looks like the key of the certificates, nothing opens them."""
    closed = certificates(wizard)
    found = traces.left(wizard, f"{TOKEN}|{KEY}", NODES)
    assert [each for each in found if re.fullmatch(TOKEN, each) or opens(closed, each)] == []
    for node in NODES:
        assert wizard.machine.inside(f"ls {PATH} 2>&1 || true", host=node).startswith("ls: ")
    the_key_alone_is_printed(wizard)


def certificates(wizard: HighlyAvailable) -> bytes:
    """As the cluster holds one of them ready for a control plane that joins: encrypted."""
    return base64.b64decode(wizard.kubectl("-n kube-system get secret kubeadm-certs -o jsonpath='{.data.ca\\.key}'"))


def opens(closed: bytes, key: str) -> bool:
    """AES-GCM, the nonce before it (kubeadm 1.20.2, cmd/kubeadm/app/util/crypto)."""
    try:
        return AESGCM(bytes.fromhex(key)).decrypt(closed[:12], closed[12:], None).startswith(b"-----BEGIN")
    except InvalidTag:
        return False


def the_key_alone_is_printed(wizard: HighlyAvailable) -> None:
    """kubeadm says more than the key; and where it fails, what it says is the reason, on stderr."""
    hole = certificate_key("aki0", f"{LAN}.130", version_of("v1.20.2"))
    assert hole.argv[:2] == ("sh", "-c")
    [key] = wizard.machine.inside(hole.argv[2], host="aki0").splitlines()
    assert opens(certificates(wizard), key)
    aside, back = f"mv {PKI}/sa.key /root && mkdir {PKI}/sa.key", f"rmdir {PKI}/sa.key && mv /root/sa.key {PKI}"
    with pytest.raises(RehearsalError, match="error uploading certs"):
        wizard.machine.inside(f"{aside}; trap '{back}' EXIT\n({hole.argv[2]})", host="aki0")


def either_can_have_the_address(wizard: HighlyAvailable) -> None:
    """Whoever answers there shows a certificate that is good for it."""
    at = f"{VIP}:6443"
    ready = f"curl -sSf --max-time 5 --cacert {PKI}/ca.crt https://{at}/readyz"
    names = f"openssl s_client -connect {at} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName"
    for node in ("aki1", "aki0"):
        wizard.move_to(node)
        assert wizard.machine.inside(ready, host="aki2") == "ok"
        assert f"DNS:{node}" in wizard.machine.inside(names, host="aki2")


def it_leaves_and_joins_again(wizard: HighlyAvailable) -> None:
    refused = wizard.run("undo", "join.nodes@aki1", "--yes")
    assert (refused.returncode, "--destroy aki1" in refused.stderr) == (5, True)
    wizard.ok("undo", "join.nodes@aki1", "--yes", "--destroy", "aki1", timeout=LONG)
    assert wizard.members() == ["aki0"]
    assert [wizard.api_of(node) for node in NODES] == ["ok", "", ""]
    assert wizard.machine.inside(LEFT, check=False, host="aki1") == ""
    assert wizard.kubectl("get nodes -o name").split() == ["node/aki0", "node/aki2"]
    with no_disk_is_left_for_etcd(wizard, "aki1"):
        said = wizard.ok("apply", "join.nodes", "--yes", timeout=LONG).stderr
    assert "the kubelet does not know its disk yet, and has refused etcd" in said
    all_is_well(wizard)


def a_worker_is_drained_first(wizard: HighlyAvailable) -> None:
    """What something starts again elsewhere goes; what nothing would, stops it, and is named."""
    wizard.kubectl(f"create deployment web --image={IMAGE} -- sleep 1000000")
    wizard.kubectl(f"run alone --image={IMAGE} -- sleep 1000000")
    wizard.kubectl("wait --for=condition=Ready pod/alone --timeout=60s")
    wizard.kubectl("rollout status deployment web --timeout=60s")
    gone = ("undo", "join.nodes@aki2", "--yes", "--destroy", "aki2")
    refused = wizard.run(*gone, timeout=LONG)
    assert refused.returncode == 1, refused.stderr
    assert "default/alone" in refused.stderr
    assert "To keep the node: `kubectl uncordon NODE`." in refused.stderr
    wizard.kubectl("delete pod alone --grace-period=1")
    said = wizard.ok(*gone, timeout=LONG).stderr
    assert said.index("evicting pod default/web-") < said.index("kubeadm reset")
    assert wizard.kubectl("get nodes -o name").split() == ["node/aki0", "node/aki1"]
    assert wizard.machine.inside(LEFT, check=False, host="aki2") == ""
    wizard.ok("apply", "join.nodes", "--yes", timeout=LONG)
    wizard.kubectl("rollout status deployment web --timeout=120s")


def no_disk_is_left_for_etcd(wizard: HighlyAvailable, node: str) -> AbstractContextManager[None]:
    """A kubelet that has 50 MiB to give refuses etcd, which asks for 100, as one does that has none yet to give."""
    settings, aside = "/etc/default/kubelet", "/root/kubelet"
    size = "$(df --block-size=1 --output=size /var/lib/kubelet | tail -n 1)"
    # It keeps a tenth for itself in any case (nodefs.available < 10 %).
    reserved = f"KUBELET_EXTRA_ARGS=--kube-reserved=ephemeral-storage=$(({size} * 9 / 10 - 50 * 1024 * 1024))"
    fault = f'cp -p {settings} {aside} && echo "{reserved}" >{settings}'
    return but_for(wizard, node, fault, f"mv {aside} {settings}")
