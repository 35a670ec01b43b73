"""What systemd-networkd says about itself and the links that it manages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class Managed:
    """How networkd stands to one link: `setup` is unmanaged, configuring, configured, failed, …"""

    setup: str
    file: str = ""
    """The .network file it took."""


@dataclass(frozen=True)
class Networkd:
    """systemd-networkd as a service, and what it manages."""

    active: bool
    unit: str = ""
    """What `systemctl is-enabled` says: enabled, disabled, masked, not-found."""
    links: Mapping[str, Managed] = field(default_factory=dict)
    iaids: Mapping[str, int] = field(default_factory=dict)
    """The identity (RFC 4361) under which a link's DHCP lease is held, where it comes with a DUID."""

    def file(self, link: str) -> str | None:
        """The file it took for the link; None when networkd has not said."""
        managed = self.links.get(link)
        return managed.file if managed else None


def parse_networkd(output: Output) -> Networkd:
    """From `systemctl is-enabled`, then, where the service runs, networkctl's JSON and the lines with an IAID."""
    unit, _, rest = output.text.partition("\n")
    head, _, leases = rest.partition("\n")
    if not head.startswith("{"):
        if head.startswith("active"):
            raise FactError(output.complaint or "networkctl did not answer")
        return Networkd(active=False, unit=unit)
    interfaces = json.loads(head)["Interfaces"]
    return Networkd(
        active=True,
        unit=unit,
        links={each["Name"]: Managed(each["AdministrativeState"], each.get("NetworkFile", "")) for each in interfaces},
        iaids=_iaids(leases.splitlines(), {str(each["Index"]): each["Name"] for each in interfaces}),
    )


def _iaids(lines: Iterable[str], names: Mapping[str, str]) -> dict[str, int]:
    pattern = re.compile(r"(\d+)\t.*IAID:(0x[0-9a-f]+)/DUID")
    return {names[found[1]]: int(found[2], 16) for line in lines if (found := pattern.match(line))}


NETWORKD: Fact[Networkd] = Fact(
    id="networkd",
    command="""systemctl is-enabled systemd-networkd.service 2>/dev/null || true
systemctl is-active -q systemd-networkd.service || exit 0
networkctl list --json=short || echo active, and no answer
cd /run/systemd/netif/leases 2>/dev/null || exit 0
for lease in *; do
  [ ! -e "$lease" ] || printf '%s\\t%s\\n' "$lease" "$(networkctl status "$lease" | grep 'DHCP.*4 Client ID')"
done""",
    parse=parse_networkd,
)
"""Asked only where the service runs: on D-Bus the question alone would start it. networkctl 252 knows the JSON too,
but shows the IAID of a lease only in words."""
