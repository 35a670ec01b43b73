"""Until when the certificates of a node are good. Read by openssl: the command of kubeadm that says it has had three
names, and shows nothing of a worker (kubeadm reference, "Certificate Management with kubeadm").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class Certificate:
    """`path` of the file it is in; `days` left by the clock of its node, negative when it has expired."""

    path: str
    until: datetime
    days: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_ca(self) -> bool:
        """kubeadm names them so; they are good for ten years, all others for one."""
        return self.name.endswith("ca.crt")


def parse_certificates(output: Output) -> tuple[Certificate, ...]:
    """Those of this node that expire first come first; empty where there are none."""
    lines = [line.split("\t") for line in output.text.splitlines()]
    if not lines or lines[0][0] != "now":
        raise FactError(output.complaint or "openssl is missing")
    now = datetime.fromtimestamp(int(lines[0][1]), UTC)
    return tuple(sorted((_read(path, until, now) for path, until in lines[1:]), key=lambda each: each.until))


def _read(path: str, until: str, now: datetime) -> Certificate:
    try:
        date = datetime.strptime(until, "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    except ValueError:
        raise FactError(f"{path} holds no certificate that openssl can read") from None
    return Certificate(path, date, (date - now).days)


CERTIFICATES = Fact(
    "certificates",
    r"""command -v openssl >/dev/null || exit 1
k=/etc/kubernetes
until_when() { printf '%s\t%s\n' "$1" "$(openssl x509 -noout -enddate 2>/dev/null)"; }
printf 'now\t%s\n' "$(date +%s)"
for each in $k/pki/*.crt $k/pki/etcd/*.crt /var/lib/kubelet/pki/kubelet-client-current.pem; do
  [ ! -e "$each" ] || until_when "$each" <"$each"
done
for each in admin super-admin controller-manager scheduler; do
  [ ! -e $k/$each.conf ] ||
    sed -n 's/^ *client-certificate-data: *//p' $k/$each.conf | base64 -d | until_when $k/$each.conf
done""",
    parse_certificates,
)
"""Where kubeadm and the kubelet keep them; of a file of kubectl's kind, the certificate in it."""
