"""What netplan is told: its files (netplan-yaml(5)), without anything secret, and which of them speak of a link."""

from __future__ import annotations

import base64
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any

import yaml

from wizard.facts.network import Link

DIRECTORIES = ("/etc/netplan", "/run/netplan", "/usr/lib/netplan", "/lib/netplan")
"""Of files with one name, the first of these counts; then all are read in the order of their names, and merged."""

Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class Definition:
    """One entry of `ethernets:`, or of what is made of ethernets (`kind` bonds, bridges, vlans); `id` is its name."""

    path: str
    kind: str
    id: str
    config: Mapping[str, Any]

    @property
    def addresses(self) -> tuple[Interface, ...]:
        """An entry may be a mapping from the address to its options."""
        entries = self.config.get("addresses") or ()
        texts = [next(iter(each)) if isinstance(each, dict) else each for each in entries]
        return tuple(ip_interface(str(text)) for text in texts)

    @property
    def dhcp(self) -> bool:
        return bool(self.config.get("dhcp4") or self.config.get("dhcp6"))

    @property
    def general(self) -> bool:
        """Is it for whichever link fits, not for one: by a pattern of names, or by driver?"""
        match = self._match
        return "macaddress" not in match and ("driver" in match or any(sign in match.get("name", "") for sign in "*?["))

    @property
    def _match(self) -> Mapping[str, Any]:
        found = self.config.get("match")
        return found if isinstance(found, dict) else {}

    def speaks_of(self, link: Link) -> bool:
        """Would it be applied to this link, if no other were?"""
        if self.kind != "ethernets":
            members = (*(self.config.get("interfaces") or ()), self.config.get("link"))
            return link.name in members
        match = self._match
        if not match:
            return link.name in (self.id, self.config.get("set-name"))
        mac, name = str(match.get("macaddress", "")).lower(), str(match.get("name", "*"))
        return mac in ("", link.mac.lower(), link.permanent_mac.lower()) and fnmatch.fnmatchcase(link.name, name)


@dataclass(frozen=True)
class NetplanFile:
    path: str
    content: str
    """Without comments, and without what could be secret."""

    def definitions(self) -> Iterator[Definition]:
        """Raises ValueError where it is not as netplan has it."""
        try:
            network = (yaml.safe_load(self.content) or {}).get("network") or {}
            for kind in ("ethernets", "bonds", "bridges", "vlans"):
                for name, config in (network.get(kind) or {}).items():
                    found = Definition(self.path, kind, str(name), config or {})
                    found.addresses  # noqa: B018 (read now, where what is wrong with them is said)
                    yield found
        except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{self.path} is not as netplan has it: {error}") from error


@dataclass(frozen=True)
class Netplan:
    """Is the program there, and the files that count, in the order in which they are merged."""

    installed: bool = False
    files: tuple[NetplanFile, ...] = ()


def parse_netplan(rows: Sequence[Sequence[str]]) -> Netplan:
    """From what `NETPLAN_COMMAND` prints, by line and tab."""
    found: dict[str, NetplanFile] = {}
    for _, path, content in (row for row in rows if row[0] == "file"):
        text = base64.b64decode(content).decode("utf-8", "surrogateescape")
        found.setdefault(path.rpartition("/")[2], NetplanFile(path, text))
    return Netplan(["installed"] in rows, tuple(found[name] for name in sorted(found)))


# What is indented below a line that speaks of a secret goes with it: a value may take several lines.
_WITHOUT_SECRETS = r"""
function deep(line) { match(line, /^ */); return RLENGTH }
/^ *(#|$)/ { next }
held != "" && deep($0) > held { next }
{ held = "" }
tolower($0) ~ /passw|psk|secret|private|shared|key|token|auth|sim|pin *:|wifis|modems|tunnels/ { held = deep($0); next }
{ print }
"""

NETPLAN_COMMAND = f"""! command -v netplan >/dev/null || echo installed
for f in {" ".join(f"{directory}/*.yaml" for directory in DIRECTORIES)}; do
  [ ! -f "$f" ] || printf 'file\\t%s\\t%s\\n' "$f" "$(awk '{_WITHOUT_SECRETS}' "$f" | base64 -w0)"
done"""
