"""Who does a TCP listener believe it talks to? Masquerading shows in the answer."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor

from tests.rehearsal.namespaces import Pair, Shell, over_ssh, within
from wizard.rehearsal import Rehearsal

PORT = 7070
LIMIT = 30

LISTEN = f"""
import socket
address = "{{address}}"
with socket.create_server((address, {PORT}), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as server:
    server.settimeout({LIMIT})
    print(server.accept()[1][0])
"""

# The listener may come up later than this.
CONNECT = f"""
import socket, time
deadline = time.monotonic() + {LIMIT}
while True:
    try:
        with socket.create_connection(("{{address}}", {PORT}), timeout=5):
            break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.1)
"""

# Its first packet is enough: one that was rewritten to an address which nobody there can answer makes no connection.
CALLER = f"""
import socket
frames = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
frames.settimeout({LIMIT})
while True:
    packet, (_, _, direction, *_) = frames.recvfrom(128)
    tcp = packet[(packet[0] & 15) * 4 :]
    arrives = packet[9] == socket.IPPROTO_TCP and direction == socket.PACKET_HOST
    if arrives and int.from_bytes(tcp[2:4]) == {{port}} and tcp[13] & 18 == 2:
        print(socket.inet_ntoa(packet[12:16]))
        break
"""


def between(machine: Rehearsal, pair: Pair) -> str:
    """The source address that the second of a pair sees when the first connects."""
    one, other = (within(machine, name) for name in pair.names)
    return source(one, other, pair.addresses[1])


def silent(machine: Rehearsal, pair: Pair) -> bool:
    """Is the first of a pair neither let in by the second nor turned away: what it sends does not arrive."""
    probe = f"timeout 2 bash -c '</dev/tcp/{pair.addresses[1]}/9' 2>/dev/null; echo $?"
    return within(machine, pair.names[0])(probe).strip() == "124"


def caller(machine: Rehearsal, pair: Pair, port: int) -> str:
    """From which address the next call to a port of the second of a pair arrives."""
    return within(machine, pair.names[1])(_python(CALLER, port=port)).strip()


def tcp_source_of_guest(machine: Rehearsal, from_guest: str, to_guest: str, address: str) -> str:
    """The source address that a listener on `address` in one real guest sees when another connects, over SSH."""
    return source(over_ssh(machine, from_guest), over_ssh(machine, to_guest), address)


def source(there: Shell, here: Shell, address: str) -> str:
    """What is seen `here`, listening on `address`, of a connection from `there`."""
    with ThreadPoolExecutor() as pool:
        seen = pool.submit(here, _python(LISTEN, address=address))
        there(_python(CONNECT, address=address))
        return seen.result().strip()


def _python(program: str, **words: object) -> str:
    return f"python3 -c {shlex.quote(program.format(**words))}"
