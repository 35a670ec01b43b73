"""Stage `firewall`: what guests say to each other is neither dropped nor rewritten by their host (DOMAIN S4, S10, S11).

`firewall.bridged` decides whether bridged packets pass the host's firewall at all; off by default, which alone cures
most of what guests suffer from. `firewall.ufw` filters what is for the host itself. `firewall.nat` keeps masquerade
rules off the guests' packets, for the day when something else switches bridged filtering on again.
"""

from __future__ import annotations

from wizard.model import Stage, Step
from wizard.stages import firewall_bridged, firewall_nat, firewall_ufw, fresh_firewall

BRIDGED = Step(
    id="firewall.bridged",
    title="Filtering of bridged packets",
    why="A bridge is a switch. Where the host's firewall also sees what crosses it, guests can ping each other while "
    "their connections are dropped or rewritten; what is for the host itself is filtered in any case.",
    plan=firewall_bridged.plan,
    facts=firewall_bridged.facts,
    needs=("preflight.hypervisor",),
    fields=("firewall.filter_bridged",),
    fresh=fresh_firewall.bridged,
    look=fresh_firewall.look_at_bridged,
)

UFW = Step(
    id="firewall.ufw",
    title="The host's own firewall",
    why="ufw closes every port of the host that is not listed. SSH is let in first, and everything goes back by itself "
    "unless the host still answers.",
    plan=firewall_ufw.plan,
    facts=firewall_ufw.facts,
    needs=("firewall.bridged",),
    fields=("firewall.ufw.enabled", "firewall.ufw.ssh_from", "firewall.ufw.allow", "firewall.ufw.routes"),
    fresh=fresh_firewall.ufw,
    look=fresh_firewall.look_at_ufw,
)

NAT = Step(
    id="firewall.nat",
    title="Address translation leaves guests alone",
    why="A masquerade rule made for a VPN can give packets between guests the host's address: BGP sessions between "
    "nodes then stay down, and servers see the wrong client.",
    plan=firewall_nat.plan,
    facts=firewall_nat.facts,
    needs=("preflight.hypervisor",),
    fields=("firewall.nat",),
    fresh=fresh_firewall.nat,
    look=fresh_firewall.look_at_nat,
)

STAGE = Stage(
    id="firewall",
    title="Firewall",
    why="The host filters what is for itself, and lets guests talk to each other unchanged.",
    steps=(BRIDGED, UFW, NAT),
)
