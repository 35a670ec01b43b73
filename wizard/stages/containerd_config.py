"""containerd's configuration as Kubernetes needs it: made anew where there is none, else edited in as few lines as do.

The same four things have other names in each version of the file (containerd docs/cri/config.md, docs/PLUGINS.md,
RELEASES.md; plugins/cri/runtime/plugin.go for `bin_dirs`, from 2.1): 2 for containerd 1.x, 3 from 2.0, 4 from 2.3.
A newer containerd reads older versions too. What 1.6, 1.7 and 2.1 make of these files was tried with Debian's.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from wizard.facts.containerd import Containerd, Effective, version_of
from wizard.stages.toml_edit import CannotEdit, Path, get, put

BIN_DIR = "/opt/cni/bin"
"""Where the package kubernetes-cni, Calico and Cilium put plugins; Debian's containerd looks elsewhere (DOMAIN S5)."""
OLD = "io.containerd.grpc.v1.cri"
RUNTIME, IMAGES = "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"
SERVES = ("cri", OLD, RUNTIME, IMAGES)
"""Names under which Kubernetes's side of containerd can be switched off."""
BIN_DIRS_FROM = (2, 1)


@dataclass(frozen=True)
class Wanted:
    systemd_cgroup: bool
    sandbox: str
    """The image to write; "" leaves it as it is."""
    sandbox_must: bool = False
    """It is not enough that there is one."""


def version_for(there: Containerd) -> int:
    """Of a new file. Where nobody knows which containerd it will be: 2, which every one of them reads."""
    numbers = there.numbers or version_of(there.candidate)
    if numbers >= (2, 3):
        return 4
    return 3 if numbers >= (2,) else 2


def lacking(found: Effective, wanted: Wanted) -> tuple[str, ...]:
    """In words, what is not as wanted."""
    driver = "systemd" if wanted.systemd_cgroup else "cgroupfs"
    words = {
        "serves no Kubernetes (its CRI plugin is switched off)": not found.cri,
        f"does not make control groups by {driver}": found.systemd_cgroup != wanted.systemd_cgroup,
        f"does not look for CNI plugins in {BIN_DIR}": BIN_DIR not in found.bin_dirs,
        f"does not take {wanted.sandbox} for pods": wanted.sandbox_must and found.sandbox != wanted.sandbox,
    }
    return tuple(each for each, is_so in words.items() if is_so)


def fitted(there: Containerd, wanted: Wanted) -> str:
    """The file as it is to be. Raises `CannotEdit`."""
    text = there.config or ""
    try:
        version = get(text, (), "version")
        if version is None and get(text, (), "plugins"):
            raise CannotEdit("it is of version 1, without a line `version = …`, which newer containerds do not know")
    except tomllib.TOMLDecodeError as error:
        raise CannotEdit(f"it is no valid TOML: {error}") from None
    text = text if version else put(text, (), "version", version_for(there))
    off = [name for name in get(text, (), "disabled_plugins") or [] if name not in SERVES]
    text = put(text, (), "disabled_plugins", off) if get(text, (), "disabled_plugins") else text
    return _version_2(text, wanted) if (version or version_for(there)) < 3 else _version_3(text, there, wanted)


def _version_2(text: str, wanted: Wanted) -> str:
    """A runtime that is named is all that there is of it: 1.x does not fill its type in."""
    cri: Path = ("plugins", OLD)
    runc = (*cri, "containerd", "runtimes", "runc")
    if wanted.sandbox:
        text = put(text, cri, "sandbox_image", wanted.sandbox)
    text = put(text, (*cri, "cni"), "bin_dir", BIN_DIR)
    if not get(text, runc, "runtime_type"):
        text = put(text, runc, "runtime_type", "io.containerd.runc.v2")
    return put(text, (*runc, "options"), "SystemdCgroup", wanted.systemd_cgroup)


def _version_3(text: str, there: Containerd, wanted: Wanted) -> str:
    """Version 4 moved the servers' settings, none of these (containerd cmd/containerd/server/config/config.go)."""
    cni: Path = ("plugins", RUNTIME, "cni")
    runc = ("plugins", RUNTIME, "containerd", "runtimes", "runc")
    if wanted.sandbox:
        text = put(text, ("plugins", IMAGES, "pinned_images"), "sandbox", wanted.sandbox)
    numbers = there.numbers or version_of(there.candidate)
    if get(text, cni, "bin_dir") or (numbers and numbers < BIN_DIRS_FROM):
        text = put(text, cni, "bin_dir", BIN_DIR)
    elif BIN_DIR not in (get(text, cni, "bin_dirs") or []):
        text = put(text, cni, "bin_dirs", [BIN_DIR])
    if not get(text, runc, "runtime_type"):
        text = put(text, runc, "runtime_type", "io.containerd.runc.v2")
    return put(text, (*runc, "options"), "SystemdCgroup", wanted.systemd_cgroup)
