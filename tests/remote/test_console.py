"""Host keys as cloud-init prints them on a console."""

from __future__ import annotations

import base64

from wizard.remote.console import BEGIN, END, host_key


def key(kind: str, filler: bytes = b"x") -> str:
    return base64.b64encode(len(kind).to_bytes(4, "big") + kind.encode() + filler * 32).decode()


ED25519, RSA = key("ssh-ed25519"), key("ssh-rsa")


def block(*lines: str) -> str:
    return "\r\n".join(["[  OK  ] booting", BEGIN, *lines, END, "aki1 login: "])


def test_the_preferred_type_of_the_last_block() -> None:
    old = block(f"ssh-ed25519 {key('ssh-ed25519', b'o')} root@aki1")
    found = host_key(old + block(f"ssh-rsa {RSA} root@aki1", f"ssh-ed25519 {ED25519} root@aki1"))
    assert found is not None
    assert (found.kind, base64.b64encode(found.blob).decode()) == ("ssh-ed25519", ED25519)


def test_the_kernel_may_write_in_between() -> None:
    noise = ("[  105.1] random: crng init done", f"[  105.2] cloud-init[411]: ssh-rsa {RSA} root@aki1", "ssh-rsa cut")
    found = host_key(block(*noise))
    assert found is not None
    assert found.kind == "ssh-rsa"


def test_no_block_no_key() -> None:
    assert host_key("") is None
    assert host_key(f"{BEGIN}\r\nssh-ed25519 {ED25519} root") is None
    assert host_key(f"ssh-ed25519 {ED25519} root\r\n") is None
    assert host_key(block("ssh-ed25519 AAAAnonsense root")) is None
