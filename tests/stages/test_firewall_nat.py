"""firewall.nat: from what real hosts said and what is wanted, to the plan."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.firewall_captured import SUITES, cluster, context
from wizard.actions import EditLine, Run, WriteFile
from wizard.facts.nat import NAT_LIVE, rewriting
from wizard.facts.nat_files import KEY, NAT_FILES, Line, NatFile, NatFiles
from wizard.facts.nat_iptables import parse_save
from wizard.facts.nat_nft import parse_tables
from wizard.facts.wireguard import WIREGUARD, Tunnel, Wireguard
from wizard.model import HYPERVISOR, AnyFact, Context, Do, Nothing, Plan, Refused, Risk, Unseen
from wizard.script import compile_part
from wizard.stages.firewall import NAT as STEP

BOTH = pytest.mark.parametrize("suite", SUITES)
CURES = ("restrict-source", "exempt-bridged", "exempt-lan")
WG = Wireguard((Tunnel("wg0", ("10.8.0.1/24",)),))
UP = "PostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o br0 -j MASQUERADE"
DOWN = UP.replace("PostUp", "PostDown").replace("-A", "-D")
LAN = "-s 192.168.182.0/24 -d 192.168.182.0/24 -j RETURN"

Changed = dict[AnyFact[Any], Any]


def plan(nat: str, suite: str = "bookworm", state: str = "fresh", changed: Changed | None = None) -> Plan:
    return STEP.plan(context(cluster({"nat": nat}), suite, state, changed), HYPERVISOR)


def do(*args: Any, **more: Any) -> Do:
    found = plan(*args, **more)
    assert isinstance(found, Do), found
    subprocess.run(["sh", "-n"], input=compile_part(STEP.id, HYPERVISOR, found.parts[0]), text=True, check=True)
    return found


def findings(found: Plan) -> list[str]:
    assert isinstance(found, Refused), found
    return [finding.id for finding in found.findings]


def edits(found: Do) -> list[str]:
    return [action.now for action in found.parts[0].actions if isinstance(action, EditLine)]


def commands(found: Do) -> list[str]:
    runs = [action for action in found.parts[0].actions if isinstance(action, Run)]
    return [run.summary for run in runs if not run.summary.startswith("forget")]


def wg(*lines: str) -> Changed:
    file = NatFile("/etc/wireguard/wg0.conf", tuple(Line(at, text) for at, text in enumerate(lines, 5)), "wg0")
    return {NAT_FILES: NatFiles((file,)), WIREGUARD: WG}


def whole(path: str, content: str, mode: int = 0o640) -> Changed:
    lines = tuple(Line(at, text) for at, text in enumerate(content.split("\n"), 1))
    return {NAT_FILES: NatFiles((NatFile(path, lines, "", content, mode),)), WIREGUARD: WG}


def live(*rules: str, tool: str = "iptables-nft") -> Changed:
    return {NAT_LIVE: (parse_save(tool, "*nat\n" + "".join(f"-A {rule}\n" for rule in rules)),), WIREGUARD: WG}


# ---------------------------------------------------------------- nothing, or only said


@BOTH
@pytest.mark.parametrize("nat", [*CURES, "report"])
def test_a_fresh_host_has_no_such_rule(suite: str, nat: str) -> None:
    assert isinstance(plan(nat, suite), Nothing)


@BOTH
def test_report_names_them_and_leaves_them(suite: str) -> None:
    found = plan("report", suite, "article")
    assert isinstance(found, Nothing)
    assert "`-o br0 -j MASQUERADE` (/etc/wireguard/wg0.conf:5)" in found.why


def test_left_alone() -> None:
    assert isinstance(STEP.plan(context(cluster(None), state="article"), HYPERVISOR), Nothing)
    nowhere = cluster({"nat": "exempt-lan"}, bridge=None)
    assert isinstance(STEP.plan(Context(nowhere), HYPERVISOR), Nothing)
    assert STEP.facts(cluster(None), HYPERVISOR) == STEP.facts(nowhere, HYPERVISOR) == {HYPERVISOR: ()}


# ---------------------------------------------------------------- the article's host


@BOTH
def test_the_articles_rule_is_restricted_live_and_in_its_file(suite: str) -> None:
    found = do("restrict-source", suite, "article")
    assert edits(found) == [
        UP.replace("POSTROUTING", "POSTROUTING -s 10.8.0.0/24"),
        DOWN.replace("POSTROUTING", "POSTROUTING -s 10.8.0.0/24"),
    ]
    assert commands(found) == [
        "iptables-nft -w -t nat -I POSTROUTING 1 -s 10.8.0.0/24 -o br0 -j MASQUERADE",
        "iptables-nft -w -t nat -D POSTROUTING -o br0 -j MASQUERADE",
    ]
    assert found.risk is Risk.BRIEF_INTERRUPTION
    assert found.notes == ()


@BOTH
def test_the_articles_rule_lets_bridged_packets_off(suite: str) -> None:
    found = do("exempt-bridged", suite, "article")
    physdev = "POSTROUTING -m physdev ! --physdev-is-bridged"
    assert edits(found) == [UP.replace("POSTROUTING", physdev), DOWN.replace("POSTROUTING", physdev)]
    assert commands(found)[
        0
    ] == f"iptables-nft -w -t nat -I {physdev.replace(' ', ' 1 ', 1)} -o br0 -j MASQUERADE".replace("! -", "'!' -")
    assert any("physdev" in note for note in found.notes)


@BOTH
def test_the_articles_lan_is_let_off_by_a_rule_before(suite: str) -> None:
    found = do("exempt-lan", suite, "article")
    head = "iptables -t nat -A POSTROUTING "
    assert edits(found)[0] == UP.replace(head, f"{head}{LAN}; {head}")
    assert edits(found)[1] == DOWN.replace(head.replace("-A", "-D"), f"{head}{LAN}; {head}".replace("-A", "-D"))
    assert commands(found) == [f"iptables-nft -w -t nat -I POSTROUTING 1 {LAN}"]


@pytest.mark.parametrize("nat", CURES)
@BOTH
def test_rules_of_every_family_in_every_place(suite: str, nat: str) -> None:
    """What `everywhere` has is cured at once but for the rule that names a source of its own."""
    both = cluster({"nat": nat}, bridge={"port": "enp4s0", "addresses": ["192.168.182.100/24", "fd00:182::1/64"]})
    found = STEP.plan(context(both, suite, "everywhere"), HYPERVISOR)
    if nat == "restrict-source":
        assert findings(found) == ["sourced", "sourced"]
        return
    assert isinstance(found, Do)
    lines = " ".join(commands(found))
    for word in ("iptables-nft", "iptables-legacy", "nft " + ("replace" if nat == "exempt-bridged" else "insert")):
        assert word in lines
    paths = {action.path for action in found.parts[0].actions if isinstance(action, EditLine | WriteFile)}
    assert paths == {"/etc/wireguard/wg0.conf", "/etc/ufw/before.rules", "/etc/iptables/rules.v4", "/etc/nftables.conf"}


# ---------------------------------------------------------------- whose packets a rule is meant for


def test_a_rule_without_a_file_is_restricted_and_said_to_return() -> None:
    found = do("restrict-source", changed=live("POSTROUTING ! -o wg0 -j MASQUERADE"))
    assert commands(found)[0] == "iptables-nft -w -t nat -I POSTROUTING 1 -s 10.8.0.0/24 '!' -o wg0 -j MASQUERADE"
    assert found.notes[0].startswith("Where `! -o wg0 -j MASQUERADE`")


def test_what_peers_stand_for_counts_too() -> None:
    tunnel = Tunnel("wg0", ("10.8.0.1/32",), ("10.8.0.2/32", "192.168.50.0/24", "192.168.182.0/25", "0.0.0.0/0"))
    found = do("restrict-source", changed={**wg(UP), WIREGUARD: Wireguard((tunnel,))})
    assert edits(found) == [UP.replace("POSTROUTING", "POSTROUTING -s 10.8.0.2/32,192.168.50.0/24")]


def test_of_two_tunnels_the_one_that_is_named() -> None:
    two = Wireguard((Tunnel("wg0", ("10.8.0.1/24",)), Tunnel("wg1", ("10.9.0.1/24",))))
    named = live("POSTROUTING ! -o wg1 -j MASQUERADE") | {WIREGUARD: two}
    assert "-s 10.9.0.0/24" in commands(do("restrict-source", changed=named))[0]
    assert findings(plan("restrict-source", changed=live("POSTROUTING -o br0 -j MASQUERADE") | {WIREGUARD: two})) == [
        "no-source"
    ]
    assert "-s 10.8.0.0/24" in edits(do("restrict-source", changed=wg(UP) | {WIREGUARD: two}))[0]


def without_range(nat: str) -> Plan:
    """A bridge that only forwards, and guests that nobody has named."""
    changed = live("POSTROUTING -o br0 -j MASQUERADE", tool="ip6tables-nft")
    wanted = cluster({"nat": nat}, bridge={"port": "enp5s0"})
    return STEP.plan(context(wanted, changed=changed), HYPERVISOR)


def test_the_range_must_be_known_to_be_let_off() -> None:
    assert findings(without_range("exempt-lan")) == ["no-range"]
    assert isinstance(without_range("exempt-bridged"), Do)


def test_a_rule_of_both_families_is_let_off_in_both_or_not_at_all() -> None:
    changed = nft('oifname "br0" masquerade')
    found = plan("exempt-lan", changed=changed)
    assert isinstance(found, Refused)
    [finding] = found.findings
    assert finding.message.startswith("which IPv6 range the guests have on br0 is not known")
    assert finding.cure.startswith("give the bridge its IPv6 address")
    assert commands(do("exempt-bridged", changed=changed)) != []
    wanted = cluster({"nat": "exempt-lan"}, bridge=None, isolated={"cidr": "192.168.190.0/24"})
    isolated = STEP.plan(context(wanted, changed=nft("masquerade", "kube-isolated")), HYPERVISOR)
    assert isinstance(isolated, Refused)
    assert isolated.findings[0].cure == "set `nat: exempt-bridged`"


def test_ipv6_needs_a_source_of_its_own() -> None:
    assert findings(without_range("restrict-source")) == ["no-source"]
    addresses = ["192.168.182.100/24", "fd00:182::1/64"]
    both = cluster({"nat": "restrict-source"}, bridge={"port": "enp4s0", "addresses": addresses})
    changed = live("POSTROUTING -o br0 -j MASQUERADE", tool="ip6tables-nft")
    six = changed | {WIREGUARD: Wireguard((Tunnel("wg0", ("fd00:8::1/64",)),))}
    found = STEP.plan(context(both, changed=six), HYPERVISOR)
    assert isinstance(found, Do)
    assert "ip6tables-nft -w -t nat -I POSTROUTING 1 -s fd00:8::/64 -o br0" in commands(found)[0]


# ---------------------------------------------------------------- live


def test_several_rules_of_a_chain_keep_their_places() -> None:
    rules = (
        "POSTROUTING -o br0 -j MASQUERADE",
        "POSTROUTING -s 172.17.0.0/16 -j MASQUERADE",
        "POSTROUTING -j MASQUERADE",
    )
    lines = commands(do("restrict-source", changed=live(*rules)))
    assert [line.split(" ")[6] for line in lines if " -I " in line] == ["3", "1"]


def test_each_rule_gets_its_own_exemption_and_all_of_them_go() -> None:
    """As in a file: `wg-quick down` of one interface takes out one, and leaves that of another."""
    rules = ("POSTROUTING -o br0 -j MASQUERADE", "POSTROUTING -s 172.17.0.0/16 -j MASQUERADE", "POSTROUTING -j SNAT")
    found = do("exempt-lan", changed=live(*rules))
    assert commands(found) == [f"iptables-nft -w -t nat -I POSTROUTING {place} {LAN}" for place in (3, 1)]
    runs = [each for each in found.parts[0].actions if isinstance(each, Run) and each.undo]
    assert [each.unless[2].rpartition(" ")[2] for each in runs] == ["1", "2"]
    assert len({each.undo for each in runs}) == 1


def test_the_way_back_of_a_live_rule_asks_whether_the_cure_is_still_there() -> None:
    [insert] = [
        each
        for each in do("restrict-source", changed=live("POSTROUTING -o br0 -j MASQUERADE")).parts[0].actions
        if isinstance(each, Run) and each.undo
    ]
    assert insert.undo is not None
    assert insert.undo.argv[2].startswith(
        "if iptables-nft -w -t nat -C POSTROUTING -s 10.8.0.0/24 -o br0 -j MASQUERADE "
    )
    assert " || " not in insert.undo.argv[2]


def nft(text: str, out: str = "br0") -> Changed:
    expressions = [{"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": out}}, {"masquerade": None}]
    names = {"family": "inet", "table": "own"}
    entries = [
        {"chain": {**names, "name": "post", "type": "nat", "hook": "postrouting"}},
        {"rule": {**names, "chain": "post", "handle": 7, "expr": expressions}},
    ]
    return {NAT_LIVE: tuple(parse_tables(entries, {("inet", "own", "post", 7): text})), WIREGUARD: WG}


def test_a_rule_of_nft_is_replaced_where_it_stands() -> None:
    changed = nft('oifname "br0" masquerade')
    assert commands(do("restrict-source", changed=changed)) == [
        'nft replace rule inet own post ip saddr 10.8.0.0/24 oifname "br0" masquerade'
    ]
    assert commands(do("exempt-bridged", changed=changed)) == [
        'nft replace rule inet own post iif != 0 oifname "br0" masquerade'
    ]


def test_several_sources_are_spelled_as_nft_spells_them() -> None:
    two = Wireguard((Tunnel("wg0", ("10.8.0.1/32",), ("192.168.50.0/24", "10.8.0.2/32")),))
    [line] = commands(do("restrict-source", changed=nft('oifname "br0" masquerade') | {WIREGUARD: two}))
    assert 'post ip saddr { 10.8.0.2, 192.168.50.0/24 } oifname "br0" masquerade' in line


@pytest.mark.parametrize(("name", "finding"), [("io.systemd.nat", "networkd"), ("firewalld", "firewalld")])
def test_what_another_program_keeps_up_is_named_not_changed(name: str, finding: str) -> None:
    [table] = nft('oifname "br0" masquerade')[NAT_LIVE]
    files = NatFiles((), ("/etc/systemd/network/a.network",))
    changed: Changed = {NAT_LIVE: (replace(table, name=name),), NAT_FILES: files}
    found = plan("exempt-bridged", changed=changed)
    assert findings(found) == [finding]
    assert isinstance(found, Refused)
    assert ("/etc/systemd/network/a.network" in found.why) == (finding == "networkd")


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("line", "nat", "now"),
    [
        ("PostUp = iptables -t nat -I POSTROUTING 1 -o br0 -j MASQUERADE", "restrict-source",
         "PostUp = iptables -t nat -I POSTROUTING 1 -s 10.8.0.0/24 -o br0 -j MASQUERADE"),
        ("PostUp = iptables -t nat -I POSTROUTING -o br0 -j MASQUERADE", "exempt-lan",
         f"PostUp = iptables -t nat -I POSTROUTING -o br0 -j MASQUERADE; iptables -t nat -I POSTROUTING {LAN}"),
        ("PostUp=nft add rule ip wg post oifname br0 masquerade", "restrict-source",
         "PostUp=nft add rule ip wg post ip saddr 10.8.0.0/24 oifname br0 masquerade"),
        ("PostUp = nft 'add rule ip wg post oifname br0 masquerade'", "exempt-lan",
         "PostUp = nft 'add rule ip wg post ip saddr 192.168.182.0/24 ip daddr 192.168.182.0/24 return; "
         "add rule ip wg post oifname br0 masquerade'"),
        ("PostUp = nft add rule ip wg post oifname br0 masquerade", "exempt-bridged",
         "PostUp = nft add rule ip wg post iif != 0 oifname br0 masquerade"),
    ],
)  # fmt: skip
def test_a_line_of_wireguard(line: str, nat: str, now: str) -> None:
    found = do(nat, changed=wg(line))
    assert edits(found) == [now]
    assert commands(found) == []
    assert found.risk is Risk.NONE


@pytest.mark.parametrize("nat", CURES)
@pytest.mark.parametrize(
    "line",
    [
        UP,
        DOWN,
        "PostUp = iptables -t nat -I POSTROUTING -o br0 -j MASQUERADE",
        "PostUp = iptables -t nat -I POSTROUTING ! -o %i -j MASQUERADE; iptables -t nat -I POSTROUTING 2 -j MASQUERADE",
        "PostUp = nft add rule ip wg post oifname br0 masquerade",
        "PostUp\t=\tiptables -t nat -A POSTROUTING\t-o br0 -j MASQUERADE",
        'PostUp = nft "insert rule ip wg post oifname br0 masquerade"',
        "PostUp = ip6tables -t nat -A POSTROUTING -s fd0::/64 -j SNAT; iptables -t nat -A POSTROUTING -j MASQUERADE",
    ],
)
def test_what_was_edited_is_cured(nat: str, line: str) -> None:
    found = do(nat, changed=wg(line))
    assert rewriting(context(cluster({}), changed=wg(*edits(found)))) == ()


SAVED = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o br0 -j MASQUERADE\nCOMMIT\n*filter\nCOMMIT\n"
HOOK = "type nat hook postrouting priority srcnat;"
NFT = f'table ip own {{\n\tchain post {{\n\t\t{HOOK}\n\t\toifname "br0" masquerade\n\t}}\n}}\n'


@pytest.mark.parametrize("nat", CURES)
@pytest.mark.parametrize(("path", "content"), [("/etc/ufw/before.rules", SAVED), ("/etc/nftables.conf", NFT)])
def test_whole_files_are_cured(nat: str, path: str, content: str) -> None:
    found = do(nat, changed=whole(path, content))
    for action in found.parts[0].actions:
        if isinstance(action, WriteFile):
            assert (action.was, action.mode) == (content, 0o640)
            content = action.content
        if isinstance(action, EditLine):
            content = content.replace(action.was, action.now)
    assert rewriting(context(cluster({}), changed=whole(path, content))) == ()


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        (wg(UP, UP.replace("POSTROUTING", "POSTROUTING -s 10.8.0.0/24")), "line"),
        (wg(f"{UP}; wg set wg0 private-key {KEY}"), "key-in-line"),
        (live("POSTROUTING -s 192.168.0.0/16 -o br0 -j MASQUERADE"), "sourced"),
        (live("POSTROUTING -m comment --comment 'a\tb' -o br0 -j MASQUERADE"), "unreadable"),
    ],
)
def test_what_cannot_be_changed_is_said(changed: Changed, finding: str) -> None:
    assert findings(plan("restrict-source", changed=changed)) == [finding]


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    ctx = context(cluster({"nat": "exempt-lan"}))
    blind = Context(ctx.cluster, {**ctx.seen, (HYPERVISOR, NAT_LIVE.id): Unseen("too big")})
    with pytest.raises(Exception, match="too big"):
        STEP.plan(blind, HYPERVISOR)


def test_a_hostile_comment_of_a_rule_stays_a_comment(tmp_path: Path) -> None:
    """What sh makes of the words reaches nft as it was, and nothing else is run."""
    text = 'oifname "br0" comment "$(touch x) `touch y` a.b*[c] \\"" masquerade'
    fake = tmp_path / "nft"
    fake.write_text('#!/bin/sh\n[ "$1" = -s ] && { cat listing; exit; }\nprintf "%s\\n" "$*" >>said\n')
    fake.chmod(0o755)
    (tmp_path / "listing").write_text(f"\t\t{text} # handle 7\n")
    run = next(each for each in do("exempt-bridged", changed=nft(text)).parts[0].actions if isinstance(each, Run))
    subprocess.run(["sh", "-c", run.line()], cwd=tmp_path, env={"PATH": f"{tmp_path}:/bin:/usr/bin"}, check=True)
    said = (tmp_path / "said").read_text()
    assert said == f"insert rule inet own post handle 7 iif != 0 {text}; delete rule inet own post handle 7\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["listing", "nft", "said"]
