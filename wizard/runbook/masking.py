"""The last line of defence against secrets in a runbook: known values, and whatever looks like one (DOMAIN 2.1).

The journal and cluster.yaml are made to hold none; a comment, a file that is not ours or a later step may.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from wizard.model import Secret
from wizard.remote.redact import MASK, Redactor

_KEY_BLOCK = re.compile(r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----)(.*?)(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S)
_NAMED = re.compile(
    r"""(?ix)
    ( \b(?: private_?key | preshared_?key | certificate[-_]key | pass(?:word|wd|phrase) | client-key-data
        | (?:bootstrap|join|auth|api|bearer)[-_]?token | secret )
      ["']? [^\S\n]* (?: [=:] [^\S\n]* | [ ](?=\S{16}) ) ["']? )
    (?! SECRET[{] ) ( [^\s"'*,#]{4,} )
    """
)
_BOOTSTRAP_TOKEN = re.compile(r"(?<![A-Za-z0-9.-])[a-z0-9]{6}\.[a-z0-9]{16}(?![A-Za-z0-9.-])")
_CRYPTED = re.compile(r"\$(?:1|2[aby]|5|6|7|y|gy)\$[./A-Za-z0-9$=,]{8,}")
"""crypt(5): a hashed password, as cloud-init takes it."""


def masker(secrets: Iterable[Secret]) -> Callable[[str], str]:
    """Masks these values in any notation, private keys, tokens, and what is named like a password."""
    known = Redactor(secrets)

    def mask(text: str) -> str:
        text = _KEY_BLOCK.sub(lambda found: f"{found[1]}{MASK}{found[3]}", known.redact(text))
        text = _NAMED.sub(lambda found: f"{found[1]}{MASK}", text)
        return _CRYPTED.sub(MASK, _BOOTSTRAP_TOKEN.sub(MASK, text))

    return mask
