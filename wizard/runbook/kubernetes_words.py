"""The words of templates/host/kubernetes.sh as a person would type them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

from wizard.runbook.guest_words import Typed


def _key(words: Sequence[str]) -> Typed:
    source, path = words
    if source.startswith("/"):
        return shlex.join(("gpg", "--dearmor", "--yes", "-o", path, source)), ""
    return f"curl -fsSL {shlex.quote(source)} | gpg --dearmor --yes -o {shlex.quote(path)}", ""


def _there(words: Sequence[str]) -> Typed:
    version, *packages = words
    return shlex.join(("apt-cache", "madison", *packages)), f"there must be a version {version} of each:"


def _block(words: Sequence[str]) -> Typed:
    path, begin, end, *lines = words
    if not lines:
        return shlex.join(("sed", "-i", f"\\|^{begin}$|,\\|^{end}$|d", path)), ""
    written = shlex.join(("printf", "%s\\n", begin, *lines, end))
    return f"{written} >>{shlex.quote(path)}", ""


def _serves(words: Sequence[str]) -> Typed:
    return "ctr plugins ls | grep cri", f"at most {words[0]} s, until it is ok:"


KUBERNETES_WORDS: Mapping[str, Callable[[Sequence[str]], Typed]] = {
    "kube_key": _key,
    "kube_there": _there,
    "put_block": _block,
    "containerd_serves": _serves,
}
