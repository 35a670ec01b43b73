"""The LAN: a network namespace with a switch, the router's and the laptop's addresses, DNS, DHCP, and packages."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from wizard.rehearsal import kubernetes, namespace, network, router
from wizard.rehearsal.commands import run
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.machines import Machine
from wizard.rehearsal.processes import Process, start
from wizard.rehearsal.record import Spec
from wizard.rehearsal.runtime import Runtime, write
from wizard.rehearsal.waiting import until

SERVERS = ("dnsmasq", "router", "files")

# The laptop's address comes first: the first one of a subnet is the source of what is sent from here.
# The router keeps its MAC address; a switch without one of its own takes over that of some port.
SWITCH = f"""\
link set lo up
link add {network.BRIDGE} address {network.ROUTER_MAC} type bridge forward_delay 0
address add {network.LAPTOP}/{network.PREFIX} dev {network.BRIDGE}
address add {network.ROUTER}/{network.PREFIX} dev {network.BRIDGE}
address add {network.ROUTER_LINK_LOCAL}/64 dev {network.BRIDGE} nodad
link set {network.BRIDGE} up
"""

# Between a node and the hypervisor: as a cable, but its ends come and go with their machines.
COUPLING = """\
link add {cable} type bridge forward_delay 0
link set {cable} up
"""

# Every name has the router's address, which refuses connections at once: what asks for the Internet fails fast.
DNSMASQ = f"""\
user=root
no-resolv
no-hosts
interface={network.BRIDGE}
bind-interfaces
host-record={network.HOSTNAME}.{network.DOMAIN},{network.HYPERVISOR}
host-record=router.{network.DOMAIN},{network.ROUTER}
host-record=laptop.{network.DOMAIN},{network.LAPTOP}
address=/#/{network.ROUTER}
local=/#/
dhcp-authoritative
no-ping
dhcp-range={network.DHCP_RANGE[0]},{network.DHCP_RANGE[1]},1h
dhcp-option=option:router,{network.ROUTER}
dhcp-option=option:dns-server,{network.ROUTER}
"""


def on(netns: Path, *argv: str) -> list[str]:
    """The command that runs `argv` on the LAN; not `ip netns exec`, which hides the cgroups from systemd-nspawn."""
    return ["nsenter", f"--net={netns}", "--", *argv]


def ensure(runtime: Runtime, spec: Spec) -> None:
    """Make the LAN, or what is missing of it after a crash."""
    if not _whole(runtime.netns):
        remove(runtime)
        namespace.make(runtime.netns)
        couplings = [COUPLING.format(cable=network.isolated_cable(node.name)) for node in spec.named_nodes]
        run(on(runtime.netns, "ip", "-batch", "-"), stdin="".join([*couplings, SWITCH]))
    for role in _servers(spec):
        if not _alive(runtime, role):
            SERVE[role](runtime, spec)


def remove(runtime: Runtime) -> None:
    """Remove the LAN, its cables and servers; nothing happens when there is none."""
    for role in SERVERS:
        server = Process.recorded(runtime.process(role))
        if server:
            server.end()
    if namespace.held(runtime.netns):
        for link in links(runtime.netns):
            if link != "lo":
                delete(runtime.netns, link)
    namespace.drop(runtime.netns)


def links(netns: Path) -> dict[str, bool]:
    """The network interfaces on the LAN's side, and whether each is up."""
    shown = json.loads(run(on(netns, "ip", "-j", "link", "show")))
    return {link["ifname"]: "UP" in link["flags"] for link in shown}


def delete(netns: Path, link: str) -> None:
    """Remove an interface; the kernel may get there first with a dead machine's cables."""
    if link not in links(netns):
        return
    try:
        run(on(netns, "ip", "link", "delete", link))
    except RehearsalError:
        if link in links(netns):
            raise


def cut(machine: Machine, nic: str) -> None:
    """Cut the cable of a NIC; it stays cut when the machine reboots."""
    machine.cut(nic).touch()
    run(on(machine.runtime.netns, "ip", "link", "set", network.lan_end(machine.host, nic), "down"))


def restore(machine: Machine, nic: str) -> None:
    """Plug the cable of a NIC in again."""
    machine.cut(nic).unlink(missing_ok=True)
    netns, end = machine.runtime.netns, network.lan_end(machine.host, nic)
    if end in links(netns):
        run(on(netns, "ip", "link", "set", end, "up"))


def complete(runtime: Runtime, spec: Spec) -> bool:
    """Whether the switch is up and the router's servers run."""
    return all(_alive(runtime, role) for role in _servers(spec)) and _whole(runtime.netns)


def _servers(spec: Spec) -> Sequence[str]:
    return SERVERS if spec.nodes else SERVERS[:-1]


def _alive(runtime: Runtime, role: str) -> bool:
    server = Process.recorded(runtime.process(role))
    return server is not None and server.alive


def _whole(netns: Path) -> bool:
    """The switch is brought up last, so a LAN with the switch up lacks nothing."""
    return namespace.held(netns) and links(netns).get(network.BRIDGE, False)


def _serve_names(runtime: Runtime, _: Spec) -> None:
    config = runtime.directory / "dnsmasq.conf"
    write(config, f"{DNSMASQ}dhcp-leasefile={runtime.directory / 'dnsmasq.leases'}\n")
    argv = on(runtime.netns, "dnsmasq", "--keep-in-foreground", f"--conf-file={config}", "--pid-file=")
    start(argv, runtime.process("dnsmasq"), runtime.log("dnsmasq"))
    _wait_for(runtime, "dnsmasq", 53)


def _serve_routes(runtime: Runtime, _: Spec) -> None:
    # The directory only says whose it is, to those who look for what is left of a rehearsal.
    argv = on(runtime.netns, sys.executable, router.__file__, network.BRIDGE, str(runtime.directory))
    start(argv, runtime.process("router"), runtime.log("router"))


def _serve_files(runtime: Runtime, spec: Spec) -> None:
    shown = Path(spec.kit) / kubernetes.REPOSITORY
    argv = [sys.executable, "-m", "http.server", str(network.FILES_PORT)]
    argv += ["--bind", network.ROUTER, "--directory", str(shown)]
    start(on(runtime.netns, *argv), runtime.process("files"), runtime.log("files"))
    _wait_for(runtime, "files", network.FILES_PORT)


SERVE = {"dnsmasq": _serve_names, "router": _serve_routes, "files": _serve_files}


def _wait_for(runtime: Runtime, role: str, port: int) -> None:
    until(lambda: _answers(runtime.netns, port), 10, f"{role} did not start (see {runtime.log(role)})")


def _answers(netns: Path, port: int) -> bool | None:
    with namespace.entered(netns), socket.socket() as probe:
        return True if probe.connect_ex((network.ROUTER, port)) == 0 else None
