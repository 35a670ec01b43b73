"""firewall.ufw: from what real hosts said and what is wanted, to the plan."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest

from tests.firewall_captured import SUITES, cluster, context, seen
from wizard.actions import Install, Run
from wizard.cluster import Cluster
from wizard.facts.network import LINKS, SSH_PATH, Address, Link, Links, SshPath
from wizard.facts.sockets import SOCKETS, Socket
from wizard.facts.ufw import UFW, Ufw, UfwRule, parse_rule
from wizard.facts.units import FIREWALL_UNITS, Unit
from wizard.facts.wireguard import WIREGUARD, Tunnel, Wireguard
from wizard.model import HYPERVISOR, AnyFact, Do, Nothing, Output, Plan, Refused, Risk
from wizard.script import compile_part
from wizard.stages.firewall import UFW as STEP

BOTH = pytest.mark.parametrize("suite", SUITES)
NFS: dict[str, Any] = {"allow": [{"from": "192.168.182.0/24", "port": 2049, "comment": "NFS"}]}
SSH = UfwRule("allow", "tcp", "22", comment="homek8s: SSH")
SSH6 = replace(SSH, to="::/0", source="::/0")
ROUTE = UfwRule("route:allow", in_on="br0", out_on="br0", comment="homek8s: br0 to itself")
ROUTE6 = replace(ROUTE, to="::/0", source="::/0")
ON = Ufw(True, True, True, (SSH, ROUTE, SSH6, ROUTE6))
DUAL = ("10.0.0.1/8", "fd00::1/64")


def wanted(ufw: dict[str, Any] | None, **sections: Any) -> Cluster:
    return cluster({"ufw": ufw} if ufw is not None else {}, **sections)


def plan(
    ufw: dict[str, Any] | None,
    suite: str = "bookworm",
    state: str = "fresh",
    changed: dict[AnyFact[Any], Any] | None = None,
) -> Plan:
    return STEP.plan(context(wanted(ufw), suite, state, changed), HYPERVISOR)


def do(*args: Any, **more: Any) -> Do:
    found = plan(*args, **more)
    assert isinstance(found, Do), found
    for part in found.parts:
        subprocess.run(["sh", "-n"], input=compile_part(STEP.id, HYPERVISOR, part), text=True, check=True)
    return found


def commands(found: Do) -> list[str]:
    lines = [action.line() for action in found.parts[-1].actions if isinstance(action, Run)]
    assert (lines[0], lines[-1]) == ("ufw_before", "ufw_after")
    return lines[1:-1]


def with_rules(*rules: UfwRule, **changed: Any) -> dict[AnyFact[Any], Any]:
    return {UFW: replace(ON, rules=rules, **changed)}


def links(**addresses: tuple[str, ...]) -> Links:
    return Links(
        tuple(
            Link(name, "", addresses=tuple(Address(ip_interface(each)) for each in found))
            for name, found in addresses.items()
        )
    )


# ---------------------------------------------------------------- on


@BOTH
def test_ssh_is_let_in_before_it_is_switched_on(suite: str) -> None:
    found = do(NFS, suite)
    assert commands(found) == [
        "ufw prepend allow proto tcp from any to any port 22 comment 'homek8s: SSH'",
        "ufw allow proto tcp from 192.168.182.0/24 to any port 2049 comment 'homek8s: NFS'",
        "ufw route allow in on br0 out on br0 comment 'homek8s: br0 to itself'",
        "ufw --force enable",
    ]
    [part] = found.parts
    assert part.guard is not None
    assert (found.risk, part.guard.reach) == (Risk.MAY_CUT_SSH, ("192.168.182.100",))


def test_as_listed_there_is_nothing_to_do() -> None:
    assert isinstance(plan({}, changed={UFW: ON}), Nothing)
    assert isinstance(plan({}, changed=with_rules(*reversed(ON.rules))), Nothing)


def test_on_in_its_file_and_not_in_the_kernel() -> None:
    assert commands(do({}, changed={UFW: replace(ON, live=False)})) == ["ufw --force enable"]


def test_sshd_on_several_ports_and_the_one_we_came_in_by() -> None:
    changed: dict[AnyFact[Any], Any] = {
        SOCKETS: (Socket("tcp", "0.0.0.0", 2222, "sshd"), Socket("tcp", "127.0.0.1", 2223, "sshd")),
        SSH_PATH: SshPath("192.168.182.10", "192.168.182.100", 922, "enp4s0"),
    }
    lines = commands(do({}, changed=changed))
    assert [line.split(" port ")[1].split()[0] for line in lines if "SSH" in line] == ["22", "922", "2222"]


def test_pairs_that_are_implied_and_listed() -> None:
    section = {"routes": [{"in": "wg0", "out": "br0"}, {"in": "br0", "out": "br0"}]}
    ctx = context(wanted(section, isolated={"cidr": "192.168.190.0/24"}))
    found = STEP.plan(ctx, HYPERVISOR)
    assert isinstance(found, Do)
    assert [line.partition(" comment")[0] for line in commands(found) if "route" in line] == [
        "ufw route allow in on br0 out on br0",
        "ufw route allow in on kube-isolated out on kube-isolated",
        "ufw route allow in on wg0 out on br0",
    ]


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ({"from": "any", "port": 53, "proto": "any"}, "allow from any to any port 53 comment 'homek8s: 53 from any'"),
        ({"from": "192.168.182.7"}, "allow from 192.168.182.7 to any comment 'homek8s: all from 192.168.182.7'"),
        ({"from": "192.168.182.7", "proto": "udp"}, "allow proto udp from 192.168.182.7 to any comment"),
        ({"from": "fd00::/64", "port": 80}, "allow proto tcp from fd00::/64 to any port 80 comment"),
    ],
)
def test_what_may_be_opened(rule: dict[str, Any], line: str) -> None:
    [found] = commands(do({"allow": [rule]}, changed={UFW: ON}))
    assert found.startswith(f"ufw {line}")


def test_without_ipv6_a_rule_has_no_twin() -> None:
    changed = with_rules(SSH, ROUTE, ipv6=False)
    assert isinstance(plan({}, changed=changed), Nothing)
    assert "IPV6=no" in do(NFS, changed=changed).notes[-1]


# ---------------------------------------------------------------- whose rules


@BOTH
def test_a_real_hosts_rules(suite: str) -> None:
    """Its own rule for SSH is enough; ours that is no longer listed goes, one is renamed; others' stay."""
    found = do(NFS, suite, "ufw")
    assert commands(found) == [
        "ufw allow proto tcp from 192.168.182.0/24 to any port 2049 comment 'homek8s: NFS'",
        "ufw --force delete allow from fd00::/64 to any port 53",
    ]
    assert any("DEFAULT_FORWARD_POLICY=ACCEPT" in note for note in found.notes)


def test_a_foreign_rule_that_comes_too_late_is_said() -> None:
    deny, late = UfwRule("deny", "tcp", "22"), replace(SSH, comment="")
    found = plan({}, changed=with_rules(deny, late, ROUTE, SSH6, ROUTE6))
    assert isinstance(found, Refused)
    assert [each.id for each in found.findings] == ["turned-away"]


def test_a_foreign_rule_that_says_the_same_keeps_its_name() -> None:
    foreign = replace(SSH, comment="mine"), replace(SSH6, comment="")
    assert isinstance(plan({}, changed=with_rules(*foreign, ROUTE, ROUTE6)), Nothing)
    lines = commands(do({}, changed=with_rules(foreign[0], ROUTE, ROUTE6)))
    assert lines == ["ufw prepend allow proto tcp from ::/0 to any port 22 comment 'homek8s: SSH'"]
    route = replace(ROUTE6, comment="mine")
    assert commands(do({}, changed=with_rules(SSH, SSH6, route))) == [
        "ufw route allow in on br0 out on br0 from 0.0.0.0/0 comment 'homek8s: br0 to itself'"
    ]


def test_a_foreign_rule_is_never_taken_out() -> None:
    others = tuple(UfwRule("allow", "tcp", "80", comment=comment) for comment in ("", "mine", "not homek8s: mine"))
    assert isinstance(plan({}, changed=with_rules(*ON.rules, *others)), Nothing)


def test_a_route_of_ours_that_is_no_longer_listed_goes() -> None:
    old = replace(ROUTE, in_on="wg0", comment="homek8s: wg0 to br0")
    others = replace(old, to="::/0", source="::/0", comment="mine")
    assert commands(do({}, changed=with_rules(*ON.rules, old, others))) == [
        "ufw --force route delete allow in on wg0 out on br0 from 0.0.0.0/0"
    ]


@pytest.mark.parametrize(
    ("before", "moved"),
    [
        (UfwRule("deny", "tcp", "22"), True),
        (UfwRule("reject", "any", "any", source="192.168.182.0/24"), True),
        (UfwRule("limit", "tcp", "20:30"), True),
        (UfwRule("deny_log", "tcp", "22,80"), True),
        (UfwRule("deny", "udp", "22"), False),
        (UfwRule("deny", "tcp", "80"), False),
        (UfwRule("deny", "tcp", "22", to="::/0", source="::/0"), True),
        (UfwRule("allow", "tcp", "22", source="10.0.0.1"), False),
    ],
)
def test_what_turns_ssh_away_before_our_rule_is_overtaken(before: UfwRule, moved: bool) -> None:
    found = plan({}, changed=with_rules(before, *ON.rules))
    assert isinstance(found, Do) == moved, found
    if isinstance(found, Do):
        source = before.to if before.version == 6 else "0.0.0.0/0"
        assert commands(found) == [
            f"ufw --force delete allow proto tcp from {source} to any port 22",
            f"ufw prepend allow proto tcp from {source} to any port 22 comment 'homek8s: SSH'",
        ]


# ---------------------------------------------------------------- what is said before


def test_what_closes_and_what_stops_is_said() -> None:
    changed: dict[AnyFact[Any], Any] = {
        SOCKETS: (
            Socket("tcp", "0.0.0.0", 22, "sshd"),
            Socket("tcp", "*", 2049, "nfsd"),
            Socket("tcp", "*", 8080, "nginx"),
            Socket("udp", "*", 68, "dhclient"),
            Socket("tcp", "127.0.0.1", 5432, "postgres"),
            Socket("udp", "*", 51820, ""),
        ),
        WIREGUARD: Wireguard((Tunnel("wg0", ("10.8.0.1/24",), (), 51820),)),
        UFW: replace(ON, enabled=False, live=False, rules=(), ip_forward=True),
        LINKS: links(enp4s0=("10.0.0.1/8",), enp5s0=("10.0.0.1/8",)),
    }
    closed, port, route, forwarding = do(NFS, changed=changed).notes
    assert "from enp4s0 to enp5s0; from enp5s0 to enp4s0, unless" in forwarding
    listed = "These listen, and are closed to other machines: nginx (8080/tcp). `allow` opens them."
    assert closed == f"{listed} nfsd (2049/tcp) stays open only to 192.168.182.0/24."
    assert "{from: any, port: 51820, proto: udp, comment: WireGuard wg0}" in port
    assert "{in: wg0, out: br0}" in route
    Cluster.model_validate(
        wanted({"allow": [{"from": "any", "port": 51820, "proto": "udp", "comment": "WireGuard wg0"}]}).model_dump(
            by_alias=True, exclude_none=True, mode="json"
        )
    )


@pytest.mark.parametrize("filtered", [True, False])
def test_bridges_whose_packets_are_filtered_are_said(filtered: bool) -> None:
    """br0 has its route; a bridge of the owner's has none, and no address either."""
    bridges = Links(tuple(Link(name, "", kind="bridge") for name in ("br0", "br7")))
    changed: dict[AnyFact[Any], Any] = {UFW: replace(ON, enabled=False, live=False, rules=()), LINKS: bridges}
    wish = cluster({"ufw": NFS, "filter_bridged": filtered})
    found = STEP.plan(context(wish, "bookworm", "fresh", changed), HYPERVISOR)
    assert isinstance(found, Do)
    assert any("What crosses br7 is filtered too" in note for note in found.notes) == filtered
    assert not any("What crosses" in note and "br0" in note for note in found.notes)


@pytest.mark.parametrize(("family", "ipv6", "said"), [(ROUTE, True, True), (ROUTE6, True, True), (ROUTE, False, False)])
def test_a_bridge_that_only_one_family_may_cross_is_said(family: UfwRule, ipv6: bool, said: bool) -> None:
    """With IPV6=no it is said of all bridges at once."""
    mine = replace(family, in_on="br7", out_on="br7", comment="mine")
    changed = with_rules(mine, enabled=False, ipv6=ipv6) | {LINKS: Links((Link("br7", "", kind="bridge"),))}
    found = STEP.plan(context(cluster({"ufw": {}, "filter_bridged": True}), changed=changed), HYPERVISOR)
    assert isinstance(found, Do)
    assert any("What crosses br7 is filtered too" in note for note in found.notes) == said


def test_what_stays_open_only_to_some_is_said() -> None:
    sockets = (Socket("tcp", "0.0.0.0", 22, "sshd"), Socket("tcp", "::", 22, "sshd"), Socket("tcp", "*", 2049, "nfsd"))
    mine = UfwRule("limit", "tcp", "2000:2100", source="10.8.0.2")
    turned_away = UfwRule("deny", "tcp", "22", source="10.9.0.0/24")
    changed = with_rules(mine, turned_away) | {SOCKETS: sockets, WIREGUARD: Wireguard()}
    ssh, nfs = "sshd (22/tcp) stays open only to 192.168.0.0/16.", "nfsd (2049/tcp) stays open only to"
    assert do({"ssh_from": "192.168.0.0/16"}, changed=changed).notes[0] == f"{ssh} {nfs} 10.8.0.2."
    assert do(NFS, changed=changed).notes[0] == f"{nfs} 10.8.0.2 and 192.168.182.0/24."
    anybody = {"allow": [*NFS["allow"], {"from": "any", "port": 2049}]}
    assert not [note for note in do(anybody, changed=changed).notes if "stays open" in note]


@pytest.mark.parametrize(
    ("addresses", "source", "said"),
    [
        (("*",), "192.168.0.0/16", "nginx (80/tcp) stays open only to 192.168.0.0/16."),
        (("0.0.0.0", "::"), "192.168.0.0/16", "nginx (80/tcp) stays open only to 192.168.0.0/16."),
        (("*",), "0.0.0.0/0", "nginx (80/tcp) stays open only to all of IPv4."),
        (("0.0.0.0", "::"), "::/0", "nginx (80/tcp) stays open only to all of IPv6."),
        (("0.0.0.0",), "0.0.0.0/0", None),
        (("::",), "::/0", None),
        (("::",), "0.0.0.0/0", "are closed to other machines: nginx (80/tcp). `allow` opens them."),
        (("fd00::1",), "192.168.0.0/16", "are closed to other machines: nginx (80/tcp on fd00::1)."),
        (("10.0.0.1",), "fd00::/64", "are closed to other machines: nginx (80/tcp on 10.0.0.1)."),
    ],
)
def test_a_rule_opens_a_socket_of_its_own_family(addresses: tuple[str, ...], source: str, said: str | None) -> None:
    changed: dict[AnyFact[Any], Any] = {SOCKETS: tuple(Socket("tcp", each, 80, "nginx") for each in addresses)}
    notes = do({"allow": [{"from": source, "port": 80}]}, changed=changed).notes
    assert said in notes[0] if said else notes == ()


def test_a_network_within_all_of_its_family_is_not_named_beside_it() -> None:
    rules = [{"from": each, "port": 80} for each in ("192.168.7.0/24", "fd00:7::/64", "0.0.0.0/0")]
    [note] = do({"allow": rules}, changed={SOCKETS: (Socket("tcp", "*", 80, "nginx"),)}).notes
    assert note == "nginx (80/tcp) stays open only to fd00:7::/64 and all of IPv4."


def test_a_route_lets_its_own_pair_pass_and_no_other() -> None:
    foreign = UfwRule("route:allow", in_on="docker0", out_on="wg0", comment="mine")
    changed: dict[AnyFact[Any], Any] = {
        LINKS: links(br0=DUAL, docker0=DUAL, wg0=DUAL),
        WIREGUARD: Wireguard((Tunnel("wg0", ("10.8.0.1/24",)),)),
        UFW: replace(ON, rules=(foreign,), ip_forward=True),
    }
    tunnel, forwarding = do({"routes": [{"in": "br0", "out": "docker0"}]}, changed=changed).notes
    assert "{in: wg0, out: br0}" in tunnel
    assert "doing so from br0 to wg0; from docker0 to br0; from wg0 to docker0, unless" in forwarding
    pairs = [("br0", "docker0"), ("br0", "wg0"), ("docker0", "br0"), ("wg0", "docker0"), ("wg0", "br0")]
    assert do({"routes": [{"in": one, "out": other} for one, other in pairs]}, changed=changed).notes == ()


def test_forwarding_of_ipv6_that_stops_is_said() -> None:
    """Between addresses of IPv6, whatever IPv4 does; a route that lets only the other family pass is none for it."""
    four_only = UfwRule("route:allow", in_on="wg0", out_on="br0", comment="mine")
    six_only = replace(four_only, to="::/0", source="::/0", in_on="br0", out_on="wg0")
    changed: dict[AnyFact[Any], Any] = {
        LINKS: links(lo=("fd00:9::1/128",), br0=DUAL, enp5s0=("10.0.0.1/8",), wg0=DUAL, wan=("2001:db8::1/64",)),
        WIREGUARD: Wireguard((Tunnel("wg0", ("10.8.0.1/24",)),)),
        UFW: replace(ON, rules=(four_only, six_only), ip6_forward=True),
    }
    assert do({}, changed=changed).notes == (
        "The host passes IPv6 on (net.ipv6.conf.all.forwarding is 1). It stops doing so from br0 to wan; from wg0 to "
        "br0, wan; from wan to br0, wg0, unless `routes` names the pair, or rules of libvirt's, docker's or your own "
        "let it pass.",
    )
    pairs = [("br0", "wan"), ("wg0", "br0"), ("wg0", "wan"), ("wan", "br0"), ("wan", "wg0")]
    assert do({"routes": [{"in": one, "out": other} for one, other in pairs]}, changed=changed).notes == ()
    changed[UFW] = replace(changed[UFW], ip_forward=True)
    four, six = do({}, changed=changed).notes
    assert "from br0 to enp5s0, wg0; from enp5s0 to br0, wg0; from wg0 to enp5s0, unless" in four
    assert "passes IPv6 on" in six
    changed[UFW] = replace(changed[UFW], forward_policy="ACCEPT")
    assert not [note for note in do({}, changed=changed).notes if "It stops" in note]


@pytest.mark.parametrize(("filtered", "policy"), [(True, "ACCEPT"), (False, "ACCEPT"), (False, "DROP")])
def test_without_ipv6_all_of_it_stops_whatever_the_policies(filtered: bool, policy: str) -> None:
    """ufw's ufw-init-functions: DROP in all three chains of ip6tables, and no chain of its own."""
    changed: dict[AnyFact[Any], Any] = {
        LINKS: links(enp4s0=DUAL, br0=DUAL),
        SOCKETS: (Socket("tcp", "*", 80, "nginx"), Socket("tcp", "fd00::1", 81, "nginx"), Socket("tcp", "::", 82)),
        WIREGUARD: Wireguard(),
        UFW: replace(
            ON, enabled=False, rules=(), ipv6=False, ip6_forward=True, input_policy="ACCEPT", forward_policy=policy
        ),
    }
    found = STEP.plan(context(cluster({"ufw": {}, "filter_bridged": filtered}), changed=changed), HYPERVISOR)
    assert isinstance(found, Do)
    closed, *policies, six = found.notes
    assert len(policies) == (2 if policy == "ACCEPT" else 1)
    assert "closed to other machines: nginx (81/tcp on fd00::1), the kernel (82/tcp). " in closed
    assert closed.endswith(" nginx (80/tcp) stays open only to all of IPv4.")
    bridged = " or crosses a bridge" if filtered else ""
    assert f"ufw drops all IPv6 that comes in, goes out, is passed on{bridged}, except on loopback, and" in six


# ---------------------------------------------------------------- refused, off, left alone


@pytest.mark.parametrize(
    ("client", "ssh_from", "ids"),
    [
        ("192.168.182.10", "10.8.0.0/24", ["locked-out"]),
        ("192.168.182.10", "192.168.182.11", ["locked-out"]),
        ("fd00::7", "192.168.182.0/24", ["locked-out"]),
        ("192.168.182.10", "192.168.182.0/24", []),
        ("fd00::7", "fd00::/64", []),
        ("127.0.0.1", "10.8.0.0/24", []),
    ],
)
def test_you_are_not_locked_out(client: str, ssh_from: str, ids: list[str]) -> None:
    found = plan({"ssh_from": ssh_from}, changed={SSH_PATH: SshPath(client, "192.168.182.100", 22)})
    assert ([each.id for each in found.findings] if isinstance(found, Refused) else []) == ids


def test_over_ipv6_where_ufw_refuses_all_of_it() -> None:
    path = SshPath("fd00::7", "fd00::1", 22)
    found = plan({}, changed={SSH_PATH: path, **with_rules(ipv6=False)})
    assert isinstance(found, Refused)
    assert [each.id for each in found.findings] == ["no-ipv6"]


@pytest.mark.parametrize(
    ("unit", "state", "finding"),
    [
        ("firewalld.service", Unit("loaded", "active", "enabled"), "firewalld"),
        ("ufw.service", Unit("masked"), "masked"),
    ],
)
def test_another_firewall_is_not_mixed_in(unit: str, state: Unit, finding: str) -> None:
    found = plan({}, changed={FIREWALL_UNITS: {unit: state}})
    assert isinstance(found, Refused)
    assert [each.id for each in found.findings] == [finding]


def test_switched_off() -> None:
    found = do({"enabled": False}, changed={UFW: ON})
    assert commands(found) == ["ufw --force disable"]
    assert found.parts[0].guard is not None
    assert isinstance(plan({"enabled": False}), Nothing)
    assert isinstance(plan({"enabled": False}, changed={UFW: Ufw()}), Nothing)


def test_not_installed_it_is_installed_first() -> None:
    found = do({}, changed={UFW: Ufw(), FIREWALL_UNITS: {}})
    install, rules = found.parts
    assert install.actions == (Install(("ufw",), refresh=True),)
    assert (install.guard, rules.guard is None) == (None, False)


def test_not_started_at_boot() -> None:
    changed: dict[AnyFact[Any], Any] = {UFW: ON, FIREWALL_UNITS: {"ufw.service": Unit("loaded", "active", "disabled")}}
    assert commands(do({}, changed=changed)) == ["systemctl enable -q ufw.service"]


def test_left_alone() -> None:
    assert isinstance(plan(None, state="ufw"), Nothing)
    assert STEP.facts(wanted(None), HYPERVISOR) == {HYPERVISOR: ()}


# ---------------------------------------------------------------- ufw's files


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=686f6d656b38733a20535348", SSH),
        (
            "route:allow any any ::/0 any ::/0 in_br0!out_br0 comment=686f6d656b38733a2062723020746f20697473656c66",
            ROUTE6,
        ),
        ("allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in", UfwRule("allow", "tcp", "22", application="OpenSSH")),
        (
            "reject any 25 0.0.0.0/0 any 0.0.0.0/0 out_enp5s0",
            UfwRule("reject", port="25", direction="out", out_on="enp5s0"),
        ),
        ("deny any any 0.0.0.0/0 any 10.0.0.1 in_wg0", UfwRule("deny", source="10.0.0.1", in_on="wg0")),
    ],
)
def test_a_tuple(line: str, rule: UfwRule) -> None:
    assert parse_rule(line) == rule


@pytest.mark.parametrize(
    "line", ["", "allow tcp 22", "allow tcp 22 a b c d e f g h", "allow tcp 22 a b c in comment=zz"]
)
def test_a_tuple_that_is_not_understood_makes_the_fact_unknown(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_rule(line)


@pytest.mark.parametrize("ipv6", [True, False])
def test_rules_of_ipv6_count_where_ufw_reads_them(ipv6: bool) -> None:
    """With IPV6=no it would refuse to take one out: "IPv6 support not enabled"."""
    rules = "rule\tallow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\nrule\tallow tcp 22 ::/0 any ::/0 in\n"
    said = f"IPV6\t{'yes' if ipv6 else 'no'}\nip_forward\t0\nip6_forward\t1\n{rules}end\n"
    found = UFW.parse(Output(0, said.encode()))
    mine = replace(SSH, comment=""), replace(SSH6, comment="")
    assert found == Ufw(ipv6=ipv6, ip6_forward=True, rules=mine if ipv6 else mine[:1])


def test_a_kernel_without_ipv6_is_no_choice_of_ufws() -> None:
    """ipv6.disable=1: ufw writes no rules of IPv6, whatever IPV6 says (its backend looks for /proc/sys/net/ipv6)."""
    found = UFW.parse(Output(0, b"IPV6\tyes\nip_forward\t0\nip6_forward\t\nend\n"))
    assert (found.ipv6, found.kernel_ipv6) == (False, False)
    changed = with_rules(SSH, ROUTE, ipv6=False, kernel_ipv6=False)
    assert isinstance(plan({}, changed=changed), Nothing)
    assert "IPV6=no" not in " ".join(do(NFS, changed=changed).notes)


@pytest.mark.parametrize(
    ("address", "found", "versions"),
    [
        ("*", "*", (4, 6)),
        ("*%br0", "*%br0", (4, 6)),
        ("0.0.0.0%br0", "0.0.0.0%br0", (4,)),
        ("[::]", "::", (6,)),
        ("[::]%br0", "::%br0", (6,)),
        ("[fe80::1]%br0", "fe80::1%br0", (6,)),
        ("[::ffff:10.0.0.1]", "10.0.0.1", (4,)),
    ],
)
def test_a_socket_and_what_it_is_reached_over(address: str, found: str, versions: tuple[int, ...]) -> None:
    [socket] = SOCKETS.parse(Output(0, f"tcp LISTEN 0 128 {address}:80 *:*\n".encode()))
    assert (socket, socket.versions) == (Socket("tcp", found, 80), versions)


@BOTH
def test_sockets(suite: str) -> None:
    found = seen(suite, "ufw")[SOCKETS.id]
    assert Socket("tcp", "0.0.0.0", 22, "sshd") in found
    assert [str(each) for each in found if each.port == 2049] == ["nc (2049/tcp)"]
    assert Socket("tcp", "::1", 631).local
    assert not Socket("udp", "192.168.122.1%virbr0", 53).local
