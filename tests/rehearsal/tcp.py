"""Who does a TCP listener believe it talks to? Masquerading shows in the answer."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor

from tests.rehearsal.namespaces import Shell, over_ssh, within
from wizard.rehearsal import Rehearsal

PORT = 7070
LIMIT = 30

LISTEN = f"""
import socket
with socket.create_server(("{{address}}", {PORT})) as server:
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


def tcp_source(machine: Rehearsal, from_ns: str, to_ns: str, address: str) -> str:
    """The source address that a listener on `address` in one namespace sees when another connects."""
    return source(within(machine, from_ns), within(machine, to_ns), address)


def tcp_source_of_guest(machine: Rehearsal, from_guest: str, to_guest: str, address: str) -> str:
    """The same between two real guests, reached over SSH."""
    return source(over_ssh(machine, from_guest), over_ssh(machine, to_guest), address)


def source(there: Shell, here: Shell, address: str) -> str:
    """What is seen `here`, listening on `address`, of a connection from `there`."""
    with ThreadPoolExecutor() as pool:
        seen = pool.submit(here, _python(LISTEN, address))
        there(_python(CONNECT, address))
        return seen.result().strip()


def _python(program: str, address: str) -> str:
    return f"python3 -c {shlex.quote(program.format(address=address))}"
