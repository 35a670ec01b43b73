"""What /etc/kubernetes/admin.conf of a control plane gives access to; no key is shown (kubeadm reference)."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.facts.kube_nodes import ADMIN
from wizard.facts.system import pairs
from wizard.model import Fact, Output


@dataclass(frozen=True)
class KubeAdmin:
    """`server` is https://HOST:PORT; the CA's hash is as in `Kubeadm.ca_hash`; the certificate's is of the client's."""

    there: bool = False
    server: str = ""
    ca_hash: str = ""
    certificate: str = ""
    until: str = ""
    """When the client certificate ends, as openssl writes it: "Nov 23 09:00:00 2027 GMT"."""
    address: str = ""
    """Where this control plane's own API server is reached."""


def parse_admin(output: Output) -> KubeAdmin:
    found = pairs(output)
    return KubeAdmin(
        found["there"] == "yes",
        found["server"],
        found["ca"],
        found["certificate"].partition(" ")[0],
        found["until"].removeprefix("notAfter="),
        found["address"],
    )


KUBE_ADMIN = Fact(
    "kube-admin",
    f"""a={ADMIN}
of() {{ sed -n "s/^ *$1: *//p" $a 2>/dev/null | head -n 1; }}
pem() {{ of "$1" | base64 -d 2>/dev/null; }}
hash() {{ openssl pkey -pubin -outform der 2>/dev/null | openssl dgst -sha256 -r | cut -d' ' -f1; }}
if [ -s $a ]; then echo there=yes; else echo there=no; fi
echo server=$(of server)
echo ca=$([ ! -s $a ] || pem certificate-authority-data | openssl x509 -pubkey -noout 2>/dev/null | hash)
echo certificate=$([ ! -s $a ] || pem client-certificate-data | openssl x509 -outform der 2>/dev/null | sha256sum)
echo until=$(pem client-certificate-data | openssl x509 -noout -enddate 2>/dev/null)
echo address=$(sed -n 's/.*--advertise-address=//p' /etc/kubernetes/manifests/kube-apiserver.yaml 2>/dev/null)""",
    parse_admin,
)
