"""Two BIRD peers in namespaces on a bridge, as Calico's nodes are: what masquerading on that bridge breaks."""

from __future__ import annotations

from tests.rehearsal.namespaces import join
from wizard.rehearsal import Rehearsal, RehearsalError
from wizard.rehearsal.waiting import until

AS = 64512
NAMES = ("peer0", "peer1")
ADDRESSES = ("192.168.182.140", "192.168.182.141")
REFUSED = "Unexpected connect from unknown address"
"""What BIRD logs when a peer's connection comes from the bridge's own address."""

CONFIG = """\
log "/run/bird-test/{name}.log" all;
router id {address};
protocol device {{ }}
protocol bgp peer {{
  local {address} as {AS};
  neighbor {other} as {AS};
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 {{ import all; export none; }};
}}
"""


def peers(machine: Rehearsal, bridge: str = "br0", addresses: tuple[str, str] = ADDRESSES) -> None:
    """Make both peers and let them look for each other."""
    machine.inside("mkdir -p /run/bird-test")
    for name, address, other in zip(NAMES, addresses, reversed(addresses), strict=True):
        join(machine, bridge, name, f"{address}/24")
        config = CONFIG.format(name=name, address=address, other=other, AS=AS)
        machine.inside(
            f"cat > /run/bird-test/{name}.conf <<'END'\n{config}END\n"
            f"systemd-run --quiet --collect --unit=bird-{name} nsenter --net=/run/netns/{name} "
            f"bird -f -c /run/bird-test/{name}.conf -s /run/bird-test/{name}.ctl"
        )


def established(machine: Rehearsal, limit: float = 30.0) -> bool:
    """Whether both sessions come up within so many seconds."""
    try:
        until(lambda: all("Established" in state for state in states(machine)) or None, limit, "No session")
    except RehearsalError:
        return False
    return True


def refused(machine: Rehearsal, limit: float = 30.0) -> str:
    """Wait for BIRD's complaint about a stranger, and return the line."""
    return until(lambda: _complaint(machine), limit, f"BIRD did not log {REFUSED!r}")


def states(machine: Rehearsal) -> list[str]:
    """What `birdc show protocols` says of each session; empty while BIRD is not up."""
    return [
        machine.inside(f"birdc -s /run/bird-test/{name}.ctl show protocols peer 2>&1", check=False) for name in NAMES
    ]


def _complaint(machine: Rehearsal) -> str | None:
    logged = machine.inside("cat /run/bird-test/*.log", check=False)
    return next((line for line in logged.splitlines() if REFUSED in line), None)
