"""Who logs in to a host, and the public keys that open that account: they open the guests made there too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wizard.model import Fact, FactError, Output

_PLAIN = re.compile(
    r"((?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" AAAA[A-Za-z0-9+/]+=*)(?: (.*))?"
)


@dataclass(frozen=True)
class LoginKeys:
    """`user` is who logs in. `authorized` are the keys without options (sshd(8)) that open the account; `own` are its
    own, which matter where the wizard runs on the host itself."""

    user: str
    authorized: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


def parse_login_keys(output: Output) -> LoginKeys:
    rows = [line.partition("\t") for line in output.text.splitlines()]
    if ("end", "", "") not in rows:
        raise FactError(output.complaint or "nothing was said")
    user = next(value for key, _, value in rows if key == "user")
    of = {kind: tuple(_plain(value for key, _, value in rows if key == kind)) for kind in ("authorized", "own")}
    return LoginKeys(user, of["authorized"], of["own"])


def _plain(lines: Iterable[str]) -> Iterator[str]:
    """Type, key and what can be shown of the comment."""
    for line in dict.fromkeys(lines):
        if found := _PLAIN.fullmatch(line.strip()):
            comment = "".join(sign for sign in found[2] or "" if " " <= sign <= "~").strip()
            yield f"{found[1]} {comment}".strip()


LOGIN_KEYS: Fact[LoginKeys] = Fact(
    "login-keys",
    r"""user=${SUDO_USER:-$(id -un)}
home=$(getent passwd "$user" | cut -d: -f6)
printf 'user\t%s\n' "$user"
cat "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2" 2>/dev/null |
  tr '\t' ' ' | sed 's/^/authorized\t/; $a\'
for f in "$home"/.ssh/id_*.pub; do
  [ ! -f "$f" ] || { head -n 1 "$f" | tr '\t' ' ' | sed 's/^/own\t/; $a\'; }
done
echo end""",
    parse_login_keys,
)
"""sudo(8) says in SUDO_USER who called it."""
