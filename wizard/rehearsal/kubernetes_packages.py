"""The Debian packages that nodes install, as Kubernetes's own repository has them for one minor version."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from wizard.rehearsal.kubernetes_build import MINOR, VERSION

REVISION = "1.1"
PLACE = f"core:/stable:/v{MINOR}/deb"

KUBELET_UNIT = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""

KUBEADM_DROPIN = """\
# Used with kubeadm: it writes kubeadm-flags.env; the owner's own flags belong into /etc/default/kubelet.
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""

# A stand-in for the words that kubeadm and people use most. It pulls nothing: images are there, or are not.
CRICTL = r"""#!/bin/sh
# crictl of a rehearsal: answers from containerd itself.
set -eu
ours() { ctr --namespace k8s.io "$@"; }
full() { # the name under which containerd keeps an image
  case $1 in
    *.*/*) echo "$1" ;;
    */*) echo "docker.io/$1" ;;
    *) echo "docker.io/library/$1" ;;
  esac
}
there() { ours images list --quiet | grep -qxF "$(full "$1")"; }
of_pod() { ours containers list --quiet "labels.\"io.kubernetes.pod.uid\"==$(pod "$1")"; }
pod() { ours containers info "$1" | sed -n 's/.*"io.kubernetes.pod.uid": "\(.*\)".*/\1/p' | head -n 1; }
while :; do
  case ${1:-} in
    -r | -i | -t | --runtime-endpoint | --image-endpoint | --timeout) shift 2 ;;
    -D | --debug | --runtime-endpoint=* | --image-endpoint=* | --timeout=*) shift ;;
    *) break ;;
  esac
done
word=${1:-help}
[ $# -eq 0 ] || shift
for last; do :; done
case $word in
  info | version) ours version ;;
  pull) there "$last" || { echo "no such image here: $last" >&2; exit 1; } ;;
  inspecti) there "$last" && printf '{"status": {"id": "%s", "repoTags": ["%s"]}}\n' "$last" "$(full "$last")" ;;
  images | img) ours images list ;;
  ps) ours containers list 'labels."io.cri-containerd.kind"==container' ;;
  pods)
    case " $* " in
      *" -q "* | *" --quiet "*) ours containers list --quiet 'labels."io.cri-containerd.kind"==sandbox' ;;
      *) ours containers list 'labels."io.cri-containerd.kind"==sandbox' ;;
    esac ;;
  stopp) for each in $(of_pod "$last"); do ours tasks kill --signal KILL "$each" 2>/dev/null || true; done ;;
  rmp)
    for each in $(of_pod "$last"); do
      ours tasks delete --force "$each" >/dev/null 2>&1 || true
      ours containers delete "$each"
    done ;;
  *) echo "crictl of a rehearsal knows no $word" >&2; exit 1 ;;
esac
"""


@dataclass(frozen=True)
class Package:
    """`files` are written (path: text), `copies` copied (path: where from), `directories` are empty.

    What lies below /etc is a conffile.
    """

    name: str
    version: str
    about: str
    depends: str
    files: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    executable: frozenset[str] = frozenset()

    @property
    def control(self) -> str:
        return (
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: amd64\nSection: admin\nPriority: optional\n"
            f"Maintainer: A rehearsal <owner@home.arpa>\nDepends: {self.depends}\nDescription: {self.about}\n"
        )


def packages() -> tuple[Package, ...]:
    """Upstream's five, with what each needs and where it puts its files."""
    version = f"{VERSION}-{REVISION}"
    below = f"kubernetes-cni (>= 0.8.6), {'{}'}"
    kubelet = "iptables (>= 1.4.21), iproute2, mount, socat, util-linux, ethtool, ebtables, conntrack"
    kubeadm = "kubelet (>= 1.13.0), kubectl (>= 1.13.0), cri-tools (>= 1.13.0)"
    return (
        Package(
            *("kubelet", version, "Container cluster management", below.format(kubelet)),
            files={
                "/usr/lib/systemd/system/kubelet.service": KUBELET_UNIT,
                "/etc/default/kubelet": "KUBELET_EXTRA_ARGS=\n",
            },
            directories=("/etc/kubernetes/manifests", "/var/lib/kubelet"),
            copies={"/usr/bin/kubelet": "/programs/kubelet"},
        ),
        Package(
            *("kubeadm", version, "Command-line utility for administering a cluster", below.format(kubeadm)),
            files={"/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": KUBEADM_DROPIN},
            copies={"/usr/bin/kubeadm": "/programs/kubeadm"},
        ),
        Package(
            *("kubectl", version, "Command-line utility for interacting with a cluster", "libc6"),
            copies={"/usr/bin/kubectl": "/programs/kubectl"},
        ),
        Package(
            *("cri-tools", f"{MINOR}.0-{REVISION}", "Command-line utility for a container runtime", "libc6"),
            files={"/usr/bin/crictl": CRICTL},
            executable=frozenset({"/usr/bin/crictl"}),
        ),
        Package(
            *("kubernetes-cni", f"1.1.1-{REVISION}", "Binaries required to provision networks of pods", "libc6"),
            copies={"/opt/cni/bin": "/usr/lib/cni"},
        ),
    )


def script() -> str:
    """A sh script for the workshop: writes the signed repository to /out/repository, as PLACE below it."""
    return START + "".join(map(_packed, packages())) + INDEX


START = f"""\
echo 'I: packing Debian packages'
place={shlex.quote(f"/out/repository/{PLACE}")}
mkdir -p "$place/amd64"
"""

# The key signs this once, and is forgotten.
INDEX = f"""\
echo 'I: signing their repository'
cd "$place"
apt-ftparchive packages amd64 > Packages
gzip --keep Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin=rehearsal -o APT::FTPArchive::Release::Label=v{MINOR} \\
  -o APT::FTPArchive::Release::Architectures=amd64 release . > /tmp/Release
mv /tmp/Release Release
export GNUPGHOME=/tmp/key
mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key 'A rehearsal <owner@home.arpa>' rsa3072 sign never
gpg --batch --quiet --clearsign --output InRelease Release
gpg --batch --quiet --armor --detach-sign --output Release.gpg Release
gpg --batch --quiet --armor --export > Release.key
gpgconf --kill all
"""


def _packed(package: Package) -> str:
    root = f"/tmp/{package.name}"
    lines = [f"mkdir -p {root}{directory}" for directory in ("/DEBIAN", *package.directories)]
    for path, text in {"/DEBIAN/control": package.control, **package.files}.items():
        lines.append(f"mkdir -p {root}{path.rpartition('/')[0]}")
        lines.append(f"printf %s {shlex.quote(text)} > {root}{path}")
        lines.append(f"chmod {'755' if path in package.executable else '644'} {root}{path}")
    for path, source in package.copies.items():
        lines.append(f"mkdir -p {root}{path.rpartition('/')[0]}")
        lines.append(f"cp -r {source} {root}{path}")
    kept = "".join(f"{path}\n" for path in package.files if path.startswith("/etc/"))
    if kept:
        lines.append(f"printf %s {shlex.quote(kept)} > {root}/DEBIAN/conffiles")
    deb = f"{package.name}_{package.version}_amd64.deb"
    lines.append(f'dpkg-deb --root-owner-group -Zgzip -z1 --build {root} "$place/amd64/{deb}" > /dev/null')
    return "\n".join(lines) + "\n"
