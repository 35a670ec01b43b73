"""What systemd-networkd is told: its files, read as it reads them (systemd.network(5), systemd.netdev(5))."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from wizard.facts.nat_files import KEY
from wizard.facts.network import Link
from wizard.model import Fact, FactError, Output

OURS = "/etc/systemd/network/05-homek8s-"
"""How our own files begin: they sort before the numbered files of others (systemd.network(5), DESIGN)."""

DIRECTORIES = (
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
)
"""Searched in this order; of files with one name the first counts (systemd.network(5))."""


@dataclass(frozen=True)
class Setting:
    section: str
    key: str
    value: str


def settings(text: str) -> tuple[Setting, ...]:
    """The assignments of a systemd ini file, in order; a comment may interrupt a continued line (systemd.syntax(7))."""
    found, section, pending = [], "", ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(("#", ";")) or not (line or pending):
            continue
        if line.endswith("\\"):
            pending += line[:-1].rstrip() + " "
            continue
        line, pending = pending + line, ""
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line:
            key, _, value = line.partition("=")
            found.append(Setting(section, key.strip(), value.strip()))
    return tuple(found)


@dataclass(frozen=True)
class NetworkFile:
    """One .network or .netdev file (or a drop-in of one)."""

    path: str
    content: str
    """As it is but for keys, bytes that are not UTF-8 kept by surrogateescape."""
    symlink: bool = False

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def kind(self) -> str:
        """ "network" or "netdev"."""
        return self.name.rpartition(".")[2]

    @property
    def ours(self) -> bool:
        return self.path.startswith(OURS)

    @property
    def movable(self) -> bool:
        """Can it be moved aside: not what packages put into /usr, and not a symbolic link, somebody's arrangement."""
        return self.path.startswith(("/etc/", "/run/")) and not self.symlink

    @property
    def owner(self) -> str:
        """Which program wrote it, where that can be told from its name; empty for the owner's own files."""
        return "netplan" if "netplan" in self.name else ""


@dataclass(frozen=True)
class Config:
    """A file as networkd understands it: its settings, those of its drop-ins after them."""

    file: NetworkFile
    settings: tuple[Setting, ...]

    def values(self, section: str, key: str) -> tuple[str, ...]:
        """All values given; an empty one forgets those before it."""
        found: list[str] = []
        for each in self.settings:
            if (each.section, each.key) == (section, key):
                found = [*found, each.value] if each.value else []
        return tuple(found)

    def value(self, section: str, key: str) -> str:
        """The last value given, or nothing."""
        return (self.values(section, key) or ("",))[-1]

    def words(self, section: str, key: str) -> tuple[str, ...]:
        return tuple(word for value in self.values(section, key) for word in value.split())


@dataclass(frozen=True)
class NetworkFiles:
    """All files that systemd-networkd reads, in the order of `DIRECTORIES`."""

    files: tuple[NetworkFile, ...] = ()

    def get(self, path: str) -> NetworkFile | None:
        return next((file for file in self.files if file.path == path), None)

    def content(self, path: str) -> str | None:
        """What is in the file now, as an action's `was` wants it."""
        file = self.get(path)
        return file.content if file else None

    def config(self, path: str) -> Config | None:
        """One file as it reads by itself, whether or not it counts."""
        file = self.get(path)
        return Config(file, settings(file.content)) if file else None

    @cached_property
    def configs(self) -> tuple[Config, ...]:
        """The files that count, by name: neither overridden by an earlier directory nor masked (empty)."""
        first: dict[str, NetworkFile] = {}
        for file in self.files:
            if file.kind in ("network", "netdev"):
                first.setdefault(file.name, file)
        counting = (file for _, file in sorted(first.items()) if file.content)
        return tuple(Config(file, settings(file.content) + self._drop_ins(file)) for file in counting)

    def _drop_ins(self, file: NetworkFile) -> tuple[Setting, ...]:
        first: dict[str, NetworkFile] = {}
        for each in self.files:
            if PurePosixPath(each.path).parent.name == f"{file.name}.d":
                first.setdefault(each.name, each)
        return tuple(setting for _, each in sorted(first.items()) for setting in settings(each.content))

    def netdev(self, name: str) -> Config | None:
        """The file that creates this device; the first one by name, as networkd refuses any other."""
        return next((c for c in self.configs if c.file.kind == "netdev" and c.value("NetDev", "Name") == name), None)

    def matching(self, link: Link, told: str | None = None) -> tuple[Config, ...]:
        """The .network files that apply to a link, best first: the first is what networkd takes.

        `told` is the file networkd itself names for the link; it decides where a file asks for something (a driver,
        a path) that cannot be judged from here.
        """
        found = []
        for config in self.configs:
            if config.file.kind == "network":
                answer = applies(config, link)
                if answer or (answer is None and told in (None, config.file.path)):
                    found.append(config)
        return tuple(found)


def applies(config: Config, link: Link) -> bool | None:
    """Does the [Match] section fit the link (systemd.network(5))? None: it asks for what is not known here."""
    keys = {setting.key for setting in config.settings if setting.section == "Match" and setting.value}
    if not keys:
        return False
    judged = {
        "Name": lambda words: _listed(words, link.name),
        "Type": lambda words: _listed(words, link_type(link)),
        "Kind": lambda words: _listed(words, link.kind),
        "MACAddress": lambda words: link.mac in map(_mac, words),
        "PermanentMACAddress": lambda words: link.permanent_mac in map(_mac, words),
    }
    answers = [judged[key](config.words("Match", key)) if key in judged else None for key in keys]
    return False if False in answers else None if None in answers else True


def link_type(link: Link) -> str:
    """What `networkctl` shows as TYPE for links of these kinds."""
    if link.name == "lo":
        return "loopback"
    if link.wireless:
        return "wlan"
    return link.kind if link.kind in ("bridge", "bond", "vlan") else "ether" if link.ethernet else "none"


def _listed(words: tuple[str, ...], value: str) -> bool:
    """A list of globs; a leading `!` means "none of them"."""
    inverted = words[:1] != () and words[0].startswith("!")
    globs = (words[0][1:], *words[1:]) if inverted else words
    return any(fnmatch.fnmatchcase(value, glob) for glob in globs) != inverted


def _mac(word: str) -> str:
    """aa:bb:cc:dd:ee:ff from that, aa-bb-…, or aabb.ccdd.eeff (systemd.network(5))."""
    digits = re.sub("[:.-]", "", word.lower())
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def parse_files(output: Output) -> NetworkFiles:
    """From lines of base64 path, "link" or nothing, base64 content."""
    found = []
    for line in output.text.splitlines():
        path, link, content = line.split("\t")
        found.append(NetworkFile(_decoded(path), _decoded(content), link == "link"))
    return NetworkFiles(tuple(found))


def _decoded(word: str) -> str:
    try:
        return base64.b64decode(word, validate=True).decode("utf-8", "surrogateescape")
    except binascii.Error as error:
        raise FactError(f"a file of systemd-networkd came incomplete: {error}") from error


_SECRET = r"((Private|Preshared)?Key|Password)"
_WITHOUT_KEYS = rf"""
s/^([[:blank:]]*[#;].*{_SECRET}[[:blank:]]*=).*/\1{KEY}/I
/^[[:blank:]]*{_SECRET}[[:blank:]]*(=|\\[[:blank:]]*$)/I {{
  :more
  /(\\[[:blank:]]*|\n[[:blank:]]*[#;][^\n]*)$/ {{ $!{{ N; b more
  }} }}
  s/=.*/={KEY}/
}}"""
"""For sed: WireGuard's and MACsec's keys (systemd.netdev(5)) stay on the host, with all lines that a value takes and
in comments; every other byte is as it is. sed reads bytes in the locale C, so that none of them ends a match."""

NETWORK_FILES: Fact[NetworkFiles] = Fact(
    id="networkd-files",
    command=f"""for dir in {" ".join(DIRECTORIES)}; do
  for file in "$dir"/*.network "$dir"/*.netdev "$dir"/*.network.d/*.conf "$dir"/*.netdev.d/*.conf; do
    [ -e "$file" ] || [ -L "$file" ] || continue
    printf '%s\\t%s\\t%s\\n' "$(printf %s "$file" | base64 -w0)" "$([ ! -L "$file" ] || echo link)" \\
      "$([ ! -f "$file" ] || LC_ALL=C sed -E '{_WITHOUT_KEYS}' "$file" | base64 -w0)"
  done
done""",
    parse=parse_files,
)
