"""BIRD peers in a pair of namespaces on a bridge, as Calico's nodes are: what masquerading on that bridge breaks."""

from __future__ import annotations

from tests.rehearsal.namespaces import ON_BR0, Pair, join_pair
from tests.rehearsal.tcp import caller
from wizard.rehearsal import Rehearsal, RehearsalError
from wizard.rehearsal.waiting import until

AS = 64512
PORT = 179
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


def peers(machine: Rehearsal, pair: Pair = ON_BR0) -> None:
    """Make both peers and let them look for each other."""
    join_pair(machine, pair)
    for name, address, other in zip(pair.names, pair.addresses, reversed(pair.addresses), strict=True):
        config = CONFIG.format(name=name, address=address, other=other, AS=AS)
        machine.inside(
            f"mkdir -p /run/bird-test; cat > /run/bird-test/{name}.conf <<'END'\n{config}END\n"
            f"systemd-run --quiet --collect --unit=bird-{name} nsenter --net=/run/netns/{name} "
            f"bird -f -c /run/bird-test/{name}.conf -s /run/bird-test/{name}.ctl"
        )


def again(machine: Rehearsal, *pairs: Pair) -> None:
    """The peers look for each other anew, and what the kernel knows of their connections is forgotten."""
    units = " ".join(f"bird-{name}" for pair in pairs for name in pair.names)
    machine.inside(f"rm -f /run/bird-test/*.log; conntrack -F 2>/dev/null; systemctl restart {units}")


def called_from(machine: Rehearsal, pair: Pair = ON_BR0) -> str:
    """The address that a peer's next attempt at a session arrives from at the other."""
    return caller(machine, pair, PORT)


def established(machine: Rehearsal, pair: Pair = ON_BR0, limit: float = 30.0) -> bool:
    """Whether both sessions come up within so many seconds."""
    try:
        until(lambda: all("Established" in state for state in states(machine, pair)) or None, limit, "No session")
    except RehearsalError:
        return False
    return True


def refused(machine: Rehearsal, limit: float = 30.0) -> str:
    """Wait for BIRD's complaint about a stranger, and return the line."""
    return until(lambda: _complaint(machine), limit, f"BIRD did not log {REFUSED!r}")


def states(machine: Rehearsal, pair: Pair = ON_BR0) -> list[str]:
    """What `birdc show protocols` says of each session; an error while BIRD is not up."""
    shows = (f"birdc -s /run/bird-test/{name}.ctl show protocols peer 2>&1" for name in pair.names)
    return [machine.inside(show, check=False) for show in shows]


def _complaint(machine: Rehearsal) -> str | None:
    logged = machine.inside("cat /run/bird-test/*.log", check=False)
    return next((line for line in logged.splitlines() if REFUSED in line), None)
