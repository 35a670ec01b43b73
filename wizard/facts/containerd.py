"""containerd on a node: which one, how it is configured and what it makes of that, and whether it has read it.

`containerd config dump` prints what the installed version makes of its file and of what the file imports, with all
defaults: 1.6 and 1.7 in configuration version 2, 2.0 to 2.2 in version 3, 2.3 and later in version 4, whatever the
file's own version is (containerd RELEASES.md, "Daemon Configuration"; cmd/containerd/server/config/config.go). So what
counts is looked up there, under the names of each version.
"""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wizard.model import Fact, FactError, Output

CONFIG = "/etc/containerd/config.toml"

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Effective:
    """What containerd would run with."""

    disabled: tuple[str, ...] = ()
    systemd_cgroup: bool = False
    bin_dirs: tuple[str, ...] = ()
    """Where it looks for CNI plugins."""
    sandbox: str = ""
    """The image of the container that holds a pod's network ("pause")."""

    @property
    def cri(self) -> bool:
        """It serves Kubernetes at all: the plugin is not switched off, under none of its names."""
        return not any(
            name == "cri" or re.fullmatch(r"io\.containerd\.(grpc|cri)\.v1\..*", name) for name in self.disabled
        )


@dataclass(frozen=True)
class Containerd:
    version: str = ""
    """ "1.7.24"; empty where there is none."""
    candidate: str = ""
    """The version of Debian's or Ubuntu's own that apt would install; empty where it knows none."""
    active: bool = False
    enabled: bool = False
    masked: bool = False
    serves: bool = True
    """Its side for Kubernetes (CRI) is up, by its own word; else `trouble` is what it says."""
    trouble: str = ""
    stale: bool = False
    """The file was written after it was started."""
    config: str | None = None
    """The file as it is; None where there is none."""
    effective: Effective | None = None
    """None without containerd, or where it does not understand its file: then `complaint` says why."""
    complaint: str = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        """(1, 7, 24); () where there is none."""
        return version_of(self.version)


def version_of(words: str) -> tuple[int, ...]:
    """The numbers that a version begins with, an epoch left out."""
    found = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", words)
    return tuple(map(int, found[1].split("."))) if found else ()


def effective(dump: str) -> Effective:
    """From `containerd config dump`. Raises `tomllib.TOMLDecodeError`."""
    found = tomllib.loads(dump)
    plugins: Table = found.get("plugins", {})
    old, new = _at(plugins, "io.containerd.grpc.v1.cri"), _at(plugins, "io.containerd.cri.v1.runtime")
    cri = new or old
    runtimes = _at(cri, "containerd", "runtimes")
    runtime = _at(runtimes, str(_at(cri, "containerd").get("default_runtime_name") or "runc"))
    cni = _at(cri, "cni")
    pinned = _at(plugins, "io.containerd.cri.v1.images", "pinned_images")
    one = cni.get("bin_dir")
    return Effective(
        disabled=tuple(found.get("disabled_plugins", ())),
        systemd_cgroup=_at(runtime, "options").get("SystemdCgroup") is True,
        bin_dirs=(one,) if one else tuple(cni.get("bin_dirs", ())),
        sandbox=str(pinned.get("sandbox") or old.get("sandbox_image") or ""),
    )


def _at(table: Table, *path: str) -> Table:
    for key in path:
        inner = table.get(key)
        table = inner if isinstance(inner, dict) else {}
    return table


def _containerd(output: Output) -> Containerd:
    rows = [line.split("\t", 1) for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    said = {row[0]: row[1] for row in rows if len(row) == 2}
    dump, complaint = _text(said.get("dump", "")), said.get("complaint", "")
    found: Effective | None = None
    if dump:
        try:
            found = effective(dump)
        except tomllib.TOMLDecodeError as error:
            complaint = f"its configuration cannot be read: {error}"
    return Containerd(
        version=".".join(map(str, version_of(said.get("version", "").removeprefix("v")))),
        candidate="" if said.get("candidate", "") == "(none)" else said.get("candidate", ""),
        active=said.get("active") == "active",
        enabled=said.get("enabled", "").startswith("enabled"),
        masked=said.get("load") == "masked",
        serves="trouble" not in said,
        trouble=said.get("trouble", ""),
        stale=int(said.get("written") or 0) > int(said.get("started") or 0) > 0,
        config=_text(said["config"]) if "config" in said else None,
        effective=found,
        complaint=complaint,
    )


def _text(in64: str) -> str:
    return base64.b64decode(in64).decode("utf-8", "surrogateescape")


CONTAINERD = Fact(
    "containerd",
    rf"""f={CONFIG}
say() {{ printf '%s\t%s\n' "$1" "$2"; }}
of() {{ systemctl show -p "$1" --value containerd.service; }}
say candidate "$(apt-cache policy containerd 2>/dev/null | sed -n 's/^  Candidate: //p')"
say active "$(of ActiveState)"; say enabled "$(of UnitFileState)"; say load "$(of LoadState)"
[ ! -e $f ] || {{ say config "$(base64 -w0 $f)"; say written "$(stat -c %Y $f)"; }}
began=$(of ActiveEnterTimestamp); [ -z "$began" ] || say started "$(date -d "$began" +%s)"
if [ "$(of ActiveState)" = active ]; then
  told=$(timeout 10 ctr plugins ls -d 'type==io.containerd.grpc.v1,id==cri' 2>&1)
  why=$(printf '%s\n' "$told" | sed -n 's/^ *Message: *//p')
  case $told in
    *Error:*) say trouble "${{why:-an error without a message}}" ;;
    *"ID: "*cri*) ;;
    *) say trouble "$(printf '%s' "${{told:-it has no such plugin}}" | tr '\t\n' '  ')" ;;
  esac
fi
if command -v containerd >/dev/null; then
  say version "$(containerd --version | cut -d' ' -f3)"
  d=$(mktemp); trap 'rm -f "$d"' EXIT
  if containerd config dump >"$d.out" 2>"$d"; then say dump "$(base64 -w0 "$d.out")"
  else say complaint "$(tail -n 1 "$d" | tr '\t' ' ')"; fi
  rm -f "$d.out"
fi
echo end""",
    _containerd,
)
