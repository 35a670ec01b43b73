"""What kubeadm has made of a machine: nothing, half of a node, a node of some cluster."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.facts.kube_nodes import ADMIN
from wizard.facts.system import pairs
from wizard.model import Fact, FactError, Output

CA_HASH = (
    "openssl x509 -pubkey -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der "
    "| openssl dgst -sha256 -r | cut -d' ' -f1"
)
"""The hash of a cluster's CA, as `kubeadm join` wants it after "sha256:" (kubeadm reference)."""
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
API_READY = (
    f'grep -q "advertise-address.endpoint: " {MANIFEST} && sed -n "s,.*advertise-address.endpoint: *,,p" {MANIFEST} | '
    f"xargs -I @ kubectl --kubeconfig={ADMIN} --server=https://@ --request-timeout=5s get --raw /readyz"
)
"""Whether a control plane's own API server is ready. admin.conf leads to the cluster's endpoint, where another one may
answer; so it is asked at the address that kubeadm notes in its manifest, for itself too, and has in its certificate
(cmd/kubeadm, app/phases/controlplane and app/util/pkiutil; seen with 1.20.2). 127.0.0.1 is not in there."""


@dataclass(frozen=True)
class Kubeadm:
    """What lies on a machine. Versions as "v1.36.4", empty where the program is missing."""

    version: str = ""
    kubelet: str = ""
    kubelet_active: bool = False
    admin: bool = False
    """/etc/kubernetes/admin.conf: init, or a control plane's join, went that far."""
    joined: bool = False
    """/etc/kubernetes/kubelet.conf: it is a node, or was becoming one."""
    manifests: bool = False
    """The API server's static pod."""
    etcd: bool = False
    """/var/lib/etcd/member."""
    pki: bool = False
    ca_hash: str = ""
    """Of the CA that it trusts; 64 hexadecimal digits."""
    server: str = ""
    """https://HOST:PORT of the API that its kubelet speaks to."""
    api_ready: bool = False
    """Its own API server says that it is ready, whatever another one at the endpoint says."""
    finished: bool = False
    """Its kubelet has the certificate that it renews itself: what comes near the end of an init, and with every join
    (kubeadm 1.20, phase kubelet-finalize; the kubelet's TLS bootstrap)."""
    up: int = 0
    """Seconds since the machine started."""
    says: str = ""
    """The kubelet's last line in the journal."""

    @property
    def untouched(self) -> bool:
        """kubeadm has left nothing here, or was reset."""
        return not (self.admin or self.joined or self.manifests or self.etcd or self.pki)


def _kubeadm(output: Output) -> Kubeadm:
    """Raises `FactError` where nobody can tell which cluster's CA lies there: it might be another one's."""
    found = pairs(output)
    there = {key for key, value in found.items() if value == "yes"}
    if "pki" in there and not found["ca"]:
        raise FactError("openssl is missing, which tells whose CA /etc/kubernetes/pki/ca.crt is: install it")
    return Kubeadm(
        version=found["kubeadm"],
        kubelet=found["kubelet"],
        kubelet_active="active" in there,
        admin="admin" in there,
        joined="joined" in there,
        manifests="manifests" in there,
        etcd="etcd" in there,
        pki="pki" in there,
        ca_hash=found["ca"],
        server=found["server"],
        api_ready="ready" in there,
        finished="finished" in there,
        up=int(found["up"]),
        says=found["says"],
    )


KUBEADM = Fact(
    "kubeadm",
    f"""yes() {{ if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }}
k=/etc/kubernetes
echo kubeadm=$(kubeadm version -o short 2>/dev/null)
echo kubelet=$(kubelet --version 2>/dev/null | cut -d' ' -f2)
echo active=$(yes systemctl is-active kubelet)
echo admin=$(yes test -e $k/admin.conf)
echo joined=$(yes test -e $k/kubelet.conf)
echo manifests=$(yes test -e {MANIFEST})
echo etcd=$(yes test -d /var/lib/etcd/member)
echo pki=$(yes test -e $k/pki/ca.crt)
echo ca=$([ ! -e $k/pki/ca.crt ] || {CA_HASH})
echo server=$(sed -n 's/^ *server: *//p' $k/kubelet.conf 2>/dev/null | head -n 1)
echo finished=$(yes grep -qs kubelet-client-current.pem $k/kubelet.conf)
began=$(systemctl show --property UserspaceTimestampMonotonic --value)
echo up=$(($(cut -d. -f1 /proc/uptime) - ${{began:-0}} / 1000000))
says=$(journalctl --unit kubelet --lines 1 --output cat --quiet --no-pager 2>/dev/null | tr -cd '[:print:]')
printf 'says=%.300s\\n' "$says"
ready() {{ {API_READY}; }}
echo ready=$([ ! -e {ADMIN} ] || yes ready)""",
    _kubeadm,
)

IS_NODE: Fact[bool] = Fact(
    "is-node",
    "[ ! -e /etc/kubernetes/kubelet.conf ] || echo yes",
    lambda output: output.text.strip() == "yes",
)
"""Whether a machine is a node of some cluster, for steps that only ask that."""
