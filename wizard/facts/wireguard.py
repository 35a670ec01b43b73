"""WireGuard's interfaces: which networks come in over them, and the port they listen on. Keys never leave the host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network

from wizard.facts.nat_rules import Network
from wizard.model import Fact, FactError, Output


@dataclass(frozen=True)
class Tunnel:
    """One interface, of wg-quick's file or up now."""

    name: str
    addresses: tuple[str, ...] = ()
    """Its own, with prefix length."""
    allowed: tuple[str, ...] = ()
    """What its peers may send from (AllowedIPs)."""
    port: int | None = None
    """UDP; None where it listens on any."""

    def networks(self, version: int) -> tuple[Network, ...]:
        """Where packets that come in over it come from: its own subnet and what its peers stand for, not "all"."""
        own = [ip_interface(each).network for each in self.addresses]
        found = [*(each for each in own if each.num_addresses > 1), *map(ip_network, self.allowed)]
        mine = [each for each in found if each.version == version and each.prefixlen > 0]
        return tuple(dict.fromkeys(each for each in mine if not _inside_another(each, mine)))


def _inside_another(network: Network, others: list[Network]) -> bool:
    return any(network != other and network.subnet_of(other) for other in others)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Wireguard:
    tunnels: tuple[Tunnel, ...] = ()

    @property
    def interfaces(self) -> tuple[str, ...]:
        return tuple(tunnel.name for tunnel in self.tunnels)

    def get(self, name: str) -> Tunnel | None:
        return next((tunnel for tunnel in self.tunnels if tunnel.name == name), None)


def _wireguard(output: Output) -> Wireguard:
    rows = [line.split("\t") for line in output.text.splitlines()]
    if ["end"] not in rows:
        raise FactError(output.complaint or "nothing was said")
    names = sorted({row[1] for row in rows if row[0] == "interface"})
    return Wireguard(tuple(_tunnel(name, [row for row in rows if row[1:2] == [name]]) for name in names))


def _tunnel(name: str, rows: list[list[str]]) -> Tunnel:
    said = {word: [row[2] for row in rows if row[0] == word and row[2:]] for word in ("address", "allowed", "port")}
    ports = [int(port) for port in said["port"] if port.isdecimal() and 0 < int(port) < 65536]
    return Tunnel(
        name,
        tuple(str(each) for each in _parsed(said["address"], ip_interface)),
        tuple(str(each) for each in _parsed(said["allowed"], lambda word: ip_network(word, strict=False))),
        ports[0] if ports else None,
    )


def _parsed(lines: list[str], parse: object) -> Iterator[object]:
    """The addresses of some lines, each once; what is none (a host's name) is passed over."""
    seen = set()
    for word in (word for line in lines for word in line.replace(",", " ").split()):
        try:
            found = parse(word)  # type: ignore[operator]
        except ValueError:
            continue
        if found not in seen:
            seen.add(found)
            yield found


WIREGUARD = Fact(
    "wireguard",
    # Of the files, only the values of three keys are printed; of `wg show`, never the first column, a peer's key.
    r"""tell() { while read -r value; do printf '%s\t%s\t%s\n' "$1" "$2" "$value"; done; }
value() { sed -nE "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*([^#]*).*/\\1/Ip" "$2"; }
for f in /etc/wireguard/*.conf; do
  [ -f "$f" ] || continue
  name=${f##*/} name=${name%.conf}
  printf 'interface\t%s\n' "$name"
  value Address "$f" | tell address "$name"
  value AllowedIPs "$f" | tell allowed "$name"
  value ListenPort "$f" | tell port "$name"
done
for name in $(wg show interfaces 2>/dev/null); do
  printf 'interface\t%s\n' "$name"
  ip -o addr show dev "$name" scope global | awk '{ print $4 }' | tell address "$name"
  wg show "$name" allowed-ips | cut -f 2- | grep -v none | tell allowed "$name"
  wg show "$name" listen-port | tell port "$name"
done
echo end""",
    _wireguard,
)
