"""What a node needs to join, minted seconds before on the first control plane (DOMAIN S8): secrets, so holes.

`kubeadm token create` prints the token alone, its warnings go to stderr; `--kubeconfig` because it would otherwise take
$KUBECONFIG or ~/.kube/config (kubeadm 1.20.2, cmd/token.go and cmd/util/cmdutil.go). `kubeadm init phase upload-certs
--upload-certs` encrypts the certificates with a key of its own making and prints it last, on a line of its own
(cmd/phases/init/uploadcerts.go); the cluster's own ClusterConfiguration is given to it, so that it asks the internet
for no version. So neither secret is ever an argument of a command. The Secret kubeadm-certs goes by itself after 2 h.
"""

from __future__ import annotations

from wizard.actions import Hole
from wizard.facts.kube_nodes import ADMIN, KUBECTL
from wizard.facts.kubeadm import CA_HASH
from wizard.stages.join_config import SOCKET, Version

MINUTES = 15
_UPLOAD = """\
umask 077; f=$(mktemp /run/hk8s-certs.XXXXXX) && trap "rm -f $f" EXIT && printf "%s\\n" {about} --- >$f && \
{kubectl} get configmap kubeadm-config -n kube-system -o "jsonpath={{.data.ClusterConfiguration}}" >>$f && \
out=$(kubeadm init phase upload-certs --upload-certs --config $f 2>&1) && echo "$out" | grep -xE "[0-9a-f]{{64}}" || \
{{ echo "$out" | grep -vxE "[0-9a-f]{{64}}" >&2; exit 1; }}"""


def token(first: str) -> Hole:
    argv = ("kubeadm", "token", "create", "--kubeconfig", ADMIN, "--ttl", f"{MINUTES}m")
    return Hole("join-token", first, argv, f"a bootstrap token, good for {MINUTES} minutes")


def certificate_key(first: str, address: str, version: Version) -> Hole:
    """`address` and `version` are the first control plane's: what kubeadm would else have to guess of it."""
    about = (
        f"apiVersion: kubeadm.k8s.io/{version.api}",
        "kind: InitConfiguration",
        f"localAPIEndpoint: {{advertiseAddress: {address}}}",
        f"nodeRegistration: {{name: {first}, criSocket: {SOCKET}}}",
    )
    script = _UPLOAD.format(about=" ".join(f'"{line}"' for line in about), kubectl=KUBECTL)
    return Hole("certificate-key", first, ("sh", "-c", script), "the key of the control plane's certificates")


def ca_hash(first: str) -> Hole:
    """No secret: only for a runbook made before there is a cluster, as what only another host can tell."""
    return Hole("ca-hash", first, ("sh", "-c", CA_HASH), "the hash of the cluster's CA")
