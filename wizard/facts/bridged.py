"""Whether bridged packets pass the host's firewall (br_netfilter), and who sets that (DOMAIN S4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from wizard.model import Fact, FactError, Output

KEYS = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables")
FLAGS = ("nf_call_iptables", "nf_call_ip6tables", "nf_call_arptables")
UFW = "/etc/ufw/sysctl.conf"
"""Applied by ufw whenever it starts or reloads, at a time of its own."""
SYSCTL_CONF = "/etc/sysctl.conf"


@dataclass(frozen=True)
class Setter:
    """A line of a sysctl file about one of the keys; `path` as it is found there, `real` what it is a link to."""

    path: str
    real: str
    line: str

    @property
    def key(self) -> str:
        """With slashes, and perhaps `*`, as sysctl.d(5) allows both."""
        return self.line.partition("=")[0].strip().lstrip("-").replace(".", "/")

    @property
    def value(self) -> str:
        return self.line.partition("=")[2].strip()

    def sets(self, key: str) -> bool:
        return "=" in self.line and fnmatchcase(f"net/bridge/{key}", self.key)

    @property
    def at_boot(self) -> bool:
        """Does systemd-sysctl read it."""
        return re.search(r"/sysctl\.d/[^/]*\.conf$", self.path) is not None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Bridged:
    values: Mapping[str, int] = field(default_factory=dict)
    """The keys' values now; empty while the module is not there."""
    flags: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Each bridge's own three switches, which count beside the keys: either is enough (DOMAIN S4)."""
    setters: tuple[Setter, ...] = ()

    def others(self, own: str) -> tuple[Setter, ...]:
        """Who sets the keys besides our file; of two directories' files of one name only the first counts."""
        names: dict[str, str] = {}
        for each in self.setters:
            if each.at_boot:
                names.setdefault(each.name, each.path)
        return tuple(s for s in self.setters if s.path != own and (not s.at_boot or names[s.name] == s.path))


def _bridged(output: Output) -> Bridged:
    rows = [line.split("\t", 3) for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    return Bridged(
        {row[1]: int(row[2]) for row in rows if row[0] == "value"},
        {row[1]: tuple(map(int, row[2].split())) for row in rows if row[0] == "flags"},
        tuple(Setter(row[1], row[2], row[3]) for row in rows if row[0] == "setter"),
    )


BRIDGED = Fact(
    "bridged",
    rf"""for key in {" ".join(KEYS)}; do
  value=$(cat /proc/sys/net/bridge/$key 2>/dev/null) && printf 'value\t%s\t%s\n' "$key" "$value"
done
for bridge in /sys/class/net/*/bridge; do
  [ -d "$bridge" ] || continue
  name=${{bridge%/bridge}}
  printf 'flags\t%s\t%s\n' "${{name##*/}}" "$(cd "$bridge" && cat {" ".join(FLAGS)} 2>/dev/null | tr '\n' ' ')"
done
for f in /etc/sysctl.d/*.conf /run/sysctl.d/*.conf /usr/local/lib/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf \
  {SYSCTL_CONF} {UFW}; do
  [ -f "$f" ] && grep -E '^[[:space:]]*-?net[./](bridge|\*)[./]' "$f" | while IFS= read -r line; do
    printf 'setter\t%s\t%s\t%s\n' "$f" "$(readlink -f "$f")" "$line"
  done
done
echo end""",
    _bridged,
)
