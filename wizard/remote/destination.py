"""Where a login goes: what the owner types after `ssh`, resolved through an OpenSSH configuration.

Understood: `host`, `user@host`, `user@2001:db8::1`, `[::1]`, `[host]:port`, `ssh://user@[fe80::1%25eth0]:22`, aliases.
Honoured from the configuration: HostName, User, Port, IdentityFile, IdentitiesOnly, IdentityAgent none, AddressFamily,
ProxyJump (chains), UserKnownHostsFile, GlobalKnownHostsFile, HostKeyAlias, Host, Match (not exec), Include.
Not honoured: ProxyCommand (refused, as the connection would go elsewhere), Match exec (never applies), CertificateFile,
StrictHostKeyChecking (unknown keys are always asked about, changed ones always refused), host certificates, an
IdentityAgent other than $SSH_AUTH_SOCK, SendEnv and SetEnv, and all algorithm choices.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from wizard.errors import InputError, InputFinding
from wizard.remote.ssh_config import SshConfig

Settings = Mapping[str, "str | list[str]"]

_USER_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
"""Those of ssh(1) that are plain files in a format paramiko reads."""
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_LONGEST_CHAIN = 8


@dataclass(frozen=True)
class Typed:
    """The parts of what was typed; empty user and port 0 where nothing was said."""

    user: str
    host: str
    port: int


@dataclass(frozen=True)
class Destination:
    """One account on one machine, and everything needed to reach and recognise it."""

    typed: str
    """As the owner wrote it: the name used in messages."""
    host: str
    """The name or address that is dialled."""
    port: int
    user: str
    identity_files: tuple[Path, ...] = ()
    """Private keys to offer, in order; they need not exist when they are ssh's defaults."""
    identities_only: bool = False
    """Offer these files alone, even when an agent holds more."""
    use_agent: bool = True
    family: int = socket.AF_UNSPEC
    jumps: tuple[Destination, ...] = ()
    """The hosts to go through, nearest first; each without jumps of its own."""
    known_hosts: tuple[Path, ...] = ()
    host_key_alias: str = ""

    @property
    def key_name(self) -> str:
        """The name under which the host's key is known, whatever address it is dialled at (HostKeyAlias)."""
        return self.host_key_alias or self.host

    @property
    def account(self) -> str:
        return f"{self.user}@{self.key_name}" + (f":{self.port}" if self.port != 22 else "")


def parse(text: str) -> Typed:
    """What was typed after `ssh`, taken apart. Raises `InputError` for what cannot be a destination."""
    if not text or text.startswith("-") or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise _wrong(text, "not a host that ssh could connect to", "Write it as after `ssh`: owner@192.168.1.10")
    uri = text.startswith("ssh://")
    rest = text[6:].rstrip("/") if uri else text
    user, at, place = rest.rpartition("@")
    if at and not user:
        raise _wrong(text, "no user name before the @", "Write user@host, or the host alone")
    host, port = _host_and_port(text, place, uri)
    return Typed(unquote(user) if uri else user, host, port)


def _host_and_port(text: str, place: str, uri: bool) -> tuple[str, int]:
    bracketed = re.fullmatch(r"\[([^][]+)](?::(\d+))?", place)
    plain = re.fullmatch(r"([^][:]+)(?::(\d+))?" if uri else r"([^][:]+|[^][:]*:[^][]*:[^][]*)()", place)
    match = bracketed or plain
    if match is None:
        cure = "Write ssh://user@host:port, with an IPv6 address in brackets"
        raise _wrong(text, "cannot tell the host from the port", cure)
    port = int(match[2] or 0)
    if port > 65535 or match[2] == "0":
        raise _wrong(text, f"there is no port {match[2]}", "Ports are 1 to 65535")
    host = match[1].replace("%25", "%") if uri else match[1]
    if host.startswith("-"):
        raise _wrong(text, "a host's name does not begin with a hyphen", "Check the spelling")
    return host, port


def resolve(text: str, config: SshConfig | None = None) -> Destination:
    """The destination that ssh would take for `text`. Raises `InputError` for a bad text or configuration."""
    return _resolve(text, config or SshConfig(), _LONGEST_CHAIN)


def _resolve(text: str, config: SshConfig, depth: int, *, jump: bool = True) -> Destination:
    typed = parse(text)
    settings = config.lookup(typed.host, user=typed.user, port=typed.port)
    if _one(settings, "proxycommand"):
        cure = "Use ProxyJump for this host, or name another file with --ssh-config"
        raise _wrong(config.source, f"{text} is reached by a ProxyCommand, which is not run here", cure)
    host = _one(settings, "hostname") or typed.host
    user = _one(settings, "user") or _local_user()
    port = _port(config, _one(settings, "port") or "22")
    names = {"h": host, "n": typed.host, "p": str(port), "r": user, "u": _local_user(), "d": os.path.expanduser("~")}
    named = _files(_many(settings, "identityfile"), names)
    return Destination(
        typed=text,
        host=host,
        port=port,
        user=user,
        identity_files=named or _files(_DEFAULT_KEYS, names),
        identities_only=_one(settings, "identitiesonly").lower() == "yes",
        use_agent=_one(settings, "identityagent").lower() != "none",
        family=_FAMILIES.get(_one(settings, "addressfamily").lower(), socket.AF_UNSPEC),
        jumps=_jumps(text, _one(settings, "proxyjump"), config, depth) if jump else (),
        known_hosts=_known_hosts(settings, names),
        host_key_alias=_one(settings, "hostkeyalias"),
    )


def _jumps(text: str, chain: str, config: SshConfig, depth: int) -> tuple[Destination, ...]:
    """The hosts of a ProxyJump, nearest first; only the nearest one's own ProxyJump counts, as in ssh."""
    if not chain or chain.lower() == "none":
        return ()
    if depth == 0:
        raise _wrong(config.source, f"the ProxyJump of {text} leads in a circle", "Correct the ProxyJump lines")
    hops = [hop if "://" in hop else _with_scheme(hop) for hop in chain.replace(" ", "").split(",") if hop]
    nearest = _resolve(hops[0], config, depth - 1)
    further = (_resolve(hop, config, depth - 1, jump=False) for hop in hops[1:])
    return (*nearest.jumps, _alone(nearest), *further)


def _with_scheme(hop: str) -> str:
    """`user@host:port` is allowed in a ProxyJump, other than on the command line."""
    return f"ssh://{hop}" if re.fullmatch(r"[^:]+:\d+", hop) else hop


def _alone(destination: Destination) -> Destination:
    return replace(destination, jumps=())


def _known_hosts(settings: Settings, names: Mapping[str, str]) -> tuple[Path, ...]:
    users = _words(_one(settings, "userknownhostsfile") or _USER_KNOWN_HOSTS)
    everyones = _words(_one(settings, "globalknownhostsfile") or _GLOBAL_KNOWN_HOSTS)
    return _files([*users, *everyones], names)


def _files(texts: Iterable[str], names: Mapping[str, str]) -> tuple[Path, ...]:
    """File names with `~` and the %-tokens of ssh_config(5) filled in; `none` names no file."""

    def token(match: re.Match[str]) -> str:
        return "%" if match[1] == "%" else names.get(match[1], match[0])

    return tuple(Path(re.sub(r"%(.)", token, text)).expanduser() for text in texts if text.lower() != "none")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _port(config: SshConfig, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise _wrong(config.source, f"there is no port {text}", "Ports are 1 to 65535")
    return int(text)


def _one(settings: Settings, keyword: str) -> str:
    value = settings.get(keyword, "")
    return value if isinstance(value, str) else " ".join(value)


def _many(settings: Settings, keyword: str) -> list[str]:
    value = settings.get(keyword, [])
    return [value] if isinstance(value, str) else value


def _local_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "root" if os.geteuid() == 0 else str(os.geteuid())


def _wrong(where: str, message: str, cure: str) -> InputError:
    return InputError([InputFinding(where, 0, "", message, cure)])
