"""The words of templates/host/guests.sh as a person would type them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

Typed = tuple[str, str]
"""A line, and what is waited for or must hold."""


def _fetch(words: Sequence[str]) -> Typed:
    url, path, digest = words
    return shlex.join(("curl", "-fL", "-o", path, url)), f"its sha256 must be {digest}:"


def _disk(words: Sequence[str]) -> Typed:
    image, path, _, size, *digest = words
    line = f"{shlex.join(('qemu-img', 'convert', '-O', 'qcow2', image, path))} && qemu-img resize {path} {size}"
    return line, f"the sha256 of {image} must be {digest[0]}:" if digest else ""


def _define(words: Sequence[str]) -> Typed:
    name, uuid, path, *options = words
    made = shlex.join(("virt-install", "--name", name, "--uuid", uuid, *options, "--print-xml"))
    return f"{made} >{path} && virsh define {path}", ""


def _gone(words: Sequence[str]) -> Typed:
    name, _, path = words
    return f"virsh destroy {name}; virsh undefine {name} --nvram; rm -f {path}", ""


GUEST_WORDS: Mapping[str, Callable[[Sequence[str]], Typed]] = {
    "guest_fetch": _fetch,
    "guest_disk": _disk,
    "guest_define": _define,
    "guest_start": lambda words: (f"virsh start {words[0]}", f"nobody on the LAN may have {words[1]} yet:"),
    "guest_console": lambda words: (f"tail -f {words[1]}", f"at most {words[2]} s, until it shows the SSH host keys:"),
    "guest_keys": lambda words: (f"grep -A 9 -e 'BEGIN SSH HOST KEY KEYS' {words[0]}", ""),
    "guest_eject": lambda words: (f"virsh detach-disk {words[0]} {words[1]} --config --live; rm -f {words[1]}", ""),
    "first_boot_over": lambda words: (
        "cloud-init status --wait; sync; touch /etc/cloud/cloud-init.disabled",
        f"at most {words[0]} s; it would make new host keys at the next boot:",
    ),
    "remove_guest": _gone,
    "remove_guest_disk": lambda words: (shlex.join(("rm", "-f", *words)), ""),
}
