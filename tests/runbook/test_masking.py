"""Secrets that should never have come near a runbook do not stand in it."""

from __future__ import annotations

import base64

import pytest

from wizard.model import Secret
from wizard.runbook.masking import masker

CANARY = "C4n4ry-9f8e7d6c5b4a39281706f5e4d3c2b1a0"


@pytest.mark.parametrize(
    "text",
    [
        f"PrivateKey = {CANARY}=",
        f"PresharedKey={CANARY}",
        f"password: {CANARY}",
        f'"passwd": "{CANARY}"',
        f"--certificate-key {CANARY}",
        f"client-key-data: {CANARY}",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY} and its end is missing",
        f"$6$rounds$abc${CANARY.replace('-', '.')}",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    masked = masker(())(text)
    assert CANARY not in masked
    assert CANARY.replace("-", ".") not in masked
    assert "***" in masked


def test_a_join_token_is_masked() -> None:
    assert masker(())("kubeadm join --token abcdef.0123456789abcdef x") == "kubeadm join --token *** x"


@pytest.mark.parametrize("form", [CANARY, base64.b64encode(CANARY.encode()).decode(), CANARY.encode().hex()])
def test_a_known_secret_is_masked_in_any_notation(form: str) -> None:
    assert masker([Secret(CANARY)])(f"x {form} y") == "x *** y"


@pytest.mark.parametrize(
    "text",
    [
        "put /etc/systemd/network/05-homek8s-br0.network 0644 absent <<'END_OF_FILE'",
        "forget 20261123-071530-bridge.port-1f3a",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "the sudo password was refused",
        "--sudo-password-file FILE",
        "virsh net-define --validate /var/lib/homek8s-wizard/networks/kube-isolated.xml",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert masker(())(text) == text
