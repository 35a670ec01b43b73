"""What this machine must have before a rehearsal can run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from wizard.rehearsal.commands import environment
from wizard.rehearsal.error import BadRequest

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_WATCHERS = 1024

TOOLS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "mount": "mount",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "perl": "perl-base",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "mformat": "mtools",
    "mcopy": "mtools",
    "qemu-img": "qemu-utils",
}


def missing() -> str | None:
    """All findings as one message with the cure, or None when a rehearsal can run here."""
    findings = [] if os.geteuid() == 0 else ["root: network namespaces and mounts need it; run it with sudo"]
    lacking = {tool: package for tool, package in TOOLS.items() if not shutil.which(tool, path=environment()["PATH"])}
    findings += [f"the program {tool} (Debian package {package})" for tool, package in lacking.items()]
    packages = set(lacking.values())
    if not KEYRING.exists():
        findings.append(f"{KEYRING} (Debian package debian-archive-keyring)")
        packages.add("debian-archive-keyring")
    findings += _kernel()
    if not findings:
        return None
    lines = ["A rehearsal cannot run on this machine. Missing:", *(f"  - {finding}" for finding in findings)]
    if packages:
        lines.append(f"Install with: sudo apt-get install {' '.join(sorted(packages))}")
    return "\n".join(lines)


def demand() -> None:
    """Raise BadRequest naming everything that is missing."""
    message = missing()
    if message:
        raise BadRequest(message)


def make_room(say: Callable[[str], None]) -> None:
    """Let root watch as many things at once as nodes need; the kernel's own limit is one for all containers.

    A node takes about 15 of the usual 128: with too few, containerd serves no CRI and kubelet does not register.
    """
    if int(WATCHERS.read_text()) < ENOUGH_WATCHERS:
        say(f"Raising this machine's fs.inotify.max_user_instances to {ENOUGH_WATCHERS}, until its next restart.")
        WATCHERS.write_text(str(ENOUGH_WATCHERS))


def _kernel() -> list[str]:
    findings = [] if _overlay() else ["overlayfs in the kernel (module `overlay`)"]
    if not Path("/dev/net/tun").exists():
        findings.append("/dev/net/tun in the kernel (module `tun`)")
    return findings


def _overlay() -> bool:
    """A kernel may have it as a module that nothing has loaded yet."""
    if "\toverlay\n" in Path("/proc/filesystems").read_text():
        return True
    if os.geteuid() != 0 or not shutil.which("modprobe", path=environment()["PATH"]):
        return False
    return subprocess.run(["modprobe", "overlay"], capture_output=True, check=False, env=environment()).returncode == 0
