"""Where a node gets the images of Kubernetes itself: from containerd, which may have them already, or a registry."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.facts.kube_packages import minor
from wizard.model import Fact, FactError, Output

REGISTRY = "registry.k8s.io"
FIRST_REGISTRY = "k8s.gcr.io"
"""Up to 1.24's first patches (kubernetes.io, "registry.k8s.io: faster, cheaper and Generally Available")."""
PAUSE = {20: "3.2", 21: "3.4.1", 22: "3.5", 23: "3.6", 24: "3.7", 25: "3.8", 26: "3.9", 31: "3.10", 34: "3.10.1"}
"""From this minor version on (kubernetes/kubernetes, cmd/kubeadm/app/constants, `PauseVersion`); a later one is as
good: it is the image of an idle process."""

CERTS = "/etc/containerd/certs.d"
"""Where containerd is told of mirrors, in a directory per registry (containerd, docs/hosts.md)."""


@dataclass(frozen=True)
class KubeImages:
    """`needed` as `kubeadm config images list` has them, empty without kubeadm; `there` as containerd has them."""

    needed: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    registry: str = ""
    """What was asked over HTTPS, because something is missing; empty where nothing was."""
    answered: bool = False
    complaint: str = ""

    def missing(self, *kinds: str) -> tuple[str, ...]:
        """Of those needed, by the last part of their names; all, where no kind is given."""
        return tuple(
            each
            for each in self.needed
            if each not in self.there and (not kinds or each.rpartition("/")[2].partition(":")[0] in kinds)
        )

    @property
    def pause(self) -> str:
        return next((each for each in self.needed if each.rpartition("/")[2].startswith("pause:")), "")


def registry_of(version: str, mirror: str = "") -> str:
    """Where images of this minor version come from."""
    return mirror or (FIRST_REGISTRY if minor(version) < (1, 22) else REGISTRY)


def pause_of(version: str, mirror: str = "") -> str:
    """The image that kubeadm of this minor version takes for pods; for when there is no kubeadm to be asked."""
    tag = [tag for since, tag in PAUSE.items() if since <= minor(version)[1]] or [PAUSE[20]]
    return f"{registry_of(version, mirror)}/pause:{tag[-1]}"


def kube_images(version: str, mirror: str = "") -> Fact[KubeImages]:
    """A fact about the images of this minor version, from the mirror where there is one.

    Where containerd is told of another way to registries, hosts.toml or a proxy, that this one does not answer says
    nothing (containerd, docs/hosts.md).
    """
    registry = registry_of(version, mirror)
    host = registry.partition("/")[0]
    option = f" --image-repository {mirror}" if mirror else ""
    return Fact(
        f"kube-images:{registry}",
        rf"""v=$(kubeadm version -o short 2>/dev/null)
needed=$([ -z "$v" ] || kubeadm config images list --kubernetes-version "$v"{option} 2>/dev/null)
there=$(timeout 10 ctr -n k8s.io images ls -q 2>/dev/null)
printf '%s\n' "$needed" | sed '/^$/d; s/^/needed\t/'
printf '%s\n' "$there" | sed '/^$/d; s/^/there\t/'
missing=$(printf '%s\n' "$needed" | grep -vxF -e "$there" | head -n 1)
if [ -z "$needed" ] || [ -n "$missing" ]; then
  printf 'asked\t%s\n' {host}
  another_way() {{
    for f in {CERTS}/{host.partition(":")[0]}*/hosts.toml {CERTS}/_default/hosts.toml; do
      [ ! -e "$f" ] || return 0
    done
    systemctl show -p Environment containerd.service 2>/dev/null | grep -qi https_proxy=
  }}
  if ! command -v curl >/dev/null; then printf 'untold\n'
  elif said=$(curl -sS -o /dev/null --connect-timeout 5 -m 8 https://{host}/v2/ 2>&1); then echo answered
  elif another_way; then echo untold
  else printf 'complaint\t%s\n' "$(printf '%s' "$said" | tr '\t\n' '  ')"; fi
fi
echo end""",
        _images,
        limit=30,
    )


def _images(output: Output) -> KubeImages:
    rows = [line.split("\t") for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")

    def every(word: str) -> tuple[str, ...]:
        return tuple(row[1] for row in rows if row[0] == word and len(row) > 1)

    # Where it cannot be told whether a registry answers, it is not said that it does not.
    untold = ["untold"] in rows
    registry = next(iter(every("asked")), "")
    answered = ["answered"] in rows or untold
    return KubeImages(every("needed"), every("there"), registry, answered, "; ".join(every("complaint")))
