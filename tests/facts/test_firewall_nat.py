"""Rules that translate addresses, of every family: what they match, and which of them rewrite what guests say."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

import pytest

from tests.firewall_captured import SUITES, cluster, context, seen
from wizard.facts.nat import NAT_FILES, NAT_LIVE, flows_of, rewriting
from wizard.facts.nat_files import Line, NatFile, NatFiles
from wizard.facts.nat_iptables import commands, parse_rule, parse_save, pieces
from wizard.facts.nat_nft import parse_tables, parse_text
from wizard.facts.nat_rules import Flow, Table
from wizard.facts.wireguard import WIREGUARD, Tunnel
from wizard.model import FactError, Output

LAN = Flow("br0", ip_network("192.168.182.0/24"))
UNKNOWN = Flow("br0", None)
LAN6 = Flow("br0", ip_network("fd00:182::/64"), 6)


def hit(table: Table, flow: Flow = LAN) -> list[str]:
    return [rule.text for _, rule in table.rewriting(flow)]


def saved(*rules: str, tool: str = "iptables-nft") -> Table:
    return parse_save(tool, "*nat\n" + "".join(f"-A {rule}\n" for rule in rules) + "COMMIT\n")


REWRITE_THE_LAN = (
    "-o br0 -j MASQUERADE",
    "-j MASQUERADE",
    "! -o wg0 -j MASQUERADE",
    "-o ! wg0 -j MASQUERADE",
    "-o br+ -j MASQUERADE",
    "-o br0 -j SNAT --to-source 192.168.182.100",
    "-o br0 -p tcp -m tcp --dport 179 -j MASQUERADE",
    "-s 192.168.0.0/16 -o br0 -j MASQUERADE --random",
    "-s 192.168.182.128/25 -o br0 -j MASQUERADE",
    "! -s 10.8.0.0/24 -o br0 -j MASQUERADE",
    "-o br0 -m mark ! --mark 0x1 -j MASQUERADE",
    "-o br0 -m physdev --physdev-is-bridged -j MASQUERADE",
    "-m addrtype ! --dst-type LOCAL -o br0 -j MASQUERADE",
    "-m set --match-set lans src -o br0 -j MASQUERADE",
    "--out-interface br0 --jump MASQUERADE",
)
LEAVE_THE_LAN = (
    "-o enp5s0 -j MASQUERADE",
    "! -o br0 -j MASQUERADE",
    "-s 10.8.0.0/24 -o br0 -j MASQUERADE",
    "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "-s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535",
    "! -s 192.168.0.0/16 -o br0 -j MASQUERADE",
    "-o br0 -d 10.0.0.0/8 -j MASQUERADE",
    "-o br0 -m physdev ! --physdev-is-bridged -j MASQUERADE",
    "-m mark --mark 0x40000/0xff0000 -j MASQUERADE",
    "-o br0 -m addrtype --src-type LOCAL -j MASQUERADE",
    "-o br0 -j ACCEPT",
    "-o br0 -m comment --comment '-j MASQUERADE'",
)


@pytest.mark.parametrize("rule", REWRITE_THE_LAN)
def test_what_rewrites_the_lan(rule: str) -> None:
    assert hit(saved(f"POSTROUTING {rule}")) == [rule]


@pytest.mark.parametrize("rule", LEAVE_THE_LAN)
def test_what_leaves_the_lan_alone(rule: str) -> None:
    assert hit(saved(f"POSTROUTING {rule}")) == []


def test_where_the_range_is_unknown_a_source_is_trusted() -> None:
    assert hit(saved("POSTROUTING -s 192.168.0.0/16 -o br0 -j MASQUERADE"), UNKNOWN) == []
    assert hit(saved("POSTROUTING -o br0 -j MASQUERADE"), UNKNOWN) == ["-o br0 -j MASQUERADE"]
    assert hit(saved("POSTROUTING -s 0.0.0.0/0 -o br0 -j MASQUERADE"), UNKNOWN) != []


def test_what_returns_before_is_let_off() -> None:
    lan = "POSTROUTING -s 192.168.182.0/24 -d 192.168.182.0/24 -j RETURN"
    rewrite = "POSTROUTING -o br0 -j MASQUERADE"
    assert hit(saved(lan, rewrite)) == []
    assert hit(saved(rewrite, lan)) == ["-o br0 -j MASQUERADE"]
    assert hit(saved(lan.replace("-j", "-p tcp -j"), rewrite)) == ["-o br0 -j MASQUERADE"]
    assert hit(saved("POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN", rewrite)) == []


def test_chains_are_followed_and_loops_end() -> None:
    table = saved(
        "POSTROUTING -o br0 -j OWN",
        "OWN -j OWN",
        "OWN -s 192.168.182.0/24 -d 192.168.182.0/24 -j RETURN",
        "OWN -j MASQUERADE",
        "POSTROUTING -j MASQUERADE",
        "ELSE -j MASQUERADE",
    )
    assert [(chain, rule.text) for chain, rule in table.rewriting(LAN)] == [("POSTROUTING", "-j MASQUERADE")]
    assert hit(saved("POSTROUTING -g OWN", "POSTROUTING -j MASQUERADE", "OWN -j ACCEPT")) == []
    assert hit(saved("POSTROUTING -o wg0 -j OWN", "OWN -j MASQUERADE")) == []


def test_ipv6_has_rules_of_its_own() -> None:
    table = saved("POSTROUTING -o br0 -j MASQUERADE", tool="ip6tables-legacy")
    assert (table.family, table.versions, hit(table, LAN6)) == ("ip6", (6,), ["-o br0 -j MASQUERADE"])
    assert hit(saved("POSTROUTING -s fd00:8::/64 -o br0 -j MASQUERADE", tool="ip6tables-nft"), LAN6) == []


@pytest.mark.parametrize(
    "rule", ["-o 'br0", "-o", "-j", "!", "-s -d -j MASQUERADE", "-s nobody.example -j MASQUERADE", "-o br0 -j ☃"]
)
def test_odd_rules_do_no_harm(rule: str) -> None:
    try:
        parse_rule(rule).fits(LAN)
    except ValueError:
        assert "'" in rule


# ---------------------------------------------------------------- nft


def nft(*expressions: dict[str, Any], family: str = "ip", sets: Mapping[str, list[Any]] | None = None) -> Table:
    names = {"family": family, "table": "own"}
    entries: list[dict[str, Any]] = [
        {"chain": {**names, "name": "post", "type": "nat", "hook": "postrouting"}},
        *({"set": {**names, "name": name, "elem": elem}} for name, elem in (sets or {}).items()),
        {"rule": {**names, "chain": "post", "handle": 7, "expr": [*expressions, {"masquerade": None}]}},
    ]
    [table] = parse_tables(entries, {(family, "own", "post", 7): "it"})
    return table


def out(right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"meta": {"key": "oifname"}}, "right": right}}


def source(right: Any, op: str = "==", protocol: str = "ip") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"payload": {"protocol": protocol, "field": "saddr"}}, "right": right}}


def incoming(right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"meta": {"key": "iif"}}, "right": right}}


@pytest.mark.parametrize(
    ("expressions", "rewrites"),
    [
        ([out("br0")], True),
        ([out("wg0")], False),
        ([out("wg0", "!=")], True),
        ([out("br*")], True),
        ([out({"set": ["wg0", "br0"]})], True),
        ([out({"set": ["wg0", "br0"]}, "!=")], False),
        ([out("br0"), {"counter": {"packets": 1, "bytes": 2}}], True),
        ([out("br0"), source({"prefix": {"addr": "10.8.0.0", "len": 24}})], False),
        ([source({"prefix": {"addr": "192.168.0.0", "len": 16}})], True),
        ([source({"range": ["192.168.182.1", "192.168.182.7"]})], True),
        ([source("@lans")], True),
        ([source("@vpn")], False),
        ([source("@unheard-of")], True),
        ([source("10.8.0.1", "!=")], True),
        ([source("fd00::1", "!=", "ip6")], False),
        ([out("br0"), incoming("0", "!=")], False),
        ([out("br0"), incoming("wg0")], False),
        ([out("br0"), incoming("wg0", "!=")], True),
        ([out("br0"), {"limit": {"rate": 1}}], True),
        ([out("br0"), {"xt": {"type": "match", "name": "physdev"}}], True),
    ],
)
def test_what_nft_rewrites(expressions: list[dict[str, Any]], rewrites: bool) -> None:
    lans = [{"prefix": {"addr": "192.168.0.0", "len": 16}}, "10.1.1.1"]
    table = nft(*expressions, sets={"lans": lans, "vpn": [{"elem": {"val": "10.8.0.7"}}]})
    assert hit(table) == (["it"] if rewrites else [])


def test_a_table_of_both_families_is_asked_about_both() -> None:
    table = nft(out("br0"), family="inet")
    assert (hit(table), hit(table, LAN6)) == (["it"], ["it"])
    assert hit(nft(out("br0"), source("10.8.0.1", "!="), family="inet"), LAN6) == []


@pytest.mark.parametrize(
    ("text", "rewrites"),
    [
        ('oifname "br0" masquerade', True),
        ("oifname br0 counter snat to 192.168.182.100", True),
        ('meta oifname != "wg0" masquerade', True),
        ('oifname { "br0", "wg0" } masquerade', True),
        ('ip saddr 10.8.0.0/24 oifname "br0" masquerade', False),
        ("ip saddr { 10.8.0.0/24, 192.168.182.0/24 } masquerade", True),
        ("ip saddr @lans masquerade", True),
        ("ip saddr $lan masquerade", True),
        ('iif != 0 oifname "br0" masquerade', False),
        ('oifname "br0" comment "masquerade" accept', False),
        ("", False),
        ('oifname "br0', False),
    ],
)
def test_what_nfts_text_rewrites(text: str, rewrites: bool) -> None:
    rule = parse_text(text)
    assert (rule.verdict == "rewrite" and rule.fits(LAN) > 0) == rewrites


# ---------------------------------------------------------------- files


def test_a_line_of_shell_is_taken_apart() -> None:
    line = 'a; b \'x;y\' && c "z|\\" ;" || d \\; e & f'
    assert [line[begin:end].strip() for begin, end in pieces(line) if line[begin:end].strip()] == [
        "a",
        "b 'x;y'",
        'c "z|\\" ;"',
        "d \\; e",
        "f",
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("iptables -t nat -A POSTROUTING -o br0 -j MASQUERADE", ("iptables", "A", "POSTROUTING")),
        ("/usr/sbin/iptables -w 5 --table nat -I POSTROUTING 2 -o br0 -j X", ("iptables", "I", "POSTROUTING")),
        ("sudo ip6tables-legacy --table=nat --delete OWN -j X", ("ip6tables-legacy", "D", "OWN")),
        ("iptables -A POSTROUTING -t nat -o br0 -j X", ("iptables", "A", "POSTROUTING")),
        ("iptables -A FORWARD -i wg0 -j ACCEPT", None),
        ("echo nat", None),
    ],
)
def test_commands_about_nat(line: str, found: tuple[str, str, str] | None) -> None:
    assert [(each.program, each.verb, each.chain) for each in commands(line)] == ([found] if found else [])


def wg(*lines: str) -> NatFile:
    return NatFile("/etc/wireguard/wg0.conf", tuple(Line(at, text) for at, text in enumerate(lines, 5)), "wg0")


UP = "PostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o br0 -j MASQUERADE"
DOWN = "PostDown = iptables -D FORWARD -i %i -j ACCEPT; iptables -t nat -D POSTROUTING -o br0 -j MASQUERADE"


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        ((UP, DOWN), [5, 6]),
        (("PostUp = iptables -t nat -A POSTROUTING ! -o %i -j MASQUERADE",), [5]),
        (("PostUp = iptables -t nat -A POSTROUTING -o %i -j MASQUERADE",), []),
        (("postup=nft add rule ip wg post oifname br0 masquerade",), [5]),
        (("PostUp = nft 'insert rule inet wg post oifname \"br0\" masquerade'",), [5]),
        (("PostUp = iptables -t nat -N WG; iptables -t nat -A WG -o br0 -j MASQUERADE",), [5]),
        (
            (
                "PostUp = iptables -t nat -I POSTROUTING -o br0 -j MASQUERADE; "
                "iptables -t nat -I POSTROUTING -s 192.168.182.0/24 -d 192.168.182.0/24 -j RETURN",
            ),
            [],
        ),
        (("PostUp = iptables -t nat -A POSTROUTING -o 'br0 -j MASQUERADE",), []),
    ],
)
def test_a_wireguard_file(lines: tuple[str, ...], numbers: list[int]) -> None:
    ctx = context(cluster({}), changed={NAT_FILES: NatFiles((wg(*lines),))})
    found = [each.written.line.number for each in rewriting(ctx) if each.written]
    assert found == numbers


# ---------------------------------------------------------------- real hosts


@pytest.mark.parametrize("suite", SUITES)
def test_of_a_real_host_only_what_is_meant_is_found(suite: str) -> None:
    """libvirt's and docker's rules, Tailscale's mark and the rule for ppp0 are there too."""
    found = [str(each) for each in rewriting(context(cluster({}), suite, "everywhere"))]
    assert found == [
        "`-o br0 -j MASQUERADE` (iptables, table nat, chain POSTROUTING)",
        "`! -o wg0 -j SNAT --to-source 192.168.182.100` (iptables, table nat, chain OWN)",
        "`-o br+ -j MASQUERADE` (iptables-legacy, table nat, chain POSTROUTING)",
        '`oifname { "wg0", "br0" } counter masquerade` (nft, table inet own, chain post)',
        '`ip saddr @lans oifname "br*" masquerade random comment "my thing"` (nft, table inet own, chain post)',
        "`-o br0 -j MASQUERADE` (/etc/wireguard/wg0.conf:5)",
        "`-o br0 -j MASQUERADE` (/etc/wireguard/wg0.conf:6)",
        "`-o br0 -j MASQUERADE` (/etc/ufw/before.rules:3)",
        "`-o br0 -j MASQUERADE` (/etc/iptables/rules.v4:3)",
        '`oifname { "br0", "wg0" } counter masquerade` (/etc/nftables.conf:6)',
        '`ip saddr @lans oifname "br*" masquerade random comment "my thing"` (/etc/nftables.conf:7)',
    ]
    assert rewriting(context(cluster({}), suite, "fresh")) == ()
    files = seen(suite, "everywhere")[NAT_FILES.id]
    assert (files.masquerading, files.others) == (("/etc/systemd/network/90-wg1.network",), ("/usr/local/sbin/nat-up",))


@pytest.mark.parametrize("suite", SUITES)
def test_the_bridges_of_another_host_are_not_hit_by_its_rules(suite: str) -> None:
    elsewhere = cluster({}, bridge={"name": "kubr0", "port": "enp4s0", "addresses": ["192.168.50.1/24"]})
    found = {each.rule.text for each in rewriting(context(elsewhere, suite, "article"))}
    assert found == set()


@pytest.mark.parametrize("rule", ["-o br0 -j MASQUERADE", "-o kube-isolated -j MASQUERADE", "! -o wg0 -j MASQUERADE"])
def test_ipv6_of_guests_is_theirs_where_the_host_has_none(rule: str) -> None:
    """Only IPv4 ranges are known; a rule of ip6tables without a source hits what guests say in IPv6 all the same."""
    wanted = cluster({}, isolated={"cidr": "192.168.190.0/24"}, kubernetes={})
    rules = saved(f"POSTROUTING {rule}", "POSTROUTING -s fd00:8::/64 -j MASQUERADE", tool="ip6tables-nft")
    ctx = context(wanted, changed={NAT_LIVE: (rules,), NAT_FILES: NatFiles()})
    assert [each.rule.text for each in rewriting(ctx)] == [rule]
    assert {flow.version for each in rewriting(ctx) for flow in each.flows} == {6}


def test_flows_are_what_cluster_yaml_names() -> None:
    wanted = cluster({}, isolated={"cidr": "192.168.190.0/24"}, kubernetes={})
    assert [str(flow) for flow in flows_of(context(wanted)) if flow.version == 4] == [
        "192.168.182.0/24 on br0",
        "10.244.0.0/16 on br0",
        "192.168.190.0/24 on kube-isolated",
        "10.244.0.0/16 on kube-isolated",
    ]
    by_guest = cluster(
        {}, bridge={"port": "enp5s0"}, guests=[{"name": "a", "role": "worker", "ssh": "o@192.168.182.131"}]
    )
    assert "192.168.182.131/32 on br0" in [str(flow) for flow in flows_of(context(by_guest))]


@pytest.mark.parametrize("suite", SUITES)
def test_wireguard_keys_stay_on_the_host(suite: str) -> None:
    assert seen(suite, "article")[WIREGUARD.id].get("wg0") == Tunnel("wg0", ("10.8.0.1/24",), ("10.8.0.2/32",), 51820)
    [file] = seen(suite, "article")[NAT_FILES.id].files
    assert [line.text.partition(" ")[0] for line in file.lines] == ["PostUp", "PostDown"]


def test_networks_behind_a_tunnel() -> None:
    tunnel = Tunnel(
        "wg0", ("10.8.0.1/24", "fd00::1/128"), ("10.8.0.2/32", "192.168.50.0/24", "0.0.0.0/0", "fd00:1::/64")
    )
    assert [str(each) for each in tunnel.networks(4)] == ["10.8.0.0/24", "192.168.50.0/24"]
    assert [str(each) for each in tunnel.networks(6)] == ["fd00:1::/64"]


@pytest.mark.parametrize("fact", [NAT_LIVE, NAT_FILES, WIREGUARD])
def test_a_command_that_broke_off_is_no_value(fact: Any) -> None:
    with pytest.raises(FactError, match="broken pipe"):
        fact.parse(Output(141, b"", b"broken pipe"))
