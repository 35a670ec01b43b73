"""The LAN: a network namespace with a switch, the router's and the laptop's addresses, DNS and DHCP."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

from wizard.rehearsal import namespace, network, router
from wizard.rehearsal.commands import run
from wizard.rehearsal.error import RehearsalError
from wizard.rehearsal.processes import Process, start
from wizard.rehearsal.runtime import Runtime, write
from wizard.rehearsal.waiting import until

SERVERS = ("dnsmasq", "router")

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
dhcp-authoritative
no-ping
dhcp-range={network.DHCP_RANGE[0]},{network.DHCP_RANGE[1]},1h
dhcp-option=option:router,{network.ROUTER}
dhcp-option=option:dns-server,{network.ROUTER}
"""


def on(netns: Path, *argv: str) -> list[str]:
    """The command that runs `argv` on the LAN; not `ip netns exec`, which hides the cgroups from systemd-nspawn."""
    return ["nsenter", f"--net={netns}", "--", *argv]


def ensure(runtime: Runtime) -> None:
    """Make the LAN, or what is missing of it after a crash."""
    if not _whole(runtime.netns):
        remove(runtime)
        namespace.make(runtime.netns)
        run(on(runtime.netns, "ip", "-batch", "-"), stdin=SWITCH)
    _serve(runtime)


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


def cut(runtime: Runtime, nic: str) -> None:
    """Cut the cable of a NIC; it stays cut when the hypervisor reboots."""
    runtime.cut(nic).touch()
    run(on(runtime.netns, "ip", "link", "set", network.lan_end(nic), "down"))


def restore(runtime: Runtime, nic: str) -> None:
    """Plug the cable of a NIC in again."""
    runtime.cut(nic).unlink(missing_ok=True)
    if network.lan_end(nic) in links(runtime.netns):
        run(on(runtime.netns, "ip", "link", "set", network.lan_end(nic), "up"))


def complete(runtime: Runtime) -> bool:
    """Whether the switch is up and the router's servers run."""
    return all(_alive(runtime, role) for role in SERVERS) and _whole(runtime.netns)


def _alive(runtime: Runtime, role: str) -> bool:
    server = Process.recorded(runtime.process(role))
    return server is not None and server.alive


def _whole(netns: Path) -> bool:
    """The switch is brought up last, so a LAN with the switch up lacks nothing."""
    return namespace.held(netns) and links(netns).get(network.BRIDGE, False)


def _serve(runtime: Runtime) -> None:
    if not _alive(runtime, "dnsmasq"):
        config = runtime.directory / "dnsmasq.conf"
        write(config, f"{DNSMASQ}dhcp-leasefile={runtime.directory / 'dnsmasq.leases'}\n")
        argv = on(runtime.netns, "dnsmasq", "--keep-in-foreground", f"--conf-file={config}", "--pid-file=")
        start(argv, runtime.process("dnsmasq"), runtime.log("dnsmasq"))
        until(lambda: _answers(runtime.netns), 10, f"dnsmasq did not start (see {runtime.log('dnsmasq')})")
    if not _alive(runtime, "router"):
        # The directory only says whose it is, to those who look for what is left of a rehearsal.
        argv = on(runtime.netns, sys.executable, router.__file__, network.BRIDGE, str(runtime.directory))
        start(argv, runtime.process("router"), runtime.log("router"))


def _answers(netns: Path) -> bool | None:
    with namespace.entered(netns), socket.socket() as probe:
        return True if probe.connect_ex((network.ROUTER, 53)) == 0 else None
