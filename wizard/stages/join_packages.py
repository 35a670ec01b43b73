"""kubelet, kubeadm and kubectl of the wanted version, from the repository of that minor version, and held (DOMAIN S5).

What is installed already is left as it is where it fits: kubeadm of the wanted minor version, a kubelet that goes with
it (`version_skew`), kubectl within one (kubernetes.io, version-skew-policy).
"""

from __future__ import annotations

from collections.abc import Iterator

from wizard.actions import Action, Install, Run, WriteFile
from wizard.cluster.sections import Kubernetes
from wizard.facts.kube_packages import KEYRING, KUBE_PACKAGES, LIST, PACKAGES, TOOLS, KubePackages, minor
from wizard.facts.kubeadm import KUBEADM
from wizard.facts.owner_files import owner_file
from wizard.model import OWNER, Context, Fact, Finding
from wizard.stages.join_area import NODE_FILES
from wizard.stages.join_containerd import kubernetes_of
from wizard.stages.version_skew import kubelet_misfit

UPSTREAM = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"
LIMIT = 2700
"""Seconds: 15 minutes for another installation to end, the rest to fetch some 100 MB over a slow line."""


def repository(kubernetes: Kubernetes) -> str:
    """Its address, with the slash that apt wants at the end of a flat one."""
    own = kubernetes.packages.repository if kubernetes.packages else ""
    return f"{(own or UPSTREAM.format(minor='.'.join(kubernetes.version.split('.')[:2]))).rstrip('/')}/"


def key_of(kubernetes: Kubernetes) -> str:
    """A URL, or the path of a file of the owner's."""
    return kubernetes.packages.key if kubernetes.packages else f"{repository(kubernetes)}Release.key"


def key_file(kubernetes: Kubernetes | None) -> Fact[str | None] | None:
    """The key's content on the owner's machine, where it is a file; else None."""
    if kubernetes is None or key_of(kubernetes).startswith(("http://", "https://")):
        return None
    return owner_file(key_of(kubernetes))


def listed(kubernetes: Kubernetes) -> str:
    return f"# homek8s-wizard: Kubernetes's own packages.\ndeb [signed-by={KEYRING}] {repository(kubernetes)} /\n"


def wanted_version(kubernetes: Kubernetes, there: KubePackages) -> str:
    """As apt takes it: what comes joins what is there already; else the newest patch, or the one that is asked for."""
    exact = there.versions.get("kubeadm") or (kubernetes.version if kubernetes.version.count(".") == 2 else "")
    return f"{exact}-*" if exact else f"{kubernetes.version}.*"


# ---------------------------------------------------------------- as an area


def lacks(ctx: Context, target: str) -> Iterator[str]:
    there = ctx.see(KUBE_PACKAGES, target)
    if names := there.missing or _absent(there):
        yield f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not installed"
    if loose := _loose(there):
        yield f"the next upgrade of the system would also upgrade {', '.join(loose)}"
    if not there.missing and not there.enabled and there.service:
        yield "the kubelet does not start with the machine"


def actions(ctx: Context, target: str) -> Iterator[Action]:
    there, kubernetes = ctx.see(KUBE_PACKAGES, target), kubernetes_of(ctx)
    if there.missing or _absent(there):
        yield from _tools(there)
    if there.missing:
        yield from _install(ctx, target, there, kubernetes)
    loose = (*there.missing, *_loose(there))
    if loose:
        names = tuple(name for name in PACKAGES if name in loose)
        yield Run(("apt-mark", "hold", *names), undo=Run(("apt-mark", "unhold", *names)))
    if there.missing or (there.service and not there.enabled):
        off = Run(("systemctl", "disable", "kubelet.service")) if there.service else None
        yield Run(("systemctl", "enable", "kubelet.service"), undo=off)


def _absent(there: KubePackages) -> tuple[str, ...]:
    return tuple(name for name in TOOLS if name not in there.tools) if there.apt else ()


def _tools(there: KubePackages) -> Iterator[Action]:
    if there.interrupted:
        yield Run(("packages_finish",), words="dpkg --configure -a: finish the installation that was cut off")
    if absent := _absent(there):
        yield Install(absent, refresh=True)


def _install(ctx: Context, target: str, there: KubePackages, kubernetes: Kubernetes) -> Iterator[Action]:
    if not _named_in(there, kubernetes):
        yield from _source(ctx, target, kubernetes)
    version = wanted_version(kubernetes, there)
    yield Run(("packages_refresh",), words="fetch the lists of packages")
    yield Run(("kube_there", version, *there.missing), words=f"is there {' '.join(there.missing)} {version}?")
    yield Install(tuple(f"{name}={version}" for name in there.missing))


def _named_in(there: KubePackages, kubernetes: Kubernetes) -> str:
    """A file of the owner's that names the repository: apt reads no list at all where two say another key for one."""
    address = repository(kubernetes)
    return next((file for file, named in there.sources if named == address and file != LIST), "")


def _source(ctx: Context, target: str, kubernetes: Kubernetes) -> Iterator[Action]:
    file = key_file(kubernetes)
    if file is None:
        yield Run(("kube_key", key_of(kubernetes), KEYRING), words=f"fetch the key {key_of(kubernetes)}")
    else:
        yield WriteFile(f"{KEYRING}.asc", _ending(ctx.see(file, OWNER) or ""), None)
        yield Run(("kube_key", f"{KEYRING}.asc", KEYRING), words="put the key where apt looks for it")
    was, now = ctx.see(NODE_FILES, target)[LIST], listed(kubernetes)
    if was != now:
        yield WriteFile(LIST, now, was)


def _ending(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _loose(there: KubePackages) -> tuple[str, ...]:
    return tuple(name for name in there.packaged if name not in there.held)


def notes(ctx: Context, target: str) -> Iterator[str]:
    there, kubernetes = ctx.see(KUBE_PACKAGES, target), kubernetes_of(ctx)
    if there.missing:
        newest = (
            "" if wanted_version(kubernetes, there).endswith("-*") else f", the newest patch of {kubernetes.version}"
        )
        named = f", which {file} names already" if (file := _named_in(there, kubernetes)) else ""
        yield f"Packages come from {repository(kubernetes)}{named}{newest}."
        yield "They are held: Kubernetes is upgraded with kubeadm, one node after the other, not by apt upgrade."


# ---------------------------------------------------------------- what stands in the way


def contradictions(ctx: Context, target: str) -> Iterator[Finding]:
    """Another minor version is there: bringing it to the wanted one is an upgrade, or the owner's to take away."""
    there, version = ctx.see(KUBE_PACKAGES, target), kubernetes_of(ctx).version
    joined = ctx.see(KUBEADM, target).finished
    wrong = [f"{name} {found}" for name, found in there.versions.items() if not _fits(name, found, version, joined)]
    if wrong:
        why = f"{target} has {', '.join(wrong)}, and cluster.yaml asks for Kubernetes {version}"
        has = ".".join(map(str, minor(next(iter(there.versions.values())))))
        away = f"undo join.prerequisites@{target}, or on it: sudo apt-get purge --allow-change-held-packages"
        cure = (
            f'write `version: "{has}"` in cluster.yaml (a cluster is upgraded with kubeadm, not here); '
            f"or, if {target} is no node yet, {away} {' '.join(PACKAGES)}"
        )
        yield Finding("other-version", why, cure, "kubernetes.version")


def _fits(name: str, found: str, version: str, joined: bool) -> bool:
    if name == "kubelet":
        return not kubelet_misfit(found, version, joined)
    apart = abs(minor(version)[1] - minor(found)[1])
    return apart == 0 if name == "kubeadm" else apart <= 1


def obstacles(ctx: Context, target: str) -> Iterator[Finding]:
    there, kubernetes = ctx.see(KUBE_PACKAGES, target), kubernetes_of(ctx)
    if there.missing and not there.apt:
        why = f"the wizard installs with apt only, and {target} lacks {', '.join(there.missing)}"
        cure = f"install kubelet, kubeadm and kubectl {kubernetes.version} there yourself, as kubernetes.io says"
        yield Finding("foreign", why, cure, target)
    if "kubelet" in there.versions and not there.service:
        why = f"{target} has a kubelet, but no kubelet.service that starts it"
        yield Finding("no-service", why, "install it as a package, which brings the service", target)
    file = key_file(kubernetes)
    if there.missing and file is not None and not _named_in(there, kubernetes) and not ctx.see(file, OWNER):
        why = f"there is no file {key_of(kubernetes)} beside cluster.yaml"
        yield Finding("no-key", why, "put the repository's key there, or write its URL", "kubernetes.packages.key")


def as_it_is(ctx: Context, target: str) -> str:
    found = ctx.see(KUBE_PACKAGES, target).versions
    return ", ".join(f"{name} {found[name]}" for name in PACKAGES if name in found)
