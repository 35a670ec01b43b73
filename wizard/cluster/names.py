"""Text that lands in files and commands: which characters each kind of name may hold.

Every parser here takes what the file says, answers the value, and raises `Wrong` with the cure. Whatever a shell,
systemd or libvirt could read as more than a name is refused (DOMAIN 2.1); quoting still happens later, all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from wizard.cluster.mistakes import NotText, Wrong, named, shown

INTERFACE = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}"
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
LIBVIRT = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}"
HOST = r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})"
IPV6 = r"[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,40}"
USER = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}"
VERSION = r"1\.(?P<minor>0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2}))?"
SHA256 = r"[0-9a-f]{64}"
FILE_PATH = r"(/[A-Za-z0-9_+@%=:~.-]+)+"
REGISTRY = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*"
URL = r"https?://[A-Za-z0-9._~:\[\]-]+(/[A-Za-z0-9_+@%=:~.-]+)+"

RESERVED_PREFIXES = ("vnet", "virbr", "docker", "br-", "cali", "tunl", "veth", "cni", "flannel", "vxlan.calico")
"""Interfaces that libvirt, docker and the CNIs create and delete as their own (DOMAIN 2.1)."""
KERNEL_WORDS = ("lo", "all", "default")
"""`lo` exists everywhere; `all` and `default` mean every interface under /proc/sys/net (the kernel's ip-sysctl)."""
TARGET_WORDS = ("hypervisor", "owner", "localhost")
"""What the wizard calls the two machines that are not guests, and the one name that no node may have (DOMAIN 2.1)."""
OLDEST_MINOR = 20
"""The first Kubernetes 1.x that was run for real here; its kubeadm reads kubeadm.k8s.io/v1beta2."""


def text(value: object) -> str:
    if not isinstance(value, str):
        raise NotText(f"text is expected, not {shown(value)}", "Write it as text, in quotes if need be.")
    if not value:
        raise Wrong("is empty", "Write a value, or remove the line.")
    return value


def matching(value: object, pattern: str, longest: int, may: str) -> str:
    """The text if all of it matches; else `Wrong` naming the character, the length or the shape that does not fit.

    `may` completes "It may hold …".
    """
    word = text(value)
    if re.fullmatch(pattern, word, re.ASCII):
        return word
    cure = f"It may hold {may}."
    if word.startswith("-"):
        raise Wrong(f"{shown(word)} begins with `-`, which a command would read as an option", cure)
    if "../" in word or word == "..":
        raise Wrong(f"{shown(word)} climbs out of its directory with `..`", cure)
    for letter in word:
        if not re.fullmatch(r"[A-Za-z0-9_.:@/\[\]~+%=-]", letter) or (letter == "/" and letter not in pattern):
            raise Wrong(f"{shown(word)} contains {named(letter)}", cure)
    if word != word.lower() and re.fullmatch(pattern, word.lower(), re.ASCII):
        raise Wrong(f"{shown(word)} has capital letters", f"Write {word.lower()}.")
    if len(word) > longest:
        raise Wrong(f"{shown(word)} is {len(word)} characters long; {longest} is the most", cure)
    raise Wrong(f"{shown(word)} cannot be used here", cure)


def interface(value: object) -> str:
    """A network interface's name; the kernel takes 15 bytes at most (DOMAIN 2.1)."""
    name = matching(
        value, INTERFACE, 15, "up to 15 letters, digits, `_`, `.` and `-`, and begins with a letter or digit"
    )
    if name in KERNEL_WORDS or name.isdigit():
        raise Wrong(
            f"{shown(name)} is no name for an interface of one's own", "Run `ip -br link` to see the names there are."
        )
    return name


def new_bridge(value: object) -> str:
    """The name of a bridge that the wizard creates: as an interface, and nobody else's prefix."""
    name = interface(value)
    for prefix in RESERVED_PREFIXES:
        if name.startswith(prefix):
            raise Wrong(
                f"{shown(name)} begins with `{prefix}`, which other software keeps for its own",
                "Use another name, such as `br0`.",
            )
    return name


def label(value: object) -> str:
    """A lower-case RFC 1123 label."""
    return matching(value, LABEL, 63, "up to 63 lower-case letters, digits and inner `-`")


def libvirt_name(value: object) -> str:
    """A libvirt network's name (DOMAIN 2.1)."""
    return matching(value, LIBVIRT, 50, "up to 50 letters, digits, `_`, `.` and `-`, and begins with a letter or digit")


def guest_name(value: object) -> str:
    """A libvirt domain's name, which is also what the wizard calls the guest."""
    name = libvirt_name(value)
    if name.lower() in TARGET_WORDS:
        raise Wrong(f"{shown(name)} already means another machine", "Give the guest another name.")
    return name


def host_name(value: object) -> str:
    """A DNS name in lower case: RFC 1123 labels joined by dots, 253 characters at most."""
    return matching(
        value,
        rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*",
        253,
        "lower-case letters, digits and inner `-`, in parts joined by `.`",
    )


def ssh_destination(value: object) -> str:
    """What is typed after `ssh`: HOST, USER@HOST or ssh://USER@HOST:PORT (ssh(1)). HOST may be an alias."""
    word = text(value)
    if re.fullmatch(r"(\S+@)?[^\s:@]+:\d+", word) and not word.startswith("ssh://"):
        raise Wrong(
            f"{shown(word)}: ssh reads the port as part of the name",
            f"Write ssh://{word}, or set Port in ~/.ssh/config.",
        )
    if " " in word:
        raise Wrong(f"{shown(word)} contains a space", "Write USER@HOST alone; options belong in ~/.ssh/config.")
    typed = rf"({USER}@)?({HOST}|{IPV6}(%{INTERFACE})?)"
    uri = rf"ssh://({USER}@)?({HOST}|\[{IPV6}(%25{INTERFACE})?\])(:[0-9]{{1,5}})?"
    port = re.search(r":([0-9]{1,5})$", word) if word.startswith("ssh://") else None
    if port and not 1 <= int(port[1]) <= 65535:
        raise Wrong(f"{port[1]} is no port", "Use 1 to 65535.")
    return matching(word, f"{typed}|{uri}", 300, "USER@HOST, HOST, or ssh://USER@HOST:PORT")


def version(value: object) -> str:
    """A Kubernetes minor ("1.36") or patch ("1.36.4") version, without a leading v."""
    word = text(value)
    if word.startswith("v"):
        raise Wrong(
            f"{shown(word)} begins with `v`",
            f'Write "{word[1:]}".' if re.fullmatch(VERSION, word[1:]) else 'Write "1.36".',
        )
    match = re.fullmatch(VERSION, word, re.ASCII)
    if match is None:
        raise Wrong(
            f"{shown(word)} is no version of Kubernetes",
            'Write a minor or a patch version in quotes: "1.36" or "1.36.4".',
        )
    if int(match["minor"]) < OLDEST_MINOR:
        raise Wrong(
            f"Kubernetes {word} is older than 1.{OLDEST_MINOR}, the oldest that can be set up",
            'Write a supported version, such as "1.36".',
        )
    return word


def cni_version(value: object) -> str:
    """An exact version of Calico or Cilium, without a leading v."""
    word = text(value).removeprefix("v")
    return matching(word, r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", 11, "an exact version, such as 3.32.1")


def image(value: object) -> str:
    """A disk image: a path on the hypervisor or an http(s) URL, with nothing that virt-install splits (a comma)."""
    word = matching(
        value,
        f"{FILE_PATH}|{URL}",
        1000,
        "an absolute path on the hypervisor or an https:// URL, without spaces or commas",
    )
    if ".." in word.split("/"):
        raise Wrong(f"{shown(word)} climbs out of its directory with `..`", "Write the path without `..`.")
    return word


def sha256(value: object) -> str:
    return matching(value, SHA256, 64, "the 64 digits 0-9 and a-f that the distributor's SHA256SUMS gives").lower()


def web_address(value: object) -> str:
    """An http(s) URL that a command may get as it is."""
    return matching(value, f"{URL}/?", 1000, "an https:// URL, without spaces")


def registry(value: object) -> str:
    """Where container images come from: HOST[:PORT][/PATH], without a scheme or a tag."""
    word = text(value)
    if re.match(r"https?://", word):
        raise Wrong(f"{shown(word)} begins with a scheme", f"Write {word.partition('://')[2]}.")
    return matching(
        word, REGISTRY, 300, "a host, perhaps a port, and a path in lower case, such as mirror.home:5000/k8s"
    )


def comment(value: object) -> str:
    """A note beside a firewall rule: letters of any script, digits, spaces and .,:_()/+@#-, at most 64 characters."""
    word = text(value)
    cure = "It may hold letters, digits, spaces and .,:_()/+@#- only."
    if word != word.strip() or word.startswith("-") or "../" in word:
        raise Wrong(f"{shown(word)} begins or ends as no note should", cure)
    for letter in word:
        if not (letter.isalnum() or letter in " .,:_()/+@#-"):
            raise Wrong(f"{shown(word)} contains {named(letter)}", cure)
    if len(word) > 64:
        raise Wrong(f"{shown(word)} is {len(word)} characters long; 64 is the most", cure)
    return word


def checked(
    parse: Callable[[object], object], pattern: str = "", **schema: Any
) -> tuple[PlainValidator, WithJsonSchema]:
    """What makes `Annotated[str, *…]` a field of that kind: its parser, and what an editor is told about it."""
    hint = {"type": "string", **({"pattern": f"^({pattern})$"} if pattern else {}), **schema}
    return PlainValidator(parse), WithJsonSchema(hint)


InterfaceName = Annotated[str, *checked(interface, INTERFACE)]
NewBridgeName = Annotated[str, *checked(new_bridge, INTERFACE)]
ClusterName = Annotated[str, *checked(label, LABEL)]
LibvirtName = Annotated[str, *checked(libvirt_name, LIBVIRT)]
GuestName = Annotated[str, *checked(guest_name, LIBVIRT)]
SshDestination = Annotated[str, *checked(ssh_destination)]
Version = Annotated[str, *checked(version, VERSION.replace("?P<minor>", ""))]
CniVersion = Annotated[str, *checked(cni_version)]
Image = Annotated[str, *checked(image)]
Sha256 = Annotated[str, *checked(sha256, SHA256)]
WebAddress = Annotated[str, *checked(web_address, f"{URL}/?")]
Registry = Annotated[str, *checked(registry, REGISTRY)]
Comment = Annotated[str, *checked(comment, maxLength=64)]
